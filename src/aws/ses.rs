//! Mail by Amazon SES: `SendRawEmail`, one attempt
//! (<https://docs.aws.amazon.com/ses/latest/APIReference/API_SendRawEmail.html>).

use std::time::Duration;

use data_encoding::BASE64;
use http::Method;

use super::signed::{Call, Failure, Patience, Service};
use crate::deliver::{Letter, MailError, Mailer};
use crate::identify::EmailAddress;

/// Amazon SES.
#[derive(Clone)]
pub struct Ses {
    service: Service,
    configuration_set: Option<String>,
}

impl Ses {
    pub(super) fn new(service: Service, configuration_set: Option<&str>) -> Self {
        Self { service, configuration_set: configuration_set.map(str::to_owned) }
    }
}

impl Mailer for Ses {
    async fn send(&self, letter: Letter) -> Result<(), MailError> {
        if !self.takes(&letter.to) {
            return Err(MailError::AddressRefused("SES takes ASCII only before the @".into()));
        }
        let patience = Patience { each: Duration::from_secs(3), ..Patience::ONCE };
        let call = Call::new(Method::POST, &[]).form(&form(&letter, self.configuration_set.as_deref())).patience(patience);
        self.service.send(call).await.map(drop).map_err(read)
    }

    /// "The local part [...] may only contain 7-bit ASCII characters."
    fn takes(&self, to: &EmailAddress) -> bool {
        to.is_ascii()
    }
}

/// The recipient is named apart from the message, so that no header can add another. The tags come back
/// with the events of the configuration set: a bounce then says whose mail it was.
fn form(letter: &Letter, configuration_set: Option<&str>) -> Vec<(&'static str, String)> {
    let mut form = vec![
        ("Action", "SendRawEmail".to_owned()),
        ("Version", "2010-12-01".to_owned()),
        ("Source", letter.from.clone()),
        ("Destinations.member.1", letter.to.mailbox().to_string()),
        ("RawMessage.Data", BASE64.encode(&letter.message)),
    ];
    form.extend(configuration_set.map(|set| ("ConfigurationSetName", set.to_owned())));
    if let Some(label) = &letter.label {
        form.extend([
            ("Tags.member.1.Name", "thing".to_owned()),
            ("Tags.member.1.Value", label.thing.to_string()),
            ("Tags.member.2.Name", "certificate".to_owned()),
            ("Tags.member.2.Value", label.certificate.to_string()),
        ]);
    }
    form
}

/// What SES says of a recipient's address within `MessageRejected`.
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

fn read(failure: Failure) -> MailError {
    let refusal = match failure {
        Failure::Throttled(code) => return MailError::Throttled(code),
        Failure::Unsent(why) => return MailError::Refused(why.into()),
        Failure::Unclear(what) => return MailError::Unclear(what),
        Failure::Refused(refusal) => refusal,
    };
    let full = refusal.to_string();
    match refusal.code.as_str() {
        "MessageRejected" if refusal.says("not verified") => MailError::NotVerified(full),
        "MailFromDomainNotVerifiedException" | "MailFromDomainNotVerified" => MailError::NotVerified(full),
        "AccountSendingPausedException"
        | "AccountSendingPaused"
        | "ConfigurationSetSendingPausedException"
        | "ConfigurationSetSendingPaused" => MailError::Paused(full),
        // SES checks addresses for their form, and whether mail to them has come back; both are the owner's to mend.
        "InvalidParameterValue" | "InvalidParameter" => MailError::AddressRefused(full),
        "MessageRejected" if ADDRESS_REFUSALS.iter().any(|words| refusal.says(words)) => MailError::AddressRefused(full),
        _ => MailError::Refused(full),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::signed::Refusal;
    use crate::deliver::Label;
    use crate::fault::{Blame, Fault};
    use crate::thing::{CertificateId, OwnerId, ThingName, ThingPrefix};

    const UNVERIFIED: &str = "Email address is not verified. The following identities failed the check: a@example.com";

    fn check(code: &str, text: &str, cause: &str, fault: Fault) {
        let error = read(Failure::Refused(Refusal::new(400, code, &text.to_owned().into())));
        assert!(!error.to_string().contains("a@example.com"), "{error}");
        assert_eq!((error.cause(), error.fault()), (cause, fault), "{code}");
    }

    #[test]
    fn each_refusal_says_who_must_act() {
        check("MessageRejected", UNVERIFIED, "mail_not_verified", Fault::Maker);
        check("MessageRejected", "", "mail_refused", Fault::Maker);
        check("AccountSendingPausedException", "", "mail_paused", Fault::Maker);
        check("ConfigurationSetSendingPausedException", "", "mail_paused", Fault::Maker);
        check("MailFromDomainNotVerifiedException", "", "mail_not_verified", Fault::Maker);
        check("InvalidParameterValue", "", "mail_address_refused", Fault::Speaker);
        for text in ["Address blacklisted: a@example.com", "Local address contains control or whitespace", "Illegal address"] {
            check("MessageRejected", text, "mail_address_refused", Fault::Speaker);
        }
        check("AccessDenied", "", "mail_refused", Fault::Maker);
        let throttled = read(Failure::Throttled("Throttling".into()));
        assert_eq!((throttled.cause(), throttled.fault()), ("mail_throttled", Fault::Again));
    }

    #[test]
    fn a_labelled_letter_says_whose_it_is() {
        let thing = ThingName::of(&ThingPrefix::parse("Lamp-").unwrap(), &OwnerId::parse("amzn1.account.A").unwrap());
        let label = Label { thing: thing.clone(), certificate: CertificateId::of(b"abc") };
        let mut letter = Letter {
            from: "a@example.com".into(),
            to: EmailAddress::parse("b@example.com").unwrap(),
            message: b"Hello".to_vec(),
            label: Some(label),
        };
        let labelled = form(&letter, Some("events"));
        let field = |name: &str| labelled.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str());
        assert_eq!(field("ConfigurationSetName"), Some("events"));
        assert_eq!(field("Destinations.member.1"), Some("b@example.com"));
        assert_eq!(field("RawMessage.Data"), Some("SGVsbG8="));
        assert_eq!((field("Tags.member.1.Name"), field("Tags.member.1.Value")), (Some("thing"), Some(thing.as_str())));
        let certificate = CertificateId::of(b"abc");
        assert_eq!((field("Tags.member.2.Name"), field("Tags.member.2.Value")), (Some("certificate"), Some(certificate.as_str())));

        letter.label = None;
        assert!(form(&letter, None).iter().all(|(field, _)| !field.starts_with("Tags") && *field != "ConfigurationSetName"));
    }
}
