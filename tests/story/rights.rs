//! The roles of the stack give each function the permissions that it needs, and not those of the others.

use serde_json::{Value, json};

use crate::harness::alexa::{Echo, Slot};
use crate::harness::aws::{Aws, Conduct};
use crate::harness::deployment::Deployment;
use crate::harness::device::{Device, Identity};
use crate::harness::function::Function;
use crate::harness::lambda::Lambda;
use crate::harness::ministack::{Ministack, calls, calls_as, rights_of, rights_of_the_stack};
use crate::harness::new_device::NewDevice;
use crate::mail_returned::{BOUNCE, by_sns};
use crate::stack::{Stack, certificate, check_one_owner_one_thing, list, now, sweeps, thing};

const LINKED: &str = include_str!("../fixtures/alexa/skill_account_linked.json");
const DISABLED: &str = include_str!("../fixtures/alexa/skill_disabled.json");
const DAY: u64 = 86_400;

/// Requires that AWS has refused no call because of a missing permission.
fn check_nothing_was_denied(gate: &Aws, lambda: &Lambda) {
    for call in gate.calls() {
        assert_ne!(call.status.map(|status| status.as_u16()), Some(403), "{call:?}");
    }
    let log = lambda.log();
    assert!(!log.contains("AccessDenied"), "{log}");
}

/// A function with the permissions of a role, and its own proxy.
async fn function_of(stack: &Stack, role: &str) -> (Lambda, Aws, (String, String)) {
    let keys = rights_of(&stack.ministack.url, role).await;
    let gate = stack.ministack.gate().await;
    let deployment =
        Deployment::with(&stack.function.login.url(), &gate.url()).set("LEASE_SECONDS", "1").set("FLEET_THINGS", "3D_Printer-*");
    let lambda = Lambda::start(&deployment.set("AWS_ACCESS_KEY_ID", &keys.0).set("AWS_SECRET_ACCESS_KEY", &keys.1)).await;
    (lambda, gate, keys)
}

/// Requires that the call is refused with these keys because of a missing permission.
async fn is_denied(stack: &Stack, keys: &(String, String), service: &str, operation: &str, arguments: Value) {
    let refused = calls_as(&stack.ministack.url, keys, service, operation, arguments).await.expect_err(operation);
    // The data plane uses another error code.
    assert!(refused.contains("AccessDenied") || refused == "ForbiddenException", "{operation}: {refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_of_the_stack_is_enough() {
    let ministack = Ministack::deployed().await;
    let (access_key, secret_key) = rights_of_the_stack(&ministack.url).await;
    let gate = ministack.gate().await;
    let endpoint = format!("localhost:{}", ministack.mqtt_port);
    let function = Function::deployed(gate, |deployment| {
        let deployment = deployment.set("LEASE_SECONDS", "1").set("IOT_ENDPOINT", &endpoint);
        deployment.set("AWS_ACCESS_KEY_ID", &access_key).set("AWS_SECRET_ACCESS_KEY", &secret_key)
    })
    .await;
    let stack = Stack { ministack, function };
    let (aws, lambda) = (&stack.function.aws, &stack.function.lambda);
    let ada = stack.function.welcomes("Ada");
    let mut echo = Echo::linked(&ada.token);

    // The mail is refused: all earlier steps are rolled back.
    aws.makes("SendRawEmail", Conduct::Refuses(400, "MessageRejected", "no"));
    let request = echo.launch();
    stack.ask(&mut echo, &request).await.apologises();
    assert!(list(&stack.ministack.holds().await, "certificates").is_empty());

    // The mail may have been sent: the next request replaces the certificate.
    aws.makes("SendRawEmail", Conduct::FailsAfterwards);
    let request = echo.launch();
    stack.ask(&mut echo, &request).await.apologises();
    aws.mends();
    stack.serves(&mut echo).await;

    // The usual requests.
    let requests = [echo.intent("PrintIntent", &[Slot::said("model", "vase")]), echo.intent("StatusIntent", &[])];
    for request in requests.into_iter().chain([echo.intent("ConnectionIntent", &[])]) {
        let answer = stack.ask(&mut echo, &request).await;
        assert!(!answer.speech().contains("Code"), "{:#}", answer.json());
    }
    let (_, bundle) = stack.ministack.open_mail(aws.times("SendRawEmail") - 1).await;
    let mailed = std::fs::read_to_string(bundle.join("certificate.pem")).expect("the certificate of the bundle");
    check_one_owner_one_thing(&stack.ministack.holds().await, &ada, &mailed);

    // Another certificate; disabled and linked again; deleted.
    echo.start_over();
    let request = echo.intent_in("COMPLETED", "CONFIRMED", "SendCertificateIntent", &[]);
    stack.ask(&mut echo, &request).await.says(&["new certificate"]);
    let (_, bundle) = stack.ministack.open_last_mail(&ada).await;
    let identity = Identity::of_bundle(&bundle, &stack.ministack.root);
    for (event, at) in [(DISABLED, now() + 10), (LINKED, now() + 20)] {
        let answer = lambda.answer_to(&echo.documented_event(event, at)).await;
        assert!(answer.is_empty(), "{:#}", answer.json());
        match event {
            DISABLED => Device::dial(&identity).await.is_refused().await,
            _ => drop(Device::connect(&identity).await),
        }
    }
    echo.start_over();
    let request = echo.intent_in("COMPLETED", "CONFIRMED", "ForgetMeIntent", &[]);
    stack.ask(&mut echo, &request).await;
    let request = echo.intent("AMAZON.YesIntent", &[]);
    stack.ask(&mut echo, &request).await.says(&["I have forgotten you and"]);
    let account = stack.ministack.holds().await;
    assert!(list(&account, "things").is_empty() && list(&account, "certificates").is_empty(), "{account:#}");
    check_nothing_was_denied(aws, lambda);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_of_the_sweep_is_enough_and_creates_nothing() {
    let stack = Stack::of_short_leases().await;
    let replaced = stack.function.welcomes("Replaced");
    let mut owner = stack.onboards(&replaced, 0).await;
    let request = owner.echo.intent_in("COMPLETED", "CONFIRMED", "SendCertificateIntent", &[]);
    stack.ask(&mut owner.echo, &request).await.says(&["new certificate"]);
    let away = stack.onboards(&stack.function.welcomes("Away"), 2).await;
    stack.lease_passes().await;
    let answer = stack.function.lambda.answer_to(&away.echo.documented_event(DISABLED, now())).await;
    assert!(answer.is_empty(), "{:#}", answer.json());
    stack.function.aws.makes("CreateCertificateFromCsr", Conduct::FailsAfterwards);
    let mut lost = Echo::linked(&stack.function.welcomes("Lost").token);
    let request = lost.launch();
    stack.ask(&mut lost, &request).await.apologises();
    stack.function.aws.mends();
    let orphan = stack.function.aws.certificates_made().pop().expect("the id of a certificate");
    stack.ministack.ages(&orphan, 7_200);
    // The subject of a certificate from the CSR of a device has the name of the device, which is not a thing of the stack.
    let device = NewDevice::new().await;
    let asked = json!({"certificateSigningRequest": device.csr(), "setAsActive": false});
    assert_eq!(calls(&stack.function.aws.url(), "create_certificate_from_csr", asked).await, Ok(()));
    let asked_for = stack.function.aws.certificates_made().pop().expect("the id of a certificate");
    stack.ministack.ages(&asked_for, 7_200);
    stack.rewrites(&owner.thing, json!({"ReplacedUntil": (now() - 1).to_string()})).await;
    stack.rewrites(&away.thing, json!({"PausedAt": (now() - 31 * DAY).to_string()})).await;

    let (lambda, gate, keys) = function_of(&stack, "SweepRole").await;
    let report = sweeps(&lambda).await;
    assert_eq!(report, json!({"cleaned_up": 1, "forgotten": 1, "orphans": 2, "failed": 0, "complete": true}), "{}", lambda.log());
    check_nothing_was_denied(&gate, &lambda);
    let account = stack.ministack.holds().await;
    assert!(thing(&account, &away.thing).is_null() && certificate(&account, &orphan).is_null(), "{account:#}");
    assert!(certificate(&account, &asked_for).is_null(), "{account:#}");
    let (_, bundle) = stack.ministack.open_last_mail(&replaced).await;
    let mailed = std::fs::read_to_string(bundle.join("certificate.pem")).expect("the certificate of the bundle");
    check_one_owner_one_thing(&account, &replaced, &mailed);
    drop(Device::connect(&Identity::of_bundle(&bundle, &stack.ministack.root)).await);

    // The role permits neither onboarding nor mail.
    is_denied(&stack, &keys, "iot", "create_keys_and_certificate", json!({"setAsActive": true})).await;
    is_denied(&stack, &keys, "iot", "create_thing", json!({"thingName": "3D_Printer-aaaaaaaaaaaaaaaaaaaaaaaaaa"})).await;
    let letter = json!({"RawMessage": {"Data": "From: a@skill.example.com\r\n\r\nHello"}, "Destinations": ["a@mail.example.com"]});
    is_denied(&stack, &keys, "ses", "send_raw_email", letter).await;
    let mut stranger = Echo::linked(&stack.function.welcomes("Stranger").token);
    lambda.answer_to(&stranger.launch()).await.apologises();
    assert_eq!(stack.ministack.smtp_server.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_of_the_mail_events_is_enough_and_deletes_nothing() {
    let stack = Stack::of_short_leases().await;
    let ada = stack.function.welcomes("Ada");
    let owner = stack.onboards(&ada, 0).await;
    let (lambda, gate, keys) = function_of(&stack, "MailEventsRole").await;
    let event = by_sns(BOUNCE, &owner.thing, &owner.certificate_id());
    assert_eq!(lambda.reports(&event, std::time::Duration::from_secs(30)).await, json!({"notices": 1}));
    check_nothing_was_denied(&gate, &lambda);
    assert_eq!(thing(&stack.ministack.holds().await, &owner.thing)["attributes"]["MailReturned"], "bounced");

    let id = owner.certificate_id();
    is_denied(&stack, &keys, "iot", "delete_thing", json!({"thingName": owner.thing})).await;
    is_denied(&stack, &keys, "iot", "update_certificate", json!({"certificateId": id, "newStatus": "INACTIVE"})).await;
    is_denied(&stack, &keys, "iot", "delete_certificate", json!({"certificateId": id, "forceDelete": true})).await;
    is_denied(&stack, &keys, "iot-data", "get_thing_shadow", json!({"thingName": owner.thing})).await;
    check_one_owner_one_thing(&stack.ministack.holds().await, &ada, &owner.certificate());
    drop(Device::connect(&owner.identity).await);
}
