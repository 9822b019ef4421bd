//! The speech and the mails of the skill, by language. Each language is one file, and the compiler reports missing phrases.

mod en;
mod words;

use time::{Date, OffsetDateTime};

pub use self::words::{Report, Words};
use crate::alexa::built_in::BuiltInValue;
use crate::device_model::{Ability, InvalidSlot};
use crate::fault::Fault;
use crate::registry::Bounce;

/// A language of the skill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Locale {
    /// English, which is also used for languages that are not supported.
    #[default]
    English,
}

/// The sentences of the skill itself. Sentences of the device model (`says`, `ask`) come from the maker.
#[derive(Clone, Debug, PartialEq)]
pub enum Phrase<'a> {
    /// The request has no access token.
    LinkFirst,
    /// The access token is invalid.
    LinkAgain,
    /// The access token does not have the required scope.
    LinkWithProfile,
    /// Login with Amazon is unavailable.
    LoginDown,
    /// The profile has no mail address.
    NoEmail,
    /// The progressive response during an onboarding.
    SettingUp,
    /// The onboarding of a new owner is complete.
    Welcome,
    /// The title of the card for a new owner.
    WelcomeTitle,
    /// The question before the certificate is replaced.
    ReallySendAgain,
    /// The certificate was replaced and the new one was sent.
    SentAgain,
    /// The onboarding of a new owner is complete, but the mail is still in the queue.
    WelcomeBeforeMail,
    /// The certificate was replaced, but the mail with the new one is still in the queue.
    SentAgainBeforeMail,
    /// The mail with the certificate is still in the queue. Contains who can correct the cause.
    MailWaits(Fault),
    /// Too many certificates were sent within one day.
    SentTooOften {
        /// The number of seconds until the next one is available.
        seconds: u64,
    },
    /// Before the claim code is spelled out.
    HereIsACode,
    /// Before the claim code is spelled out again.
    CodeAgain,
    /// The limits of the claim code.
    CodeLimits {
        /// The lifetime in minutes.
        minutes: u64,
    },
    /// The title of the card with the claim code.
    CodeTitle,
    /// The command that the owner enters on a device without configuration.
    CodeCommand {
        /// The claim code.
        code: &'a str,
        /// The URL of the registration endpoint.
        endpoint: &'a str,
    },
    /// There is no registration endpoint that accepts claim codes.
    NoCodes,
    /// Too many claim codes were requested.
    CodesTooOften {
        /// The number of seconds until the next one is available.
        seconds: u64,
    },
    /// The first question before all data are deleted.
    ReallyForget,
    /// The second question before all data are deleted.
    ReallyReallyForget,
    /// All data were deleted.
    Forgotten,
    /// The data were deleted, except for remains in the registry that the sweep deletes later.
    ForgottenSoon,
    /// The last mail was not delivered.
    MailCameBack(Bounce),
    /// The device is connected.
    Connected {
        /// The number of seconds since it connected, if known.
        seconds: Option<u64>,
    },
    /// The device is not connected.
    Disconnected {
        /// The number of seconds since it disconnected or last reported, if known.
        seconds: Option<u64>,
    },
    /// The state of the connection is unknown.
    ConnectionUnknown {
        /// The number of seconds since the device last reported, if it ever did.
        seconds: Option<u64>,
    },
    /// The last state that the device reported.
    LastState {
        /// The words for the state.
        state: &'a Words,
    },
    /// The account that is linked.
    LinkedAs {
        /// The masked mail address.
        address: &'a str,
    },
    /// The time when the certificate was sent.
    MailedBefore {
        /// The number of seconds since then.
        seconds: u64,
    },
    /// The code with which a failure is found in the log.
    Code(&'a str),
    /// The device has never connected.
    NotOnlineYet,
    /// The device has connected before, but is not connected now.
    NotConnected,
    /// The state of the connection is unavailable.
    MaybeConnected,
    /// A command waits for the device. Follows one of the last three phrases.
    WaitsForDevice {
        /// The number of minutes until the command expires.
        minutes: u64,
    },
    /// A setting waits for the device. Follows one of the same three phrases.
    KeptForDevice,
    /// The answer to the launch of the skill by an onboarded owner.
    Greeting,
    /// The help.
    Help {
        /// The abilities of the device.
        abilities: &'a [Ability],
        /// Whether the device model has an intent for the status.
        tells_status: bool,
    },
    /// The reprompt.
    WhatNext,
    /// The utterance matches no intent.
    NotUnderstood,
    /// The end of the session.
    Goodbye,
    /// The owner denied a confirmation.
    NotDone,
    /// The value of a slot is invalid.
    DoesNotFit(&'a InvalidSlot),
    /// A slot is not filled, and Alexa cannot elicit it.
    Incomplete,
    /// The device has never reported and never connected.
    NeverReported,
    /// The device is connected and reports nothing.
    ReportsNothing,
    /// The device reports nothing, and the state of its connection is unavailable.
    MaybeConnectedReportsNothing,
    /// The device has reported no value that answers the question.
    NothingToSay,
    /// The device has reported invalid values.
    CannotBeRight {
        /// The spoken names of the properties.
        what: &'a [String],
    },
    /// The device could not set a property.
    SettingFailed {
        /// The spoken name of the property.
        what: &'a str,
        /// The words for the desired value.
        value: Option<&'a str>,
        /// The reason that the device reports.
        why: Option<&'a str>,
        /// The number of seconds since the failure.
        seconds: u64,
    },
    /// The device did not perform a command.
    CommandFailed {
        /// The spoken name of the command, if the device reports it.
        name: Option<&'a str>,
        /// Whether the device refused the command before it started.
        refused: bool,
        /// The reason that the device reports.
        why: Option<&'a str>,
        /// The number of seconds since the failure.
        seconds: u64,
    },
    /// The new command replaces one that the device has not answered.
    Replaces {
        /// The spoken name of the replaced command.
        command: &'a str,
        /// Whether it is certain that the device has not answered it.
        surely: bool,
    },
    /// The shadow has no space for another command.
    QueueIsFull,
    /// The age of a measured property that is older than the other reported values.
    MeasuredAge {
        /// The spoken name of the property.
        what: &'a str,
        /// The age in seconds.
        seconds: u64,
    },
    /// The age of the report.
    ReportAge {
        /// The age in seconds.
        seconds: u64,
    },
    /// Another request for the same owner is in progress.
    OneMoment,
    /// The time limit has passed, or the fault is temporary.
    TryAgain,
    /// It is unknown whether the change was made.
    Unsure,
    /// The operator must correct the cause.
    MakerMustAct,
    /// The mail cannot be sent, and the operator must correct the cause.
    MailNotPossible,
    /// The mail service refused the mail temporarily.
    MailBusy,
    /// The mail service refused the address of the owner.
    AddressRefused,
    /// The change does not fit into the shadow.
    TooMuch,
}

/// The data that a mail mentions.
pub struct MailFacts<'a> {
    /// The name of the owner, in one line.
    pub name: Option<&'a str>,
    /// The spoken name of the device.
    pub device: &'a str,
    /// The invocation name of the skill.
    pub invocation: &'a str,
    /// The name of the thing.
    pub thing: &'a str,
    /// The host of the MQTT endpoint.
    pub host: &'a str,
    /// The port of the MQTT endpoint.
    pub port: u16,
    /// The file name of the root certificate that authenticates the endpoint.
    pub root: &'a str,
}

/// The content of the last mail to an owner.
pub struct FarewellWords {
    /// The subject.
    pub subject: String,
    /// The plain text.
    pub text: String,
}

/// The content of the mail with a certificate, and of the file `README.txt` in its bundle.
pub struct MailWords {
    /// The subject of the mail.
    pub subject: String,
    /// The plain text of the mail.
    pub text: String,
    /// The HTML text of the mail.
    pub html: String,
    /// The content of `README.txt`.
    pub readme: String,
}

impl Locale {
    /// The language for the `locale` of a request, such as `en-US`.
    pub fn of(_locale: Option<&str>) -> Self {
        Locale::English
    }

    /// The text of a phrase. `device` is the spoken name of the device, `invocation` the invocation name of the skill.
    pub fn say(self, phrase: &Phrase<'_>, device: &str, invocation: &str) -> String {
        match self {
            Locale::English => en::say(phrase, device, invocation),
        }
    }

    /// The words for a value in a slot or a shadow: "ten minutes" for `PT10M`. Any other text is returned unchanged. `now` is
    /// Unix time in seconds and determines whether the words for a date contain the year.
    pub fn words(self, value: &str, now: u64) -> Words {
        let day = |now: u64| OffsetDateTime::from_unix_timestamp(i64::try_from(now).ok()?).ok().map(OffsetDateTime::date);
        let today = day(now).unwrap_or(Date::MIN);
        match BuiltInValue::parse(value) {
            None => value.to_owned().into(),
            Some(value) => match self {
                Locale::English => en::values::words(value, today),
            },
        }
    }

    /// The word for the state of a switch.
    pub fn switch(self, on: bool) -> Words {
        let words = match self {
            Locale::English => en::values::switch(on),
        };
        words.to_owned().into()
    }

    /// The words for one of several values: "warm white" for `warm_white`.
    pub fn choice(self, value: &str) -> Words {
        match self {
            Locale::English => en::values::choice(value),
        }
    }

    /// The words for the name of a property: "nozzle target" for `nozzleTarget`.
    pub fn name(self, property: &str) -> String {
        match self {
            Locale::English => en::values::name(property),
        }
    }

    /// The singular of a unit.
    fn singular(self, unit: &str) -> String {
        match self {
            Locale::English => en::values::singular(unit),
        }
    }

    /// Whether a sentence so far ends with a verb that a state can follow: "your printer is".
    fn says_how_something_is(self, sentence: &str) -> bool {
        match self {
            Locale::English => en::values::says_how_something_is(sentence),
        }
    }

    /// The words in the form in which they follow the sentence so far.
    fn after<'w>(self, sentence: &str, words: &'w str) -> &'w str {
        match self {
            Locale::English => en::values::after(sentence, words),
        }
    }

    /// An enumeration of several items.
    pub fn list(self, items: &[String]) -> String {
        match self {
            Locale::English => en::values::list(items),
        }
    }

    /// The number of seconds in a unit of time that a device model names. `None` for any other unit.
    pub fn seconds_of(self, unit: &str) -> Option<u64> {
        match self {
            Locale::English => en::values::seconds_of(unit),
        }
    }

    /// Whether a word is an article.
    pub fn is_article(self, words: &str) -> bool {
        match self {
            Locale::English => en::values::is_article(words),
        }
    }

    /// The byte offset of the preposition at the end of a sentence, before a time or a date.
    fn before_preposition(self, sentence: &str) -> Option<usize> {
        match self {
            Locale::English => en::values::before_preposition(sentence),
        }
    }

    /// The mail that confirms that all data were deleted.
    pub fn farewell(self, facts: &MailFacts<'_>) -> FarewellWords {
        match self {
            Locale::English => en::farewell(facts),
        }
    }

    /// The mail with a bundle.
    pub fn mail(self, facts: &MailFacts<'_>) -> MailWords {
        match self {
            Locale::English => en::mail(facts),
        }
    }
}

/// Escapes the special characters of HTML.
fn html_escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
