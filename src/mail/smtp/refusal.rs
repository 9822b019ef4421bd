//! The classification of a mail server's refusal.
//!
//! The reply code says whether the refusal is permanent (RFC 5321, section 4.2). The enhanced status code, if there is one, names
//! the subject (RFC 3463: 5.1 addresses, 5.2 the mailbox of the recipient, 5.7 policy).

use lettre::transport::smtp::Error;

use crate::mail::MailError;

/// The command that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// `MAIL FROM`.
    Sender,
    /// `RCPT TO`.
    Recipient,
    /// `DATA`, or the message itself.
    Message,
}

/// Classifies a refusal. The error only contains the codes, because the text of an SMTP reply quotes addresses.
pub(super) fn read(error: &Error, answered: Answered) -> MailError {
    let Some(code) = error.status().map(u16::from) else {
        // Without a reply, the server may have accepted the message.
        return MailError::Unclear("the connection failed".into());
    };
    let text = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let said = format!("SMTP {code}");
    match code {
        400..=499 => MailError::Throttled(said),
        _ if is_the_recipients(code, enhanced(&text), answered) => MailError::AddressRefused(said),
        _ => MailError::Refused(said),
    }
}

/// The subject and the detail of a permanent enhanced status code: `5.1.1` is `(1, 1)`.
fn enhanced(text: &str) -> Option<(u16, u16)> {
    let mut numbers = text.split_whitespace().next()?.strip_prefix("5.")?.split('.').map(str::parse);
    let (subject, detail) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    numbers.next().is_none().then_some((subject, detail))
}

/// Whether the refusal concerns the recipient of the mail, and not every mail from this sender.
fn is_the_recipients(code: u16, enhanced: Option<(u16, u16)>, answered: Answered) -> bool {
    match (answered, enhanced) {
        (Answered::Sender, _) => false,
        // The address of the sender. Some servers check it only at `RCPT TO` or `DATA`.
        (_, Some((1, 7 | 8))) => false,
        // The address or the mailbox of the recipient, or non-ASCII characters in the address that the server does not support.
        (_, Some((1 | 2, _) | (6, 7))) => true,
        // The server does not relay, or the sender's address does not belong to the login.
        (Answered::Recipient, Some((7, _))) if code == 553 => false,
        (Answered::Recipient, _) => matches!(code, 501 | 550..=553 | 555 | 556),
        (Answered::Message, Some(_)) => false,
        (Answered::Message, None) => matches!(code, 550 | 551 | 553 | 556),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enhanced_status_code_is_parsed_from_the_first_word() {
        assert_eq!(enhanced("5.1.1 unknown"), Some((1, 1)));
        assert_eq!(enhanced("5.7.54"), Some((7, 54)));
        for none in ["", "unknown 5.1.1", "5.1", "5.1.x no", "2.1.5 ok", "5.1.1.1"] {
            assert_eq!(enhanced(none), None, "{none}");
        }
    }

    #[test]
    fn a_refusal_concerns_the_recipient_only_if_the_address_or_the_mailbox_is_refused() {
        use Answered::{Message, Recipient, Sender};
        for code in [501, 550, 551, 552, 553, 555, 556] {
            assert!(is_the_recipients(code, None, Recipient), "{code}");
            assert!(!is_the_recipients(code, None, Sender), "{code}");
        }
        for code in [500, 502, 503, 504, 521, 530, 554] {
            assert!(!is_the_recipients(code, None, Recipient), "{code}");
        }
        assert!(is_the_recipients(554, Some((2, 2)), Recipient), "a full mailbox");
        assert!(is_the_recipients(553, Some((6, 7)), Recipient), "non-ASCII characters");
        assert!(!is_the_recipients(550, Some((1, 8)), Recipient), "the sender's domain");
        assert!(!is_the_recipients(553, Some((7, 1)), Recipient), "the sender does not belong to the login");
        assert!(is_the_recipients(550, Some((1, 1)), Message) && is_the_recipients(550, None, Message), "refused after DATA");
        assert!(!is_the_recipients(550, Some((7, 1)), Message) && !is_the_recipients(554, None, Message), "the content is refused");
    }
}
