//! Where mail goes: into the folder, or out by SMTP.

use onething::deliver::{Letter, MailError, Mailer};
use onething::smtp::Smtp;

use super::MailFolder;

/// Where mail goes.
#[derive(Clone)]
pub enum Outbox {
    /// Into a folder of this machine, for whoever looks into it.
    Folder(MailFolder),
    /// To a mail server (`SMTP_URL`).
    Smtp(Smtp),
}

impl Mailer for Outbox {
    async fn send(&self, letter: Letter) -> Result<(), MailError> {
        match self {
            Outbox::Folder(folder) => folder.send(letter).await,
            Outbox::Smtp(smtp) => smtp.send(letter).await,
        }
    }
}
