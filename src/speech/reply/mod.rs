//! Outcome to words and cards: one honest sentence, what went wrong, and who can mend it.

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

/// Speaks one language about one device.
#[derive(Clone, Copy, Debug)]
pub struct Responder<'a> {
    /// The language of the request.
    pub locale: Locale,
    /// The device.
    pub model: &'a Model,
}

/// Everything that can go wrong in the story.
#[derive(Debug, thiserror::Error)]
pub enum SkillError {
    /// Nobody to do it for.
    #[error("the owner was not identified")]
    Identify(#[from] IdentifyError),
    /// The profile holds no mail address to send a certificate to.
    #[error("the profile has no e-mail address")]
    NoEmail,
    /// No identity for the device.
    #[error("the owner was not onboarded")]
    Onboard(#[from] OnboardError),
    /// The shadow did not take or tell it.
    #[error("the command was not relayed")]
    Relay(#[from] ShadowError),
    /// The identity was not paused or forgotten.
    #[error("the identity was not taken out of service")]
    Care(#[from] LifecycleError),
    /// No code for a device.
    #[error("no code was made")]
    Claims(#[from] ClaimsError),
    /// The time for an answer was over.
    #[error("no answer in time")]
    Late,
}

/// What is known about an owner and their device.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// Whom the skill knows them as, in part.
    pub address: Option<String>,
    /// When the last certificate was sent.
    pub mailed_at: Option<u64>,
    /// Who can change it, where that mail has not gone out yet.
    pub waits: Option<Fault>,
    /// What became of that mail.
    pub bounce: Option<Bounce>,
    /// Whether the device is connected.
    pub connection: Connection,
    /// What the device said.
    pub shadow: Shadow,
    /// Seconds since the epoch.
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
    /// The words of a phrase.
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

    /// "Open my printer", by somebody who is ready.
    pub fn greeting(&self) -> Answer {
        self.ask(&Phrase::Greeting)
    }

    /// What one can say.
    pub fn help(&self) -> Answer {
        let abilities = self.model.abilities();
        self.ask(&Phrase::Help { abilities: &abilities, tells_status: self.model.intents.contains_key("StatusIntent") })
    }

    /// Words that match nothing.
    pub fn not_understood(&self) -> Answer {
        self.ask(&Phrase::NotUnderstood)
    }

    /// The end.
    pub fn goodbye(&self) -> Answer {
        self.tell(&Phrase::Goodbye)
    }

    /// The owner said no.
    pub fn not_done(&self) -> Answer {
        self.tell(&Phrase::NotDone)
    }

    /// A new owner, and what became of a command they began with. `waits` says who can change it, where their mail has not gone
    /// out yet.
    pub fn welcome(&self, wanted: Option<&Patch>, waits: Option<Fault>) -> Answer {
        let welcome = self.new_owner(waits);
        let card = Card::Simple { title: self.words(&Phrase::WelcomeTitle), content: welcome.clone() };
        let mut sentences = vec![welcome];
        sentences.extend(wanted.map(|patch| format!("{} {}", self.words(&Phrase::NotOnlineYet), self.waits(patch))));
        Answer::say(Speech::sentences(sentences)).with_card(card)
    }

    /// What a new owner hears of their identity and of the mail.
    pub fn new_owner(&self, waits: Option<Fault>) -> String {
        match waits {
            None => self.words(&Phrase::Welcome),
            Some(fault) => format!("{} {}", self.words(&Phrase::WelcomeBeforeMail), self.words(&Phrase::MailWaits(fault))),
        }
    }

    /// Another certificate is on its way, or waits for that.
    pub fn sent_again(&self, waits: Option<Fault>) -> Answer {
        match waits {
            None => self.tell(&Phrase::SentAgain),
            Some(fault) => self.also(self.tell(&Phrase::SentAgainBeforeMail), &Phrase::MailWaits(fault)),
        }
    }

    /// The device has not been heard of, which is no wonder: the mail for it has not gone out.
    pub fn mail_waits(&self, fault: Fault) -> Answer {
        self.tell(&Phrase::MailWaits(fault))
    }

    /// A code for a device, to be written down: said twice, and shown. `welcome` goes before it, for a new owner.
    /// `endpoint` is where the code opens.
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

    /// Codes would count nowhere.
    pub fn no_codes(&self) -> Answer {
        self.tell(&Phrase::NoCodes)
    }

    /// Too many codes; the next one can be had in so many seconds.
    pub fn codes_too_often(&self, seconds: u64) -> Answer {
        self.tell(&Phrase::CodesTooOften { seconds })
    }

    /// The owner is forgotten; `wholly` says whether the registry has let go of everything.
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

    /// An answer, and beside it what became of an earlier mail.
    pub fn told(&self, answer: Answer, bounce: Option<Bounce>) -> Answer {
        match bounce {
            Some(how) => self.also(answer, &Phrase::MailCameBack(how)),
            None => answer,
        }
    }

    /// What went wrong, and at its end the code that finds it in the log. Whoever has not linked yet has met
    /// no failure: this is how the story begins.
    pub fn coded(&self, answer: Answer, error: &SkillError, code: &str) -> Answer {
        match error {
            SkillError::Identify(IdentifyError::NotLinked) => answer,
            _ => self.also(answer, &Phrase::Code(code)),
        }
    }

    /// "Is my printer connected?", from everything that is known.
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

    /// The words for a reported status, of which a device model need not know.
    fn state(&self, status: &Value, now: u64) -> Option<Words> {
        match self.model.properties.get("status") {
            Some(property) => match self.locale.report(property, status, now) {
                Report::Fits(words, _) => Some(words),
                Report::Nothing | Report::CannotBeRight => None,
            },
            None => spoken(status).map(|status| self.locale.choice(&status)),
        }
    }

    /// Too many certificates in one day; the next one can be had in so many seconds.
    pub fn sent_too_often(&self, seconds: u64) -> Answer {
        self.tell(&Phrase::SentTooOften { seconds })
    }

    /// A command or setting on its way, and what becomes of it where the device may not be there.
    pub fn relayed(&self, says: &str, presence: Presence, patch: &Patch) -> Answer {
        let absence = match presence {
            Presence::Present => return Answer::say(Speech::text(says)),
            Presence::Away { .. } => Phrase::NotConnected,
            Presence::NeverSeen => Phrase::NotOnlineYet,
            Presence::Unsure => Phrase::MaybeConnected,
        };
        Answer::say(Speech::sentences(vec![says.to_owned(), format!("{} {}", self.words(&absence), self.waits(patch))]))
    }

    /// A command waits until it expires, a setting until it is met.
    fn waits(&self, patch: &Patch) -> String {
        self.words(&match patch.is_command() {
            true => Phrase::WaitsForDevice { minutes: self.model.command_lifetime.div_ceil(60) },
            false => Phrase::KeptForDevice,
        })
    }

    /// An answer, and beside it which command is lost by this one, `surely` or where the device has not answered it meanwhile.
    pub fn replaces(&self, answer: Answer, command: &str, surely: bool) -> Answer {
        self.also(answer, &Phrase::Replaces { command: &self.locale.name(command), surely })
    }

    /// There is no room for another command.
    pub fn queue_is_full(&self) -> Answer {
        self.tell(&Phrase::QueueIsFull)
    }

    /// Asks for a slot: by the maker's question, or by Alexa's own prompts while its dialog is open.
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

    /// Says why a value cannot be, and asks for another.
    pub fn invalid_slot(&self, intent: &Intent, slot: String, why: &InvalidSlot) -> Answer {
        let speech = self.speech(&Phrase::DoesNotFit(why));
        let dialog = Some(Dialog::ElicitSlot { slot, intent: intent.wire.clone() });
        Answer { dialog, ..Answer::ask(speech.clone(), speech) }
    }

    /// Asks whether to do it.
    pub fn confirm(&self, intent: &Intent, question: &str) -> Answer {
        let dialog = Some(Dialog::ConfirmIntent { intent: intent.wire.clone() });
        Answer { dialog, ..Answer::ask(Speech::text(question), Speech::text(question)) }
    }

    /// What went wrong, and a LinkAccount card where linking helps, nowhere else.
    pub fn error(&self, error: &SkillError) -> Answer {
        let phrase = match error {
            SkillError::Identify(IdentifyError::NotLinked) => Phrase::LinkFirst,
            SkillError::Identify(IdentifyError::TokenInvalid | IdentifyError::TokenForeign) => Phrase::LinkAgain,
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
            SkillError::Identify(error) if error.wants_link() => answer.with_card(Card::LinkAccount),
            _ => answer,
        }
    }
}

/// A reported value in words; a structure has none. It comes from the device, so its length is bounded.
fn spoken(value: &Value) -> Option<String> {
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
