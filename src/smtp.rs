//! Mail by SMTP, for those who have a mail server and no SES.

use lettre::address::Envelope;
use lettre::transport::smtp::Error;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use crate::deliver::{Letter, MailError, Mailer};

/// How long the server may take for the whole exchange.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(3);

/// A server, by its URL.
#[derive(Clone)]
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl Smtp {
    /// `smtp://`, `smtps://` or `smtp://…?tls=required`, with user and password where needed. What is wrong
    /// is said without quoting the URL: it may hold a password.
    pub fn new(url: &str) -> Result<Self, &'static str> {
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url);
        let builder = builder.map_err(|_| "must be an SMTP URL, such as smtps://user:password@host")?;
        Ok(Self { transport: builder.timeout(Some(PATIENCE)).build() })
    }
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Smtp(redacted)")
    }
}

impl Mailer for Smtp {
    async fn send(&self, letter: Letter) -> Result<(), MailError> {
        let from = letter.from.parse().map_err(|_| MailError::Unwritable("the sender's address".into()))?;
        let envelope = Envelope::new(Some(from), vec![letter.to.mailbox().clone()]);
        let envelope = envelope.map_err(|error| MailError::Unwritable(error.to_string()))?;
        match self.transport.send_raw(&envelope, &letter.message).await {
            Ok(_) => Ok(()),
            Err(error) => Err(read(&error)),
        }
    }
}

/// Only the status code is kept: the text of an SMTP reply quotes addresses.
fn read(error: &Error) -> MailError {
    let Some(code) = error.status() else {
        // Without a reply the message may have been taken all the same.
        return MailError::Unclear(if error.is_timeout() { "no answer in time".into() } else { "the connection failed".into() });
    };
    let code = u16::from(code);
    match code {
        421 | 450..=452 | 454 => MailError::Throttled(format!("SMTP {code}")),
        550 | 551 | 553 | 556 => MailError::AddressRefused(format!("SMTP {code}")),
        530 | 534 | 535 | 538 => MailError::Refused(format!("SMTP {code}, the password or its method")),
        _ => MailError::Refused(format!("SMTP {code}")),
    }
}
