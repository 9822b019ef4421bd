//! The phrases and mails in English.

pub(super) mod values;

use super::{FarewellWords, MailFacts, MailWords, Phrase, Words, html_escape};
use crate::device_model::{Ability, InvalidSlot};
use crate::fault::Fault;
use crate::registry::Bounce;

pub(super) fn say(phrase: &Phrase<'_>, device: &str, invocation: &str) -> String {
    match phrase {
        Phrase::LinkFirst => format!(
            "To use your {device}, please link your Amazon account. Open the Alexa app: I have put a card there, with a button that does it."
        ),
        Phrase::LinkAgain => {
            "The link to your Amazon account is no longer valid. Please open the Alexa app and link it again, by the card I have put there.".into()
        }
        Phrase::LinkWithProfile => {
            "I may not see your Amazon profile, which I need to send you a mail. Please open the Alexa app, link the account again by the card I have put there, and allow it.".into()
        }
        Phrase::LoginDown => "I cannot reach Amazon's sign-in at the moment. Nothing is lost. Please try again in a minute.".into(),
        Phrase::NoEmail => format!(
            "Your Amazon profile shows me no e-mail address, so I cannot send you the certificate of your {device}. \
             Please disable this skill in the Alexa app, enable it again, and allow it to see your e-mail address."
        ),
        Phrase::SettingUp => format!("One moment, I am setting up your {device}."),
        Phrase::Welcome => format!(
            "Your {device} has its own identity now. I have sent its certificate to the e-mail address of your Amazon account. \
             Open that mail on your {device} and follow its one step. Then say: Alexa, open {invocation}."
        ),
        Phrase::WelcomeTitle => format!("Your {device} is set up"),
        Phrase::ReallySendAgain => {
            format!("The certificate your {device} uses now will stop working within a day. Shall I send a new one?")
        }
        Phrase::SentAgain => format!(
            "I have sent a new certificate for your {device} to the e-mail address of your Amazon account. \
             The old one works until the new one is in use, and for a day at most."
        ),
        Phrase::WelcomeBeforeMail => format!("Your {device} has its own identity now."),
        Phrase::SentAgainBeforeMail => format!(
            "I have made a new certificate for your {device}. The old one works until the new one is in use, and for a day at most after the mail with the new one has gone out."
        ),
        Phrase::MailWaits(Fault::Maker) => {
            "I cannot send you the mail with the certificate at the moment; whoever runs this skill has to mend that. \
             It goes out by itself as soon as they have."
                .into()
        }
        Phrase::MailWaits(_) => {
            "The mail server does not take the mail with the certificate yet. I try again by myself, and you need not ask.".into()
        }
        Phrase::HereIsACode => format!("Here is a code for your {device}. I have put it on a card in the Alexa app, too."),
        Phrase::CodeAgain => "Once more.".into(),
        Phrase::CodeLimits { minutes } => format!("It is good for {}, and for one device.", amount(*minutes, "minute")),
        Phrase::CodeCommand { code, endpoint } => format!("On the device:\nonething-device claim {code} --register-url {endpoint}"),
        Phrase::CodeTitle => format!("A code for your {device}"),
        Phrase::NoCodes => format!(
            "This skill has no codes. Your {device} gets its certificate by mail: say, Alexa, ask {invocation} to send my certificate again."
        ),
        Phrase::CodesTooOften { seconds } => format!("I have given you five codes within an hour. I can give you the next one in {}.", age(*seconds)),
        Phrase::ReallyForget => {
            format!("I would delete the identity of your {device} and everything I know about you. Your {device} could not connect any more. Shall I?")
        }
        Phrase::ReallyReallyForget => "This cannot be undone. Do you really want me to forget you? Say yes or no.".into(),
        Phrase::Forgotten => {
            format!("I have forgotten you and your {device}. You can disable the skill now. If you speak to me again, we start afresh.")
        }
        Phrase::ForgottenSoon => format!(
            "I have forgotten you: nothing of your {device} works any more, and the last remains are deleted within a few hours. \
             If you speak to me again, we start afresh."
        ),
        Phrase::MailCameBack(Bounce::Bounced) => format!(
            "By the way: the mail with your certificate came back. Please check the e-mail address of your Amazon account. \
             Then say: Alexa, ask {invocation} to send my certificate again."
        ),
        Phrase::MailCameBack(Bounce::Complained) => format!(
            "By the way: the mail with your certificate was marked as spam, so I send nothing more by myself. \
             If you want another one, say: Alexa, ask {invocation} to send my certificate again."
        ),
        Phrase::MailCameBack(Bounce::Unsent) => format!(
            "By the way: I could not send the mail with your certificate. \
             If you want another one, say: Alexa, ask {invocation} to send my certificate again."
        ),
        Phrase::Connected { seconds: Some(seconds) } => format!("Your {device} is connected, for {}.", age(*seconds)),
        Phrase::Connected { seconds: None } => format!("Your {device} is connected."),
        Phrase::Disconnected { seconds: Some(seconds) } => {
            format!("Your {device} is not connected. I last heard of it {} ago.", age(*seconds))
        }
        Phrase::Disconnected { seconds: None } => format!("Your {device} is not connected."),
        Phrase::ConnectionUnknown { seconds: Some(seconds) } => format!(
            "I cannot tell whether your {device} is connected at the moment. It last reported {} ago.",
            age(*seconds)
        ),
        Phrase::ConnectionUnknown { seconds: None } => {
            format!("I cannot tell whether your {device} is connected at the moment. It has never reported anything.")
        }
        Phrase::LastState { state: Words { predicate: Some(state), .. } } => format!("When it last reported, it was {state}."),
        Phrase::LastState { state } => format!("Its last state was {}.", state.text),
        Phrase::LinkedAs { address } => format!("You are linked as {address}."),
        Phrase::MailedBefore { seconds } => format!("I sent your certificate {} ago.", age(*seconds)),
        Phrase::Code(code) => {
            let digits: Vec<String> = code.chars().map(String::from).collect();
            format!("Code {}.", digits.join(" "))
        }
        Phrase::SentTooOften { seconds } => {
            format!("I have sent you three certificates within a day. I can send the next one in {}.", age(*seconds))
        }
        Phrase::NotOnlineYet => format!("Your {device} has not been online yet."),
        Phrase::NotConnected => format!("Your {device} is not connected at the moment."),
        Phrase::MaybeConnected => format!("As far as I know, your {device} has not been online yet."),
        Phrase::WaitsForDevice { minutes } => format!("The command waits for it, for {}.", amount(*minutes, "minute")),
        Phrase::KeptForDevice => "It will do so as soon as it is.".into(),
        Phrase::Greeting => format!("Your {device} is ready. What shall it do?"),
        Phrase::Help { abilities, tells_status } => {
            let example = if *tells_status { "for the status" } else { "if it is connected" };
            let can = match abilities {
                [] => format!("I pass on to your {device} what you say."),
                abilities => format!("With your {device}, I can {}.", can(abilities)),
            };
            format!("{can} For example: ask {invocation} {example}. What would you like?")
        }
        Phrase::WhatNext => "What would you like? Say help to hear what I can do, or stop to end.".into(),
        Phrase::NotUnderstood => "I did not get that. Say help to hear what I can do. What would you like?".into(),
        Phrase::Goodbye => "Goodbye.".into(),
        Phrase::NotDone => "All right, I leave it as it is.".into(),
        Phrase::DoesNotFit(why) => invalid_slot_words(why),
        Phrase::Incomplete => "Something is missing in what you said. Please say it again, with all of it.".into(),
        Phrase::NeverReported => {
            format!("Your {device} has not been online yet. Please do the one step of the mail I sent you, and ask again.")
        }
        Phrase::ReportsNothing => format!("Your {device} is connected, but reports nothing."),
        Phrase::MaybeConnectedReportsNothing => {
            format!("Your {device} reports nothing, and I cannot tell whether it is connected at the moment.")
        }
        Phrase::NothingToSay => format!("Your {device} has not said anything about that yet."),
        Phrase::CannotBeRight { what } => {
            let values = if what.len() == 1 { "a value" } else { "values" };
            let what: Vec<String> = what.iter().map(|what| format!("the {what}")).collect();
            format!("Your {device} reports {values} for {} that cannot be right.", values::list(&what))
        }
        Phrase::SettingFailed { what, value, why, seconds } => {
            let to = value.map(|value| format!(" to {value}")).unwrap_or_default();
            format!("{} your {device} could not set the {what}{to}{}.", ago(*seconds), because(*why))
        }
        Phrase::CommandFailed { name, refused, why, seconds } => {
            let name = name.map_or_else(|| "a command".to_owned(), |name| format!("the command {name}"));
            let (ago, why) = (ago(*seconds), because(*why));
            if *refused { format!("{ago} your {device} refused {name}{why}.") } else { format!("{ago} {name} failed{why}.") }
        }
        Phrase::Replaces { command, surely: true } => format!("This replaces the command {command}, which was still waiting."),
        Phrase::Replaces { command, surely: false } => format!("This replaces the command {command}, if your {device} has not done it yet."),
        Phrase::QueueIsFull => {
            format!("Too many commands wait for your {device} already, so I have not passed this one on. Please say it again when it has caught up.")
        }
        Phrase::MeasuredAge { what, seconds } => format!("The {what} was last measured {} ago.", age(*seconds)),
        Phrase::ReportAge { seconds } => format!("That was {} ago.", age(*seconds)),
        Phrase::OneMoment => format!("One moment, your {device} is just being set up. Please ask again in a few seconds."),
        Phrase::TryAgain => "That did not work, and it was not your fault. Please try again in a moment.".into(),
        Phrase::Unsure => {
            "That took too long, and I cannot tell whether it was done. Please ask for the status, or try again in a moment.".into()
        }
        Phrase::MakerMustAct => {
            "Sorry, something on our side is not set up right. The maker of this skill has been told. Please try again later.".into()
        }
        Phrase::MailNotPossible => {
            "Sorry, I cannot send you a mail at the moment; whoever runs this skill has to mend that. Please try again later.".into()
        }
        Phrase::MailBusy => "The mail with your certificate has to wait a moment. Please ask me again in a minute.".into(),
        Phrase::AddressRefused => {
            "Mail cannot be sent to the e-mail address of your Amazon account. Please check it there, or use another address, and ask me again.".into()
        }
        Phrase::TooMuch => format!("That is more than your {device} can keep. Please say it shorter."),
    }
}

fn invalid_slot_words(why: &InvalidSlot) -> String {
    match why {
        InvalidSlot::NotANumber(_) => "I did not get the number. Please say it again.".into(),
        InvalidSlot::OutOfRange { said, min, max, unit, fraction } => {
            let unit = unit.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
            let number = if *fraction { "a whole number" } else { "a number" };
            format!("{} is not possible. Please say {number} from {min} to {max}{unit}.", capitalized(said))
        }
        InvalidSlot::NotWhole { said, unit } => {
            format!("{} is no whole number of {unit}. Please say it in whole {unit}.", capitalized(said))
        }
        InvalidSlot::NotOneOf { said, values } => {
            let values: Vec<String> = values.iter().map(|value| values::choice(value).text).collect();
            format!("I do not know {said}. It can be {}.", values.join(" or "))
        }
        InvalidSlot::TooLong { limit } => format!("That is too long. It can have at most {limit} letters."),
        InvalidSlot::TooMany => "One at a time, please. Which one?".into(),
    }
}

/// The text with an upper-case first letter.
fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn amount(count: u64, unit: &str) -> String {
    format!("{count} {}", values::plural(count, unit))
}

/// The start of a sentence about an event in the past: "Three minutes ago".
fn ago(seconds: u64) -> String {
    match seconds {
        0..=4 => "Just now".into(),
        _ => {
            let (count, unit) = span(seconds);
            format!("{} {} ago", capitalized(&values::number(count)), values::plural(count, unit))
        }
    }
}

/// The reason that a device reports, as the end of a sentence.
fn because(why: Option<&str>) -> String {
    why.map(|why| format!(": {}", why.trim_end_matches(['.', '!', '?']))).unwrap_or_default()
}

fn age(seconds: u64) -> String {
    let (count, unit) = span(seconds);
    amount(count, unit)
}

/// A duration in the largest suitable unit.
fn span(seconds: u64) -> (u64, &'static str) {
    match seconds {
        0..=119 => (seconds, "second"),
        120..=7_199 => (seconds / 60, "minute"),
        7_200..=172_799 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    }
}

pub(super) fn farewell(facts: &MailFacts<'_>) -> FarewellWords {
    let MailFacts { name, device, invocation, .. } = *facts;
    let hello = name.map_or_else(|| "Hello,".to_owned(), |name| format!("Hello {name},"));
    let text = format!(
        "{hello}\n\nas you asked, everything about you and your {device} has been deleted: its certificate, which opens\n\
         nothing any more, its state, and what connected it with your Amazon account. This is the last mail.\n\n\
         Was it not you? Say \"Alexa, open {invocation}\", and your {device} gets a new identity.\n"
    );
    FarewellWords { subject: format!("Your {device}: everything is deleted"), text }
}

pub(super) fn mail(facts: &MailFacts<'_>) -> MailWords {
    let MailFacts { name, device, invocation, thing, host, port, root } = *facts;
    let hello = name.map_or_else(|| "Hello,".to_owned(), |name| format!("Hello {name},"));
    let what =
        format!("this is the identity of your {device}. Whoever has the attached file can act as your {device}: keep it to yourself.");
    let how = format!("On your {device}, run this one command in the folder of the file:");
    let command = format!("onething-device setup {thing}.zip --run");
    let topic = format!("$aws/things/{thing}/shadow/update/delta");
    let then = format!("Then say: \"Alexa, open {invocation}.\"");
    let lost = format!(
        "Is the file lost, or did somebody else get it? Say \"Alexa, ask {invocation} to send my certificate again\": \
         a new one comes by mail, and this one stops working when the new one is in use, after a day at most. \
         To end it at once, say \"Alexa, ask {invocation} to forget me\"."
    );
    let text = format!("{hello}\n\n{what}\n\n{how}\n\n    {command}\n\n{then}\n\n{lost}\n");
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><body style=\"font-family:sans-serif;max-width:36em\">\n\
         <p>{}</p>\n<p>{}</p>\n<p>{}</p>\n\
         <pre style=\"background:#eee;color:#111;padding:.8em;white-space:pre-wrap;overflow-wrap:anywhere\">{}</pre>\n<p>{}</p>\n<p>{}</p>\n</body></html>\n",
        html_escape(&hello),
        html_escape(&what),
        html_escape(&how),
        html_escape(&command),
        html_escape(&then),
        html_escape(&lost),
    );
    let readme = format!(
        "The identity of your {device}: {thing}\n\n\
         {how}\n\n    {command}\n\n\
         Any MQTT program does, too: MQTT over mutual TLS with certificate.pem and private.key.pem, the\n\
         client id of connection.json, and the server known by the root certificates that lie beside it.\n\
         device.toml says what your {device} is and does.\n\
         To see what you say arrive, in this folder:\n\n    \
         mosquitto_sub -h {host} -p {port} -i {thing} --cafile {root} \\\n      \
         --cert certificate.pem --key private.key.pem -q 1 -t '{topic}'\n\n{lost}\n"
    );
    MailWords { subject: format!("Your {device}: the certificate"), text, html, readme }
}

/// The abilities of a device, as the continuation of "I can".
fn can(abilities: &[Ability]) -> String {
    let words = |ability: &Ability| match ability {
        Ability::Do(commands) => format!("have it {}", values::list_with(commands, "or")),
        Ability::Switch(None) => "switch it on or off".to_owned(),
        Ability::Switch(Some(what)) => format!("switch the {what} on or off"),
        Ability::Set(properties) => {
            let properties: Vec<String> = properties.iter().map(|name| format!("the {name}")).collect();
            format!("set {}", values::list(&properties))
        }
        Ability::Tell => "tell you how it is".to_owned(),
    };
    match abilities.iter().map(words).collect::<Vec<_>>().as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [one, other] => format!("{one}, and {other}"),
        [first @ .., last] => format!("{}, and {last}", first.join(", ")),
    }
}
