//! A message with its text, parsed by a third-party parser.

use mail_parser::PartType;
use serde::Serialize;

use super::index::{Attachment, Entry};

/// A message. It implements no `Debug`, because it contains addresses and a name.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// The name of the message file in the folder.
    pub id: String,
    /// When the message was sent, as Unix time in seconds.
    pub at: u64,
    /// The sender: `Name <address>`, or an address.
    pub from: String,
    /// The address of the recipient.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The thing whose bundle the message contains.
    pub thing: Option<String>,
    /// The id of the certificate in the bundle.
    pub certificate: Option<String>,
    /// The body as plain text.
    pub text: String,
    /// The body as HTML, if the message contains HTML.
    pub html: Option<String>,
    /// The first attachment.
    pub attachment: Option<Attachment>,
}

impl Message {
    /// Combines the index entry of a message with its body. Any bytes are accepted; parts that cannot be parsed become empty.
    pub fn read(entry: Entry, raw: &[u8]) -> Self {
        let parsed = mail_parser::MessageParser::default().parse(raw);
        let text = parsed.as_ref().and_then(|parsed| parsed.body_text(0)).unwrap_or_default().into_owned();
        let html = parsed.as_ref().and_then(html);
        let at = entry.at();
        let Entry { id, from, to, subject, thing, certificate, attachment, .. } = entry;
        Self { id, at, from, to, subject, thing, certificate, text, html, attachment }
    }
}

/// The HTML body of a message. Plain text is not converted.
pub(super) fn html(parsed: &mail_parser::Message<'_>) -> Option<String> {
    let part = parsed.html_bodies().find(|part| matches!(part.body, PartType::Html(_)))?;
    part.text_contents().map(str::to_owned)
}
