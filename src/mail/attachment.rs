//! The attachment of a mail, with headers that every mail program reads.
//!
//! The file name stands in `filename` of Content-Disposition (RFC 2183) and in `name` of Content-Type (RFC 2045), each as one quoted
//! string on the line of its header. Outlook does not read a name that is split by RFC 2231 (`filename*0=`), which `lettre` writes for
//! names of more than some 45 characters.

use lettre::message::header::{ContentTransferEncoding, Header, HeaderName, HeaderValue};
use lettre::message::{Body, SinglePart};

use super::{MailError, unwritable};
use crate::identifiers::ThingName;

/// The type with the name of the file.
#[derive(Clone)]
struct NamedType(String);

/// How the part is shown, with the name of the file.
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

/// `lettre` would fold the line.
fn on_one_line<H: Header>(value: &str) -> HeaderValue {
    HeaderValue::dangerous_new_pre_encoded(H::name(), value.to_owned(), value.to_owned())
}

/// The zip of a thing. Its name needs no escape in a quoted string: a thing's name is made of letters, digits, `-` and `_`, at most 64.
pub(super) fn zip(thing: &ThingName, content: Vec<u8>) -> Result<SinglePart, MailError> {
    // Base64 throughout: mail programs and relays then leave every byte alone.
    let content = Body::new_with_encoding(content, ContentTransferEncoding::Base64).map_err(|_| unwritable(&"encoding"))?;
    let part = SinglePart::builder()
        .header(NamedType(format!("application/zip; name=\"{thing}.zip\"")))
        .header(NamedDisposition(format!("attachment; filename=\"{thing}.zip\"")));
    Ok(part.body(content))
}
