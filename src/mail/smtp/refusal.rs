//! What a mail server's refusal means, and who can mend it.
//!
//! The reply code says whether it is for good (RFC 5321, section 4.2), the enhanced status code, where there is one, what about
//! (RFC 3463: 5.1 addresses, 5.2 the recipient's mailbox, 5.7 policy).

use lettre::transport::smtp::Error;

use crate::mail::MailError;

/// What a refusal answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// `MAIL FROM`.
    Sender,
    /// `RCPT TO`.
    Recipient,
    /// `DATA`, or the message.
    Message,
}

/// Only the codes are kept: the text of an SMTP reply quotes addresses.
pub(super) fn read(error: &Error, answered: Answered) -> MailError {
    let Some(code) = error.status().map(u16::from) else {
        // Without a reply the message may have been taken all the same.
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

/// Subject and detail of the enhanced status code: `5.1.1` is `(1, 1)`.
fn enhanced(text: &str) -> Option<(u16, u16)> {
    let mut numbers = text.split_whitespace().next()?.strip_prefix("5.")?.split('.').map(str::parse);
    let (subject, detail) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    numbers.next().is_none().then_some((subject, detail))
}

/// Whether it is about the one recipient that a mail has, and not about all mail from here.
fn is_the_recipients(code: u16, enhanced: Option<(u16, u16)>, answered: Answered) -> bool {
    match (answered, enhanced) {
        (Answered::Sender, _) => false,
        // The sender's address, which servers also refuse as late as this.
        (_, Some((1, 7 | 8))) => false,
        // The recipient's address or mailbox, or letters in the address that are not taken.
        (_, Some((1 | 2, _) | (6, 7))) => true,
        // The server does not relay, or does not know the sender as its own.
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
    fn an_enhanced_status_code_is_the_first_word() {
        assert_eq!(enhanced("5.1.1 unknown"), Some((1, 1)));
        assert_eq!(enhanced("5.7.54"), Some((7, 54)));
        for none in ["", "unknown 5.1.1", "5.1", "5.1.x no", "2.1.5 ok", "5.1.1.1"] {
            assert_eq!(enhanced(none), None, "{none}");
        }
    }

    #[test]
    fn a_refusal_is_the_recipients_where_it_is_about_their_address_alone() {
        use Answered::{Message, Recipient, Sender};
        for code in [501, 550, 551, 552, 553, 555, 556] {
            assert!(is_the_recipients(code, None, Recipient), "{code}");
            assert!(!is_the_recipients(code, None, Sender), "{code}");
        }
        for code in [500, 502, 503, 504, 521, 530, 554] {
            assert!(!is_the_recipients(code, None, Recipient), "{code}");
        }
        assert!(is_the_recipients(554, Some((2, 2)), Recipient), "a full mailbox");
        assert!(is_the_recipients(553, Some((6, 7)), Recipient), "no such letters");
        assert!(!is_the_recipients(550, Some((1, 8)), Recipient), "the sender's domain");
        assert!(!is_the_recipients(553, Some((7, 1)), Recipient), "the sender is not the login's");
        assert!(is_the_recipients(550, Some((1, 1)), Message) && is_the_recipients(550, None, Message), "told late");
        assert!(!is_the_recipients(550, Some((7, 1)), Message) && !is_the_recipients(554, None, Message), "what is in the mail");
    }
}
