//! Mail by SMTP, for an operator with a mail server instead of SES.

mod refusal;
mod server;

use std::time::Duration;

use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{Extension, MailBodyParameter, MailParameter};
use tokio::time::{Instant, timeout, timeout_at};

use self::refusal::Answered;
use self::server::Server;
use crate::login::EmailAddress;
use crate::mail::{Letter, MailError, Mailer};

/// The default time limit for connecting and sending one mail.
const PATIENCE: Duration = Duration::from_secs(3);
/// The time limit for `QUIT`, after the mail was accepted.
const GOODBYE: Duration = Duration::from_millis(500);

/// A mail server, configured by a URL.
#[derive(Clone)]
pub struct Smtp {
    server: Server,
    patience: Duration,
}

impl Smtp {
    /// Parses `smtp://`, `smtps://` or `smtp://…?tls=required`, with user and password if needed. The error does not quote the
    /// URL, which may contain a password.
    pub fn new(url: &str) -> Result<Self, &'static str> {
        let server = Server::parse(url).ok_or("must be an SMTP URL, such as smtps://user:password@host")?;
        Ok(Self { server, patience: PATIENCE })
    }

    /// The same server with another time limit for connecting and sending one mail.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Checks whether the server accepts this client: connects, starts TLS and logs in as the URL says. Sends no mail.
    pub async fn check(&self) -> Result<(), MailError> {
        end(self.connect(Instant::now() + self.patience).await?).await;
        Ok(())
    }

    async fn connect(&self, by: Instant) -> Result<AsyncSmtpConnection, MailError> {
        // Most likely the port belongs to another service, or only one side expects TLS.
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
        let by = Instant::now() + self.patience;
        let mut connection = self.connect(by).await?;
        let sent = timeout_at(by, exchange(&mut connection, &letter)).await;
        sent.map_err(|_| MailError::Unclear("no answer in time".into()))??;
        end(connection).await;
        Ok(())
    }
}

/// Sends `QUIT`. The reply is ignored.
async fn end(mut connection: AsyncSmtpConnection) {
    let _ = timeout(GOODBYE, connection.abort()).await;
}

/// Sends the commands for a mail. Each command waits for its reply, because the meaning of a refusal depends on the command that
/// it answers.
async fn exchange(connection: &mut AsyncSmtpConnection, letter: &Letter) -> Result<(), MailError> {
    let from = EmailAddress::parse(&letter.from).ok_or_else(|| MailError::Unwritable("the sender's address".into()))?;
    let mut parameters = Vec::new();
    if !from.is_ascii() || !letter.to.is_ascii() {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            let why = "the mail server takes ASCII only before the @ (it does not offer SMTPUTF8)".to_owned();
            return Err(if letter.to.is_ascii() {
                MailError::Refused(format!("MAIL_FROM: {why}"))
            } else {
                MailError::AddressRefused(why)
            });
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if !letter.message.is_ascii() {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    let sender = Mail::new(Some(from.mailbox().clone()), parameters);
    connection.command(sender).await.map_err(|error| refusal::read(&error, Answered::Sender))?;
    let recipient = Rcpt::new(letter.to.mailbox().clone(), Vec::new());
    connection.command(recipient).await.map_err(|error| refusal::read(&error, Answered::Recipient))?;
    connection.command(Data).await.map_err(|error| refusal::read(&error, Answered::Message))?;
    connection.message(&letter.message).await.map_err(|error| refusal::read(&error, Answered::Message))?;
    Ok(())
}

#[cfg(test)]
#[path = "smtp_tests.rs"]
mod tests;
