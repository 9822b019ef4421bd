//! Tests that every response obeys the rules of Alexa.

use proptest::prelude::*;

use super::*;

fn request(kind: &str) -> Request {
    Request::read(&json!({"session": {}, "request": {"type": kind, "intent": {"name": "PrintIntent"}}}))
}

fn sent(answer: Answer, kind: &str) -> Value {
    answer.envelope(&request(kind))["response"].clone()
}

#[test]
fn an_absent_option_has_no_field_in_the_response() {
    let envelope = Answer::say(Speech::text("Done.")).envelope(&request("LaunchRequest"));
    assert_eq!(
        envelope,
        json!({"version": "1.0", "response": {"shouldEndSession": true, "outputSpeech": {"type": "PlainText", "text": "Done."}}})
    );
}

#[test]
fn ssml_is_escaped() {
    let response = sent(Answer::say(Speech::sentences(vec!["Tom & Jerry's <b>".into(), "Bye.".into()])), "LaunchRequest");
    assert_eq!(response["outputSpeech"]["ssml"], "<speak><s>Tom &amp; Jerry&apos;s &lt;b&gt;</s><s>Bye.</s></speak>");
}

#[test]
fn speech_and_cards_are_cut_at_a_sentence() {
    let long = "A sentence of 25 letters. ".repeat(500);
    let card = Card::Simple { title: "Title".into(), content: long.clone() };
    let response = sent(Answer::say(Speech::text(long)).with_card(card), "LaunchRequest");
    for text in [&response["outputSpeech"]["text"], &response["card"]["content"]] {
        let text = text.as_str().unwrap();
        assert!(text.ends_with("letters.") && (7_900..=8_000).contains(&text.len()), "{}", text.len());
    }
}

#[test]
fn a_link_account_card_ends_the_session() {
    let answer = Answer::ask(Speech::text("Link first."), Speech::text("Well?")).with_card(Card::LinkAccount);
    let response = sent(answer, "IntentRequest");
    assert_eq!(response["card"], json!({"type": "LinkAccount"}));
    assert_eq!(response["shouldEndSession"], true);
    assert_eq!(response.get("reprompt"), None);
}

#[test]
fn requests_that_cannot_be_answered_get_an_empty_response() {
    let answer = || Answer::ask(Speech::text("Hello."), Speech::text("Hello?"));
    for kind in
        ["SessionEndedRequest", "System.ExceptionEncountered", "AlexaSkillEvent.SkillEnabled", "CanFulfillIntentRequest", "New.Thing"]
    {
        assert_eq!(sent(answer(), kind), json!({}), "{kind}");
    }
}

#[test]
fn a_dialog_directive_is_sent_only_in_response_to_an_intent() {
    let elicit = || Answer {
        dialog: Some(Dialog::ElicitSlot { slot: "model".into(), intent: json!({"name": "PrintIntent"}) }),
        ..Answer::say(Speech::text("Which?"))
    };
    let response = sent(elicit(), "IntentRequest");
    assert_eq!(
        response["directives"],
        json!([{"type": "Dialog.ElicitSlot", "slotToElicit": "model", "updatedIntent": {"name": "PrintIntent"}}])
    );
    assert_eq!(response["shouldEndSession"], false);
    assert_eq!(sent(elicit(), "LaunchRequest").get("directives"), None);
}

#[test]
fn a_standard_card_has_a_picture_only_with_https_urls() {
    let card = |url: &str| Card::Standard { title: "T".into(), text: "x".into(), small_image: url.into(), large_image: url.into() };
    let shown = |url| sent(Answer::say(Speech::text("See.")).with_card(card(url)), "LaunchRequest")["card"].get("image").is_some();
    assert!(shown("https://example.com/a.png"));
    assert!(!shown("http://example.com/a.png"));
}

#[test]
fn attributes_are_dropped_if_the_response_is_too_large() {
    let mut answer = Answer::say(Speech::text("Done."));
    answer.attributes.insert("big".into(), Value::from("x".repeat(130 * 1024)));
    let envelope = answer.envelope(&request("LaunchRequest"));
    assert_eq!(envelope.get("sessionAttributes"), None);
    assert_eq!(envelope["response"]["outputSpeech"]["text"], "Done.");
}

#[test]
fn can_fulfill_slots_are_dropped_if_the_response_is_too_large() {
    let slots = (0..3_000).map(|number| (format!("slot{number}"), Can::No, Can::No)).collect();
    let answer = Answer { can_fulfill: Some(CanFulfill { intent: Can::No, slots }), ..Answer::default() };
    let envelope = answer.envelope(&request("CanFulfillIntentRequest"));
    assert_eq!(envelope["response"], json!({"canFulfillIntent": {"canFulfill": "NO"}}));
}

#[test]
fn attributes_are_sent_only_for_a_request_with_a_session() {
    let mut answer = Answer::say(Speech::text("Done."));
    answer.attributes.insert("a".into(), Value::from(1));
    let without = Request::read(&json!({"request": {"type": "LaunchRequest"}}));
    assert_eq!(answer.clone().envelope(&without).get("sessionAttributes"), None);
    assert_eq!(answer.envelope(&request("LaunchRequest"))["sessionAttributes"], json!({"a": 1}));
}

proptest! {
    /// For any words, the envelope stays within the limits of Alexa and the SSML is well-formed.
    #[test]
    fn responses_stay_within_limits(words in proptest::collection::vec("(\\PC|[&<>'\".!? ]){0,4000}", 1..4), markup in any::<bool>()) {
        let speech = if markup { Speech::sentences(words.clone()) } else { Speech::text(words.concat()) };
        let card = Card::Simple { title: words[0].clone(), content: words.concat() };
        let envelope = Answer::say(speech).with_card(card).envelope(&request("LaunchRequest"));
        let said = &envelope["response"]["outputSpeech"];
        let said = said["text"].as_str().or(said["ssml"].as_str()).unwrap();
        let card = &envelope["response"]["card"];
        prop_assert!(said.chars().count() <= 8_000);
        prop_assert!(card["title"].as_str().unwrap().chars().count() + card["content"].as_str().unwrap().chars().count() <= 8_000);
        prop_assert!(envelope.to_string().len() <= 120 * 1024);
        if markup {
            let inner = said.replace("<speak>", "").replace("</speak>", "").replace("<s>", "").replace("</s>", "");
            prop_assert!(!inner.contains(['<', '>', '\'', '"']));
        }
    }
}
