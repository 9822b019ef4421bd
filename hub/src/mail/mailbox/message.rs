//! A message as a reader shows it: parsed by a parser that other people wrote.

use mail_parser::PartType;
use serde::Serialize;

use super::index::{Attachment, Entry};

/// A message. Not to be printed: there are addresses and a name in it.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// The file's name in the folder.
    pub id: String,
    /// When it was sent, in seconds since the epoch.
    pub at: u64,
    /// `Name <address>`, or an address.
    pub from: String,
    /// The recipient's address.
    pub to: String,
    /// What it is about.
    pub subject: String,
    /// Whose bundle it carries.
    pub thing: Option<String>,
    /// The id of the certificate in the bundle.
    pub certificate: Option<String>,
    /// The plain text.
    pub text: String,
    /// The same as HTML, where there is any.
    pub html: Option<String>,
    /// What comes with it.
    pub attachment: Option<Attachment>,
}

impl Message {
    /// Puts what is in a message beside what the index says of it. It takes any bytes: what cannot be read stays empty.
    pub fn read(entry: Entry, raw: &[u8]) -> Self {
        let parsed = mail_parser::MessageParser::default().parse(raw);
        let text = parsed.as_ref().and_then(|parsed| parsed.body_text(0)).unwrap_or_default().into_owned();
        let html = parsed.as_ref().and_then(html);
        let at = entry.at();
        let Entry { id, from, to, subject, thing, certificate, attachment, .. } = entry;
        Self { id, at, from, to, subject, thing, certificate, text, html, attachment }
    }
}

/// The HTML that is in the message; none is made of plain text.
pub(super) fn html(parsed: &mail_parser::Message<'_>) -> Option<String> {
    let part = parsed.html_bodies().find(|part| matches!(part.body, PartType::Html(_)))?;
    part.text_contents().map(str::to_owned)
}
