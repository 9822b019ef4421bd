//! Every request type of the official model gets a valid response, and only some types get speech.

use serde_json::json;

use crate::SHADOW;
use crate::harness::alexa::{Echo, Slot};
use crate::harness::aws::Aws;
use crate::harness::function::Function;

/// The 59 discriminators of `ask_sdk_model/request.py` 1.82.0.
const REQUEST_TYPES: &[&str] = &[
    "LaunchRequest",
    "IntentRequest",
    "SessionEndedRequest",
    "SessionResumedRequest",
    "CanFulfillIntentRequest",
    "System.ExceptionEncountered",
    "AlexaSkillEvent.SkillEnabled",
    "AlexaSkillEvent.SkillDisabled",
    "AlexaSkillEvent.SkillPermissionAccepted",
    "AlexaSkillEvent.SkillPermissionChanged",
    "AlexaSkillEvent.SkillAccountLinked",
    "AlexaSkillEvent.ProactiveSubscriptionChanged",
    "AlexaSkillEvent.NotificationSubscriptionChanged",
    "Alexa.Authorization.Grant",
    "Messaging.MessageReceived",
    "AlexaHouseholdListEvent.ItemsCreated",
    "AlexaHouseholdListEvent.ItemsDeleted",
    "AlexaHouseholdListEvent.ItemsUpdated",
    "AlexaHouseholdListEvent.ListCreated",
    "AlexaHouseholdListEvent.ListDeleted",
    "AlexaHouseholdListEvent.ListUpdated",
    "Reminders.ReminderCreated",
    "Reminders.ReminderDeleted",
    "Reminders.ReminderStarted",
    "Reminders.ReminderStatusChanged",
    "Reminders.ReminderUpdated",
    "AudioPlayer.PlaybackFailed",
    "AudioPlayer.PlaybackFinished",
    "AudioPlayer.PlaybackNearlyFinished",
    "AudioPlayer.PlaybackStarted",
    "AudioPlayer.PlaybackStopped",
    "PlaybackController.NextCommandIssued",
    "PlaybackController.PauseCommandIssued",
    "PlaybackController.PlayCommandIssued",
    "PlaybackController.PreviousCommandIssued",
    "Alexa.Presentation.APL.LoadIndexListData",
    "Alexa.Presentation.APL.LoadTokenListData",
    "Alexa.Presentation.APL.RuntimeError",
    "Alexa.Presentation.APL.UserEvent",
    "Alexa.Presentation.APLA.RuntimeError",
    "Alexa.Presentation.APLT.UserEvent",
    "Alexa.Presentation.HTML.Message",
    "Alexa.Presentation.HTML.RuntimeError",
    "Display.ElementSelected",
    "Connections.Request",
    "Connections.Response",
    "Dialog.API.Invoked",
    "Dialog.InputRequest",
    "Alexa.DataStore.Error",
    "Alexa.DataStore.PackageManager.InstallationError",
    "Alexa.DataStore.PackageManager.UpdateRequest",
    "Alexa.DataStore.PackageManager.UsagesInstalled",
    "Alexa.DataStore.PackageManager.UsagesRemoved",
    "Alexa.Advertisement.AdEnqueued",
    "Alexa.Advertisement.AdNotEnqueued",
    "Alexa.Advertisement.AdNotRendered",
    "GameEngine.InputHandlerEvent",
    "CustomInterfaceController.EventsReceived",
    "CustomInterfaceController.Expired",
];

/// The types to which a skill may respond with speech.
const SPOKEN_TO: &[&str] = &["LaunchRequest", "IntentRequest", "SessionResumedRequest", "CanFulfillIntentRequest"];

#[tokio::test(flavor = "multi_thread")]
async fn all_request_types_are_answered() {
    assert_eq!(REQUEST_TYPES.len(), 59);
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let user = function.welcomes("Ada");
    for kind in REQUEST_TYPES {
        let mut echo = Echo::linked(&user.token);
        for request in [echo.anything(kind), echo.anything_out_of_session(kind)] {
            let answer = function.lambda.answer_to(&request).await;
            assert!(answer.is_empty() || SPOKEN_TO.contains(kind), "{kind}: {:#}", answer.json());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_does_not_exist_yet_is_answered_and_logged() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let mut echo = Echo::linked(&function.welcomes("Ada").token);
    let answer = function.lambda.answer_to(&echo.anything("Alexa.Telepathy.ThoughtReceived")).await;
    assert!(answer.is_empty(), "{:#}", answer.json());
    function.lambda.logs("Alexa.Telepathy.ThoughtReceived").await;
    assert!(function.aws.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_session_is_acknowledged_in_silence() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let mut echo = Echo::linked(&function.welcomes("Ada").token);
    for reason in ["USER_INITIATED", "ERROR", "EXCEEDED_MAX_REPROMPTS", "SOMETHING_NEW"] {
        let answer = function.lambda.answer_to(&echo.session_ended(reason)).await;
        assert!(answer.is_empty(), "{reason}: {:#}", answer.json());
    }
    let answer = function.lambda.answer_to(&echo.exception_encountered()).await;
    assert!(answer.is_empty());
    assert!(function.aws.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_can_fulfill_request_has_no_side_effect() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let mut echo = Echo::linked(&function.welcomes("Ada").token);
    let vase = [Slot::said("model", "vase"), Slot::said("copies", "2")];
    let answer = function.lambda.answer_to(&echo.can_fulfill("PrintIntent", &vase)).await;
    let can = &answer.response()["canFulfillIntent"];
    assert_eq!(can["canFulfill"], "YES", "{:#}", answer.json());
    assert!(answer.response().get("outputSpeech").is_none());
    let answer = function.lambda.answer_to(&echo.can_fulfill("OrderPizzaIntent", &[])).await;
    assert_eq!(answer.response()["canFulfillIntent"]["canFulfill"], "NO");
    assert!(function.aws.calls().is_empty());
    assert!(function.login.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_the_session_alone_is_good_enough() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let user = function.welcomes("Ada");
    let mut request = Echo::linked(&user.token).intent("StatusIntent", &[]);
    request["context"]["System"].as_object_mut().expect("an object").remove("user");
    function.lambda.answer_to(&request).await.says(&["printing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_timestamp_changes_nothing() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let user = function.welcomes("Ada");
    for moment in [
        json!("1970-01-01T00:00:00Z"),
        json!("2099-12-31T23:59:59Z"),
        json!("2026-11-22T00:00:00"),
        json!(1_795_306_875_000_u64),
        json!("yesterday"),
    ] {
        let mut request = Echo::linked(&user.token).intent("StatusIntent", &[]);
        request["request"]["timestamp"] = moment;
        function.lambda.answer_to(&request).await.says(&["printing"]);
    }
}

/// The deadline is from Lambda's clock; the function compares it with its own clock.
#[tokio::test(flavor = "multi_thread")]
async fn a_function_whose_clock_is_ahead_of_its_deadline_answers_all_the_same() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let user = function.welcomes("Ada");
    let request = Echo::linked(&user.token).intent("StatusIntent", &[]);
    let invocation = function.lambda.invoke_by_a_clock_behind(request.to_string(), std::time::Duration::from_secs(3_600)).await;
    function.lambda.expect_answer(invocation).says(&["printing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_that_loses_its_network_is_no_fault_of_the_maker() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let mut echo = Echo::linked(&function.welcomes("Ada").token);
    let mut request = echo.session_ended("ERROR");
    request["request"]["error"] = json!({"type": "DEVICE_COMMUNICATION_ERROR", "message": "gone"});
    function.lambda.answer_to(&request).await;
    request["request"]["error"] = json!({"type": "INVALID_RESPONSE", "message": "Invalid SSML"});
    function.lambda.answer_to(&request).await;
    let log = function.lambda.logs("Invalid SSML").await;
    let line = |text: &str| log.lines().find(|line| line.contains(text)).expect("a line with the text").to_owned();
    assert!(!line("gone").contains("maker"), "{log}");
    assert!(line("Invalid SSML").contains("maker"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_language_gets_an_answer() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let user = function.welcomes("Ada");
    for locale in ["en-US", "en-GB", "de-DE", "ja-JP", "xx-YY", "", "en"] {
        let mut echo = Echo::linked(&user.token);
        echo.locale = locale.to_owned();
        let answer = function.lambda.answer_to(&echo.intent("StatusIntent", &[])).await;
        assert!(!answer.speech().is_empty(), "{locale}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_carries_an_id_of_its_own_and_an_end() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let user = function.welcomes("Ada");
    let mut echo = Echo::linked(&user.token);
    for _ in 0..2 {
        let request = echo.intent("PrintIntent", &[Slot::said("model", "vase")]);
        function.lambda.answer(&mut echo, &request).await.says(&["vase"]);
        echo.start_over();
    }
    let commands: Vec<serde_json::Value> = function
        .aws
        .calls()
        .iter()
        .filter(|call| call.operation == "UpdateThingShadow")
        .map(|call| call.json()["state"]["desired"]["command"].clone())
        .collect();
    assert_eq!(commands.len(), 2, "{commands:?}");
    assert_ne!(commands[0]["id"], commands[1]["id"]);
    for command in &commands {
        assert_eq!(command["name"], "print", "{command}");
        assert_eq!(command["args"], json!({"model": "vase", "copies": 1}), "{command}");
        let issued = command["issuedAt"].as_u64().expect("a Unix time");
        assert_eq!(command["expiresAt"], json!(issued + 3_600), "{command}");
    }
}
