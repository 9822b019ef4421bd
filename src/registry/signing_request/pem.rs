//! PEM blocks (RFC 7468) in text from users and other programs, and the structure of their DER content.
//!
//! Lines may have any length, and the base64 may be on a single line. A byte order mark, the kind of line ending, and text before
//! and after the block are ignored.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use x509_cert::der::{AnyRef, Decode, Reader, SliceReader, Tag, Tagged};

/// The decoded content of the first block that has one of these labels.
pub(super) fn find(text: &str, labels: &[&str]) -> Option<Vec<u8>> {
    let blocks = labels.iter().filter_map(|label| {
        let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
        let at = text.find(&begin)?;
        let block = &text[at + begin.len()..];
        Some((at, &block[..block.find(&end)?]))
    });
    let (_, block) = blocks.min_by_key(|(at, _)| *at)?;
    let base64: Vec<u8> = block.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    BASE64_STANDARD.decode(&base64).ok()
}

/// The elements of a DER sequence, each in its original encoding.
pub(super) fn sequence(der: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    let sequence = AnyRef::from_der(der).ok().filter(|part| part.tag() == Tag::Sequence)?;
    parts(sequence.value())
}

/// The elements of a constructed DER value.
pub(super) fn parts(content: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(content).ok()?;
    let mut parts = Vec::new();
    while !reader.is_finished() {
        parts.push(reader.decode().ok()?);
    }
    Some(parts)
}
