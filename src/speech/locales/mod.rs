//! The words, by language. A language is one file, and the compiler says what it still lacks.

mod en;
mod words;

use time::{Date, OffsetDateTime};

pub use self::words::{Report, Words};
use crate::alexa::built_in::BuiltInValue;
use crate::device_model::{Ability, InvalidSlot};
use crate::fault::Fault;
use crate::registry::Bounce;

/// A language the skill speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Locale {
    /// English, which also stands in for a language that is not there yet.
    #[default]
    English,
}

/// Everything the skill can say by itself. What the device model says (`says`, `ask`) is the maker's.
#[derive(Clone, Debug, PartialEq)]
pub enum Phrase<'a> {
    /// No token.
    LinkFirst,
    /// A token that is no good.
    LinkAgain,
    /// A token without the scope that is needed.
    LinkWithProfile,
    /// Login with Amazon is out of reach.
    LoginDown,
    /// The profile has no mail address.
    NoEmail,
    /// While a new owner waits.
    SettingUp,
    /// A new owner.
    Welcome,
    /// A new owner's title for the card.
    WelcomeTitle,
    /// Before a certificate is replaced.
    ReallySendAgain,
    /// After it.
    SentAgain,
    /// A new owner whose mail waits to be sent.
    WelcomeBeforeMail,
    /// After a certificate was replaced, while the mail with the new one waits to be sent.
    SentAgainBeforeMail,
    /// The mail with the certificate waits to be sent, and who can change that.
    MailWaits(Fault),
    /// Not now.
    SentTooOften {
        /// Until when, in seconds.
        seconds: u64,
    },
    /// Before a code is spelled out.
    HereIsACode,
    /// Before it is spelled out once more.
    CodeAgain,
    /// What the code is good for.
    CodeLimits {
        /// For so many minutes.
        minutes: u64,
    },
    /// The title of the card with the code.
    CodeTitle,
    /// What to type on the device, which has nothing yet.
    CodeCommand {
        /// The code.
        code: &'a str,
        /// The address of the endpoint.
        endpoint: &'a str,
    },
    /// There is no endpoint at which a code would count.
    NoCodes,
    /// Not now.
    CodesTooOften {
        /// Until when, in seconds.
        seconds: u64,
    },
    /// Before everything is deleted.
    ReallyForget,
    /// Before it is, once more.
    ReallyReallyForget,
    /// After it.
    Forgotten,
    /// After it, when the registry takes its time.
    ForgottenSoon,
    /// The last mail came back.
    MailCameBack(Bounce),
    /// The device is connected.
    Connected {
        /// For so many seconds.
        seconds: Option<u64>,
    },
    /// The device is not connected.
    Disconnected {
        /// For so many seconds.
        seconds: Option<u64>,
    },
    /// Nobody can tell whether the device is connected.
    ConnectionUnknown {
        /// So many seconds after it last reported.
        seconds: Option<u64>,
    },
    /// The last state that the device reported.
    LastState {
        /// The words for it.
        state: &'a Words,
    },
    /// Whose account it is.
    LinkedAs {
        /// The masked address.
        address: &'a str,
    },
    /// When the certificate was sent.
    MailedBefore {
        /// So many seconds ago.
        seconds: u64,
    },
    /// What finds a failure in the log.
    Code(&'a str),
    /// The device was never heard of.
    NotOnlineYet,
    /// The device was heard of, and is not connected now.
    NotConnected,
    /// Nobody could be asked whether the device is connected.
    MaybeConnected,
    /// After one of these three: a command waits for the device.
    WaitsForDevice {
        /// Minutes until the command expires.
        minutes: u64,
    },
    /// The same for a setting.
    KeptForDevice,
    /// "Open my printer", by somebody known.
    Greeting,
    /// What one can say.
    Help {
        /// What the device can do.
        abilities: &'a [Ability],
        /// Whether the device can be asked how it is.
        tells_status: bool,
    },
    /// After a silence.
    WhatNext,
    /// Something was not understood.
    NotUnderstood,
    /// The end.
    Goodbye,
    /// The owner declined.
    NotDone,
    /// The words do not fit.
    DoesNotFit(&'a InvalidSlot),
    /// A slot is missing, and Alexa cannot ask for it.
    Incomplete,
    /// The device has never reported, and was never connected.
    NeverReported,
    /// The device is connected, and reports nothing.
    ReportsNothing,
    /// The device reports nothing, and nobody could be asked whether it is connected.
    MaybeConnectedReportsNothing,
    /// The device has reported nothing that answers the question.
    NothingToSay,
    /// The device has reported something that it cannot have.
    CannotBeRight {
        /// The properties, in words.
        what: &'a [String],
    },
    /// The device could not set a property.
    SettingFailed {
        /// The property, in words.
        what: &'a str,
        /// What it was to be, in words.
        value: Option<&'a str>,
        /// What the device says about it.
        why: Option<&'a str>,
        /// So many seconds ago.
        seconds: u64,
    },
    /// The device did not do a command.
    CommandFailed {
        /// The command, in words.
        name: Option<&'a str>,
        /// Whether the device did not even begin.
        refused: bool,
        /// What the device says about it.
        why: Option<&'a str>,
        /// So many seconds ago.
        seconds: u64,
    },
    /// A command takes the place of one that the device has not answered.
    Replaces {
        /// The one that is lost, in words.
        command: &'a str,
        /// Whether it is known that the device has not answered it.
        surely: bool,
    },
    /// The shadow has no room for another command.
    QueueIsFull,
    /// When a property was last measured, where that is longer ago than the rest of what is said.
    MeasuredAge {
        /// The property, in words.
        what: &'a str,
        /// In seconds.
        seconds: u64,
    },
    /// How old the report is.
    ReportAge {
        /// In seconds.
        seconds: u64,
    },
    /// Another request is onboarding.
    OneMoment,
    /// Out of time, or a passing fault.
    TryAgain,
    /// Nobody knows whether it was done.
    Unsure,
    /// The maker has to do something.
    MakerMustAct,
    /// The mail cannot be sent, for a reason the maker can mend.
    MailNotPossible,
    /// The mail provider is busy.
    MailBusy,
    /// The owner's address is refused.
    AddressRefused,
    /// The shadow has no room.
    TooMuch,
}

/// What a mail is about.
pub struct MailFacts<'a> {
    /// The owner's name, in one line.
    pub name: Option<&'a str>,
    /// How Alexa calls the device.
    pub device: &'a str,
    /// The invocation name of the skill.
    pub invocation: &'a str,
    /// The thing's name.
    pub thing: &'a str,
    /// Where the device connects.
    pub host: &'a str,
    /// By this port.
    pub port: u16,
    /// The file of the root by which it knows the server.
    pub root: &'a str,
}

/// The words of the last mail.
pub struct FarewellWords {
    /// The subject.
    pub subject: String,
    /// As plain text.
    pub text: String,
}

/// The words of a mail and of the file in its bundle.
pub struct MailWords {
    /// The subject.
    pub subject: String,
    /// As plain text.
    pub text: String,
    /// As HTML.
    pub html: String,
    /// `README.txt`.
    pub readme: String,
}

impl Locale {
    /// The language of a request's `locale`, such as `en-US`.
    pub fn of(_locale: Option<&str>) -> Self {
        Locale::English
    }

    /// Words for the owner. `device` is the device's name, `invocation` the skill's.
    pub fn say(self, phrase: &Phrase<'_>, device: &str, invocation: &str) -> String {
        match self {
            Locale::English => en::say(phrase, device, invocation),
        }
    }

    /// The words for a value as a slot or a shadow holds it: `PT10M` is "ten minutes", and any other text is its own words. `now`, in
    /// seconds since the epoch, says which dates need their year.
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

    /// The word for a switch.
    pub fn switch(self, on: bool) -> Words {
        let words = match self {
            Locale::English => en::values::switch(on),
        };
        words.to_owned().into()
    }

    /// The words for a value of a list, as a device model writes it: `warm_white` is "warm white".
    pub fn choice(self, value: &str) -> Words {
        match self {
            Locale::English => en::values::choice(value),
        }
    }

    /// The words for the name of a property: `nozzleTarget` is "nozzle target".
    pub fn name(self, property: &str) -> String {
        match self {
            Locale::English => en::values::name(property),
        }
    }

    /// One of a unit.
    fn singular(self, unit: &str) -> String {
        match self {
            Locale::English => en::values::singular(unit),
        }
    }

    /// Whether a sentence ends so that a state goes on with it: "your printer is".
    fn says_how_something_is(self, sentence: &str) -> bool {
        match self {
            Locale::English => en::values::says_how_something_is(sentence),
        }
    }

    /// Words as they stand after what a sentence has said so far.
    fn after<'w>(self, sentence: &str, words: &'w str) -> &'w str {
        match self {
            Locale::English => en::values::after(sentence, words),
        }
    }

    /// Several things in one breath.
    pub fn list(self, items: &[String]) -> String {
        match self {
            Locale::English => en::values::list(items),
        }
    }

    /// The seconds of a unit of time, as a device model names it; `None` for any other unit.
    pub fn seconds_of(self, unit: &str) -> Option<u64> {
        match self {
            Locale::English => en::values::seconds_of(unit),
        }
    }

    /// Whether words are nothing but an article, which names nothing.
    pub fn is_article(self, words: &str) -> bool {
        match self {
            Locale::English => en::values::is_article(words),
        }
    }

    /// Where the preposition begins that a sentence ends with, before a time or a date.
    fn before_preposition(self, sentence: &str) -> Option<usize> {
        match self {
            Locale::English => en::values::before_preposition(sentence),
        }
    }

    /// The mail that says that everything is deleted.
    pub fn farewell(self, facts: &MailFacts<'_>) -> FarewellWords {
        match self {
            Locale::English => en::farewell(facts),
        }
    }

    /// The mail that carries a bundle.
    pub fn mail(self, facts: &MailFacts<'_>) -> MailWords {
        match self {
            Locale::English => en::mail(facts),
        }
    }
}

/// Replaces what HTML takes for markup.
fn html_escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
