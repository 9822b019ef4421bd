//! A mail was returned: SES reports it through SNS, and the owner is told before another mail is sent.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::answer::Answer;
use crate::harness::aws::Conduct;
use crate::harness::deployment::{ACCESS_KEY, SECRET_KEY};
use crate::harness::device::{Device, Identity};
use crate::harness::http::query_value;
use crate::harness::ministack::{Account, calls, calls_as};
use crate::stack::{Owner, Stack, check_one_owner_one_thing, thing};

pub const BOUNCE: &str = include_str!("../fixtures/ses/bounce.json");
pub const COMPLAINT: &str = include_str!("../fixtures/ses/complaint.json");
const TRANSIENT: &str = include_str!("../fixtures/ses/transient_bounce.json");
const REJECT: &str = include_str!("../fixtures/ses/reject.json");
const NOTIFICATION: &str = include_str!("../fixtures/sns/notification.json");
const VALIDATION: &str = include_str!("../fixtures/sns/validation.json");
const SET: &str = "onething-events";
/// The timeout of the function in the template.
const LIMIT: Duration = Duration::from_secs(30);

/// An event of SES about the mail with this certificate, as SNS delivers it.
pub fn by_sns(event: &str, thing: &str, certificate: &str) -> Value {
    let mut event: Value = serde_json::from_str(event).expect("a documented event");
    event["mail"]["tags"]["thing"] = json!([thing]);
    event["mail"]["tags"]["certificate"] = json!([certificate]);
    let mut notification: Value = serde_json::from_str(NOTIFICATION).expect("a documented event");
    notification["Records"][0]["Sns"]["Message"] = json!(event.to_string());
    notification
}

async fn returned(stack: &Stack, owner: &Owner) -> Value {
    thing(&stack.ministack.holds().await, &owner.thing)["attributes"]["MailReturned"].clone()
}

/// The content of an account without the timestamps of reading the shadows.
fn lasting(mut account: Value) -> Value {
    for thing in account["things"].as_array_mut().into_iter().flatten() {
        thing["shadow"]["timestamp"].take();
    }
    account
}

/// A launch request to a function with empty caches.
async fn launches(stack: &Stack, owner: &mut Owner) -> Answer {
    let other = stack.another_function().await;
    owner.echo.start_over();
    let request = owner.echo.launch();
    other.answer(&mut owner.echo, &request).await
}

async fn asks_for_another(stack: &Stack, owner: &mut Owner) -> Answer {
    owner.echo.start_over();
    let request = owner.echo.intent_in("COMPLETED", "CONFIRMED", "SendCertificateIntent", &[]);
    stack.ask(&mut owner.echo, &request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_has_tags_and_a_returned_mail_is_told_once() {
    let stack =
        Stack::with(&Account::deployed(), |deployment| deployment.set("LEASE_SECONDS", "1").set("SES_CONFIGURATION_SET", SET)).await;
    let keys = (ACCESS_KEY.to_owned(), SECRET_KEY.to_owned());
    let set = json!({"ConfigurationSet": {"Name": SET}});
    assert_eq!(calls_as(&stack.ministack.url, &keys, "ses", "create_configuration_set", set).await, Ok(()));
    let ada = stack.function.welcomes("Ada");
    let mut owner = stack.onboards(&ada, 0).await;

    // The tags that the events of SES will contain.
    let sent = stack.function.aws.calls().into_iter().find(|call| call.operation == "SendRawEmail").expect("the call that sends the mail");
    let form = String::from_utf8(sent.body.to_vec()).expect("a form in UTF-8");
    let field = |name: &str| query_value(&form, name).unwrap_or_default();
    assert_eq!(field("ConfigurationSetName"), SET);
    let (thing, certificate) = (field("Tags.member.1.Value"), field("Tags.member.2.Value"));
    assert_eq!((field("Tags.member.1.Name"), &thing), ("thing".to_owned(), &owner.thing));
    assert_eq!((field("Tags.member.2.Name"), &certificate), ("certificate".to_owned(), &owner.certificate_id()));

    // A request while another process holds the lease leaves the notice to the next request.
    stack.lease_passes().await;
    let events = [(BOUNCE, "bounced", "came back"), (TRANSIENT, "bounced", "came back"), (REJECT, "bounced", "came back")];
    for (event, noted, told) in events.into_iter().chain([(COMPLAINT, "complained", "marked as spam")]) {
        let event = by_sns(event, &thing, &certificate);
        let lambda = &stack.function.lambda;
        assert_eq!(lambda.reports(&event, LIMIT).await, json!({"notices": 1}));
        assert_eq!(returned(&stack, &owner).await, noted);
        // SNS may deliver an event twice.
        assert_eq!(lambda.reports(&event, LIMIT).await, json!({"notices": 1}));

        let answer = launches(&stack, &mut owner).await;
        answer.says(&["is ready", told]);
        assert!(answer.keeps_session_open(), "{:#}", answer.json());
        assert!(returned(&stack, &owner).await.is_null(), "the notice was removed after the response");
        stack.lease_passes().await;
        let again = launches(&stack, &mut owner).await;
        assert!(!again.speech().contains(told), "{:#}", again.json());
    }
    check_one_owner_one_thing(&stack.ministack.holds().await, &ada, &owner.certificate());
    drop(Device::connect(&owner.identity).await);
    assert_eq!(stack.ministack.smtp_server.count(), 1, "no mail was sent without a request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_returned_mail_is_told_before_another_certificate_is_sent() {
    let stack = Stack::of_short_leases().await;
    let ada = stack.function.welcomes("Ada");
    let mut owner = stack.onboards(&ada, 0).await;
    let bounce = by_sns(BOUNCE, &owner.thing, &owner.certificate_id());
    assert_eq!(stack.function.lambda.reports(&bounce, LIMIT).await, json!({"notices": 1}));

    let answer = asks_for_another(&stack, &mut owner).await;
    answer.says(&["came back", "check the e-mail address"]);
    assert_eq!(stack.ministack.smtp_server.count(), 1);
    asks_for_another(&stack, &mut owner).await.says(&["new certificate"]);
    assert_eq!(stack.ministack.smtp_server.count(), 2);
    let (_, bundle) = stack.ministack.open_mail(1).await;
    let anew = Identity::of_bundle(&bundle, &stack.ministack.root);
    drop(Device::connect(&anew).await);

    // The same event, late: it is about a mail that was replaced since.
    assert_eq!(stack.function.lambda.reports(&bounce, LIMIT).await, json!({"notices": 1}));
    assert!(returned(&stack, &owner).await.is_null());
    let mailed = std::fs::read_to_string(&anew.certificate).expect("the certificate of the bundle");
    check_one_owner_one_thing(&stack.ministack.holds().await, &ada, &mailed);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_about_other_mails_change_nothing() {
    let stack = Stack::of_short_leases().await;
    let ada = stack.function.welcomes("Ada");
    let owner = stack.onboards(&ada, 0).await;
    let before = lasting(stack.ministack.holds().await);
    let delivery = BOUNCE.replace(r#""eventType": "Bounce""#, r#""eventType": "Delivery""#);
    let nobody = "3D_Printer-aaaaaaaaaaaaaaaaaaaaaaaaaa";
    let events = [
        (serde_json::from_str(VALIDATION).expect("a documented event"), 0),
        (by_sns(&delivery, &owner.thing, &owner.certificate_id()), 0),
        (by_sns(BOUNCE, "Lamp-aaaaaaaaaaaaaaaaaaaaaaaaaa", &owner.certificate_id()), 0),
        (by_sns(BOUNCE, nobody, &owner.certificate_id()), 1),
        (by_sns(BOUNCE, &owner.thing, &"0".repeat(64)), 1),
        (json!({"Records": []}), 0),
        (json!({"Records": [{"Sns": {}}, {"Sns": {"Message": "{"}}, 7]}), 0),
    ];
    for (event, notices) in events {
        assert_eq!(stack.function.lambda.reports(&event, LIMIT).await, json!({"notices": notices}), "{event}");
    }
    assert_eq!(lasting(stack.ministack.holds().await), before);
    check_one_owner_one_thing(&before, &ada, &owner.certificate());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_recorded_fails_so_that_lambda_retries() {
    let stack = Stack::of_short_leases().await;
    let ada = stack.function.welcomes("Ada");
    let mut owner = stack.onboards(&ada, 0).await;
    let bounce = by_sns(BOUNCE, &owner.thing, &owner.certificate_id());
    let refusal = Conduct::Refuses(403, "AccessDeniedException", "no");
    let error = Conduct::Refuses(500, "InternalFailureException", "out of order");
    for (operation, conduct) in [("DescribeThing", error), ("UpdateThing", refusal), ("UpdateThingShadow", error)] {
        stack.function.aws.makes(operation, conduct);
        let failure = stack.function.lambda.expect_failure(stack.function.lambda.invoke(&bounce).await);
        assert_eq!(failure["errorType"], "NotNoted", "{operation}: {failure}");
        assert!(!failure.to_string().contains("owner@example.com"), "{failure}");
        stack.function.aws.mends();
    }
    // The repetition succeeds; a concurrent write only delays it.
    let rival = json!({"thingName": owner.thing, "attributePayload": {"attributes": {"Rival": "1"}, "merge": true}});
    assert_eq!(calls(&stack.function.aws.url(), "update_thing", rival).await, Ok(()));
    assert_eq!(stack.function.lambda.reports(&bounce, LIMIT).await, json!({"notices": 1}));
    stack.lease_passes().await;
    launches(&stack, &mut owner).await.says(&["is ready", "came back"]);
    check_one_owner_one_thing(&stack.ministack.holds().await, &ada, &owner.certificate());
}
