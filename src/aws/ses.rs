//! Mail by Amazon SES: `SendRawEmail` with one attempt
//! (<https://docs.aws.amazon.com/ses/latest/APIReference/API_SendRawEmail.html>).

use aws_sdk_ses::Client;
use aws_sdk_ses::error::{BuildError, ProvideErrorMetadata};
use aws_sdk_ses::operation::send_raw_email::SendRawEmailError;
use aws_sdk_ses::operation::send_raw_email::builders::SendRawEmailInputBuilder;
use aws_sdk_ses::primitives::Blob;
use aws_sdk_ses::types::{MessageTag, RawMessage};

use super::failure::Failure;
use crate::login::EmailAddress;
use crate::mail::{Letter, MailError, Mailer};

/// Sends mail by Amazon SES.
#[derive(Clone)]
pub struct Ses {
    client: Client,
    configuration_set: Option<String>,
}

impl Ses {
    /// The client must make only one attempt, so that no mail is sent twice.
    pub(super) fn new(client: Client, configuration_set: Option<&str>) -> Self {
        Self { client, configuration_set: configuration_set.map(str::to_owned) }
    }
}

impl Mailer for Ses {
    async fn send(&self, letter: Letter) -> Result<(), MailError> {
        if !self.takes(&letter.to) {
            return Err(MailError::AddressRefused("SES takes ASCII only before the @".into()));
        }
        let unsendable = |_| MailError::Refused("a request that cannot be made".into());
        let call = request(letter, self.configuration_set.clone()).map_err(unsendable)?;
        call.send_with(&self.client).await.map(drop).map_err(|error| read(error.into()))
    }

    /// The documentation of SES: "The local part [...] may only contain 7-bit ASCII characters."
    fn takes(&self, to: &EmailAddress) -> bool {
        to.is_ascii()
    }
}

/// The request for a mail. It names the recipient separately from the message, so that no header can add another recipient. The
/// events of the configuration set contain the tags, so a bounce event names the thing and the certificate.
fn request(letter: Letter, configuration_set: Option<String>) -> Result<SendRawEmailInputBuilder, BuildError> {
    let message = RawMessage::builder().data(Blob::new(letter.message)).build()?;
    let request = SendRawEmailInputBuilder::default()
        .source(letter.from)
        .destinations(letter.to.mailbox().to_string())
        .raw_message(message)
        .set_configuration_set_name(configuration_set);
    let Some(label) = letter.label else { return Ok(request) };
    let tag = |name: &str, value: &str| MessageTag::builder().name(name).value(value).build();
    Ok(request.tags(tag("thing", label.thing.as_str())?).tags(tag("certificate", label.certificate.as_str())?))
}

/// Parts of the message of `MessageRejected` that mean that the recipient's address is refused.
const ADDRESS_REFUSALS: [&str; 8] = [
    "Address blacklisted",
    "suppression list",
    "Illegal address",
    "Invalid email address",
    "Local address contains",
    "Domain contains",
    "Domain starts with",
    "Missing final '@domain'",
];

fn read(failure: Failure<SendRawEmailError>) -> MailError {
    let refusal = match failure {
        Failure::Throttled(code) => return MailError::Throttled(code),
        Failure::Unsent(why) => return MailError::Refused(why.into()),
        Failure::Unclear(what) => return MailError::Unclear(what),
        Failure::Refused(refusal) => refusal,
    };
    let full = refusal.to_string();
    // The message may quote an address, so it is searched for known texts but never returned.
    let says = |words: &str| refusal.error.message().is_some_and(|text| text.contains(words));
    match &refusal.error {
        SendRawEmailError::MessageRejected(_) if says("not verified") => MailError::NotVerified(full),
        SendRawEmailError::MailFromDomainNotVerifiedException(_) => MailError::NotVerified(full),
        SendRawEmailError::AccountSendingPausedException(_) | SendRawEmailError::ConfigurationSetSendingPausedException(_) => {
            MailError::Paused(full)
        }
        // SES checks the syntax of addresses and its suppression list. The owner can correct both.
        SendRawEmailError::MessageRejected(_) if ADDRESS_REFUSALS.iter().any(|words| says(words)) => MailError::AddressRefused(full),
        // Codes that the SDK's model of the service does not contain, or contains under a longer name.
        error => match error.code() {
            Some("MailFromDomainNotVerified") => MailError::NotVerified(full),
            Some("AccountSendingPaused" | "ConfigurationSetSendingPaused") => MailError::Paused(full),
            Some("InvalidParameterValue" | "InvalidParameter") => MailError::AddressRefused(full),
            _ => MailError::Refused(full),
        },
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ses::error::SdkError;
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;
    use crate::fault::{ClassifiedError, Fault};
    use crate::identifiers::{CertificateId, OwnerId, ThingName, ThingPrefix};
    use crate::mail::Label;

    const UNVERIFIED: &str = "Email address is not verified. The following identities failed the check: a@example.com";

    fn refused(error: SendRawEmailError) -> MailError {
        let answer = HttpResponse::new(400.try_into().unwrap(), SdkBody::empty());
        read(SdkError::service_error(error, answer).into())
    }

    fn check(error: impl FnOnce(ErrorMetadata) -> SendRawEmailError, code: &str, text: &str, cause: &str, fault: Fault) {
        let error = refused(error(ErrorMetadata::builder().code(code).message(text).build()));
        assert!(!error.to_string().contains("a@example.com"), "{error}");
        assert_eq!((error.cause(), error.fault()), (cause, fault), "{code}");
    }

    #[test]
    fn each_refusal_is_classified_by_who_must_correct_it() {
        use aws_sdk_ses::types::error as model;
        let rejected = |meta: ErrorMetadata| {
            let text = meta.message().map(str::to_owned);
            SendRawEmailError::MessageRejected(model::MessageRejected::builder().set_message(text).meta(meta).build())
        };
        check(rejected, "MessageRejected", UNVERIFIED, "mail_not_verified", Fault::Maker);
        check(rejected, "MessageRejected", "", "mail_refused", Fault::Maker);
        for text in ["Address blacklisted: a@example.com", "Local address contains control or whitespace", "Illegal address"] {
            check(rejected, "MessageRejected", text, "mail_address_refused", Fault::Speaker);
        }
        macro_rules! modelled {
            ($name:ident) => {
                |meta| SendRawEmailError::$name(model::$name::builder().meta(meta).build())
            };
        }
        check(modelled!(AccountSendingPausedException), "AccountSendingPausedException", "", "mail_paused", Fault::Maker);
        check(modelled!(ConfigurationSetSendingPausedException), "ConfigurationSetSendingPausedException", "", "mail_paused", Fault::Maker);
        check(modelled!(MailFromDomainNotVerifiedException), "MailFromDomainNotVerifiedException", "", "mail_not_verified", Fault::Maker);
        check(SendRawEmailError::generic, "AccountSendingPaused", "", "mail_paused", Fault::Maker);
        check(SendRawEmailError::generic, "ConfigurationSetSendingPaused", "", "mail_paused", Fault::Maker);
        check(SendRawEmailError::generic, "MailFromDomainNotVerified", "", "mail_not_verified", Fault::Maker);
        check(SendRawEmailError::generic, "InvalidParameterValue", "", "mail_address_refused", Fault::Speaker);
        check(SendRawEmailError::generic, "AccessDenied", "", "mail_refused", Fault::Maker);
        check(SendRawEmailError::generic, "Throttling", "", "mail_throttled", Fault::Again);
    }

    #[test]
    fn the_label_of_a_mail_becomes_its_tags() {
        let thing = ThingName::of(&ThingPrefix::parse("Lamp-").unwrap(), &OwnerId::parse("amzn1.account.A").unwrap());
        let label = Label { thing: thing.clone(), certificate: CertificateId::of(b"abc") };
        let letter = |label| Letter {
            from: "a@example.com".into(),
            to: EmailAddress::parse("b@example.com").unwrap(),
            message: b"Hello".to_vec(),
            label,
        };
        let labelled = request(letter(Some(label)), Some("events".into())).unwrap().build().unwrap();
        assert_eq!((labelled.configuration_set_name(), labelled.destinations()), (Some("events"), &["b@example.com".to_owned()][..]));
        assert_eq!(labelled.raw_message().unwrap().data().as_ref(), b"Hello");
        let certificate = CertificateId::of(b"abc");
        let tags: Vec<_> = labelled.tags().iter().map(|tag| (tag.name(), tag.value())).collect();
        assert_eq!(tags, [("thing", thing.as_str()), ("certificate", certificate.as_str())]);

        let plain = request(letter(None), None).unwrap().build().unwrap();
        assert!(plain.tags().is_empty() && plain.configuration_set_name().is_none());
    }
}
