//! Mail by Amazon SES: `SendRawEmail`, one attempt
//! (<https://docs.aws.amazon.com/ses/latest/APIReference/API_SendRawEmail.html>).

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_ses::Client;
use aws_sdk_ses::config::Config as SesConfig;
use aws_sdk_ses::types::RawMessage;
use aws_smithy_types::Blob;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::timeout::TimeoutConfig;

use super::{Failure, failure, once};
use crate::deliver::{Letter, MailError, Mailer};

/// Amazon SES.
#[derive(Clone)]
pub struct Ses {
    client: Client,
}

impl Ses {
    pub(super) fn new(sdk: &SdkConfig) -> Self {
        Self { client: Client::new(sdk) }
    }
}

impl Mailer for Ses {
    async fn send(&self, letter: Letter) -> Result<(), MailError> {
        let raw = RawMessage::builder().data(Blob::new(letter.message)).build();
        let raw = raw.map_err(|error| MailError::Unwritable(error.to_string()))?;
        // The recipient is named apart from the message, so that no header can add another.
        let call = self.client.send_raw_email().source(letter.from).destinations(letter.to.mailbox().to_string()).raw_message(raw);
        let patience = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(3)).build();
        let once = SesConfig::builder().retry_config(once()).timeout_config(patience);
        let sent = call.customize().config_override(once).send().await;
        sent.map(drop).map_err(|error| {
            // The text of a refusal quotes the address it is about, so only its meaning is kept.
            let unverified = error.message().is_some_and(|text| text.contains("not verified"));
            read(failure(&error), error.code().unwrap_or_default(), unverified)
        })
    }
}

fn read(failure: Failure, code: &str, unverified: bool) -> MailError {
    match (failure, code) {
        (Failure::Throttled(code), _) => MailError::Throttled(code),
        (Failure::Unclear(what), _) => MailError::Unclear(what),
        (Failure::Refused(full), "MessageRejected") if unverified => MailError::NotVerified(full),
        (Failure::Refused(full), "MailFromDomainNotVerifiedException" | "MailFromDomainNotVerified") => MailError::NotVerified(full),
        (
            Failure::Refused(full),
            "AccountSendingPausedException"
            | "AccountSendingPaused"
            | "ConfigurationSetSendingPausedException"
            | "ConfigurationSetSendingPaused",
        ) => MailError::Paused(full),
        // SES checks addresses for their form only; one it cannot parse is the owner's to mend.
        (Failure::Refused(full), "InvalidParameterValue") => MailError::AddressRefused(full),
        (Failure::Refused(full), _) => MailError::Refused(full),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Blame, Fault};

    fn check(code: &str, unverified: bool, cause: &str, fault: Fault) {
        let error = read(Failure::Refused(code.into()), code, unverified);
        assert_eq!((error.cause(), error.fault()), (cause, fault), "{code}");
    }

    #[test]
    fn each_refusal_says_who_must_act() {
        check("MessageRejected", true, "mail_not_verified", Fault::Maker);
        check("MessageRejected", false, "mail_refused", Fault::Maker);
        check("AccountSendingPausedException", false, "mail_paused", Fault::Maker);
        check("ConfigurationSetSendingPausedException", false, "mail_paused", Fault::Maker);
        check("MailFromDomainNotVerifiedException", false, "mail_not_verified", Fault::Maker);
        check("InvalidParameterValue", false, "mail_address_refused", Fault::Speaker);
        check("AccessDenied", false, "mail_refused", Fault::Maker);
        let throttled = read(Failure::Throttled("Throttling".into()), "Throttling", false);
        assert_eq!((throttled.cause(), throttled.fault()), ("mail_throttled", Fault::Again));
    }
}
