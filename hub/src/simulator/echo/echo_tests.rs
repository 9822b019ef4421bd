//! Tests of sessions and envelopes: the requests to the skill, and when a session continues.

use std::sync::LazyLock;

use onething::alexa::request::{Kind, Request};
use proptest::prelude::*;

use super::*;
use crate::simulator::utterance::interaction::InteractionModel;

const SKILL: &str = "amzn1.ask.skill.test";

fn echo() -> Echo {
    static MODEL: LazyLock<Arc<InteractionModel>> = LazyLock::new(|| Arc::new(InteractionModel::parse(InteractionModel::SAMPLE).unwrap()));
    Echo::new(SKILL, "ANA", Arc::clone(&MODEL))
}

fn kind(request: &Value) -> Kind {
    Request::read(request).kind
}

fn continuing() -> Value {
    json!({"sessionAttributes": {"a": 1}, "response": {"shouldEndSession": false}})
}

#[test]
fn a_request_has_the_form_of_alexa() {
    let mut echo = echo();
    let request = echo.say("open my printer").unwrap();
    assert_eq!(request.pointer("/context/System/apiEndpoint"), None, "the skill has nowhere to call");
    let unlinked = Request::read(&request);
    assert!(unlinked.is_for(&[SKILL.to_owned()]) && unlinked.access_token.is_none() && unlinked.progressive_response.is_none());
    assert!(matches!(unlinked.kind, Kind::Launch) && unlinked.has_session);
    echo.link(AccessToken::new("Atza|x".into()));
    let asked = Request::read(&echo.say("Alexa, ask my printer to print a flower vase").unwrap());
    let Kind::Intent(intent) = asked.kind else { panic!("no intent") };
    let slot = &intent.slot("model")[0];
    assert_eq!((intent.name.as_str(), slot.input.as_str(), slot.matches[0].id.as_deref()), ("PrintIntent", "flower vase", Some("vase")));
    assert_eq!(intent.slot_names().collect::<Vec<_>>(), ["copies", "model"]);
    assert!(asked.dialog_open);
    assert_eq!(asked.access_token.unwrap().secret(), "Atza|x");
    echo.unlink();
    assert!(!echo.is_linked() && Request::read(&echo.say("open my printer").unwrap()).access_token.is_none());
}

#[test]
fn an_unlisted_value_has_no_match_and_no_values() {
    let request = echo().say("ask my printer to print a teapot").unwrap();
    let slot = &request["request"]["intent"]["slots"]["model"];
    assert_eq!(slot["value"], "teapot");
    let authority = &slot["resolutions"]["resolutionsPerAuthority"][0];
    assert_eq!((&authority["status"]["code"], authority.get("values")), (&json!("ER_SUCCESS_NO_MATCH"), None));
    assert_eq!(request["request"]["intent"]["slots"]["copies"], json!({"name": "copies", "confirmationStatus": "NONE"}));
}

/// A garden whose slot values have no ids; the clock stands at noon of December 1, 2026.
fn garden() -> Echo {
    let file = json!({"interactionModel": {"languageModel": {
        "invocationName": "my garden",
        "intents": [
            {"name": "WaterIntent",
             "slots": [{"name": "beds", "type": "BED", "multipleValues": {"enabled": true}}, {"name": "day", "type": "AMAZON.DATE"},
                       {"name": "for", "type": "AMAZON.DURATION"}],
             "samples": ["water {beds} {day}", "water {beds} for {for}", "water {beds}"]},
            {"name": "SwitchIntent", "slots": [{"name": "state", "type": "STATE"}], "samples": ["please turn it {state}", "turn the pump {state}"]},
            {"name": "TravelIntent", "slots": [{"name": "city", "type": "AMAZON.City"}], "samples": ["i am in {city}", "{city}"]},
            {"name": "AMAZON.FallbackIntent"}
        ],
        "types": [
            {"name": "BED", "values": [{"name": {"value": "roses"}}, {"id": "LAWN", "name": {"value": "lawn", "synonyms": ["grass"]}}]},
            {"name": "STATE", "values": [{"name": {"value": "on"}}, {"name": {"value": "off"}}]},
        ],
    }}});
    let mut echo = Echo::new(SKILL, "ANA", Arc::new(InteractionModel::parse(&file.to_string()).unwrap()));
    echo.clock = || jiff::civil::datetime(2026, 12, 1, 12, 0, 0, 0);
    echo
}

fn slots(echo: &mut Echo, said: &str) -> Value {
    echo.say(&format!("ask my garden to {said}")).unwrap()["request"]["intent"]["slots"].take()
}

#[test]
fn a_value_without_an_id_has_the_md5_of_its_name() {
    let state = slots(&mut garden(), "turn the pump on")["state"].take();
    let resolutions = json!({"resolutionsPerAuthority": [{
        "authority": "amzn1.er-authority.echo-sdk.amzn1.ask.skill.test.STATE",
        "status": {"code": "ER_SUCCESS_MATCH"},
        "values": [{"value": {"name": "on", "id": "ed2b5c0139cec8ad2873829dc1117d50"}}],
    }]});
    let value = json!({"type": "Simple", "value": "on", "resolutions": resolutions});
    let whole = json!({"name": "state", "value": "on", "confirmationStatus": "NONE", "source": "USER", "resolutions": resolutions, "slotValue": value});
    assert_eq!(state, whole);
    let lawn = slots(&mut garden(), "water grass")["beds"].take();
    assert_eq!(lawn.pointer("/resolutions/resolutionsPerAuthority/0/values/0/value"), Some(&json!({"name": "lawn", "id": "LAWN"})));
}

#[test]
fn a_name_from_a_list_of_amazon_has_a_url() {
    let city = slots(&mut garden(), "i am in berlin")["city"].take();
    let authority = &city["resolutions"]["resolutionsPerAuthority"][0];
    assert_eq!((&city["value"], &authority["authority"]), (&json!("berlin"), &json!("AlexaEntities")));
    let value = &authority["values"][0]["value"];
    assert_eq!(value["name"], "Berlin");
    assert!(value["id"].as_str().unwrap().starts_with("https://ld.amazonalexa.com/entities/v1/"), "{value}");
}

#[test]
fn several_values_are_a_list_and_one_is_not() {
    let beds = slots(&mut garden(), "water the roses and the grass for ten minutes");
    let list = &beds["beds"]["slotValue"];
    assert_eq!((beds["beds"].get("value"), beds["beds"].get("resolutions"), &list["type"]), (None, None, &json!("List")));
    let said: Vec<&Value> = list["values"].as_array().unwrap().iter().map(|value| &value["value"]).collect();
    assert_eq!(said, ["roses", "grass"]);
    assert_eq!(list.pointer("/values/1/resolutions/resolutionsPerAuthority/0/values/0/value/id"), Some(&json!("LAWN")));
    assert_eq!(
        beds["for"],
        json!({"name": "for", "value": "PT10M", "confirmationStatus": "NONE", "source": "USER",
        "slotValue": {"type": "Simple", "value": "PT10M"}})
    );
    assert_eq!(slots(&mut garden(), "water the roses")["beds"]["slotValue"]["type"], "Simple");
}

#[test]
fn a_date_is_relative_to_the_date_of_the_echo() {
    assert_eq!(slots(&mut garden(), "water roses tomorrow")["day"]["value"], "2026-12-02");
    assert_eq!(slots(&mut garden(), "water roses this weekend")["day"]["value"], "2026-W49-WE");
}

#[test]
fn a_symbol_in_the_place_of_a_value_leaves_the_slot_unfilled() {
    let unfilled = json!({"name": "state", "confirmationStatus": "NONE"});
    assert_eq!(slots(&mut garden(), "turn the pump \u{1f506}")["state"], unfilled);
    assert_eq!(slots(&mut garden(), "turn the pump a")["state"], unfilled);
    assert_eq!(slots(&mut garden(), "turn the pump on \u{1f506}")["state"]["value"], "on");
}

#[test]
fn please_makes_no_difference_in_a_session_and_out_of_it() {
    for said in [
        "ask my garden please to turn it on",
        "ask my garden to please turn it on",
        "open my garden please to turn it on",
        "please ask my garden to turn it on please",
    ] {
        assert_eq!(garden().say(said).unwrap()["request"]["intent"]["slots"]["state"]["value"], "on", "{said}");
    }
    for said in ["turn it on", "please turn it on", "turn it on, please", "please turn the pump on please"] {
        let mut echo = garden();
        echo.say("open my garden please").unwrap();
        echo.take_answer(&continuing());
        assert_eq!(echo.say(said).unwrap()["request"]["intent"]["slots"]["state"]["value"], "on", "{said}");
    }
}

#[test]
fn a_name_slot_matches_neither_goodbye_nor_gibberish() {
    for (said, expected) in [("goodbye", "SessionEndedRequest"), ("blue green colours", "AMAZON.FallbackIntent"), ("paris", "TravelIntent")]
    {
        let mut echo = garden();
        echo.say("open my garden").unwrap();
        echo.take_answer(&continuing());
        let request = echo.say(said).unwrap()["request"].take();
        let what = request["intent"]["name"].as_str().or(request["type"].as_str()).unwrap();
        assert_eq!(what, expected, "{said}");
    }
}

#[test]
fn a_session_keeps_its_attributes_until_a_response_ends_it() {
    let mut echo = echo();
    let first = echo.say("open my printer").unwrap();
    assert!(echo.take_answer(&continuing()).listening);
    let second = echo.say("help").unwrap();
    assert_eq!((&second["session"]["new"], &second["session"]["attributes"]), (&json!(false), &json!({"a": 1})));
    assert_eq!(first["session"]["sessionId"], second["session"]["sessionId"]);
    assert!(!echo.take_answer(&json!({"response": {"shouldEndSession": true}})).listening);
    let third = echo.say("open my printer").unwrap();
    assert_eq!((&third["session"]["new"], &third["session"]["attributes"]), (&json!(true), &json!({})));
    assert_ne!(first["session"]["sessionId"], third["session"]["sessionId"]);
    assert_ne!(first["request"]["requestId"], third["request"]["requestId"]);
}

#[test]
fn the_microphone_opens_by_the_rules_of_alexa() {
    for (response, listening) in [
        (json!({"shouldEndSession": true}), false),
        (json!({"shouldEndSession": false}), true),
        (json!({"shouldEndSession": null}), true),
        (json!({}), false),
    ] {
        let mut echo = echo();
        echo.say("open my printer").unwrap();
        assert_eq!(echo.take_answer(&json!({"response": response})).listening, listening, "{response}");
        assert_eq!(echo.is_listening(), listening);
    }
}

#[test]
fn naming_the_skill_within_a_session_starts_a_new_one() {
    let mut echo = echo();
    let first = echo.say("open my printer").unwrap();
    echo.take_answer(&continuing());
    let second = echo.say("ask my printer for the status").unwrap();
    assert_ne!(first["session"]["sessionId"], second["session"]["sessionId"]);
    echo.take_answer(&continuing());
    let third = echo.say("print a vase with my printer").unwrap();
    assert_eq!(second["session"]["sessionId"], third["session"]["sessionId"]);
    assert_eq!(third["request"]["intent"]["slots"]["model"]["value"], "vase");
}

#[test]
fn an_utterance_without_the_name_is_handled_by_alexa() {
    let hints = [
        ("print a vase", "ask my printer to print a vase"),
        ("Alexa, the status!", "ask my printer for the status"),
        ("is it connected?", "ask my printer is it connected"),
        ("tell me a joke", "open my printer"),
        ("stop", "open my printer"),
    ];
    for (said, hint) in hints {
        let refused = echo().say(said).unwrap_err();
        assert_eq!(refused.hint.as_deref(), Some(hint), "{said}");
        assert_eq!(refused.speech.is_empty(), said == "stop");
        assert!(echo().say(hint).is_ok(), "the hint works");
    }
    for silent in ["", "Alexa", "exit", "goodbye", "never mind", "cancel"] {
        let refused = echo().say(silent).unwrap_err();
        assert_eq!((refused.speech.as_str(), refused.listening), ("", false), "{silent}");
    }
}

#[test]
fn exit_ends_the_session_and_sends_only_that() {
    for (said, expected) in [("exit", "SessionEnded"), ("goodbye", "SessionEnded"), ("stop", "Intent"), ("never mind", "Intent")] {
        let mut echo = echo();
        echo.say("open my printer").unwrap();
        echo.take_answer(&continuing());
        let request = echo.say(said).unwrap();
        assert!(format!("{:?}", kind(&request)).starts_with(expected), "{said}");
        assert_eq!(echo.is_listening(), expected == "Intent");
    }
}

#[test]
fn silence_ends_a_session_if_one_is_open() {
    let mut echo = echo();
    assert_eq!(echo.end(EndReason::ExceededMaxReprompts), None);
    let open = echo.say("open my printer").unwrap();
    echo.take_answer(&continuing());
    assert!(echo.say("   ").unwrap_err().listening);
    let ended = echo.end(EndReason::ExceededMaxReprompts).unwrap();
    assert_eq!(ended["request"]["reason"], "EXCEEDED_MAX_REPROMPTS");
    assert_eq!(ended["session"]["sessionId"], open["session"]["sessionId"]);
    assert!(!echo.is_listening());
    assert!(!echo.take_answer(&json!({"version": "1.0", "response": {}})).listening);
}

#[test]
fn disabling_unlinks_and_enabling_creates_a_new_user_id() {
    let mut echo = echo();
    assert_eq!(echo.linked_event(), None);
    echo.link(AccessToken::new("Atza|x".into()));
    let linked = Request::read(&echo.linked_event().unwrap());
    assert!(matches!(linked.kind, Kind::AccountLinked) && !linked.has_session && linked.locale.is_none());
    assert_eq!(linked.access_token.unwrap().secret(), "Atza|x");
    let user = |request: &Value| request["context"]["System"]["user"]["userId"].as_str().unwrap().to_owned();
    let before = user(&echo.say("open my printer").unwrap());
    let disabled = echo.disable();
    assert!(matches!(kind(&disabled), Kind::Disabled) && Request::read(&disabled).event_at.is_some());
    assert_eq!(user(&disabled), before);
    assert!(echo.say("open my printer").is_err() && !echo.is_linked() && !echo.is_listening());
    let enabled = echo.enable();
    assert_eq!(enabled["request"]["type"], "AlexaSkillEvent.SkillEnabled");
    let after = echo.say("open my printer").unwrap();
    assert_eq!(user(&after), user(&enabled));
    assert_ne!(user(&after), before);
}

#[test]
fn a_given_request_gets_an_envelope() {
    let mut echo = echo();
    let intent = json!({"name": "DanceIntent"});
    let request = echo.request(json!({"type": "IntentRequest", "requestId": "mine", "locale": "de-DE", "intent": intent}));
    assert_eq!((&request["request"]["requestId"], &request["request"]["locale"]), (&json!("mine"), &json!("de-DE")));
    assert!(request["request"]["timestamp"].is_string() && request["session"]["new"] == true);
    let event = echo.request(json!({"type": "AlexaSkillEvent.SkillDisabled"}));
    assert!(event.get("session").is_none() && event["request"].get("locale").is_none());
    let ended = echo.request(json!({"type": "SessionEndedRequest", "reason": "ERROR"}));
    assert_eq!(ended["session"]["sessionId"], request["session"]["sessionId"]);
    assert!(!echo.is_listening());
    for odd in [json!(null), json!([]), json!("x"), json!({}), json!({"type": 1}), json!({"type": "IntentRequest", "intent": []})] {
        assert_eq!(echo.request(odd.clone())["context"]["System"]["application"]["applicationId"], SKILL, "{odd}");
    }
}

#[test]
fn an_invalid_response_ends_the_session() {
    let mut echo = echo();
    echo.say("open my printer").unwrap();
    let heard = echo.take_answer(&json!({"version": "1.0"}));
    assert!(heard.speech.starts_with("There was a problem") && !heard.listening);
    let Kind::SessionEnded { reason, error: Some(error) } = kind(&heard.follow_up.unwrap()) else { panic!("not ended") };
    assert_eq!((reason.as_str(), error.kind.as_str()), ("ERROR", "INVALID_RESPONSE"));
}

/// Random JSON made of the names and values that responses contain.
fn any_json() -> impl Strategy<Value = Value> {
    let name = "(type|name|slots|value|updatedIntent|slotToElicit|confirmationStatus|model|copies)";
    let text = "(Dialog.Delegate|Dialog.ElicitSlot|Dialog.ConfirmSlot|Dialog.ConfirmIntent|PrintIntent|CancelPrintIntent|model|DENIED|[a-z ]{0,5})";
    let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), text.prop_map(Value::from)];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map(name, inner, 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    /// No utterance and no response makes the Echo panic.
    #[test]
    fn any_input_is_processed_without_a_panic(
        said in proptest::collection::vec("(open my printer|ask my printer to |print|a vase|something|two|yes|no|exit|cancel the print| |\\PC){0,5}", 1..6),
        directives in proptest::collection::vec(proptest::collection::vec(any_json(), 0..3), 6),
        ends in proptest::collection::vec(any_json(), 6),
    ) {
        let mut echo = echo();
        for ((said, directives), ends) in said.iter().zip(directives).zip(ends) {
            let _ = echo.say(said);
            let mut response = json!({"directives": directives});
            if ends != "x" {
                response["shouldEndSession"] = ends;
            }
            let heard = echo.take_answer(&json!({"response": response}));
            if let Some(follow_up) = heard.follow_up {
                let _ = Request::read(&follow_up);
            }
        }
    }
}
