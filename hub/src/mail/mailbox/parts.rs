//! The parts of a parsed message that the index and a [`Message`](super::Message) contain.

use std::path::Path;

use mail_parser::{Addr, HeaderName, Message, MimeHeaders};
use onething::login::EmailAddress;

/// The name, without a path, and the content of the first attachment.
pub(super) fn attachment<'a>(parsed: &'a Message<'_>) -> Option<(String, &'a [u8])> {
    let part = parsed.attachment(0)?;
    let name = Path::new(part.attachment_name()?).file_name()?.to_str()?;
    Some((name.to_owned(), part.contents()))
}

pub(super) fn sender(parsed: &Message<'_>) -> String {
    let sender = parsed.from().and_then(|from| from.first());
    let written = |sender: &Addr<'_>| match (sender.name(), sender.address()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (_, address) => address.unwrap_or_default().to_owned(),
    };
    sender.map(written).unwrap_or_default()
}

/// The first recipient. Mail of the skill has only one.
pub(super) fn recipient(parsed: &Message<'_>) -> String {
    // A header with one address is parsed here. For a quoted local part the parser would return the part before the `@` as a
    // name.
    if let Some(alone) = parsed.header_raw(HeaderName::To).and_then(EmailAddress::parse) {
        return alone.whole();
    }
    let recipient = parsed.to().and_then(|to| to.first()).and_then(Addr::address);
    recipient.unwrap_or_default().to_owned()
}
