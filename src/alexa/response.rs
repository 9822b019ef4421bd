//! An answer to Alexa, and the one place where every answer is checked before it leaves.
//!
//! Limits are those of the *Request and Response JSON Reference*: 120 KB in all, 8,000 characters of
//! speech, 8,000 of card. What is too long is cut at a sentence. A field without a value is left out,
//! never `null`: a `null` in `shouldEndSession` would open the microphone.

use serde_json::{Map, Value, json};

use super::request::{Kind, Request};
pub use super::speech::Speech;
use super::speech::cut_at_sentence;

const RESPONSE_LIMIT: usize = 120 * 1024;
const SPEECH_LIMIT: usize = 8_000;
const CARD_LIMIT: usize = 8_000;
const TITLE_LIMIT: usize = 200;
const IMAGE_URL_LIMIT: usize = 2_000;

/// What the skill says, shows and wants next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Spoken at once.
    pub speech: Option<Speech>,
    /// Spoken when the owner says nothing; it keeps the session open.
    pub reprompt: Option<Speech>,
    /// Shown in the Alexa app.
    pub card: Option<Card>,
    /// The next step of a dialog.
    pub dialog: Option<Dialog>,
    /// The answer to `CanFulfillIntentRequest`, the only thing such an answer holds.
    pub can_fulfill: Option<CanFulfill>,
    /// Whether the session goes on.
    pub session: Session,
    /// What the next request of this session brings back.
    pub attributes: Map<String, Value>,
}

/// Whether the session goes on after the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Session {
    /// The skill is done.
    #[default]
    End,
    /// The microphone opens.
    Listen,
}

/// A card in the Alexa app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Card {
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
        /// An `https` picture of 720 by 480 pixels.
        small_image: String,
        /// An `https` picture of 1200 by 800 pixels.
        large_image: String,
    },
    /// The button that links the account.
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

/// The next step of a dialog about the current intent, which is echoed as `updatedIntent`.
#[derive(Clone, Debug, PartialEq)]
pub enum Dialog {
    /// Alexa goes on by the prompts of the interaction model.
    Delegate {
        /// The intent as it came.
        intent: Value,
    },
    /// The answer's speech asks for this slot.
    ElicitSlot {
        /// The slot.
        slot: String,
        /// The intent as it came.
        intent: Value,
    },
    /// The answer's speech asks whether to do it.
    ConfirmIntent {
        /// The intent as it came.
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

/// `YES`, `NO` or `MAYBE`, as `CanFulfillIntentRequest` wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Can {
    /// Certainly.
    Yes,
    /// Not at all.
    No,
    /// With an answer to a question.
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

/// Whether the skill could do an intent, and what it makes of each slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanFulfill {
    /// The intent as a whole.
    pub intent: Can,
    /// Each slot: understood, and usable.
    pub slots: Vec<(String, Can, Can)>,
}

impl Answer {
    /// An answer that ends the session.
    pub fn say(speech: Speech) -> Self {
        Self { speech: Some(speech), ..Self::default() }
    }

    /// An answer that waits for the owner, who hears `reprompt` after a silence.
    pub fn ask(speech: Speech, reprompt: Speech) -> Self {
        Self { speech: Some(speech), reprompt: Some(reprompt), session: Session::Listen, ..Self::default() }
    }

    /// Adds a card.
    pub fn with_card(mut self, card: Card) -> Self {
        self.card = Some(card);
        self
    }

    /// The response envelope, made to fit the rules for this request whatever the answer holds.
    pub fn envelope(self, request: &Request) -> Value {
        let attributes = self.attributes.clone();
        let mut response = self.response(request);
        without_nulls(&mut response);
        let mut envelope = json!({"version": "1.0", "response": response});
        if request.has_session && !attributes.is_empty() {
            envelope["sessionAttributes"] = Value::Object(attributes);
        }
        // Speech and card have limits of their own, so only attributes and an echoed intent can be as large.
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
            // Notifications: whatever is sent back is an error for Alexa.
            _ => return json!({}),
        }
        if self.card == Some(Card::LinkAccount) {
            // There is nothing to talk about until the account is linked.
            self.session = Session::End;
            self.dialog = None;
        }
        let dialog = self.dialog.filter(|_| matches!(request.kind, Kind::Intent(_)));
        if dialog.is_some() {
            self.session = Session::Listen;
        }
        // A session that ends has nobody to prompt, and one that stays open must have said something.
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

/// An intent is echoed as it came, and what came may hold a `null`.
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

/// Title and text together have one limit.
fn fit_card(title: &str, text: &str) -> (String, String) {
    let title = cut_at_sentence(title, TITLE_LIMIT);
    let text = cut_at_sentence(text, CARD_LIMIT - title.chars().count());
    (title, text)
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
