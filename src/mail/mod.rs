//! The mail that delivers a bundle to its owner.
//!
//! Name and address come from the profile of a user and are untrusted input. The address is parsed before it reaches this module.
//! The name only goes into the text. All headers are encoded by `lettre` and never built by hand.

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

/// A complete message (RFC 5322) with its envelope.
pub struct Letter {
    /// The address of the sender.
    pub from: String,
    /// The address of the recipient.
    pub to: EmailAddress,
    /// The message, with CRLF line endings. It is ASCII, unless the address of the recipient is not.
    pub message: Vec<u8>,
    /// The thing and the certificate in the mail. Events about the mail, such as a bounce, contain them.
    pub label: Option<Label>,
}

/// The non-secret identification of the content of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The thing of the recipient.
    pub thing: ThingName,
    /// The id of the certificate in the mail.
    pub certificate: CertificateId,
}

/// The sender of all mails.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The configured sender, `MAIL_FROM`.
    pub from: Mailbox,
    /// The configured address for replies, `MAIL_REPLY_TO`.
    pub reply_to: Option<Mailbox>,
}

/// The data from which a mail is composed.
pub struct Parcel<'a> {
    /// The name of the owner, as in the profile.
    pub name: Option<&'a str>,
    /// The address of the owner.
    pub to: &'a EmailAddress,
    /// The thing of the owner.
    pub thing: &'a ThingName,
    /// The spoken name of the device.
    pub device: &'a str,
    /// The invocation name of the skill.
    pub invocation: &'a str,
    /// The part of the device model for the device, in TOML.
    pub device_model: &'a str,
    /// The MQTT endpoint of the device.
    pub broker: &'a Broker,
    /// The language of the request.
    pub locale: Locale,
    /// The current Unix time in seconds.
    pub now: u64,
}

/// A service that sends mail.
pub trait Mailer: Send + Sync {
    /// Sends a message with a single attempt, because a retry could send the mail twice. A mailer with a queue returns success
    /// when the message is stored persistently.
    fn send(&self, letter: Letter) -> impl Future<Output = Result<(), MailError>> + Send;

    /// Whether the service accepts addresses of this form at all.
    fn takes(&self, _to: &EmailAddress) -> bool {
        true
    }

    /// If the mail with the certificate of this thing was accepted but is still in the queue: who can correct the cause.
    fn waits(&self, _thing: &ThingName) -> impl Future<Output = Option<Fault>> + Send {
        std::future::ready(None)
    }
}

/// The delivery of a new certificate to its recipient.
pub trait Delivery: Sync {
    /// Delivers the certificate with a single attempt, because a retry could deliver it twice.
    fn deliver(&self, fresh: NewCertificate) -> impl Future<Output = Result<(), MailError>> + Send;
}

/// Delivery by mail.
pub struct ByMail<'a, M, F> {
    /// The service that sends the mail.
    pub mailer: &'a M,
    /// Composes the mail for a certificate.
    pub write: F,
    /// The meter that counts the mails.
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
            // The measure for refused mails raises an alarm for the operator, who cannot correct the address of an owner. So a
            // refused address has its own measure.
            Err(error) if error.fault() == Fault::Speaker => &Measure::MailAddressRefused,
            Err(_) => &Measure::MailRefused,
        });
        sent
    }
}

/// Why a mail was not sent.
#[derive(Clone, Debug, Error)]
pub enum MailError {
    /// The mail service does not accept the address of the recipient.
    #[error("mail cannot be sent to the recipient's address: {0}")]
    AddressRefused(String),
    /// The sender is not verified, or the recipient is not verified and the account is in the SES sandbox.
    #[error("an address is not verified: the account is in the SES sandbox, or MAIL_FROM is not verified ({0})")]
    NotVerified(String),
    /// Sending is paused for the account or the configuration set.
    #[error("sending is paused: {0}")]
    Paused(String),
    /// The sending rate or the daily quota is exceeded.
    #[error("over the sending quota: {0}")]
    Throttled(String),
    /// The mail was refused for another reason.
    #[error("the mail was refused with {0}")]
    Refused(String),
    /// The connection to the mail server, TLS or the login failed. No mail was transmitted.
    #[error("the mail server cannot be used: {0}")]
    ServerUnusable(String),
    /// The message could not be composed.
    #[error("the mail could not be composed: {0}")]
    Unwritable(String),
    /// There is no response that says whether the mail was sent.
    #[error("no clear answer: {0}")]
    Unclear(String),
}

impl MailError {
    /// Whether the mail was certainly not sent.
    pub fn is_definite(&self) -> bool {
        !matches!(self, MailError::Unclear(_))
    }

    /// Whether a later attempt with the same message may succeed.
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

/// Composes the mail with a certificate: text and HTML, with the bundle as its only attachment.
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

/// Composes the last mail to an owner, which confirms that all data were deleted.
pub fn farewell(sender: &Sender, parcel: &Parcel<'_>) -> Result<Letter, MailError> {
    let name = parcel.name.map(plain);
    let words = parcel.locale.farewell(&parcel.facts(name.as_deref()));
    let message = envelope(sender, parcel, words.subject)?.singlepart(SinglePart::plain(words.text)).map_err(|e| unwritable(&e))?;
    Ok(Letter { from: sender.from.email.to_string(), to: parcel.to.clone(), message: message.formatted(), label: None })
}

/// Composes a test mail to the operator of the hub.
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

/// The envelope. It is set explicitly, because `lettre` cannot parse every valid address from a header.
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

/// The name from a profile as one line of at most 100 characters.
fn plain(name: &str) -> String {
    name.replace(char::is_control, " ").split_whitespace().collect::<Vec<_>>().join(" ").chars().take(100).collect()
}

#[cfg(test)]
#[path = "mail_tests.rs"]
mod tests;
