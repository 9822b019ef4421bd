//! The response to Alexa. [`Answer::envelope`] is the only place that writes a response, so every limit is applied there.
//!
//! The limits are those of the *Request and Response JSON Reference*: 120 KB for the response, 8,000 characters for the speech
//! and 8,000 for a card. Longer texts are cut at the end of a sentence. A field without a value is omitted and never `null`,
//! because a `null` in `shouldEndSession` would open the microphone.

use serde_json::{Map, Value, json};

use super::request::{Kind, Request};
pub use super::speech::Speech;
use super::speech::cut_at_sentence;

const RESPONSE_LIMIT: usize = 120 * 1024;
const SPEECH_LIMIT: usize = 8_000;
const CARD_LIMIT: usize = 8_000;
const TITLE_LIMIT: usize = 200;
const IMAGE_URL_LIMIT: usize = 2_000;

/// The content of a response, before the limits of Alexa are applied.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The output speech.
    pub speech: Option<Speech>,
    /// The reprompt: spoken if the user says nothing while the session is open.
    pub reprompt: Option<Speech>,
    /// The card for the Alexa app.
    pub card: Option<Card>,
    /// The dialog directive.
    pub dialog: Option<Dialog>,
    /// The response to `CanFulfillIntentRequest`. Such a response has no other field.
    pub can_fulfill: Option<CanFulfill>,
    /// Whether the session stays open.
    pub session: Session,
    /// The session attributes. Alexa sends them back with the next request of the session.
    pub attributes: Map<String, Value>,
}

/// Whether the session stays open after the response (`shouldEndSession`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Session {
    /// The session ends.
    #[default]
    End,
    /// The session stays open and the microphone opens.
    Listen,
}

/// A card for the Alexa app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Card {
    /// A card with a title and a text.
    Simple {
        /// The title, at most 200 characters.
        title: String,
        /// The text. Title and text together have at most 8,000 characters.
        content: String,
    },
    /// A card with a title, a text and a picture.
    Standard {
        /// The title, at most 200 characters.
        title: String,
        /// The text. Title and text together have at most 8,000 characters.
        text: String,
        /// The `https` URL of a picture of 720 by 480 pixels. The picture is omitted unless both URLs are usable.
        small_image: String,
        /// The `https` URL of a picture of 1200 by 800 pixels.
        large_image: String,
    },
    /// The card with the button for account linking.
    LinkAccount,
}

impl Card {
    fn render(self) -> Value {
        match self {
            Card::Simple { title, content } => {
                let (title, content) = fit_card(&title, &content);
                json!({"type": "Simple", "title": title, "content": content})
            }
            Card::Standard { title, text, small_image, large_image } => {
                let (title, text) = fit_card(&title, &text);
                let mut card = json!({"type": "Standard", "title": title, "text": text});
                let usable = |url: &String| url.starts_with("https://") && url.len() <= IMAGE_URL_LIMIT;
                if usable(&small_image) && usable(&large_image) {
                    card["image"] = json!({"smallImageUrl": small_image, "largeImageUrl": large_image});
                }
                card
            }
            Card::LinkAccount => json!({"type": "LinkAccount"}),
        }
    }
}

/// A dialog directive about the current intent, which is sent back as `updatedIntent`.
#[derive(Clone, Debug, PartialEq)]
pub enum Dialog {
    /// `Dialog.Delegate`: Alexa continues with the prompts of the interaction model.
    Delegate {
        /// The intent as received.
        intent: Value,
    },
    /// `Dialog.ElicitSlot`: the output speech asks for this slot.
    ElicitSlot {
        /// The name of the slot.
        slot: String,
        /// The intent as received.
        intent: Value,
    },
    /// `Dialog.ConfirmIntent`: the output speech asks the user to confirm the intent.
    ConfirmIntent {
        /// The intent as received.
        intent: Value,
    },
}

impl Dialog {
    fn render(self) -> Value {
        let (mut directive, intent) = match self {
            Dialog::Delegate { intent } => (json!({"type": "Dialog.Delegate"}), intent),
            Dialog::ElicitSlot { slot, intent } => (json!({"type": "Dialog.ElicitSlot", "slotToElicit": slot}), intent),
            Dialog::ConfirmIntent { intent } => (json!({"type": "Dialog.ConfirmIntent"}), intent),
        };
        if intent.is_object() {
            directive["updatedIntent"] = intent;
        }
        directive
    }
}

/// The values `YES`, `NO` and `MAYBE` of a response to `CanFulfillIntentRequest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Can {
    /// The skill can handle the intent or slot.
    Yes,
    /// The skill cannot handle the intent or slot.
    No,
    /// The skill can handle the intent after it asks the user a question.
    Maybe,
}

impl Can {
    fn word(self) -> &'static str {
        match self {
            Can::Yes => "YES",
            Can::No => "NO",
            Can::Maybe => "MAYBE",
        }
    }
}

/// The response to `CanFulfillIntentRequest`: whether the skill can handle the intent and each slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanFulfill {
    /// `canFulfill` of the intent.
    pub intent: Can,
    /// For each slot: its name, `canUnderstand` and `canFulfill`.
    pub slots: Vec<(String, Can, Can)>,
}

impl Answer {
    /// A response that ends the session.
    pub fn say(speech: Speech) -> Self {
        Self { speech: Some(speech), ..Self::default() }
    }

    /// A response that keeps the session open. Alexa speaks `reprompt` if the user says nothing.
    pub fn ask(speech: Speech, reprompt: Speech) -> Self {
        Self { speech: Some(speech), reprompt: Some(reprompt), session: Session::Listen, ..Self::default() }
    }

    /// Adds a card.
    pub fn with_card(mut self, card: Card) -> Self {
        self.card = Some(card);
        self
    }

    /// Writes the response envelope. Whatever the answer holds, the result obeys the rules of Alexa for a response to this
    /// request.
    pub fn envelope(self, request: &Request) -> Value {
        let attributes = self.attributes.clone();
        let mut response = self.response(request);
        without_nulls(&mut response);
        let mut envelope = json!({"version": "1.0", "response": response});
        if request.has_session && !attributes.is_empty() {
            envelope["sessionAttributes"] = Value::Object(attributes);
        }
        // Speech and card are already limited, so only the attributes, the slots and the intent in a directive can exceed the
        // limit.
        if size(&envelope) > RESPONSE_LIMIT {
            remove(&mut envelope, "sessionAttributes");
        }
        if size(&envelope) > RESPONSE_LIMIT {
            if let Some(can) = envelope.pointer_mut("/response/canFulfillIntent") {
                remove(can, "slots");
            }
            let directives = envelope.pointer_mut("/response/directives").and_then(Value::as_array_mut);
            for directive in directives.into_iter().flatten() {
                remove(directive, "updatedIntent");
            }
        }
        envelope
    }

    fn response(mut self, request: &Request) -> Value {
        match request.kind {
            Kind::Launch | Kind::Intent(_) | Kind::SessionResumed => {}
            Kind::CanFulfill(_) => return self.can_fulfill.map_or_else(|| json!({}), can_fulfill),
            // Alexa reports an error for any content in a response to one of these requests.
            _ => return json!({}),
        }
        if self.card == Some(Card::LinkAccount) {
            // The dialog cannot continue until the account is linked.
            self.session = Session::End;
            self.dialog = None;
        }
        let dialog = self.dialog.filter(|_| matches!(request.kind, Kind::Intent(_)));
        if dialog.is_some() {
            self.session = Session::Listen;
        }
        // No reprompt is sent for a session that ends. A session stays open only if the response has output speech.
        let delegated = matches!(dialog, Some(Dialog::Delegate { .. }));
        if self.speech.is_none() && !delegated {
            self.session = Session::End;
        }
        let reprompt = self.reprompt.filter(|_| self.session == Session::Listen && !delegated);

        let mut response = json!({"shouldEndSession": self.session == Session::End});
        if let Some(speech) = self.speech.filter(|_| !delegated) {
            response["outputSpeech"] = speech.fit(SPEECH_LIMIT).render();
        }
        if let Some(reprompt) = reprompt {
            response["reprompt"] = json!({"outputSpeech": reprompt.fit(SPEECH_LIMIT).render()});
        }
        if let Some(card) = self.card {
            response["card"] = card.render();
        }
        if let Some(dialog) = dialog {
            response["directives"] = json!([dialog.render()]);
        }
        response
    }
}

fn can_fulfill(can: CanFulfill) -> Value {
    let slots = can.slots.into_iter();
    let slots: Map<String, Value> = slots
        .map(|(name, understand, fulfill)| (name, json!({"canUnderstand": understand.word(), "canFulfill": fulfill.word()})))
        .collect();
    let mut answer = json!({"canFulfill": can.intent.word()});
    if !slots.is_empty() {
        answer["slots"] = Value::Object(slots);
    }
    json!({"canFulfillIntent": answer})
}

/// Removes every `null`. An intent in a directive is a copy of the received one and may contain `null`.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => {
            items.retain(|item| !item.is_null());
            items.iter_mut().for_each(without_nulls);
        }
        _ => {}
    }
}

fn size(value: &Value) -> usize {
    value.to_string().len()
}

fn remove(value: &mut Value, field: &str) {
    if let Some(object) = value.as_object_mut() {
        object.remove(field);
    }
}

/// Cuts the title and the text of a card to their common limit.
fn fit_card(title: &str, text: &str) -> (String, String) {
    let title = cut_at_sentence(title, TITLE_LIMIT);
    let text = cut_at_sentence(text, CARD_LIMIT - title.chars().count());
    (title, text)
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
