//! The mail that carries a bundle to its owner.
//!
//! Name and address come from a profile and are hostile input. The address is parsed before it gets
//! here; the name goes into the text only, and a header is never made of it by hand: `lettre` encodes.

mod attachment;
pub mod bundle;
pub mod smtp;

use lettre::address::Envelope;
use lettre::message::{Mailbox, MessageBuilder, MultiPart, SinglePart};
use thiserror::Error;

use self::bundle::Broker;
use crate::certificate::{Certificate, NewCertificate};
use crate::fault::{ClassifiedError, Fault, Step};
use crate::identifiers::{CertificateId, ThingName};
use crate::login::EmailAddress;
use crate::metrics::{Measure, Meter};
use crate::speech::locales::{Locale, MailFacts};

/// A finished message: RFC 5322 with the envelope it travels in.
pub struct Letter {
    /// The sender's address.
    pub from: String,
    /// The recipient.
    pub to: EmailAddress,
    /// The message, lines ended by CRLF; ASCII only, but for a recipient who is not.
    pub message: Vec<u8>,
    /// What it carries; news about the mail come back with it.
    pub label: Option<Label>,
}

/// What a mail carries, in words that are no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Whose mail it is.
    pub thing: ThingName,
    /// The certificate in it.
    pub certificate: CertificateId,
}

/// Who sends.
#[derive(Clone, Debug)]
pub struct Sender {
    /// `MAIL_FROM`.
    pub from: Mailbox,
    /// `MAIL_REPLY_TO`.
    pub reply_to: Option<Mailbox>,
}

/// What a mail is about.
pub struct Parcel<'a> {
    /// The owner's name, as the profile has it.
    pub name: Option<&'a str>,
    /// The owner's address.
    pub to: &'a EmailAddress,
    /// Whose certificate it is.
    pub thing: &'a ThingName,
    /// How Alexa calls the device.
    pub device: &'a str,
    /// The invocation name of the skill.
    pub invocation: &'a str,
    /// The part of the device model that the device needs.
    pub device_model: &'a str,
    /// Where the device connects.
    pub broker: &'a Broker,
    /// The language of the request.
    pub locale: Locale,
    /// Seconds since the epoch.
    pub now: u64,
}

/// Sends mail.
pub trait Mailer: Send + Sync {
    /// Hands a message over, once: a repetition would be a second mail. A mailer that keeps what the mail server does not take yet has
    /// taken the message when it is kept so that it survives a crash.
    fn send(&self, letter: Letter) -> impl Future<Output = Result<(), MailError>> + Send;

    /// Whether mail to an address of such a form can go out at all.
    fn takes(&self, _to: &EmailAddress) -> bool {
        true
    }

    /// Why the mail with a thing's certificate has not gone out yet, where it was taken and waits: who can change that.
    fn waits(&self, _thing: &ThingName) -> impl Future<Output = Option<Fault>> + Send {
        std::future::ready(None)
    }
}

/// Brings a new certificate to whoever it is for, once: a repetition would be a second one.
pub trait Delivery: Sync {
    /// Hands it over.
    fn deliver(&self, fresh: NewCertificate) -> impl Future<Output = Result<(), MailError>> + Send;
}

/// Brings it by mail.
pub struct ByMail<'a, M, F> {
    /// Mail.
    pub mailer: &'a M,
    /// Writes the mail for a certificate.
    pub write: F,
    /// Counts the mails.
    pub measure: Meter,
}

impl<M: Mailer, F: Fn(&Certificate) -> Result<Letter, MailError> + Sync> Delivery for ByMail<'_, M, F> {
    async fn deliver(&self, fresh: NewCertificate) -> Result<(), MailError> {
        let NewCertificate::WithKey(certificate) = fresh else {
            return Err(MailError::Unwritable("a bundle without its key".into()));
        };
        let sent = async { self.mailer.send((self.write)(&certificate)?).await }.await;
        (self.measure)(match &sent {
            Ok(()) => &Measure::MailAccepted,
            // An owner's address is no matter for the maker, whom a refused mail alarms.
            Err(error) if error.fault() == Fault::Speaker => &Measure::MailAddressRefused,
            Err(_) => &Measure::MailRefused,
        });
        sent
    }
}

/// Why a mail did not go out.
#[derive(Clone, Debug, Error)]
pub enum MailError {
    /// Mail cannot be sent to the recipient's address.
    #[error("mail cannot be sent to the recipient's address: {0}")]
    AddressRefused(String),
    /// The sender or, in SES's sandbox, the recipient is not verified.
    #[error("an address is not verified: the account is in the SES sandbox, or MAIL_FROM is not verified ({0})")]
    NotVerified(String),
    /// The account or the configuration set may not send at the moment.
    #[error("sending is paused: {0}")]
    Paused(String),
    /// Over the sending rate or the daily quota.
    #[error("over the sending quota: {0}")]
    Throttled(String),
    /// Refused for another reason.
    #[error("the mail was refused with {0}")]
    Refused(String),
    /// The mail server was not reached, or let nobody in: no mail was handed over.
    #[error("the mail server cannot be used: {0}")]
    ServerUnusable(String),
    /// The message could not be written.
    #[error("the mail could not be composed: {0}")]
    Unwritable(String),
    /// No answer that says whether it was sent.
    #[error("no clear answer: {0}")]
    Unclear(String),
}

impl MailError {
    /// Whether the mail was certainly not sent.
    pub fn is_definite(&self) -> bool {
        !matches!(self, MailError::Unclear(_))
    }

    /// Whether the same message may be taken later, without any change to it.
    pub fn may_pass(&self) -> bool {
        matches!(self, MailError::ServerUnusable(_) | MailError::Paused(_) | MailError::Throttled(_) | MailError::Unclear(_))
    }
}

impl ClassifiedError for MailError {
    fn step(&self) -> Step {
        Step::Deliver
    }

    fn fault(&self) -> Fault {
        match self {
            MailError::AddressRefused(_) => Fault::Speaker,
            MailError::NotVerified(_)
            | MailError::Paused(_)
            | MailError::Refused(_)
            | MailError::ServerUnusable(_)
            | MailError::Unwritable(_) => Fault::Maker,
            MailError::Throttled(_) | MailError::Unclear(_) => Fault::Again,
        }
    }

    fn cause(&self) -> &'static str {
        match self {
            MailError::AddressRefused(_) => "mail_address_refused",
            MailError::NotVerified(_) => "mail_not_verified",
            MailError::Paused(_) => "mail_paused",
            MailError::Throttled(_) => "mail_throttled",
            MailError::Refused(_) => "mail_refused",
            MailError::ServerUnusable(_) => "mail_server_unusable",
            MailError::Unwritable(_) => "mail_unwritable",
            MailError::Unclear(_) => "mail_unclear",
        }
    }
}

/// Writes the mail: text and HTML, and the bundle as its one attachment.
pub fn compose(sender: &Sender, parcel: &Parcel<'_>, certificate: &Certificate) -> Result<Letter, MailError> {
    let name = parcel.name.map(plain);
    let words = parcel.locale.mail(&parcel.facts(name.as_deref()));
    let zip = bundle::zip(parcel.thing, certificate, parcel.broker, parcel.now, parcel.device_model, &words.readme);
    let attachment = attachment::zip(parcel.thing, zip.map_err(|e| unwritable(&e))?)?;
    let alternatives = MultiPart::alternative_plain_html(words.text, words.html);
    let message = envelope(sender, parcel, words.subject)?;
    let message = message.multipart(MultiPart::mixed().multipart(alternatives).singlepart(attachment)).map_err(|e| unwritable(&e))?;
    let label = Label { thing: parcel.thing.clone(), certificate: certificate.id.clone() };
    Ok(Letter { from: sender.from.email.to_string(), to: parcel.to.clone(), message: message.formatted(), label: Some(label) })
}

/// Writes the last mail: everything is deleted.
pub fn farewell(sender: &Sender, parcel: &Parcel<'_>) -> Result<Letter, MailError> {
    let name = parcel.name.map(plain);
    let words = parcel.locale.farewell(&parcel.facts(name.as_deref()));
    let message = envelope(sender, parcel, words.subject)?.singlepart(SinglePart::plain(words.text)).map_err(|e| unwritable(&e))?;
    Ok(Letter { from: sender.from.email.to_string(), to: parcel.to.clone(), message: message.formatted(), label: None })
}

/// Writes a mail that shows its recipient, who runs the hub, that mail arrives.
pub fn trial(sender: &Sender, to: &EmailAddress, now: u64) -> Result<Letter, MailError> {
    let message = lettre::Message::builder()
        .from(sender.from.clone())
        .to(Mailbox::new(None, to.mailbox().clone()))
        .envelope(addresses(sender, to)?)
        .subject("A test mail")
        .date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(now))
        .singlepart(SinglePart::plain("This mail shows that mail with certificates arrives, too.\r\n".to_owned()))
        .map_err(|e| unwritable(&e))?;
    Ok(Letter { from: sender.from.email.to_string(), to: to.clone(), message: message.formatted(), label: None })
}

impl Parcel<'_> {
    fn facts<'a>(&'a self, name: Option<&'a str>) -> MailFacts<'a> {
        MailFacts {
            name,
            device: self.device,
            invocation: self.invocation,
            thing: self.thing.as_str(),
            host: &self.broker.host,
            port: self.broker.port,
            root: self.broker.roots.first().map_or("", |(file, _)| file),
        }
    }
}

/// Given apart: out of the header, `lettre` does not read every address.
fn addresses(sender: &Sender, to: &EmailAddress) -> Result<Envelope, MailError> {
    Envelope::new(Some(sender.from.email.clone()), vec![to.mailbox().clone()]).map_err(|e| unwritable(&e))
}

fn envelope(sender: &Sender, parcel: &Parcel<'_>, subject: String) -> Result<MessageBuilder, MailError> {
    let message = lettre::Message::builder()
        .from(sender.from.clone())
        .to(Mailbox::new(None, parcel.to.mailbox().clone()))
        .envelope(addresses(sender, parcel.to)?)
        .subject(subject)
        .date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(parcel.now));
    Ok(match &sender.reply_to {
        Some(reply_to) => message.reply_to(reply_to.clone()),
        None => message,
    })
}

fn unwritable(error: &dyn std::fmt::Display) -> MailError {
    MailError::Unwritable(error.to_string())
}

/// A profile name as one line of at most 100 characters.
fn plain(name: &str) -> String {
    name.replace(char::is_control, " ").split_whitespace().collect::<Vec<_>>().join(" ").chars().take(100).collect()
}

#[cfg(test)]
#[path = "mail_tests.rs"]
mod tests;
