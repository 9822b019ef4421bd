//! A message as a reader shows it: parsed by a parser that other people wrote.

use std::path::Path;

use mail_parser::{Addr, HeaderName, MimeHeaders, PartType};
use onething::login::EmailAddress;
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

/// Name, without any path, and content of the first attachment.
pub(super) fn attachment<'a>(parsed: &'a mail_parser::Message<'_>) -> Option<(String, &'a [u8])> {
    let part = parsed.attachment(0)?;
    let name = Path::new(part.attachment_name()?).file_name()?.to_str()?;
    Some((name.to_owned(), part.contents()))
}

pub(super) fn sender(parsed: &mail_parser::Message<'_>) -> String {
    let sender = parsed.from().and_then(|from| from.first());
    let written = |sender: &Addr<'_>| match (sender.name(), sender.address()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (_, address) => address.unwrap_or_default().to_owned(),
    };
    sender.map(written).unwrap_or_default()
}

/// The first of them: mail of this skill has one.
pub(super) fn recipient(parsed: &mail_parser::Message<'_>) -> String {
    // A lone address in full: of a quoted one the parser takes the part before the `@` for a name.
    if let Some(alone) = parsed.header_raw(HeaderName::To).and_then(EmailAddress::parse) {
        return alone.whole();
    }
    let recipient = parsed.to().and_then(|to| to.first()).and_then(Addr::address);
    recipient.unwrap_or_default().to_owned()
}
