//! Mail by SMTP, for those who have a mail server and no SES.

mod server;

use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use tokio::time::{Instant, timeout, timeout_at};

use self::server::Server;
use crate::deliver::{Letter, MailError, Mailer};

/// How long the server may take for the whole exchange, where nothing else is said.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the server may take to say goodbye, when all is done.
const GOODBYE: Duration = Duration::from_millis(500);

/// A server, by its URL.
#[derive(Clone)]
pub struct Smtp {
    server: Server,
    patience: Duration,
}

impl Smtp {
    /// `smtp://`, `smtps://` or `smtp://…?tls=required`, with user and password where needed. What is wrong
    /// is said without quoting the URL: it may hold a password.
    pub fn new(url: &str) -> Result<Self, &'static str> {
        let server = Server::parse(url).ok_or("must be an SMTP URL, such as smtps://user:password@host")?;
        Ok(Self { server, patience: PATIENCE })
    }

    /// The same server, which may take so long for the whole exchange.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Whether the server lets this client send mail: connects, starts TLS and logs in as the URL says, and sends nothing.
    pub async fn check(&self) -> Result<(), MailError> {
        end(self.connect(Instant::now() + self.patience).await?).await;
        Ok(())
    }

    async fn connect(&self, by: Instant) -> Result<AsyncSmtpConnection, MailError> {
        // Most likely another service answers there, or TLS is expected on one side only.
        let silent = |_| Err(MailError::ServerUnusable("the server does not answer in time".into()));
        timeout_at(by, self.server.connect()).await.unwrap_or_else(silent)
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
        let by = Instant::now() + self.patience;
        let mut connection = self.connect(by).await?;
        let sent = timeout_at(by, connection.send(&envelope, &letter.message)).await;
        sent.map_err(|_| MailError::Unclear("no answer in time".into()))?.map_err(|error| read(&error))?;
        end(connection).await;
        Ok(())
    }
}

/// Says goodbye. What the server answers changes nothing.
async fn end(mut connection: AsyncSmtpConnection) {
    let _ = timeout(GOODBYE, connection.abort()).await;
}

/// Only the status code is kept: the text of an SMTP reply quotes addresses.
fn read(error: &Error) -> MailError {
    let Some(code) = error.status() else {
        // Without a reply the message may have been taken all the same.
        return MailError::Unclear("the connection failed".into());
    };
    let code = u16::from(code);
    match code {
        400..=499 => MailError::Throttled(format!("SMTP {code}")),
        550 | 551 | 553 | 556 => MailError::AddressRefused(format!("SMTP {code}")),
        _ => MailError::Refused(format!("SMTP {code}")),
    }
}

#[cfg(test)]
#[path = "smtp/smtp_tests.rs"]
mod tests;
