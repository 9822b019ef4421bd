//! What comes out of an Echo, and into the Alexa app, when a skill has answered.

use serde_json::Value;

/// What came back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EchoOutput {
    /// What Alexa says, without markup.
    pub speech: String,
    /// What she says when nobody answers.
    pub reprompt: Option<String>,
    /// What the Alexa app shows.
    pub card: Option<Card>,
    /// Whether the microphone is open for an answer.
    pub listening: bool,
    /// The directives of the answer, as they came.
    pub directives: Vec<Value>,
    /// What Alexa sends at once, without anybody speaking: a delegated dialog is complete, or the answer was
    /// not valid. Its answer has to be taken as well. Like every request it carries the access token.
    pub follow_up: Option<Value>,
}

/// A card in the Alexa app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Card {
    /// The button that links the account.
    LinkAccount,
    /// Title and text.
    Simple {
        /// The headline.
        title: String,
        /// The text.
        content: String,
    },
    /// Title, text and picture.
    Standard {
        /// The headline.
        title: String,
        /// The text.
        text: String,
        /// The picture's address, the larger one where there are two.
        image: Option<String>,
    },
    /// The request for permissions, by their scopes.
    Permissions(Vec<String>),
    /// A type that did not exist when this was written.
    Other(String),
}

impl Card {
    /// The headline; `None` for a card that is nothing but a button.
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
    /// Reads `response` of an answer. Whether the session goes on is the Echo's to say.
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

    /// Adds a question that Alexa asks by herself, once more when nobody answers.
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

/// The words of plain text or SSML.
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
    fn every_kind_of_card_is_shown_with_all_it_holds() {
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
    fn speech_is_heard_without_its_markup() {
        let said = |ssml: &str| words(&json!({"type": "SSML", "ssml": ssml}));
        assert_eq!(said("<speak><s>A &lt; B &amp; &apos;C&apos;.</s><s>Bye.</s></speak>"), "A < B & 'C'. Bye.");
        assert_eq!(said("<speak>&amp;lt;</speak>"), "&lt;");
        assert_eq!(said("no markup < at all"), "no markup   at all");
        assert_eq!(words(&Value::Null), "");
    }
}
