//! Events without an owner's request, and requests of an owner about the identity itself; the code that leads to a failure in the
//! log, and the metrics in the log.

use serde_json::{Value, json};

use crate::SHADOW;
use crate::harness::alexa::Echo;
use crate::harness::aws::{Aws, Conduct};
use crate::harness::function::Function;
use crate::harness::runtime_api::Outcome;

/// The lines of a log that are metrics.
fn metrics(log: &str) -> Vec<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line.get("_aws").is_some()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_ends_in_a_code_that_finds_its_line_in_the_log() {
    let aws = Aws::with_shadow(SHADOW).await;
    aws.makes("UpdateThingShadow", Conduct::Refuses(403, "ForbiddenException", "no"));
    let function = Function::with(aws).await;
    let mut echo = Echo::linked(&function.welcomes("Ada").token);
    let mut codes = Vec::new();
    for _ in 0..3 {
        let request = echo.intent("PauseIntent", &[]);
        let speech = function.lambda.answer(&mut echo, &request).await.speech();
        let (_, code) = speech.rsplit_once("Code ").expect("a code at the end");
        let code = code.trim_end_matches('.').replace(' ', "");
        assert!(code.len() == 5 && code.bytes().all(|digit| digit.is_ascii_digit()), "{speech}");
        let log = function.lambda.logs(&format!("\"code\":\"{code}\"")).await;
        let found: Vec<&str> = log.lines().filter(|line| line.contains(&format!("\"code\":\"{code}\""))).collect();
        assert!(found.len() == 1 && found[0].contains("shadow_refused"), "{found:?}");
        codes.push(code);
        echo.start_over();
    }
    codes.dedup();
    assert_eq!(codes.len(), 3, "each request has its own code");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_to_relay_is_a_metric_in_the_log() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let ada = function.welcomes("Ada");
    let mut echo = Echo::linked(&ada.token);
    let request = echo.intent("PauseIntent", &[]);
    function.lambda.answer(&mut echo, &request).await.says(&["Pausing"]);
    let log = function.lambda.logs("RelayTime").await;
    let [line] = metrics(&log).try_into().expect("one metric");
    let declared = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(declared["Namespace"], "onething/stack");
    assert_eq!(declared["Metrics"], json!([{"Name": "RelayTime", "Unit": "Milliseconds"}]));
    assert!(line["RelayTime"].as_f64().is_some_and(|time| time > 0.0), "{line}");
    assert!(!log.contains(&ada.user_id), "a metric contains no user id");
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_needs_two_confirmations() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let mut echo = Echo::linked(&function.welcomes("Ada").token);
    // A yes without a question.
    let request = echo.intent("AMAZON.YesIntent", &[]);
    function.lambda.answer(&mut echo, &request).await.says(&["did not get that"]);
    echo.start_over();

    let request = echo.intent_in("STARTED", "NONE", "ForgetMeIntent", &[]);
    let answer = function.lambda.answer(&mut echo, &request).await;
    assert_eq!(answer.directives(), ["Dialog.ConfirmIntent"], "{:#}", answer.json());
    let request = echo.intent_in("COMPLETED", "CONFIRMED", "ForgetMeIntent", &[]);
    let answer = function.lambda.answer(&mut echo, &request).await;
    answer.says(&["yes or no"]);
    assert!(answer.keeps_session_open() && answer.directives().is_empty(), "{:#}", answer.json());
    let request = echo.intent("AMAZON.NoIntent", &[]);
    function.lambda.answer(&mut echo, &request).await.says(&["leave it"]);
    // The question has been answered already.
    let request = echo.intent("AMAZON.YesIntent", &[]);
    function.lambda.answer(&mut echo, &request).await.says(&["did not get that"]);
    assert!(function.aws.calls().is_empty(), "{:?}", function.aws.operations());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_who_disables_the_skill_is_searched_by_a_hash() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let mut echo = Echo::linked(&function.welcomes("Ada").token);
    let answer = function.lambda.answer_to(&echo.skill_event("SkillDisabled", None)).await;
    assert!(answer.is_empty(), "{:#}", answer.json());
    assert_eq!(function.aws.operations(), ["ListThings"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_search_after_disabling_is_repeated_until_the_deadline() {
    let aws = Aws::with_shadow(SHADOW).await;
    aws.makes("ListThings", Conduct::Refuses(400, "ThrottlingException", "Rate exceeded"));
    let function = Function::with(aws).await;
    let mut echo = Echo::linked(&function.welcomes("Ada").token);
    let answer = function.lambda.answer_to(&echo.skill_event("SkillDisabled", None)).await;
    assert!(answer.is_empty(), "the response to an event must be empty: {:#}", answer.json());
    assert!(function.aws.operations().len() > 3, "{:?}", function.aws.operations());
    function.lambda.logs("\"step\":\"lifecycle\"").await;
}

/// The outcome of an event that does not come from Alexa.
async fn outcome(function: &Function, event: &str) -> Outcome {
    function.lambda.invoke_raw(event.to_owned()).await.outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_of_an_empty_account_says_so() {
    let aws = Aws::with_shadow(SHADOW).await;
    aws.makes("ListCertificates", Conduct::Answers(200, r#"{"certificates":[]}"#));
    let function = Function::with(aws).await;
    let Outcome::Answered(report) = outcome(&function, include_str!("../fixtures/eventbridge/scheduled.json")).await else {
        panic!("the sweep failed:\n{}", function.lambda.log());
    };
    let report: Value = serde_json::from_slice(&report).expect("JSON");
    // The time limit here is that of a request, which is too short for a sweep.
    assert_eq!(report, json!({"cleaned_up": 0, "forgotten": 0, "orphans": 0, "failed": 0, "complete": false}));
    let log = function.lambda.logs("SweepThings").await;
    assert!(metrics(&log).iter().any(|line| line["SweepFailed"] == 0), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_about_mails_are_recorded_or_the_invocation_fails() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let notification: Value = serde_json::from_str(include_str!("../fixtures/sns/notification.json")).expect("JSON");
    let event = |message: &str| {
        let mut event = notification.clone();
        event["Records"][0]["Sns"]["Message"] = Value::from(message);
        event.to_string()
    };
    let bounce = include_str!("../fixtures/ses/bounce.json");
    let complaint = include_str!("../fixtures/ses/complaint.json");

    // A mail whose certificate has been replaced is ignored.
    assert!(matches!(outcome(&function, &event(bounce)).await, Outcome::Answered(_)));
    assert_eq!(function.aws.operations(), ["DescribeThing"]);
    function.aws.forgets();
    assert!(matches!(outcome(&function, &event(complaint)).await, Outcome::Answered(_)));
    assert_eq!(function.aws.operations(), ["DescribeThing", "UpdateThing", "UpdateThingShadow"]);
    let log = function.lambda.logs("MailComplained").await;
    assert!(log.contains("MailBounced"), "{log}");

    // The test message of SES for a topic, and foreign messages.
    function.aws.forgets();
    for nothing in [include_str!("../fixtures/sns/validation.json").to_owned(), event("{}"), r#"{"Records":[]}"#.to_owned()] {
        assert!(matches!(outcome(&function, &nothing).await, Outcome::Answered(_)), "{nothing}");
    }
    assert!(function.aws.calls().is_empty());

    function.aws.makes("UpdateThing", Conduct::Refuses(403, "AccessDeniedException", "no"));
    let Outcome::Failed(error) = outcome(&function, &event(complaint)).await else { panic!("an invocation that succeeds is not repeated") };
    assert_eq!(error["errorType"], "NotNoted", "{error}");
    // The log contains no mail address.
    assert!(!function.lambda.log().contains("example.com"), "{}", function.lambda.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_endpoint_the_skill_offers_mail_instead_of_codes() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let mut echo = Echo::linked(&function.welcomes("Ada").token);
    let request = echo.intent("GiveCodeIntent", &[]);
    let said = function.lambda.answer(&mut echo, &request).await;
    said.says(&["This skill has no codes", "send my certificate again"]);
}
