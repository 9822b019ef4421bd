//! Metrics and codes: the metrics in the log of the function, read as CloudWatch reads them, and the code in a response that
//! leads to a line of the log.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::alexa::{Echo, Slot};
use crate::harness::answer::Answer;
use crate::harness::aws::Conduct;
use crate::harness::lambda::Lambda;
use crate::harness::login::{self, User, token_for};
use crate::mail_returned::{BOUNCE, COMPLAINT, by_sns};
use crate::stack::{Stack, check_one_owner_one_thing, now, sweeps};

const LIMIT: Duration = Duration::from_secs(30);
/// The units of CloudWatch that the function uses.
const UNITS: [&str; 2] = ["Count", "Milliseconds"];

/// A metric that CloudWatch extracts from the log: name, value and dimension.
#[derive(Clone, Debug)]
struct Datum {
    name: String,
    value: f64,
    step: Option<String>,
}

/// The metrics of all lines in the embedded metric format, checked against its specification. Waits until the log contains `last`
/// `times` times, so that all earlier lines have arrived.
async fn metrics(lambda: &Lambda, last: &str, times: usize) -> Vec<Datum> {
    let log = lambda.logs_times(last, times).await;
    let lines = log.lines().filter(|line| line.contains("_aws"));
    lines.flat_map(|line| datums(&serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))).collect()
}

fn datums(line: &Value) -> Vec<Datum> {
    let made_at = line["_aws"]["Timestamp"].as_u64().unwrap_or_default();
    assert!(made_at.abs_diff(now() * 1_000) < 300_000, "the timestamp is not the present time in milliseconds: {line}");
    let [directive] = line["_aws"]["CloudWatchMetrics"].as_array().expect("directives").as_slice() else { panic!("{line}") };
    assert_eq!(directive["Namespace"], "onething/stack", "{line}");
    let sets = directive["Dimensions"].as_array().expect("sets of dimensions");
    assert!(!sets.is_empty(), "CloudWatch stores no metric without a set of dimensions: {line}");
    let named: Vec<&str> = sets.iter().flat_map(|set| set.as_array().expect("a set")).map(|name| name.as_str().expect("a name")).collect();
    assert!(named.iter().all(|name| line[name].as_str().is_some_and(|value| !value.is_empty())), "{line}");
    let declared = directive["Metrics"].as_array().expect("metrics");
    // There is no other member: a member that is neither metric nor dimension would become a searchable property.
    assert_eq!(line.as_object().map(serde_json::Map::len), Some(1 + declared.len() + usize::from(!named.is_empty())), "{line}");
    let datum = |metric: &Value| {
        let name = metric["Name"].as_str().expect("a name").to_owned();
        assert!(UNITS.contains(&metric["Unit"].as_str().expect("a unit")), "{line}");
        let value = line[&name].as_f64().unwrap_or_else(|| panic!("{name} is no number in {line}"));
        Datum { name, value, step: line["Step"].as_str().map(str::to_owned) }
    };
    declared.iter().map(datum).collect()
}

fn count(metrics: &[Datum], name: &str) -> f64 {
    metrics.iter().filter(|datum| datum.name == name).map(|datum| datum.value).sum()
}

fn steps<'a>(metrics: &'a [Datum], name: &str) -> Vec<&'a str> {
    metrics.iter().filter(|datum| datum.name == name).filter_map(|datum| datum.step.as_deref()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_an_identity_is_counted_in_metrics() {
    let stack = Stack::of_short_leases().await;
    let lambda = &stack.function.lambda;
    let ada = stack.function.welcomes("Ada Lovelace");
    let mut owner = stack.onboards(&ada, 0).await;
    let seen = metrics(lambda, "\"OnboardingDone\":", 1).await;
    for (name, expected) in [("OnboardingStarted", 1.0), ("OnboardingDone", 1.0), ("MailAccepted", 1.0), ("MailRefused", 0.0)] {
        assert_eq!(count(&seen, name), expected, "{name} in {seen:#?}");
    }
    assert_eq!(steps(&seen, "StepTime"), ["create_certificate", "claim", "attach_and_activate", "mail", "complete"]);
    assert!(seen.iter().filter(|datum| datum.name == "StepTime").all(|datum| (0.0..7_000.0).contains(&datum.value)), "{seen:#?}");
    assert_eq!(count(&seen, "OnboardingFailed"), 0.0);

    let request = owner.echo.intent("PauseIntent", &[]);
    stack.ask(&mut owner.echo, &request).await.says(&["Pausing"]);
    let relayed = metrics(lambda, "\"RelayTime\":", 1).await;
    let relayed: Vec<Datum> = relayed.into_iter().filter(|datum| datum.name == "RelayTime").collect();
    assert!(relayed.len() == 1 && relayed[0].value > 0.0 && relayed[0].step.is_none(), "{relayed:?}");

    for (event, name) in [(BOUNCE, "MailBounced"), (COMPLAINT, "MailComplained")] {
        assert!(!lambda.log().contains(name));
        lambda.reports(&by_sns(event, &owner.thing, &owner.certificate_id()), LIMIT).await;
        let seen = metrics(lambda, "a mail came back", usize::from(name == "MailComplained") + 1).await;
        assert_eq!(count(&seen, name), 1.0, "{name}");
    }

    // Each failure is counted under its step.
    let failures = [
        ("create_certificate", "CreateCertificateFromCsr", Conduct::Refuses(400, "ThrottlingException", "Rate exceeded")),
        ("claim", "CreateThing", Conduct::Refuses(403, "AccessDeniedException", "no")),
        ("attach_and_activate", "AttachPolicy", Conduct::Refuses(403, "AccessDeniedException", "no")),
        ("mail", "SendRawEmail", Conduct::Refuses(400, "MessageRejected", "Email address is not verified.")),
    ];
    for (number, (step, operation, conduct)) in failures.into_iter().enumerate() {
        let user = stack.function.welcomes(&format!("Unlucky {step}"));
        let mut echo = Echo::linked(&user.token);
        stack.function.aws.makes(operation, conduct);
        let request = echo.launch();
        stack.ask(&mut echo, &request).await.apologises();
        stack.function.aws.mends();
        let seen = metrics(lambda, "\"code\":", number + 1).await;
        assert_eq!(steps(&seen, "OnboardingFailed").get(number), Some(&step), "{seen:#?}");
        assert_eq!(count(&seen, "MailRefused"), if step == "mail" { 1.0 } else { 0.0 }, "{step}");
    }
    assert_eq!(count(&metrics(lambda, "\"code\":", 4).await, "OnboardingDone"), 1.0);

    // The sweep writes metrics even if it has nothing to do. Here one certificate was created whose response was lost.
    stack.function.aws.makes("CreateCertificateFromCsr", Conduct::FailsAfterwards);
    let lost = stack.function.welcomes("Lost");
    let mut echo = Echo::linked(&lost.token);
    let request = echo.launch();
    stack.ask(&mut echo, &request).await.apologises();
    stack.function.aws.mends();
    for id in stack.function.aws.certificates_made() {
        stack.ministack.ages(&id, 7_200);
    }
    let other = stack.another_function().await;
    sweeps(&other).await;
    let seen = metrics(&other, "swept", 1).await;
    let swept: Vec<(&str, f64)> = seen.iter().map(|datum| (datum.name.as_str(), datum.value)).collect();
    assert_eq!(swept, [("SweepThings", 0.0), ("SweepCertificates", 1.0), ("SweepFailed", 0.0)]);

    // No line with metrics contains personal data.
    let log = [lambda.log(), other.log()].concat();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("_aws")).collect();
    assert!(lines.len() > 20, "{lines:#?}");
    let id = owner.certificate_id();
    for secret in [owner.thing.as_str(), &ada.user_id, "Lovelace", "ada", "mail.example.com", "Atza", "3D_Printer-", &id] {
        assert!(!lines.iter().any(|line| line.to_lowercase().contains(&secret.to_lowercase())), "{secret} in {lines:#?}");
    }
    check_one_owner_one_thing(&stack.ministack.holds().await, &ada, &owner.certificate());
}

/// The code in a response, which an owner can read out to the maker.
fn code_of(answer: &Answer) -> String {
    let speech = answer.speech();
    let (_, code) = speech.rsplit_once("Code ").unwrap_or_else(|| panic!("no code in {speech:?}"));
    let code = code.strip_suffix('.').unwrap_or_else(|| panic!("text after the code in {speech:?}"));
    let digits: Vec<&str> = code.split(' ').collect();
    assert!(digits.len() == 5 && digits.iter().all(|digit| digit.len() == 1 && digit.parse::<u8>().is_ok()), "{speech:?}");
    digits.concat()
}

/// The only line of the log with this code.
async fn line_of(stack: &Stack, code: &str) -> Value {
    let wanted = format!("\"code\":\"{code}\"");
    let log = stack.function.lambda.logs(&wanted).await;
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(&wanted)).collect();
    let [line] = lines.as_slice() else { panic!("{lines:#?}") };
    serde_json::from_str(line).expect("a log line in JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_code_of_every_failure_identifies_its_line_in_the_log() {
    let stack = Stack::of_short_leases().await;
    let ada = stack.function.welcomes("Ada");
    let mut owner = stack.onboards(&ada, 0).await;
    let nameless = User { email: None, ..User::named("Nameless") };
    let stranger = token_for("nobody");
    for user in [&nameless, &User::named("New"), &User::named("Unverified")] {
        stack.function.login.knows(user);
    }
    let aws = &stack.function.aws;
    let login = &stack.function.login;
    let unavailable = token_for("unlucky");
    login.treats(&unavailable, login::Conduct::Fails(503, "temporarily_unavailable"));
    let error = Conduct::Refuses(500, "InternalFailureException", "out of order");
    let throttling = Conduct::Refuses(400, "ThrottlingException", "Rate exceeded");
    let unverified = Conduct::Refuses(400, "MessageRejected", "Email address is not verified.");

    // The token, the request, the call that fails and how, and the cause and the fault in the log.
    type Failing<'a> = (&'a str, &'a str, Option<(&'a str, Conduct)>, &'a str, &'a str);
    let failures: [Failing<'_>; 7] = [
        (&stranger, "launch", None, "token_invalid", "speaker"),
        (&unavailable, "launch", None, "login_unavailable", "again"),
        (&nameless.token, "launch", None, "no_email", "speaker"),
        (&User::named("New").token, "launch", Some(("CreateCertificateFromCsr", throttling)), "registry_throttled", "again"),
        (&User::named("Unverified").token, "launch", Some(("SendRawEmail", unverified)), "mail_not_verified", "maker"),
        (&ada.token, "PauseIntent", Some(("UpdateThingShadow", error)), "shadow_unclear", "again"),
        (&ada.token, "ConnectionIntent", Some(("DescribeThing", Conduct::Hangs)), "registry_unclear", "again"),
    ];
    let mut codes = Vec::new();
    for (token, what, conduct, cause, fault) in failures {
        owner.echo.links_again(token);
        let request = if what == "launch" { owner.echo.launch() } else { owner.echo.intent(what, &[]) };
        if let Some((operation, conduct)) = conduct {
            aws.makes(operation, conduct);
        }
        let answer = stack.ask(&mut owner.echo, &request).await;
        aws.mends();
        let code = code_of(&answer);
        let line = line_of(&stack, &code).await;
        assert_eq!((&line["cause"], &line["fault"]), (&json!(cause), &json!(fault)), "{line}");
        assert_eq!(line["request_id"], request["request"]["requestId"], "{line}");
        assert!(!line.to_string().contains("mail.example.com") && !line.to_string().contains("Atza"), "{line}");
        codes.push(code);
    }
    codes.sort();
    codes.dedup();
    assert_eq!(codes.len(), 7, "two failures have the same code: {codes:?}");

    // Without a failure there is no code: not linked yet, an invalid value, and successes.
    let mut unlinked = Echo::unlinked();
    let request = unlinked.launch();
    assert!(!stack.ask(&mut unlinked, &request).await.asks_to_link().speech().contains("Code"));
    owner.echo.links_again(&ada.token);
    let hot = [Slot::matched("part", "nozzle", "nozzle", "nozzle"), Slot::said("degrees", "999")];
    for request in [owner.echo.intent("SetTemperatureIntent", &hot), owner.echo.intent("StatusIntent", &[]), owner.echo.launch()] {
        let answer = stack.ask(&mut owner.echo, &request).await;
        assert!(!answer.speech().contains("Code"), "{:#}", answer.json());
    }
    check_one_owner_one_thing(&stack.ministack.holds().await, &ada, &owner.certificate());
}
