//! The attachment of a mail, with headers that all mail programs can read.
//!
//! The file name is in the parameter `filename` of Content-Disposition (RFC 2183) and in the parameter `name` of Content-Type
//! (RFC 2045). Each is one quoted string on one line. `lettre` splits names of more than about 45 characters by RFC 2231
//! (`filename*0=`), which Outlook does not support.

use lettre::message::header::{ContentTransferEncoding, Header, HeaderName, HeaderValue};
use lettre::message::{Body, SinglePart};

use super::{MailError, unwritable};
use crate::identifiers::ThingName;

/// The header Content-Type with the file name.
#[derive(Clone)]
struct NamedType(String);

/// The header Content-Disposition with the file name.
#[derive(Clone)]
struct NamedDisposition(String);

impl Header for NamedType {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Content-Type")
    }

    fn parse(line: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(line.to_owned()))
    }

    fn display(&self) -> HeaderValue {
        on_one_line::<Self>(&self.0)
    }
}

impl Header for NamedDisposition {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Content-Disposition")
    }

    fn parse(line: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(line.to_owned()))
    }

    fn display(&self) -> HeaderValue {
        on_one_line::<Self>(&self.0)
    }
}

/// An encoded header on one line. `lettre` would fold the line.
fn on_one_line<H: Header>(value: &str) -> HeaderValue {
    HeaderValue::dangerous_new_pre_encoded(H::name(), value.to_owned(), value.to_owned())
}

/// The zip archive of a thing as a MIME part. The file name needs no escape in a quoted string: the name of an owner's thing has
/// at most 64 letters, digits, `-` and `_`.
pub(super) fn zip(thing: &ThingName, content: Vec<u8>) -> Result<SinglePart, MailError> {
    // With base64, mail programs and relays do not change the content.
    let content = Body::new_with_encoding(content, ContentTransferEncoding::Base64).map_err(|_| unwritable(&"encoding"))?;
    let part = SinglePart::builder()
        .header(NamedType(format!("application/zip; name=\"{thing}.zip\"")))
        .header(NamedDisposition(format!("attachment; filename=\"{thing}.zip\"")));
    Ok(part.body(content))
}
