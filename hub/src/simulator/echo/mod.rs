//! A simulated Echo. It converts an utterance into the request that the Alexa service would send to the skill, and processes the
//! response.
//!
//! Envelopes have the form of Alexa's *Request and Response JSON Reference*. The session and the dialog about an intent follow
//! the rules of Alexa (<https://developer.amazon.com/docs/alexa/custom-skills/manage-skill-session-and-session-attributes.html>).
//! This Echo has no screen.
//!
//! No request has an `apiEndpoint`. A skill therefore cannot send a progressive response, and no utterance leaves the machine.

mod answer;
mod dialog;
mod envelope;
mod output;

use std::sync::Arc;

use jiff::civil::DateTime;
use onething::login::AccessToken;
use serde_json::{Value, json};
use thiserror::Error;

use self::dialog::{Dialog, Question};
use self::envelope::Session;
pub use self::output::{Card, EchoOutput};
use crate::clock;
use crate::simulator::utterance::built_in;
use crate::simulator::utterance::interaction::InteractionModel;
use crate::simulator::utterance::interpretation::{self, Interpretation};
use crate::simulator::utterance::resolve::Match;
use crate::simulator::utterance::words::{Phrase, Utterance};

/// The bonus of a slot value that answers the open question. With it, "off" after "on or off?" is the value `off` and not a
/// request to stop.
const ANSWERS_THE_QUESTION: i32 = 5;

/// Alexa's speech for an utterance that belongs to no known skill.
const UNKNOWN: &str = "Sorry, I don't know that one.";

/// One simulated Echo device with its session.
pub struct Echo {
    skill_id: String,
    household: String,
    user_id: String,
    model: Arc<InteractionModel>,
    enabled: bool,
    token: Option<AccessToken>,
    session: Option<Session>,
    /// The local date and time at the place of the Echo.
    clock: fn() -> DateTime,
}

/// The utterance is handled by Alexa, and no request is sent to the skill.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("that is not for the skill")]
pub struct HandledByAlexa {
    /// Alexa's speech; empty if Alexa says nothing.
    pub speech: String,
    /// Whether the microphone stays open: Alexa asks a prompt of the interaction model, or did not understand an utterance within
    /// a session.
    pub listening: bool,
    /// An utterance that would reach the skill.
    pub hint: Option<String>,
}

/// Why a session ends without a response of the skill that ends the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The user ended the session.
    UserInitiated,
    /// The user answered neither the question nor the reprompt.
    ExceededMaxReprompts,
    /// An error occurred.
    Error,
}

impl EndReason {
    fn request(self) -> Value {
        let reason = match self {
            EndReason::UserInitiated => "USER_INITIATED",
            EndReason::ExceededMaxReprompts => "EXCEEDED_MAX_REPROMPTS",
            EndReason::Error => "ERROR",
        };
        json!({"type": "SessionEndedRequest", "reason": reason})
    }
}

impl Echo {
    /// An Echo with the skill enabled and no account linked.
    pub fn new(skill_id: &str, household: &str, model: Arc<InteractionModel>) -> Self {
        let user_id = format!("amzn1.ask.account.{household}");
        Self {
            skill_id: skill_id.to_owned(),
            household: household.to_owned(),
            user_id,
            model,
            enabled: true,
            token: None,
            session: None,
            clock: clock::local,
        }
    }

    /// Links an account: every later request carries this access token.
    pub fn link(&mut self, token: AccessToken) {
        self.token = Some(token);
    }

    /// Unlinks the account: no later request carries a token. Alexa sends no event about the unlinking to the skill.
    pub fn unlink(&mut self) {
        self.token = None;
    }

    /// Whether an account is linked.
    pub fn is_linked(&self) -> bool {
        self.token.is_some()
    }

    /// Whether the skill is enabled.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Whether a session is open, in which an utterance needs no invocation name.
    pub fn is_listening(&self) -> bool {
        self.session.is_some()
    }

    /// Processes an utterance. The result is the request envelope for the skill, or Alexa's own reaction.
    pub fn say(&mut self, text: &str) -> Result<Value, HandledByAlexa> {
        let model = Arc::clone(&self.model);
        let (mut utterance, now) = (Utterance::read(text), (self.clock)());
        let mut interpretation = interpretation::read(&model, &utterance, now);
        if !interpretation.is_understood() {
            // In "Turn it 🔆" a symbol is in the place of a slot value, and the skill asks for the value.
            let with_symbols = Utterance::read_with_symbols(text);
            let read = interpretation::read(&model, &with_symbols, now);
            if with_symbols.all().len() > utterance.all().len() && read.is_understood() {
                (utterance, interpretation) = (with_symbols, read);
            }
        }
        let said = interpretation::without_wake_word(utterance.all());
        if !self.enabled {
            return Err(HandledByAlexa { speech: UNKNOWN.into(), listening: false, hint: Some("enable the skill first".into()) });
        }
        match interpretation {
            Interpretation::Launch => {
                self.session = None;
                Ok(self.in_session(json!({"type": "LaunchRequest"})))
            }
            Interpretation::Asked(found) => {
                self.session = None;
                self.understood(found)
            }
            Interpretation::AskedLast(found) if self.session.is_some() => self.go_on(said, Some(found)),
            Interpretation::AskedLast(found) => self.understood(Some(found)),
            Interpretation::Unnamed(found) if self.session.is_some() => self.go_on(said, found),
            Interpretation::Unnamed(found) => Err(self.for_alexa(said, found.as_ref())),
        }
    }

    /// Puts a given request into an envelope, and adds the request id, the timestamp and the locale if they are missing.
    pub fn request(&mut self, request: Value) -> Value {
        let kind = request["type"].as_str().unwrap_or_default();
        if envelope::is_out_of_session(kind) {
            return self.out_of_session(request);
        }
        if kind == "SessionEndedRequest" {
            return self.last_of_session(request);
        }
        let intent = (kind == "IntentRequest").then(|| request["intent"].clone());
        let envelope = self.in_session(request);
        if let (Some(intent), Some(session)) = (intent, &mut self.session) {
            session.dialog = Some(Dialog { intent, question: None, automatic: false });
        }
        envelope
    }

    /// Ends the session, and returns the `SessionEndedRequest`, which the skill cannot answer. `None` if no session is open.
    pub fn end(&mut self, reason: EndReason) -> Option<Value> {
        self.session.as_ref()?;
        Some(self.last_of_session(reason.request()))
    }

    /// Processes an utterance within a session: an answer to the open question, or another request.
    fn go_on(&mut self, said: Phrase<'_>, found: Option<Match>) -> Result<Value, HandledByAlexa> {
        let polite = interpretation::without_please(said);
        if polite.is_empty() {
            return Err(HandledByAlexa { speech: String::new(), listening: true, hint: None });
        }
        // A free-text match of a slot does not override "goodbye".
        if found.as_ref().is_none_or(|found| !found.certain) && built_in::ends_session(polite.text()) {
            return Ok(self.last_of_session(EndReason::UserInitiated.request()));
        }
        let (model, now) = (Arc::clone(&self.model), (self.clock)());
        let Some(dialog) = self.session.as_mut().and_then(|session| session.dialog.as_mut()) else { return self.understood(found) };
        match &dialog.question {
            Some(Question::Slot(slot)) => {
                let readings = [said, polite].into_iter().filter_map(|said| model.resolve_slot(dialog.name(), slot, said, now));
                let answer = readings.max_by_key(|answer| answer.score);
                let better = |answer: &Match| match &found {
                    Some(other) if other.certain => answer.certain && answer.score + ANSWERS_THE_QUESTION > other.score,
                    // Any utterance that matches no sample with certainty is the answer.
                    _ => true,
                };
                match answer.filter(better) {
                    Some(answer) => self.understood(Some(answer)),
                    None => self.understood(found),
                }
            }
            Some(Question::ConfirmSlot(_) | Question::ConfirmIntent) => match agreed(polite, found.as_ref()) {
                Some(yes) => {
                    dialog.confirm(yes);
                    self.send_dialog("IN_PROGRESS")
                }
                None => self.understood(found),
            },
            None => self.understood(found),
        }
    }

    /// Creates the request for a match: a further turn of the open dialog, or the start of another intent.
    fn understood(&mut self, found: Option<Match>) -> Result<Value, HandledByAlexa> {
        let Some(found) = found.or_else(|| self.model.fallback()) else {
            let speech = "Sorry, I didn't understand.".to_owned();
            return Err(HandledByAlexa { speech, listening: self.session.is_some(), hint: None });
        };
        let model = Arc::clone(&self.model);
        let skill_id = self.skill_id.clone();
        let session = self.session.get_or_insert_with(Session::new);
        match &mut session.dialog {
            Some(dialog) if dialog.question.is_some() && dialog.name() == found.intent => {
                dialog.fill(&skill_id, &found);
                self.send_dialog("IN_PROGRESS")
            }
            other => {
                *other = Some(Dialog::begin(&model, &skill_id, &found));
                self.send_dialog("STARTED")
            }
        }
    }

    /// The request with the present state of the intent. If Alexa manages the dialog automatically, the request is sent when the
    /// dialog is complete.
    fn send_dialog(&mut self, state: &str) -> Result<Value, HandledByAlexa> {
        let model = Arc::clone(&self.model);
        let session = self.session.get_or_insert_with(Session::new);
        let Some(dialog) = &mut session.dialog else { return Ok(self.in_session(json!({"type": "IntentRequest"}))) };
        dialog.question = None;
        let known = model.intent(dialog.name()).filter(|known| known.dialog.is_some());
        let mut state = state;
        if let (Some(known), true) = (known, dialog.automatic) {
            if let Some((question, prompt)) = dialog.next(known) {
                dialog.question = Some(question);
                return Err(HandledByAlexa { speech: prompt, listening: true, hint: None });
            }
            state = "COMPLETED";
        }
        let mut request = json!({"type": "IntentRequest", "intent": dialog.intent});
        if known.is_some() {
            request["dialogState"] = json!(state);
        }
        Ok(self.in_session(request))
    }

    /// Alexa's reaction to an utterance that names no skill.
    fn for_alexa(&self, said: Phrase<'_>, found: Option<&Match>) -> HandledByAlexa {
        let name = &self.model.invocation_name;
        let text = said.input();
        let hint = match found {
            Some(found) if !found.intent.starts_with("AMAZON.") => interpretation::invocation_utterance(name, text),
            _ => format!("open {name}"),
        };
        // Alexa says nothing to a request to stop or cancel when nothing is active.
        let silent = said.is_empty() || built_in::ends_session(said.text()) || found.is_some_and(|found| is_farewell(&found.intent));
        let speech = if silent { "" } else { UNKNOWN };
        HandledByAlexa { speech: speech.to_owned(), listening: false, hint: Some(hint) }
    }
}

fn is_farewell(intent: &str) -> bool {
    matches!(intent, "AMAZON.StopIntent" | "AMAZON.CancelIntent" | "AMAZON.NavigateHomeIntent")
}

/// Whether an utterance means yes or no, by the samples of Alexa or of the interaction model; `None` if it means neither.
fn agreed(said: Phrase<'_>, found: Option<&Match>) -> Option<bool> {
    let says = |intent: &str| {
        let alexas = built_in::samples(intent).iter().any(|sample| sample.trim_start_matches("please ") == said.text());
        alexas || found.is_some_and(|found| found.intent == intent)
    };
    if says(built_in::YES) { Some(true) } else { says(built_in::NO).then_some(false) }
}

#[cfg(test)]
#[path = "echo_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "dialog_tests.rs"]
mod dialog_tests;
