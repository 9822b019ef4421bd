//! Requests of an owner who is ready: they need few calls and no search, and write only what the device model allows.

use serde_json::Value;

use crate::SHADOW;
use crate::harness::alexa::{Echo, Slot};
use crate::harness::aws::{Aws, Conduct};
use crate::harness::function::Function;
use crate::harness::operations::{creates, searches};

#[tokio::test(flavor = "multi_thread")]
async fn a_known_owner_needs_no_search_and_no_new_resource() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let user = function.welcomes("Ada");
    let mut echo = Echo::linked(&user.token);
    for name in ["PauseIntent", "ResumeIntent", "StatusIntent", "PauseIntent"] {
        let request = echo.intent(name, &[]);
        function.lambda.answer(&mut echo, &request).await;
    }
    let operations = function.aws.operations();
    assert!(!operations.iter().any(|name| creates(name) || searches(name)), "{operations:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_process_needs_profile_shadow_and_update() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let mut echo = Echo::linked(&function.welcomes("Ada").token);
    let request = echo.intent("PauseIntent", &[]);
    function.lambda.answer(&mut echo, &request).await;
    assert_eq!(function.login.calls().len(), 1);
    assert_eq!(function.aws.operations(), ["GetThingShadow", "UpdateThingShadow"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_process_needs_one_call() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let mut echo = Echo::linked(&function.welcomes("Ada").token);
    let request = echo.intent("PauseIntent", &[]);
    function.lambda.answer(&mut echo, &request).await;
    function.aws.forgets();

    echo.start_over();
    let request = echo.intent("ResumeIntent", &[]);
    function.lambda.answer(&mut echo, &request).await;
    assert_eq!(function.login.calls().len(), 1);
    assert_eq!(function.aws.operations(), ["UpdateThingShadow"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_turn_of_a_session_needs_one_call_in_any_process() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let user = function.welcomes("Ada");
    let mut echo = Echo::linked(&user.token);
    let request = echo.launch();
    let answer = function.lambda.answer(&mut echo, &request).await;
    assert!(answer.keeps_session_open(), "{:#}", answer.json());

    let other = Function::with(Aws::with_shadow(SHADOW).await).await;
    other.login.knows(&user);
    let request = echo.intent("PauseIntent", &[]);
    other.lambda.answer(&mut echo, &request).await;
    assert_eq!(other.aws.operations(), ["UpdateThingShadow"]);
    assert!(other.login.calls().is_empty(), "{:?}", other.login.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_account_within_a_session_is_noticed() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let (ada, bob) = (function.welcomes("Ada"), function.welcomes("Bob"));
    let mut echo = Echo::linked(&ada.token);
    let request = echo.launch();
    function.lambda.answer(&mut echo, &request).await;
    let adas: Vec<String> = function.aws.calls().into_iter().map(|call| call.path).collect();
    function.aws.forgets();

    echo.token = Some(bob.token);
    let request = echo.intent("PauseIntent", &[]);
    function.lambda.answer(&mut echo, &request).await;
    let bobs: Vec<String> = function.aws.calls().into_iter().map(|call| call.path).collect();
    assert!(!bobs.is_empty());
    assert!(bobs.iter().all(|path| !adas.contains(path)), "{adas:?} {bobs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_out_of_range_is_an_answer_and_no_update() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let user = function.welcomes("Ada");
    let nozzle = Slot::matched("part", "nozzle", "nozzle", "nozzle");
    let vase = Slot::said("model", "vase");
    for (name, slots) in [
        ("SetTemperatureIntent", vec![nozzle.clone(), Slot::said("degrees", "900")]),
        ("SetTemperatureIntent", vec![nozzle.clone(), Slot::said("degrees", "-20")]),
        ("SetTemperatureIntent", vec![nozzle.clone(), Slot::said("degrees", "?")]),
        ("SetTemperatureIntent", vec![Slot::unmatched("part", "ceiling"), Slot::said("degrees", "60")]),
        ("PrintIntent", vec![vase.clone(), Slot::said("copies", "0")]),
        ("PrintIntent", vec![vase.clone(), Slot::said("copies", "21")]),
        ("PrintIntent", vec![vase.clone(), Slot::said("copies", "99999999999999999999")]),
        ("PrintIntent", vec![Slot::said("model", &"v".repeat(65))]),
        ("PrintIntent", vec![Slot::empty("model"), Slot::empty("copies")]),
        ("SetPowerIntent", vec![Slot::unmatched("power", "purple")]),
        ("NobodyKnowsIntent", vec![]),
    ] {
        let mut echo = Echo::linked(&user.token);
        let request = echo.intent(name, &slots);
        let answer = function.lambda.answer(&mut echo, &request).await;
        let asked = !answer.speech().is_empty() || !answer.directives().is_empty();
        assert!(asked, "{name} {slots:?}: {:#}", answer.json());
    }
    let operations = function.aws.operations();
    assert!(!operations.contains(&"UpdateThingShadow".to_owned()), "{operations:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_print_is_not_cancelled_before_the_owner_has_confirmed() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let user = function.welcomes("Ada");
    let mut echo = Echo::linked(&user.token);
    let request = echo.intent_in("STARTED", "NONE", "CancelPrintIntent", &[]);
    let answer = function.lambda.answer(&mut echo, &request).await;
    assert!(!answer.directives().is_empty(), "{:#}", answer.json());
    let request = echo.intent_in("COMPLETED", "DENIED", "CancelPrintIntent", &[]);
    function.lambda.answer(&mut echo, &request).await;
    assert!(!function.aws.operations().contains(&"UpdateThingShadow".to_owned()));

    echo.start_over();
    let request = echo.intent_in("COMPLETED", "CONFIRMED", "CancelPrintIntent", &[]);
    function.lambda.answer(&mut echo, &request).await;
    assert!(function.aws.operations().contains(&"UpdateThingShadow".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_that_refuses_is_an_apology() {
    for (status, code) in [
        (409, "ConflictException"),
        (413, "RequestEntityTooLargeException"),
        (429, "ThrottlingException"),
        (400, "InvalidRequestException"),
        (403, "ForbiddenException"),
    ] {
        let aws = Aws::with_shadow(SHADOW).await;
        aws.makes("UpdateThingShadow", Conduct::Refuses(status, code, "no"));
        let function = Function::with(aws).await;
        let mut echo = Echo::linked(&function.welcomes("Ada").token);
        let request = echo.intent("PauseIntent", &[]);
        let answer = function.lambda.answer(&mut echo, &request).await;
        answer.apologises();
        let speech = answer.speech();
        assert!(!speech.contains("Pausing the print"), "{code}: {speech}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_that_is_no_shadow_is_an_apology() {
    for document in ["[]", "{}", r#"{"state":7}"#, "<html>", r#"{"state":{"reported":"#] {
        let function = Function::with(Aws::with_shadow(document).await).await;
        let mut echo = Echo::linked(&function.welcomes("Ada").token);
        let request = echo.intent("StatusIntent", &[]);
        let answer = function.lambda.answer(&mut echo, &request).await;
        assert!(!answer.speech().is_empty(), "{document}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_has_come_online_is_not_reported_as_missing() {
    let function = Function::with(Aws::with_shadow(r#"{"state": {"reported": {"onboarded": {"at": 1}}}, "version": 1}"#).await).await;
    let mut echo = Echo::linked(&function.welcomes("Ada").token);
    let request = echo.intent("PauseIntent", &[]);
    function.lambda.answer(&mut echo, &request).await.says(&["not been online"]);

    function.aws.makes("GetThingShadow", Conduct::Answers(200, SHADOW));
    echo.start_over();
    let request = echo.intent("PauseIntent", &[]);
    let answer = function.lambda.answer(&mut echo, &request).await;
    assert!(!answer.speech().contains("online"), "{}", answer.speech());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_is_kept_for_a_device_that_was_never_online_and_does_not_expire() {
    let function = Function::with(Aws::with_shadow(r#"{"state": {"reported": {"onboarded": {"at": 1}}}, "version": 1}"#).await).await;
    let mut echo = Echo::linked(&function.welcomes("Ada").token);
    let request = echo.intent("SetPowerIntent", &[Slot::said("power", "on")]);
    let answer = function.lambda.answer(&mut echo, &request).await;
    answer.says(&["as soon as it is"]);
    assert!(!answer.speech().contains("minutes"), "{}", answer.speech());
}

/// A device that only subscribes, and one that has emptied its shadow.
#[tokio::test(flavor = "multi_thread")]
async fn a_connected_device_without_reports_is_not_reported_as_missing() {
    let silent = r#"{"state": {"reported": {"onboarded": {"at": 1}}}, "version": 1}"#;
    let function = Function::with(Aws::with_shadow(silent).await).await;
    let connected = r#"{"connected": true, "connectedSince": 1700000000000}"#;
    function.aws.makes("GetConnection", Conduct::Answers(200, connected));
    let mut echo = Echo::linked(&function.welcomes("Ada").token);
    let request = echo.intent("StatusIntent", &[]);
    let status = function.lambda.answer(&mut echo, &request).await;
    status.says(&["is connected, but reports nothing"]);

    let other = Function::with(Aws::with_shadow(silent).await).await;
    let mut echo = Echo::linked(&other.welcomes("Ben").token);
    for (conduct, says) in [
        (Conduct::Answers(200, r#"{"connected": false, "disconnectedSince": 1700000000000}"#), "not connected at the moment"),
        (Conduct::Refuses(500, "InternalFailureException", "out of order"), "As far as I know"),
        (Conduct::Hangs, "As far as I know"),
        (Conduct::Refuses(404, "ResourceNotFoundException", "Connection not found"), "has not been online yet"),
        (Conduct::Answers(200, connected), "Pausing the print."),
    ] {
        other.aws.makes("GetConnection", conduct);
        echo.start_over();
        let request = echo.intent("PauseIntent", &[]);
        let answer = other.lambda.answer(&mut echo, &request).await;
        answer.says(&[says]);
        assert_eq!(answer.speech().contains("waits for it"), says != "Pausing the print.", "{}", answer.speech());
    }
}

/// The updates of the shadow in order.
fn written(function: &Function) -> Vec<Value> {
    let calls = function.aws.calls();
    let updates = calls.iter().filter(|call| call.operation == "UpdateThingShadow");
    updates.map(|call| serde_json::from_slice(&call.body).expect("JSON in the body")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_the_device_is_told_with_the_response_and_marked_in_the_same_update() {
    let failed = r#"{"state": {"reported": {"onboarded": {"at": 1, "told": 7}, "failures": {
        "nozzleTarget": {"value": 200, "detail": "the heater is off", "at": 9}, "power": {"value": "ON", "detail": "old", "at": 7}}}}}"#;
    let function = Function::with(Aws::with_shadow(failed).await).await;
    let mut echo = Echo::linked(&function.welcomes("Ada").token);
    let request = echo.intent("PauseIntent", &[]);
    let answer = function.lambda.answer(&mut echo, &request).await;
    answer.says(&["Pausing the print.", "could not set the nozzle target to 200 degrees: the heater is off."]);
    assert!(!answer.speech().contains("old"), "{}", answer.speech());
    let written = written(&function);
    assert_eq!(written.len(), 1, "{written:?}");
    assert_eq!(written[0]["state"]["reported"]["onboarded"]["told"], 9);
    assert_eq!(function.aws.operations(), ["GetThingShadow", "UpdateThingShadow"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_response_names_the_command_that_is_replaced() {
    let waiting = r#"{"state": {"desired": {"command": {"id": "a", "name": "cancel", "expiresAt": 4102444800}},
        "reported": {"status": "idle", "command": {"id": "0", "status": "done"}, "onboarded": {"at": 1}}}}"#;
    let function = Function::with(Aws::with_shadow(waiting).await).await;
    let mut echo = Echo::linked(&function.welcomes("Ada").token);
    let request = echo.intent("PauseIntent", &[]);
    let answer = function.lambda.answer(&mut echo, &request).await;
    answer.says(&["Pausing the print.", "This replaces the command cancel, which was still waiting."]);
    // The function does not read the shadow again so soon, so it cannot tell.
    let request = echo.intent("ResumeIntent", &[]);
    let answer = function.lambda.answer(&mut echo, &request).await;
    answer.says(&["Going on with the print.", "This replaces the command pause, if your 3D printer has not done it yet."]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_a_queue_on_aws_loses_no_command() {
    let queue = r#"{"state": {"desired": {"commands": {"a": {"name": "cancel", "order": 3, "expiresAt": 4102444800},
        "b": {"name": "print", "order": 2, "expiresAt": 5}}}, "reported": {"commandQueue": true, "onboarded": {"at": 1}}}}"#;
    let function = Function::with(Aws::with_shadow(queue).await).await;
    let mut echo = Echo::linked(&function.welcomes("Ada").token);
    for name in ["PauseIntent", "ResumeIntent"] {
        let request = echo.intent(name, &[]);
        let answer = function.lambda.answer(&mut echo, &request).await;
        assert!(!answer.speech().contains("replaces"), "{}", answer.speech());
    }
    let written = written(&function);
    let place = |update: &Value| {
        let commands = &update["state"]["desired"]["commands"];
        commands[update["state"]["desired"]["command"]["id"].as_str().expect("an id")]["order"].as_u64().expect("an order")
    };
    assert!(written[0]["state"]["desired"]["commands"]["b"].is_null() && written[0]["state"]["desired"]["commands"].get("a").is_none());
    assert!(3 < place(&written[0]) && place(&written[0]) < place(&written[1]), "{written:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_exceeds_the_queue_is_refused() {
    let queue = r#"{"state": {"desired": {"commands": {"a": {"name": "cancel", "order": 3, "expiresAt": 4102444800}}},
        "reported": {"commandQueue": true, "onboarded": {"at": 1}}}}"#;
    let function = Function::with(Aws::with_shadow(queue).await).await;
    function.aws.makes("UpdateThingShadow", Conduct::Refuses(413, "RequestEntityTooLargeException", "too large"));
    let mut echo = Echo::linked(&function.welcomes("Ada").token);
    let request = echo.intent("PauseIntent", &[]);
    function.lambda.answer(&mut echo, &request).await.says(&["Too many commands wait for your 3D printer already"]);
}
