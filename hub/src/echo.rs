//! A simulated Echo: what somebody says, as the Alexa service puts it to a skill, and what comes back.
//!
//! Envelopes have the form of Alexa's *Request and Response JSON Reference*; the session is kept as Alexa
//! keeps it, with the attributes that the skill gave it.

use data_encoding::HEXLOWER;
use onething::identify::AccessToken;
use serde_json::{Map, Value, json};

use crate::clock;

/// One Echo in one household.
pub struct Echo {
    skill_id: String,
    household: String,
    token: Option<AccessToken>,
    session: Option<Session>,
}

struct Session {
    id: String,
    is_new: bool,
    attributes: Value,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// What Alexa says, without markup.
    pub speech: String,
    /// What the Alexa app shows.
    pub card: Option<Card>,
}

/// A card in the Alexa app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Card {
    /// The button that links the account.
    LinkAccount,
    /// Any other card, by its title.
    Titled(String),
}

impl Echo {
    /// An Echo whose owner has enabled the skill and linked nothing.
    pub fn new(skill_id: &str, household: &str) -> Self {
        Self { skill_id: skill_id.to_owned(), household: household.to_owned(), token: None, session: None }
    }

    /// From now on every request carries this token.
    pub fn link(&mut self, token: AccessToken) {
        self.token = Some(token);
    }

    /// "Alexa, open my printer."
    pub fn open(&mut self) -> Value {
        self.envelope(json!({"type": "LaunchRequest"}))
    }

    /// "Alexa, ask my printer to …": an intent with its slots, as they were said.
    pub fn ask(&mut self, intent: &str, slots: &[(&str, &str)]) -> Value {
        let slot = |(name, said): &(&str, &str)| {
            let slot = json!({"name": name, "value": said, "confirmationStatus": "NONE", "source": "USER"});
            ((*name).to_owned(), slot)
        };
        let slots: Map<String, Value> = slots.iter().map(slot).collect();
        let intent = json!({"name": intent, "confirmationStatus": "NONE", "slots": slots});
        self.envelope(json!({"type": "IntentRequest", "dialogState": "COMPLETED", "intent": intent}))
    }

    /// Takes the skill's answer, which ends or carries on the session.
    pub fn hear(&mut self, answer: &Value) -> Heard {
        let response = &answer["response"];
        match self.session.take() {
            Some(session) if response["shouldEndSession"] == false => {
                let attributes = answer.get("sessionAttributes").cloned().unwrap_or_else(|| json!({}));
                self.session = Some(Session { is_new: false, attributes, ..session });
            }
            _ => {}
        }
        let card = response.get("card").map(|card| match card["type"].as_str() {
            Some("LinkAccount") => Card::LinkAccount,
            _ => Card::Titled(card["title"].as_str().unwrap_or_default().to_owned()),
        });
        Heard { speech: words(&response["outputSpeech"]), card }
    }

    fn envelope(&mut self, mut request: Value) -> Value {
        request["requestId"] = json!(format!("amzn1.echo-api.request.{}", random_id()));
        request["timestamp"] = json!(clock::iso8601(clock::now()));
        request["locale"] = json!("en-US");
        let mut user = json!({"userId": format!("amzn1.ask.account.{}", self.household)});
        if let Some(token) = &self.token {
            user["accessToken"] = json!(token.secret());
        }
        let application = json!({"applicationId": self.skill_id});
        let session = self.session.get_or_insert_with(|| Session {
            id: format!("amzn1.echo-api.session.{}", random_id()),
            is_new: true,
            attributes: json!({}),
        });
        json!({
            "version": "1.0",
            "session": {
                "new": session.is_new,
                "sessionId": session.id,
                "application": application,
                "attributes": session.attributes,
                "user": user,
            },
            "context": {"System": {
                "application": application,
                "user": user,
                "device": {"deviceId": format!("amzn1.ask.device.{}", self.household), "supportedInterfaces": {}},
            }},
            "request": request,
        })
    }
}

/// As good as unique, also for the ids of commands, which are those of their requests.
fn random_id() -> String {
    let mut bits = [0_u8; 16];
    if getrandom::fill(&mut bits).is_err() {
        bits = u128::from(clock::micros()).to_be_bytes();
    }
    HEXLOWER.encode(&bits)
}

/// The words of plain text or SSML.
fn words(speech: &Value) -> String {
    if let Some(text) = speech["text"].as_str() {
        return text.to_owned();
    }
    let ssml = speech["ssml"].as_str().unwrap_or_default();
    let pieces = ssml.split('<').map(|piece| piece.split_once('>').map_or(piece, |(_tag, text)| text));
    let text = pieces.filter(|piece| !piece.is_empty()).collect::<Vec<_>>().join(" ");
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")]
        .iter()
        .fold(text, |text, (entity, character)| text.replace(entity, character))
}

#[cfg(test)]
mod tests {
    use onething::alexa::request::{Kind, Request};
    use onething::alexa::response::{Answer, Speech};

    use super::*;

    const SKILL: &str = "amzn1.ask.skill.test";

    #[test]
    fn a_request_is_one_of_alexas() {
        let mut echo = Echo::new(SKILL, "ana");
        let unlinked = Request::read(&echo.open());
        assert!(unlinked.is_for(&[SKILL.to_owned()]) && unlinked.access_token.is_none());
        assert!(matches!(unlinked.kind, Kind::Launch));
        echo.link(AccessToken::new("Atza|x".into()));
        let asked = Request::read(&echo.ask("PrintIntent", &[("model", "vase")]));
        let Kind::Intent(intent) = asked.kind else { panic!("no intent") };
        assert_eq!((intent.name.as_str(), intent.slot("model")[0].spoken.as_str()), ("PrintIntent", "vase"));
        assert_eq!(asked.access_token.unwrap().secret(), "Atza|x");
    }

    #[test]
    fn a_session_goes_on_with_its_attributes_until_an_answer_ends_it() {
        let mut echo = Echo::new(SKILL, "ana");
        let first = echo.open();
        echo.hear(&json!({"sessionAttributes": {"a": 1}, "response": {"shouldEndSession": false}}));
        let second = echo.open();
        assert_eq!((&second["session"]["new"], &second["session"]["attributes"]), (&json!(false), &json!({"a": 1})));
        assert_eq!(first["session"]["sessionId"], second["session"]["sessionId"]);
        echo.hear(&json!({"response": {"shouldEndSession": true}}));
        let third = echo.open();
        assert_eq!((&third["session"]["new"], &third["session"]["attributes"]), (&json!(true), &json!({})));
        assert_ne!(first["session"]["sessionId"], third["session"]["sessionId"]);
        assert_ne!(first["request"]["requestId"], third["request"]["requestId"]);
    }

    #[test]
    fn speech_is_heard_without_its_markup() {
        let mut echo = Echo::new(SKILL, "ana");
        for speech in [Speech::text("A < B & 'C'. Bye."), Speech::sentences(vec!["A < B & 'C'.".into(), "Bye.".into()])] {
            let answer = Answer::say(speech).envelope(&Request::read(&echo.open()));
            assert_eq!(echo.hear(&answer), Heard { speech: "A < B & 'C'. Bye.".into(), card: None });
        }
        let link = json!({"response": {"card": {"type": "LinkAccount"}}});
        assert_eq!(echo.hear(&link).card, Some(Card::LinkAccount));
    }
}
