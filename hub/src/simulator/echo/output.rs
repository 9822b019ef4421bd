//! The output of an Echo and of the Alexa app after a response of the skill.

use serde_json::Value;

/// The output of an Echo for one response.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EchoOutput {
    /// The speech as plain text, without SSML.
    pub speech: String,
    /// The speech that Alexa says if the user does not answer.
    pub reprompt: Option<String>,
    /// The card in the Alexa app.
    pub card: Option<Card>,
    /// Whether the microphone is open for an answer.
    pub listening: bool,
    /// The directives of the response, unchanged.
    pub directives: Vec<Value>,
    /// A request that Alexa sends immediately without an utterance: a delegated dialog is complete, or the response was not
    /// valid. The caller must send it to the skill and process its response. Like every request it carries the access token.
    pub follow_up: Option<Value>,
}

/// A card in the Alexa app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Card {
    /// The button that starts account linking.
    LinkAccount,
    /// A card with title and text.
    Simple {
        /// The title of the card.
        title: String,
        /// The text of the card.
        content: String,
    },
    /// A card with title, text and image.
    Standard {
        /// The title of the card.
        title: String,
        /// The text of the card.
        text: String,
        /// The URL of the image; the larger image if there are two.
        image: Option<String>,
    },
    /// A request for permissions, with their scopes.
    Permissions(Vec<String>),
    /// A card type that this simulator does not know.
    Other(String),
}

impl Card {
    /// The title; `None` for a card without a title.
    pub fn title(&self) -> Option<&str> {
        match self {
            Card::Simple { title, .. } | Card::Standard { title, .. } => Some(title),
            Card::LinkAccount | Card::Permissions(_) | Card::Other(_) => None,
        }
    }

    fn read(card: &Value) -> Self {
        match card["type"].as_str().unwrap_or_default() {
            "LinkAccount" => Card::LinkAccount,
            "Simple" => Card::Simple { title: text(&card["title"]), content: text(&card["content"]) },
            "Standard" => {
                let image = ["largeImageUrl", "smallImageUrl"].iter().find_map(|size| card["image"][size].as_str());
                Card::Standard { title: text(&card["title"]), text: text(&card["text"]), image: image.map(str::to_owned) }
            }
            "AskForPermissionsConsent" => {
                let scopes = card["permissions"].as_array().into_iter().flatten();
                Card::Permissions(scopes.map(text).collect())
            }
            other => Card::Other(other.to_owned()),
        }
    }
}

impl EchoOutput {
    /// Reads the `response` object of a response envelope. The Echo decides whether the session continues, so `listening` is
    /// false.
    pub(super) fn read(response: &Value) -> Self {
        let said = |speech: &Value| if speech.is_null() { None } else { Some(words(speech)) };
        Self {
            speech: words(&response["outputSpeech"]),
            reprompt: said(&response["reprompt"]["outputSpeech"]),
            card: response.get("card").filter(|card| card.is_object()).map(Card::read),
            listening: false,
            directives: response["directives"].as_array().cloned().unwrap_or_default(),
            follow_up: None,
        }
    }

    /// Appends a question of the dialog model to the speech, and sets the question as the reprompt.
    pub(super) fn asked(&mut self, question: &str) {
        let gap = if self.speech.is_empty() { "" } else { " " };
        self.speech = format!("{}{gap}{question}", self.speech);
        self.reprompt = Some(question.to_owned());
        self.listening = true;
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The text of an `outputSpeech` object, which is plain text or SSML.
pub(super) fn words(speech: &Value) -> String {
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
    use serde_json::json;

    use super::*;

    fn card(card: &Value) -> Option<Card> {
        EchoOutput::read(&json!({"card": card})).card
    }

    #[test]
    fn every_kind_of_card_is_read_with_all_its_fields() {
        let simple = card(&json!({"type": "Simple", "title": "T", "content": "C"})).unwrap();
        assert_eq!((simple.title(), &simple), (Some("T"), &Card::Simple { title: "T".into(), content: "C".into() }));
        let image = json!({"smallImageUrl": "https://x/s.png", "largeImageUrl": "https://x/l.png"});
        let standard = Card::Standard { title: "T".into(), text: "C".into(), image: Some("https://x/l.png".into()) };
        assert_eq!(card(&json!({"type": "Standard", "title": "T", "text": "C", "image": image})), Some(standard));
        let consent = json!({"type": "AskForPermissionsConsent", "permissions": ["alexa::profile:email:read"]});
        assert_eq!(card(&consent), Some(Card::Permissions(vec!["alexa::profile:email:read".into()])));
        assert_eq!(card(&json!({"type": "LinkAccount"})), Some(Card::LinkAccount));
        assert_eq!(card(&json!({"type": "Newer"})), Some(Card::Other("Newer".into())));
        assert_eq!(card(&json!("card")), None);
    }

    #[test]
    fn speech_is_read_without_ssml_markup() {
        let said = |ssml: &str| words(&json!({"type": "SSML", "ssml": ssml}));
        assert_eq!(said("<speak><s>A &lt; B &amp; &apos;C&apos;.</s><s>Bye.</s></speak>"), "A < B & 'C'. Bye.");
        assert_eq!(said("<speak>&amp;lt;</speak>"), "&lt;");
        assert_eq!(said("no markup < at all"), "no markup   at all");
        assert_eq!(words(&Value::Null), "");
    }
}
