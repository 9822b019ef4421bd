//! A message in the mailbox, as the index and the page parse it.

use onething_hub::mail::mailbox::Message;
use onething_hub::mail::mailbox::index::Entry;

use super::NOW;

/// Parses the message.
pub fn run(data: &[u8]) {
    let entry = Entry::of("message.eml".into(), NOW * 1_000_000, data);
    assert_eq!((entry.size, entry.at()), (data.len() as u64, NOW));
    if let Some(attachment) = &entry.attachment {
        let name = std::path::Path::new(&attachment.name);
        assert!(name.file_name() == Some(name.as_os_str()) && name.components().count() == 1, "{name:?}");
        // Text of another charset grows in UTF-8, from one byte to at most three.
        assert!(attachment.size <= 3 * data.len());
    }
    let read = Message::read(entry, data);
    let size = read.text.len() + read.html.as_ref().map_or(0, String::len);
    // A byte may become the three bytes of U+FFFD or an HTML entity, in both bodies.
    assert!(size <= 4_096 + 16 * data.len(), "{size} bytes of {}", data.len());
}
