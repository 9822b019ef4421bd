//! From the first request of an owner to a print on the device.

use serde_json::{Value, json};

use crate::harness::alexa::{Echo, Slot};
use crate::harness::alexa_api::{AlexaApi, Manner};
use crate::harness::device::{Device, connection};
use crate::harness::lambda::Lambda;
use crate::harness::ministack::{Account, THING_TYPE};
use crate::harness::operations::{creates, searches};
use crate::stack::{Stack, check_one_owner_one_thing, list};

/// 3D_Printer- and the beginning of base32(SHA-256("amzn1.account.ADA")), computed with another program.
const ADAS_THING: &str = "3D_Printer-4efxquic365ym4alo5pfafpofh";

#[tokio::test(flavor = "multi_thread")]
async fn a_new_owner_prints_and_asks_for_the_status() {
    let stack = Stack::built().await;
    let ada = stack.function.welcomes("Ada");

    // Not linked: a card, and neither Login with Amazon nor AWS is called.
    let mut echo = Echo::unlinked();
    let request = echo.launch();
    stack.ask(&mut echo, &request).await.asks_to_link();
    assert!(stack.function.login.calls().is_empty());
    assert!(stack.function.aws.calls().is_empty());

    // Linked: a thing, a certificate and a mail.
    let mut owner = stack.onboards(&ada, 0).await;
    assert_eq!(owner.thing, ADAS_THING);
    // Each line is one round trip after the profile; the calls in one line are concurrent.
    let mut operations = stack.function.aws.operations();
    operations[3..6].sort();
    operations[7..].sort();
    #[rustfmt::skip]
    assert_eq!(operations, [
        "GetThingShadow",
        "CreateCertificateFromCsr",
        "CreateThing",
        "AttachPolicy", "AttachThingPrincipal", "UpdateCertificate",
        "SendRawEmail",
        "UpdateThing", "UpdateThingShadow",
    ]);
    let account = stack.ministack.holds().await;
    check_one_owner_one_thing(&account, &ada, &owner.certificate());
    assert_eq!(list(&account, "things").len(), 1);
    assert_eq!(list(&account, "things")[0]["type"], THING_TYPE);
    assert_eq!(list(&account, "certificates").len(), 1);
    assert_eq!(stack.ministack.smtp_server.count(), 1);

    // The device connects with the bundle and subscribes to the delta.
    let mut device = Device::connect(&owner.identity).await;
    let delta = owner.topic("update/delta");
    device.subscribe(&delta).await;

    // "Alexa, ask my printer to print a vase."
    stack.function.aws.forgets();
    let vase = [Slot::said("model", "vase")];
    let request = owner.echo.intent("PrintIntent", &vase);
    stack.ask(&mut owner.echo, &request).await.says(&["vase"]);
    let first = device.receive(&delta).await["state"]["command"].clone();
    assert_eq!(first["name"], "print", "{first}");
    assert_eq!(first["args"], json!({"model": "vase", "copies": 1}), "{first}");

    // The device reports, and the skill reads the report.
    let reported = json!({
        "status": "printing", "model": "vase", "progress": 12,
        "command": {"id": first["id"], "status": "accepted"},
    });
    device.publish(&owner.topic("update"), &json!({"state": {"reported": reported}})).await;
    let request = owner.echo.intent("StatusIntent", &[]);
    stack.ask(&mut owner.echo, &request).await.says(&["printing", "12", "vase"]);

    // The same command said again is another command.
    let request = owner.echo.intent("PrintIntent", &vase);
    stack.ask(&mut owner.echo, &request).await.says(&["vase"]);
    // Deltas of the report before contain the first command, or the fields of it that are not reported.
    let mut second = json!({});
    while second["id"].is_null() || second["id"] == first["id"] {
        second = device.receive(&delta).await["state"]["command"].clone();
    }
    assert_eq!(second["name"], "print", "{second}");

    // A known owner: no resource was created, and none was searched for.
    let operations = stack.function.aws.operations();
    assert!(!operations.iter().any(|name| creates(name) || searches(name)), "{operations:?}");
    assert_eq!(stack.ministack.smtp_server.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_recognises_the_owner() {
    let stack = Stack::built().await;
    let ada = stack.function.welcomes("Ada");
    let owner = stack.onboards(&ada, 0).await;

    let deployment = crate::harness::deployment::Deployment::with(&stack.function.login.url(), &stack.function.aws.url());
    let other = Lambda::start(&deployment).await;
    stack.function.aws.forgets();
    let mut echo = Echo::linked(&ada.token);
    let request = echo.intent("SetPowerIntent", &[Slot::matched("power", "on", "on", "ON")]);
    other.answer(&mut echo, &request).await;
    // The device has never reported, so the function asks the broker about the connection beside the update.
    let mut operations = stack.function.aws.operations();
    operations[1..].sort();
    assert_eq!(operations, ["GetThingShadow", "GetConnection", "UpdateThingShadow"]);
    let account = stack.ministack.holds().await;
    check_one_owner_one_thing(&account, &ada, &owner.certificate());
    let shadow = &list(&account, "things")[0]["shadow"]["state"]["desired"];
    assert_eq!(shadow["power"], "ON", "{shadow}");
}

#[tokio::test(flavor = "multi_thread")]
async fn linking_alone_makes_the_owner_ready_before_the_first_request() {
    let stack = Stack::built().await;
    let ada = stack.function.welcomes("Ada");
    let mut echo = Echo::linked(&ada.token);
    let answer = stack.function.lambda.answer_to(&echo.account_linked()).await;
    assert!(answer.is_empty(), "{:#}", answer.json());
    stack.ministack.smtp_server.mail(0).await;

    // The event is delivered once more, and then the owner speaks.
    stack.function.lambda.answer_to(&echo.account_linked()).await;
    let request = echo.launch();
    let answer = stack.ask(&mut echo, &request).await;
    assert!(answer.keeps_session_open(), "{:#}", answer.json());
    assert_eq!(stack.ministack.smtp_server.count(), 1);
    let account = stack.ministack.holds().await;
    assert_eq!(list(&account, "certificates").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_owner_gets_a_progressive_response() {
    let stack = Stack::built().await;
    let ada = stack.function.welcomes("Ada");
    let alexa = AlexaApi::open(Manner::Speaks).await;
    let mut echo = Echo::linked(&ada.token).hearing_progress(&alexa.url(), "api-access-token");
    let request = echo.launch();
    stack.ask(&mut echo, &request).await.welcomes();

    let heard = alexa.heard();
    let [directive] = heard.as_slice() else {
        panic!("{} progressive responses", heard.len());
    };
    assert_eq!(directive.authorization.as_deref(), Some("Bearer api-access-token"));
    assert_eq!(directive.body["header"]["requestId"], request["request"]["requestId"]);
    assert_eq!(directive.body["directive"]["type"], "VoicePlayer.Speak");
    let speech = directive.body["directive"]["speech"].as_str().unwrap_or_default();
    assert!(speech.contains("moment") && speech.chars().count() <= 600, "{speech}");

    // A known owner does not wait, so there is no progressive response.
    let request = echo.intent("StatusIntent", &[]);
    stack.ask(&mut echo, &request).await;
    assert_eq!(alexa.heard().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_progressive_response_that_fails_changes_nothing() {
    let stack = Stack::built().await;
    for (number, (name, manner)) in [("Ada", Manner::Refuses), ("Bob", Manner::Silent)].into_iter().enumerate() {
        let user = stack.function.welcomes(name);
        let alexa = AlexaApi::open(manner).await;
        let mut echo = Echo::linked(&user.token).hearing_progress(&alexa.url(), "api-access-token");
        let request = echo.launch();
        stack.ask(&mut echo, &request).await.welcomes();
        let (_, bundle) = stack.ministack.open_mail(number).await;
        Device::connect(&crate::harness::device::Identity::of_bundle(&bundle, &stack.ministack.root)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_of_the_first_request_is_not_lost() {
    let stack = Stack::built().await;
    let ada = stack.function.welcomes("Ada");
    let mut echo = Echo::linked(&ada.token);
    let request = echo.intent("PrintIntent", &[Slot::said("model", "boat")]);
    stack.ask(&mut echo, &request).await.welcomes();
    let (_, bundle) = stack.ministack.open_mail(0).await;
    let thing = connection(&bundle)["thingName"].clone();
    let account = stack.ministack.holds().await;
    assert_eq!(list(&account, "things")[0]["name"], thing);
    let desired: &Value = &list(&account, "things")[0]["shadow"]["state"]["desired"];
    assert_eq!(desired["command"]["args"]["model"], "boat", "{desired}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_resource_is_reported_to_the_maker() {
    let no_type = Account { thing_type: None, ..Account::deployed() };
    let no_policy = Account { policy: None, ..Account::deployed() };
    let missing = [(no_type, "thing_type_missing", "`3d-printer`"), (no_policy, "policy_missing", "`OneUserOneThing`")];
    for (account, cause, name) in missing {
        let stack = Stack::with(&account, |deployment| deployment).await;
        let ada = stack.function.welcomes("Ada");
        let mut echo = Echo::linked(&ada.token);
        let request = echo.launch();
        stack.ask(&mut echo, &request).await.apologises();

        // One line of the log, which the filter of an alarm matches, names the missing resource.
        let log = stack.function.lambda.logs("\"fault\":\"maker\"").await;
        let line = log.lines().find(|line| line.contains("\"fault\":\"maker\"")).expect("the line that was waited for");
        let line: Value = serde_json::from_str(line).expect("a log line in JSON");
        assert_eq!(line["level"], "ERROR", "{line}");
        assert_eq!(line["step"], "onboard", "{line}");
        assert_eq!(line["cause"], cause, "{line}");
        assert!(line["message"].as_str().is_some_and(|message| message.contains(name)), "{line}");

        // Unfinished resources are deleted, and no mail was sent.
        let holds = stack.ministack.holds().await;
        assert!(list(&holds, "certificates").is_empty(), "{holds:#}");
        assert_eq!(stack.ministack.smtp_server.count(), 0);

        // The maker adds the missing resource, and the next request succeeds at once.
        let mended = Account {
            thing_type: account.thing_type.is_none().then_some("3d-printer"),
            policy: account.policy.is_none().then_some("OneUserOneThing"),
            verified: Vec::new(),
            sandbox: false,
        };
        crate::harness::ministack::prepare(&stack.ministack.url, &mended).await;
        let owner = stack.onboards(&ada, 0).await;
        check_one_owner_one_thing(&stack.ministack.holds().await, &ada, &owner.certificate());
    }
}
