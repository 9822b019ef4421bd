//! Converts outcomes to speech and cards. The speech for an error names the cause and who can correct it.

mod status;

use serde_json::Value;

use crate::alexa::request::Intent;
use crate::alexa::response::{Answer, Card, Dialog, Speech};
use crate::device_model::{InvalidSlot, Model};
use crate::fault::{ClassifiedError, Fault};
use crate::lifecycle::LifecycleError;
use crate::login::IdentifyError;
use crate::mail::MailError;
use crate::onboarding::OnboardError;
use crate::registration::claims::{CODE_LIFETIME, ClaimsError, Code};
use crate::registry::Bounce;
use crate::shadow::{Connection, Patch, Presence, Shadow, ShadowError};
use crate::speech::locales::{Locale, Phrase, Report, Words};

/// Creates the answers in one language about one device.
#[derive(Clone, Copy, Debug)]
pub struct Responder<'a> {
    /// The language of the request.
    pub locale: Locale,
    /// The device model.
    pub model: &'a Model,
}

/// All errors of the skill.
#[derive(Debug, thiserror::Error)]
pub enum SkillError {
    /// The owner was not identified.
    #[error("the owner was not identified")]
    Identify(#[from] IdentifyError),
    /// The profile has no mail address for the certificate.
    #[error("the profile has no e-mail address")]
    NoEmail,
    /// The onboarding failed.
    #[error("the owner was not onboarded")]
    Onboard(#[from] OnboardError),
    /// The shadow could not be read or updated.
    #[error("the command was not relayed")]
    Relay(#[from] ShadowError),
    /// The suspension or the deletion of an owner failed.
    #[error("the identity was not taken out of service")]
    Care(#[from] LifecycleError),
    /// No claim code could be created.
    #[error("no code was made")]
    Claims(#[from] ClaimsError),
    /// The time limit for the response has passed.
    #[error("no answer in time")]
    Late,
}

/// The state of an owner and their device.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// The masked mail address of the owner.
    pub address: Option<String>,
    /// The time when the last certificate was sent, as Unix time in seconds.
    pub mailed_at: Option<u64>,
    /// If the mail with the certificate is still in the queue: who can correct the cause.
    pub waits: Option<Fault>,
    /// What happened to that mail, if it was not delivered.
    pub bounce: Option<Bounce>,
    /// The state of the connection of the device.
    pub connection: Connection,
    /// The shadow of the device.
    pub shadow: Shadow,
    /// The current Unix time in seconds.
    pub now: u64,
}

impl ClassifiedError for SkillError {
    fn step(&self) -> crate::fault::Step {
        match self {
            SkillError::Identify(error) => error.step(),
            SkillError::NoEmail => crate::fault::Step::Identify,
            SkillError::Onboard(error) => error.step(),
            SkillError::Relay(error) => error.step(),
            SkillError::Care(error) => error.step(),
            SkillError::Claims(error) => error.step(),
            SkillError::Late => crate::fault::Step::Request,
        }
    }

    fn fault(&self) -> Fault {
        match self {
            SkillError::Identify(error) => error.fault(),
            SkillError::NoEmail => Fault::Speaker,
            SkillError::Onboard(error) => error.fault(),
            SkillError::Relay(error) => error.fault(),
            SkillError::Care(error) => error.fault(),
            SkillError::Claims(error) => error.fault(),
            SkillError::Late => Fault::Again,
        }
    }

    fn cause(&self) -> &'static str {
        match self {
            SkillError::Identify(error) => error.cause(),
            SkillError::NoEmail => "no_email",
            SkillError::Onboard(error) => error.cause(),
            SkillError::Relay(error) => error.cause(),
            SkillError::Care(error) => error.cause(),
            SkillError::Claims(error) => error.cause(),
            SkillError::Late => "late",
        }
    }
}

impl Responder<'_> {
    /// A phrase as text.
    pub fn words(&self, phrase: &Phrase<'_>) -> String {
        self.locale.say(phrase, &self.model.name, &self.model.invocation)
    }

    /// A phrase as speech.
    pub fn speech(&self, phrase: &Phrase<'_>) -> Speech {
        Speech::text(self.words(phrase))
    }

    fn tell(&self, phrase: &Phrase<'_>) -> Answer {
        Answer::say(self.speech(phrase))
    }

    fn ask(&self, phrase: &Phrase<'_>) -> Answer {
        Answer::ask(self.speech(phrase), self.speech(&Phrase::WhatNext))
    }

    /// The answer to the launch of the skill by an onboarded owner.
    pub fn greeting(&self) -> Answer {
        self.ask(&Phrase::Greeting)
    }

    /// The help, with the abilities of the device.
    pub fn help(&self) -> Answer {
        let abilities = self.model.abilities();
        self.ask(&Phrase::Help { abilities: &abilities, tells_status: self.model.intents.contains_key("StatusIntent") })
    }

    /// The answer to an utterance that matches no intent.
    pub fn not_understood(&self) -> Answer {
        self.ask(&Phrase::NotUnderstood)
    }

    /// The end of the session.
    pub fn goodbye(&self) -> Answer {
        self.tell(&Phrase::Goodbye)
    }

    /// The owner denied a confirmation.
    pub fn not_done(&self) -> Answer {
        self.tell(&Phrase::NotDone)
    }

    /// The answer to a new owner, with the state of the command or setting that they requested. `waits` is as in
    /// [`Diagnosis::waits`].
    pub fn welcome(&self, wanted: Option<&Patch>, waits: Option<Fault>) -> Answer {
        let welcome = self.new_owner(waits);
        let card = Card::Simple { title: self.words(&Phrase::WelcomeTitle), content: welcome.clone() };
        let mut sentences = vec![welcome];
        sentences.extend(wanted.map(|patch| format!("{} {}", self.words(&Phrase::NotOnlineYet), self.waits(patch))));
        Answer::say(Speech::sentences(sentences)).with_card(card)
    }

    /// The text that tells a new owner about the identity of their device and about the mail.
    pub fn new_owner(&self, waits: Option<Fault>) -> String {
        match waits {
            None => self.words(&Phrase::Welcome),
            Some(fault) => format!("{} {}", self.words(&Phrase::WelcomeBeforeMail), self.words(&Phrase::MailWaits(fault))),
        }
    }

    /// Another certificate was sent. If its mail is still in the queue, `waits` says who can correct the cause.
    pub fn sent_again(&self, waits: Option<Fault>) -> Answer {
        match waits {
            None => self.tell(&Phrase::SentAgain),
            Some(fault) => self.also(self.tell(&Phrase::SentAgainBeforeMail), &Phrase::MailWaits(fault)),
        }
    }

    /// The device has never connected because the mail with its certificate is still in the queue.
    pub fn mail_waits(&self, fault: Fault) -> Answer {
        self.tell(&Phrase::MailWaits(fault))
    }

    /// A claim code for a device, which is spelled out twice and shown on a card. `welcome` precedes it for a new owner.
    /// `endpoint` is the URL of the registration endpoint.
    pub fn code(&self, code: &Code, endpoint: Option<&str>, welcome: Option<String>) -> Answer {
        let shown = code.shown();
        let halves = || shown.split('-').map(str::to_owned).collect();
        let limits = self.words(&Phrase::CodeLimits { minutes: CODE_LIFETIME / 60 });
        let speech = Speech::sentences(welcome.into_iter().chain([self.words(&Phrase::HereIsACode)]).collect());
        let speech = speech.and_spelled_out(halves()).and(self.words(&Phrase::CodeAgain)).and_spelled_out(halves()).and(limits.clone());
        let command = endpoint.map(|endpoint| self.words(&Phrase::CodeCommand { code: &shown, endpoint }));
        let content = [Some(shown.clone()), command, Some(limits)].into_iter().flatten().collect::<Vec<_>>().join("\n\n");
        let card = Card::Simple { title: self.words(&Phrase::CodeTitle), content };
        Answer::say(speech).with_card(card)
    }

    /// Claim codes are not available, because there is no registration endpoint.
    pub fn no_codes(&self) -> Answer {
        self.tell(&Phrase::NoCodes)
    }

    /// Too many claim codes were requested. The next one is available after `seconds` seconds.
    pub fn codes_too_often(&self, seconds: u64) -> Answer {
        self.tell(&Phrase::CodesTooOften { seconds })
    }

    /// The owner was deleted. `wholly` says whether the deletion in the registry is complete.
    pub fn forgotten(&self, wholly: bool) -> Answer {
        self.tell(&if wholly { Phrase::Forgotten } else { Phrase::ForgottenSoon })
    }

    /// A question that the owner answers with yes or no.
    pub fn question(&self, phrase: &Phrase<'_>) -> Answer {
        Answer::ask(self.speech(phrase), self.speech(phrase))
    }

    fn also(&self, mut answer: Answer, phrase: &Phrase<'_>) -> Answer {
        answer.speech = answer.speech.map(|speech| speech.and(self.words(phrase)));
        answer
    }

    /// Appends what happened to an earlier mail.
    pub fn told(&self, answer: Answer, bounce: Option<Bounce>) -> Answer {
        match bounce {
            Some(how) => self.also(answer, &Phrase::MailCameBack(how)),
            None => answer,
        }
    }

    /// Appends the code with which the failure is found in the log. An account that is not linked yet is no failure, so that
    /// answer gets no code.
    pub fn coded(&self, answer: Answer, error: &SkillError, code: &str) -> Answer {
        match error {
            SkillError::Identify(IdentifyError::NotLinked) => answer,
            _ => self.also(answer, &Phrase::Code(code)),
        }
    }

    /// The answer to "Is my printer connected?", with the connection, the last state, the account and the mail.
    pub fn diagnosis(&self, diagnosis: &Diagnosis) -> Answer {
        let ago = |at: u64| diagnosis.now.saturating_sub(at);
        let shadow = &diagnosis.shadow;
        let last_report = shadow.reported_at.map(ago);
        let connection = match diagnosis.connection {
            Connection::Connected { since } => Phrase::Connected { seconds: since.map(ago) },
            Connection::Disconnected { since } => Phrase::Disconnected { seconds: since.map(ago).or(last_report) },
            Connection::Unknown => Phrase::ConnectionUnknown { seconds: last_report },
        };
        let mut said = vec![self.words(&connection)];
        let state = shadow.reported.get("status").and_then(|status| self.state(status, diagnosis.now));
        said.extend(state.map(|state| self.words(&Phrase::LastState { state: &state })));
        said.extend(diagnosis.address.as_ref().map(|address| self.words(&Phrase::LinkedAs { address })));
        let mailed = diagnosis.mailed_at.map(|at| Phrase::MailedBefore { seconds: ago(at) });
        said.extend(diagnosis.waits.map(Phrase::MailWaits).or(mailed).map(|phrase| self.words(&phrase)));
        said.extend(diagnosis.bounce.map(|how| self.words(&Phrase::MailCameBack(how))));
        Answer::say(Speech::sentences(said))
    }

    /// The words for a reported status. The device model need not contain the property.
    fn state(&self, status: &Value, now: u64) -> Option<Words> {
        match self.model.properties.get("status") {
            Some(property) => match self.locale.report(property, status, now) {
                Report::Fits(words, _) => Some(words),
                Report::Nothing | Report::CannotBeRight => None,
            },
            None => spoken_form(status).map(|status| self.locale.choice(&status)),
        }
    }

    /// Too many certificates were sent within one day. The next one is available after `seconds` seconds.
    pub fn sent_too_often(&self, seconds: u64) -> Answer {
        self.tell(&Phrase::SentTooOften { seconds })
    }

    /// A command or setting was sent. If the device may be offline, the answer says what happens then.
    pub fn relayed(&self, says: &str, presence: Presence, patch: &Patch) -> Answer {
        let absence = match presence {
            Presence::Present => return Answer::say(Speech::text(says)),
            Presence::Away { .. } => Phrase::NotConnected,
            Presence::NeverSeen => Phrase::NotOnlineYet,
            Presence::Unsure => Phrase::MaybeConnected,
        };
        Answer::say(Speech::sentences(vec![says.to_owned(), format!("{} {}", self.words(&absence), self.waits(patch))]))
    }

    /// A command waits until it expires, a setting until the device applies it.
    fn waits(&self, patch: &Patch) -> String {
        self.words(&match patch.is_command() {
            true => Phrase::WaitsForDevice { minutes: self.model.command_lifetime.div_ceil(60) },
            false => Phrase::KeptForDevice,
        })
    }

    /// Appends that the new command replaces an unanswered one. `surely` is false if the device may have answered that one in the
    /// meantime.
    pub fn replaces(&self, answer: Answer, command: &str, surely: bool) -> Answer {
        self.also(answer, &Phrase::Replaces { command: &self.locale.name(command), surely })
    }

    /// The shadow has no space for another command.
    pub fn queue_is_full(&self) -> Answer {
        self.tell(&Phrase::QueueIsFull)
    }

    /// Elicits a slot with the question of the device model. Without a question, Alexa uses its own prompts, if its dialog is
    /// open.
    pub fn elicit(&self, intent: &Intent, slot: String, question: Option<String>, dialog_open: bool) -> Answer {
        let intent = intent.wire.clone();
        match question {
            Some(question) => {
                let dialog = Some(Dialog::ElicitSlot { slot, intent });
                Answer { dialog, ..Answer::ask(Speech::text(question.as_str()), Speech::text(question)) }
            }
            None if dialog_open => Answer { dialog: Some(Dialog::Delegate { intent }), ..Answer::default() },
            None => self.ask(&Phrase::Incomplete),
        }
    }

    /// Explains why the value of a slot is invalid, and elicits the slot again.
    pub fn invalid_slot(&self, intent: &Intent, slot: String, why: &InvalidSlot) -> Answer {
        let speech = self.speech(&Phrase::DoesNotFit(why));
        let dialog = Some(Dialog::ElicitSlot { slot, intent: intent.wire.clone() });
        Answer { dialog, ..Answer::ask(speech.clone(), speech) }
    }

    /// Asks for a confirmation.
    pub fn confirm(&self, intent: &Intent, question: &str) -> Answer {
        let dialog = Some(Dialog::ConfirmIntent { intent: intent.wire.clone() });
        Answer { dialog, ..Answer::ask(Speech::text(question), Speech::text(question)) }
    }

    /// The speech for an error. It has a LinkAccount card only if linking the account corrects the cause.
    pub fn error(&self, error: &SkillError) -> Answer {
        let phrase = match error {
            SkillError::Identify(IdentifyError::NotLinked) => Phrase::LinkFirst,
            SkillError::Identify(IdentifyError::TokenInvalid | IdentifyError::TokenForOtherClient) => Phrase::LinkAgain,
            SkillError::Identify(IdentifyError::ScopeMissing) => Phrase::LinkWithProfile,
            SkillError::Identify(IdentifyError::Unavailable(_)) => Phrase::LoginDown,
            SkillError::NoEmail => Phrase::NoEmail,
            SkillError::Onboard(OnboardError::Busy) => Phrase::OneMoment,
            SkillError::Onboard(OnboardError::Bounced(how)) => Phrase::MailCameBack(*how),
            SkillError::Onboard(OnboardError::TooOften(seconds)) => Phrase::SentTooOften { seconds: *seconds },
            SkillError::Care(error) if error.is_busy() => Phrase::OneMoment,
            SkillError::Onboard(OnboardError::Mail(MailError::AddressRefused(_))) => Phrase::AddressRefused,
            SkillError::Onboard(OnboardError::Mail(error)) => match error.fault() {
                Fault::Maker => Phrase::MailNotPossible,
                _ => Phrase::MailBusy,
            },
            SkillError::Relay(ShadowError::TooLarge) => Phrase::TooMuch,
            SkillError::Relay(ShadowError::Unclear(_)) | SkillError::Late => Phrase::Unsure,
            other => match other.fault() {
                Fault::Maker => Phrase::MakerMustAct,
                _ => Phrase::TryAgain,
            },
        };
        let answer = self.tell(&phrase);
        match error {
            SkillError::Identify(error) if error.requires_link() => answer.with_card(Card::LinkAccount),
            _ => answer,
        }
    }
}

/// A reported value in words. `None` for an object or array. The length is limited, because the value comes from the device.
fn spoken_form(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.chars().take(200).collect()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(if *yes { "on" } else { "off" }.into()),
        _ => None,
    }
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
