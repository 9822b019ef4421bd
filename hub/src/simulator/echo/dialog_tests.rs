//! Tests of whole dialogs: with the skill of this hub, and with a lamp whose dialog Alexa manages.

use std::time::Duration;

use onething::skill::answer;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::clock;
use crate::hub::Hub;
use crate::settings::{Asked, SKILL_ID, Settings};
use crate::sign_in::UserName;
use crate::signature::Verifier;
use onething::config::Environment;

/// A user with an Echo and a hub.
struct Home {
    _folder: tempfile::TempDir,
    hub: Arc<Hub>,
    user: UserName,
    echo: Echo,
}

impl Home {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::read(Asked::over(folder.path()), &Environment).unwrap();
        let hub = Hub::open(settings, 8883, Box::new(Verifier::of_alexa(clock::now))).await.unwrap();
        let model = InteractionModel::parse(InteractionModel::SAMPLE).unwrap();
        Self { _folder: folder, hub, user: UserName::parse("ana").unwrap(), echo: Echo::new(SKILL_ID, "ANA", Arc::new(model)) }
    }

    /// A user whose account is linked and whose device identity exists.
    async fn ready() -> Self {
        let mut home = Self::new().await;
        let token = home.hub.users.link(&home.user).await.unwrap();
        home.echo.link(token);
        home.says("open my printer").await;
        home
    }

    /// Speaks to the skill and returns the output of the Echo.
    async fn says(&mut self, words: &str) -> EchoOutput {
        let request = self.echo.say(words).unwrap_or_else(|refused| panic!("{words}: {refused:?}"));
        self.sends(&request).await
    }

    async fn sends(&mut self, request: &Value) -> EchoOutput {
        let answer = answer(&self.hub.skill, request, Instant::now() + Duration::from_secs(60)).await.unwrap();
        self.echo.take_answer(&answer)
    }

    /// Speaks to the skill, and checks the beginning of the speech and whether the microphone is open.
    async fn check(&mut self, words: &str, speech: &str, listening: bool) -> EchoOutput {
        let heard = self.says(words).await;
        assert!(heard.speech.starts_with(speech), "{words}: {}", heard.speech);
        assert_eq!(heard.listening, listening, "{words}: {}", heard.speech);
        heard
    }

    async fn desired(&self) -> Value {
        let shadow = self.hub.skill.shadows.document(&self.hub.thing_of(&self.user).unwrap()).await.unwrap();
        shadow.map_or(Value::Null, |shadow| shadow["state"].get("desired").cloned().unwrap_or_else(|| json!({})))
    }
}

#[tokio::test]
async fn an_unlinked_user_is_shown_the_link_card() {
    let mut home = Home::new().await;
    for words in ["open my printer", "ask my printer to print a vase"] {
        let heard = home.check(words, "To use your 3D printer, please link", false).await;
        assert_eq!(heard.card, Some(Card::LinkAccount));
    }
}

#[tokio::test]
async fn a_linked_user_is_welcomed_with_a_card() {
    let mut home = Home::new().await;
    let token = home.hub.users.link(&home.user).await.unwrap();
    home.echo.link(token);
    let heard = home.check("open my printer", "Your 3D printer has its own identity now.", false).await;
    let Some(Card::Simple { title, content }) = heard.card else { panic!("no card") };
    assert_eq!(title, "Your 3D printer is set up");
    assert_eq!(content, heard.speech);
}

#[tokio::test]
async fn a_missing_model_is_asked_for() {
    let mut home = Home::ready().await;
    let heard = home.check("ask my printer to print something", "What shall I print?", true).await;
    assert_eq!(heard.reprompt.as_deref(), Some("What shall I print?"));
    assert_eq!(heard.directives[0]["type"], "Dialog.ElicitSlot");
    home.check("a vase", "Printing 1 vase.", false).await;
    assert_eq!(home.desired().await["command"]["args"], json!({"model": "vase", "copies": 1}));
}

#[tokio::test]
async fn an_answer_may_fill_more_slots_than_asked() {
    let mut home = Home::ready().await;
    home.check("ask my printer to start a print", "What shall I print?", true).await;
    home.check("twenty-one copies of a thing", "21 is not possible.", true).await;
    home.check("two", "Printing 2 copies of a thing.", false).await;
    assert_eq!(home.desired().await["command"]["args"], json!({"model": "a thing", "copies": 2}));
}

#[tokio::test]
async fn cancelling_the_print_must_be_confirmed() {
    let mut home = Home::ready().await;
    let question = "This throws away what is printed so far. Shall I cancel the print?";
    home.check("ask my printer to cancel the print", question, true).await;
    home.check("no", "All right, I leave it as it is.", false).await;
    assert_eq!(home.desired().await.get("command"), None);
    home.check("ask my printer to cancel the print", question, true).await;
    home.check("yes, please", "Cancelling the print.", false).await;
    assert_eq!(home.desired().await["command"]["name"], "cancel");
}

#[tokio::test]
async fn two_confirmations_delete_the_user() {
    let mut home = Home::ready().await;
    home.check("ask my printer to forget me", "I would delete the identity", true).await;
    home.check("yes", "This cannot be undone.", true).await;
    assert_eq!(home.hub.registry.things().await.unwrap().len(), 1);
    home.check("yes", "I have forgotten you", false).await;
    assert_eq!(home.hub.registry.things().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_denied_confirmation_deletes_nothing() {
    let mut home = Home::ready().await;
    home.check("ask my printer to forget me", "I would delete the identity", true).await;
    home.check("yes", "This cannot be undone.", true).await;
    home.check("no", "All right, I leave it as it is.", false).await;
    assert_eq!(home.hub.registry.things().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_spoken_temperature_is_read_and_checked() {
    let mut home = Home::ready().await;
    home.check("tell my printer to set the nozzle to two hundred degrees", "Setting the nozzle to 200 degrees.", false).await;
    assert_eq!(home.desired().await["nozzleTarget"], 200);
    home.check("ask my printer to set the hot end to nine hundred and five", "905 is not possible.", true).await;
    home.check("two hundred and five", "Setting the nozzle to 205 degrees.", false).await;
    assert_eq!(home.desired().await["nozzleTarget"], 205);
    home.check("ask my printer to change the temperature", "The nozzle or the bed?", true).await;
    home.check("the bed", "To how many degrees?", true).await;
    home.check("sixty degrees", "Setting the bed to 60 degrees.", false).await;
    assert_eq!(home.desired().await["bedTarget"], 60);
    home.check("ask my printer to set the bed to something hot", "I did not get the number.", true).await;
    home.check("50", "Setting the bed to 50 degrees.", false).await;
}

#[tokio::test]
async fn off_answers_a_question_and_stop_ends_it() {
    let mut home = Home::ready().await;
    home.check("ask my printer to change the power", "Shall I switch it on or off?", true).await;
    home.check("off", "Switching the printer off.", false).await;
    home.check("ask my printer to change the power", "Shall I switch it on or off?", true).await;
    home.check("stop", "Goodbye.", false).await;
    assert_eq!(home.desired().await["power"], "OFF");
}

#[tokio::test]
async fn within_a_session_no_name_is_needed() {
    let mut home = Home::ready().await;
    home.check("open my printer", "Your 3D printer is ready.", true).await;
    home.check("help", "With your 3D printer, I can switch it on or off, set the bed and the nozzle, have it cancel, pause, print or resume, and tell you how it is.", true).await;
    home.check("colourless green ideas", "I did not get that.", true).await;
    home.check("is it connected", "I cannot tell whether your 3D printer is connected", false).await;
    home.check("open my printer", "Your 3D printer is ready.", true).await;
    home.check("print three vases", "Printing 3 copies of vase.", false).await;
    assert_eq!(home.desired().await["command"]["args"], json!({"model": "vase", "copies": 3}));
}

#[tokio::test]
async fn another_request_replaces_an_open_question() {
    let mut home = Home::ready().await;
    home.check("ask my printer to cancel the print", "This throws away", true).await;
    home.check("set the bed to 60 degrees", "Setting the bed to 60 degrees.", false).await;
    assert_eq!(home.desired().await.get("command"), None);
}

#[tokio::test]
async fn silence_and_exit_end_a_dialog_without_speech() {
    let mut home = Home::ready().await;
    home.check("ask my printer to cancel the print", "This throws away", true).await;
    let ended = home.echo.end(EndReason::ExceededMaxReprompts).unwrap();
    assert_eq!(home.sends(&ended).await, EchoOutput::default());
    home.check("ask my printer to cancel the print", "This throws away", true).await;
    assert_eq!(home.says("exit").await, EchoOutput::default());
    assert!(home.echo.say("yes").is_err(), "the question is closed");
    assert_eq!(home.desired().await.get("command"), None);
}

#[tokio::test]
async fn the_events_of_the_alexa_app_reach_the_skill() {
    let mut home = Home::new().await;
    let token = home.hub.users.link(&home.user).await.unwrap();
    home.echo.link(token);
    let linked = home.echo.linked_event().unwrap();
    assert_eq!(home.sends(&linked).await, EchoOutput::default());
    assert_eq!((home.hub.registry.things().await.unwrap().len(), home.hub.mail.sent().len()), (1, 1));
    let disabled = home.echo.disable();
    assert_eq!(home.sends(&disabled).await, EchoOutput::default());
}

/// A lamp with every kind of prompt that a dialog model can have.
fn lamp(strategy: &str) -> Echo {
    let prompt = |id: &str, text: &str| json!({"id": id, "variations": [{"type": "PlainText", "value": text}]});
    let file = json!({"interactionModel": {
        "languageModel": {
            "invocationName": "the lamp",
            "intents": [
                {"name": "SetIntent",
                 "slots": [{"name": "colour", "type": "COLOUR"}, {"name": "level", "type": "AMAZON.NUMBER", "samples": ["to {level} percent"]}],
                 "samples": ["make it {colour}", "set it"]},
                {"name": "BlinkIntent", "samples": ["blink"]},
                {"name": "AMAZON.StopIntent"},
            ],
            "types": [{"name": "COLOUR", "values": [{"name": {"value": "red"}}, {"name": {"value": "blue"}}]}],
        },
        "dialog": {"delegationStrategy": strategy, "intents": [{
            "name": "SetIntent", "confirmationRequired": true, "prompts": {"confirmation": "C"},
            "slots": [
                {"name": "colour", "elicitationRequired": true, "confirmationRequired": true,
                 "prompts": {"elicitation": "E1", "confirmation": "C1"}},
                {"name": "level", "elicitationRequired": true, "prompts": {"elicitation": "E2"}},
            ],
        }]},
        "prompts": [
            prompt("E1", "Which colour?"), prompt("C1", "Did you say {colour}?"), prompt("E2", "How bright?"),
            prompt("C", "Make it {colour} at {level} percent?"),
        ],
    }});
    Echo::new("amzn1.ask.skill.lamp", "ANA", Arc::new(InteractionModel::parse(&file.to_string()).unwrap()))
}

fn delegate() -> Value {
    json!({"response": {"directives": [{"type": "Dialog.Delegate"}], "shouldEndSession": false}})
}

#[test]
fn a_delegated_dialog_uses_the_prompts_of_the_model() {
    let mut echo = lamp("SKILL_RESPONSE");
    let mut request = echo.say("ask the lamp to set it").unwrap();
    let state = |request: &Value| request["request"]["dialogState"].as_str().unwrap().to_owned();
    assert_eq!(state(&request), "STARTED");
    for (prompt, words) in [
        ("Which colour?", "red"),
        ("Did you say red?", "no"),
        ("Which colour?", "blue"),
        ("Did you say blue?", "yes"),
        ("How bright?", "to fifty percent"),
        ("Make it blue at 50 percent?", "yes"),
    ] {
        let heard = echo.take_answer(&delegate());
        assert_eq!((heard.speech.as_str(), heard.reprompt.as_deref(), heard.listening), (prompt, Some(prompt), true));
        request = echo.say(words).unwrap();
        assert_eq!(state(&request), "IN_PROGRESS");
    }
    let session = request["session"]["sessionId"].clone();
    let heard = echo.take_answer(&delegate());
    assert_eq!((heard.speech.as_str(), heard.listening), ("", false));
    let complete = heard.follow_up.unwrap();
    assert_eq!((state(&complete).as_str(), &complete["session"]["sessionId"]), ("COMPLETED", &session));
    let intent = &complete["request"]["intent"];
    assert_eq!((&intent["confirmationStatus"], &intent["slots"]["level"]["value"]), (&json!("CONFIRMED"), &json!("50")));
    assert_eq!(intent["slots"]["colour"]["confirmationStatus"], "CONFIRMED");
}

#[test]
fn alexa_may_manage_a_dialog_automatically() {
    let mut echo = lamp("ALWAYS");
    for (words, prompt) in
        [("ask the lamp to make it red", "Did you say red?"), ("yes", "How bright?"), ("eighty", "Make it red at 80 percent?")]
    {
        let asked = echo.say(words).unwrap_err();
        assert_eq!((asked.speech.as_str(), asked.listening, asked.hint), (prompt, true, None));
    }
    let complete = echo.say("no").unwrap();
    assert_eq!((&complete["request"]["dialogState"], &complete["session"]["new"]), (&json!("COMPLETED"), &json!(true)));
    assert_eq!(complete["request"]["intent"]["confirmationStatus"], "DENIED");
}

#[test]
fn a_skill_may_change_the_intent_it_asks_about() {
    let mut echo = lamp("SKILL_RESPONSE");
    echo.say("open the lamp").unwrap();
    let intent = json!({"name": "SetIntent", "confirmationStatus": "NONE", "slots": {"colour": {"name": "colour", "value": "red"}}});
    let directive = json!({"type": "Dialog.ConfirmSlot", "slotToConfirm": "colour", "updatedIntent": intent});
    let heard = echo.take_answer(&json!({"response": {"outputSpeech": {"text": "Red?"}, "directives": [directive]}}));
    assert!(heard.listening, "a dialog keeps the session open");
    let request = echo.say("yes").unwrap();
    assert_eq!(request["request"]["intent"]["slots"]["colour"]["confirmationStatus"], "CONFIRMED");
}

#[test]
fn braces_in_a_slot_value_are_text() {
    // Each value contains the name of the next slot twice: recursive replacement would result in 2^40 characters.
    let slot = |n: usize| (format!("s{n:02}"), json!({"value": format!("{{s{:02}}}{{s{:02}}}", n + 1, n + 1)}));
    let mut slots: serde_json::Map<String, Value> = (0..40).map(slot).collect();
    slots.insert("colour".into(), json!({"value": "{s00}"}));
    let directive = json!({"type": "Dialog.Delegate", "updatedIntent": {"name": "SetIntent", "slots": slots}});
    let mut echo = lamp("SKILL_RESPONSE");
    echo.say("ask the lamp to set it").unwrap();
    let heard = echo.take_answer(&json!({"response": {"directives": [directive], "shouldEndSession": false}}));
    assert_eq!(heard.speech, "Did you say {s00}?");
}

#[test]
fn a_dialog_directive_beyond_the_dialog_model_is_not_valid() {
    for (words, directive) in [
        ("ask the lamp to blink", json!({"type": "Dialog.ConfirmIntent"})),
        ("ask the lamp to set it", json!({"type": "Dialog.ElicitSlot", "slotToElicit": "size"})),
        ("open the lamp", json!({"type": "Dialog.Delegate"})),
    ] {
        let mut echo = lamp("SKILL_RESPONSE");
        let request = echo.say(words).unwrap();
        assert_eq!(request["request"].get("dialogState").is_some(), words.ends_with("set it"));
        let heard = echo.take_answer(&json!({"response": {"directives": [directive], "shouldEndSession": false}}));
        assert_eq!(heard.follow_up.unwrap()["request"]["error"]["type"], "INVALID_RESPONSE", "{words}");
        assert!(!echo.is_listening());
    }
}

#[test]
fn without_a_fallback_unknown_words_are_handled_by_alexa() {
    let mut echo = lamp("SKILL_RESPONSE");
    assert!(!echo.say("ask the lamp to dance").unwrap_err().listening);
    echo.say("open the lamp").unwrap();
    echo.take_answer(&json!({"response": {"shouldEndSession": false}}));
    assert!(echo.say("dance").unwrap_err().listening);
}
