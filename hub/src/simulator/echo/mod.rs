//! A simulated Echo: what somebody says, as the Alexa service puts it to a skill, and what comes back.
//!
//! Envelopes have the form of Alexa's *Request and Response JSON Reference*; the session is kept as Alexa
//! keeps it (<https://developer.amazon.com/docs/alexa/custom-skills/manage-skill-session-and-session-attributes.html>),
//! and so is the dialog about an intent. This Echo has no screen.
//!
//! No request names an `apiEndpoint`: a skill that wants to speak before its answer has nowhere to call, so
//! nothing that is said here leaves the machine.

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

/// How much more a value in the list counts that answers the open question: "off" to "on or off?" is no request
/// to stop.
const ANSWERS_THE_QUESTION: i32 = 5;

/// What Alexa says to what is for nobody she knows.
const UNKNOWN: &str = "Sorry, I don't know that one.";

/// One Echo in one echo_session.
pub struct Echo {
    skill_id: String,
    household: String,
    user_id: String,
    model: Arc<InteractionModel>,
    enabled: bool,
    token: Option<AccessToken>,
    session: Option<Session>,
    /// Date and time where the Echo stands.
    clock: fn() -> DateTime,
}

/// Alexa keeps it to herself: nothing goes to the skill.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("that is not for the skill")]
pub struct NotForTheSkill {
    /// What she says about it; empty where she is silent.
    pub speech: String,
    /// Whether she goes on listening: she asks back by the interaction model, or has understood nothing within
    /// a session.
    pub listening: bool,
    /// How it can be said so that it reaches the skill.
    pub hint: Option<String>,
}

/// Why a session ends without the skill's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The speaker said so.
    UserInitiated,
    /// Nobody answered, not even to the reprompt.
    ExceededMaxReprompts,
    /// Something broke.
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
    /// An Echo whose owner has enabled the skill and linked nothing.
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

    /// From now on every request carries this token.
    pub fn link(&mut self, token: AccessToken) {
        self.token = Some(token);
    }

    /// From now on no request carries a token. Alexa tells the skill nothing about it.
    pub fn unlink(&mut self) {
        self.token = None;
    }

    /// Whether an account is linked.
    pub fn is_linked(&self) -> bool {
        self.token.is_some()
    }

    /// Whether the owner has the skill enabled.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Whether a session is open: no name is needed to be heard by the skill.
    pub fn is_listening(&self) -> bool {
        self.session.is_some()
    }

    /// Somebody speaks. The request that Alexa sends, or what she does instead.
    pub fn say(&mut self, text: &str) -> Result<Value, NotForTheSkill> {
        let model = Arc::clone(&self.model);
        let (mut utterance, now) = (Utterance::read(text), (self.clock)());
        let mut interpretation = interpretation::read(&model, &utterance, now);
        if !interpretation.is_understood() {
            // "Turn it 🔆" has a symbol in the place of a value, and the owner is asked for the value.
            let with_symbols = Utterance::read_with_symbols(text);
            let read = interpretation::read(&model, &with_symbols, now);
            if with_symbols.all().len() > utterance.all().len() && read.is_understood() {
                (utterance, interpretation) = (with_symbols, read);
            }
        }
        let said = interpretation::addressed(utterance.all());
        if !self.enabled {
            return Err(NotForTheSkill { speech: UNKNOWN.into(), listening: false, hint: Some("enable the skill first".into()) });
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

    /// Puts a request of the caller's into an envelope; what it does not have of id, time and locale is added.
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

    /// Ends the session from outside: the request that tells the skill, which cannot answer it. `None` when no
    /// session is open.
    pub fn end(&mut self, reason: EndReason) -> Option<Value> {
        self.session.as_ref()?;
        Some(self.last_of_session(reason.request()))
    }

    /// Within a session: an answer to the open question, or something else.
    fn go_on(&mut self, said: Phrase<'_>, found: Option<Match>) -> Result<Value, NotForTheSkill> {
        let polite = interpretation::polite(said);
        if polite.is_empty() {
            return Err(NotForTheSkill { speech: String::new(), listening: true, hint: None });
        }
        // A name that anything could be is no answer to "goodbye".
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
                    // Whatever was said is the answer when it is nothing else.
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

    /// Sends what was understood: more about the intent of the open question, or another intent.
    fn understood(&mut self, found: Option<Match>) -> Result<Value, NotForTheSkill> {
        let Some(found) = found.or_else(|| self.model.fallback()) else {
            let speech = "Sorry, I didn't understand.".to_owned();
            return Err(NotForTheSkill { speech, listening: self.session.is_some(), hint: None });
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

    /// The request about the intent as it is now; where Alexa leads the dialog, only when it is complete.
    fn send_dialog(&mut self, state: &str) -> Result<Value, NotForTheSkill> {
        let model = Arc::clone(&self.model);
        let session = self.session.get_or_insert_with(Session::new);
        let Some(dialog) = &mut session.dialog else { return Ok(self.in_session(json!({"type": "IntentRequest"}))) };
        dialog.question = None;
        let known = model.intent(dialog.name()).filter(|known| known.dialog.is_some());
        let mut state = state;
        if let (Some(known), true) = (known, dialog.automatic) {
            if let Some((question, prompt)) = dialog.next(known) {
                dialog.question = Some(question);
                return Err(NotForTheSkill { speech: prompt, listening: true, hint: None });
            }
            state = "COMPLETED";
        }
        let mut request = json!({"type": "IntentRequest", "intent": dialog.intent});
        if known.is_some() {
            request["dialogState"] = json!(state);
        }
        Ok(self.in_session(request))
    }

    /// What Alexa says to what names no skill.
    fn for_alexa(&self, said: Phrase<'_>, found: Option<&Match>) -> NotForTheSkill {
        let name = &self.model.invocation_name;
        let text = said.input();
        let hint = match found {
            Some(found) if !found.intent.starts_with("AMAZON.") => interpretation::asked_of(name, text),
            _ => format!("open {name}"),
        };
        // To what ends or cancels something, where there is nothing, she is silent.
        let silent = said.is_empty() || built_in::ends_session(said.text()) || found.is_some_and(|found| is_farewell(&found.intent));
        let speech = if silent { "" } else { UNKNOWN };
        NotForTheSkill { speech: speech.to_owned(), listening: false, hint: Some(hint) }
    }
}

fn is_farewell(intent: &str) -> bool {
    matches!(intent, "AMAZON.StopIntent" | "AMAZON.CancelIntent" | "AMAZON.NavigateHomeIntent")
}

/// Yes or no, by Alexa's words or by the model's.
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
