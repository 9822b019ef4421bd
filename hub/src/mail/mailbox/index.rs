//! The index of a mail folder: one line of JSON for each message, so that the messages need not be parsed for a list.
//!
//! Each message appends a line to `index.jsonl`. The index contains no information that the messages do not contain, except the
//! labels of sent mail. A line that is incomplete, missing or obsolete is repaired from the messages.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use mail_parser::MessageParser;
use onething::login::EmailAddress;
use serde::{Deserialize, Serialize};

use super::{folder, parts};
use crate::clock;
use crate::storage::disk;
use onething_device::bundle::Bundle;

/// The name of the index file in the mail folder.
pub const FILE: &str = "index.jsonl";

/// The entry of a message. It implements no `Debug`, because it contains addresses.
#[derive(Clone, Deserialize, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The name of the message file in the folder.
    pub id: String,
    /// When the message was sent, as Unix time in microseconds.
    pub micros: u64,
    /// The size of the file in bytes. A file with another size is a different message.
    pub size: u64,
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
    /// The first attachment.
    pub attachment: Option<Attachment>,
}

/// The attachment of a message.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Attachment {
    /// The file name, without a path.
    pub name: String,
    /// The size of the decoded content, in bytes.
    pub size: usize,
}

impl Entry {
    /// Parses a message. Headers that are missing or not valid become empty.
    pub fn of(id: String, micros: u64, raw: &[u8]) -> Self {
        let size = raw.len() as u64;
        let nothing = Self {
            id,
            micros,
            size,
            from: String::new(),
            to: String::new(),
            subject: String::new(),
            thing: None,
            certificate: None,
            attachment: None,
        };
        let Some(parsed) = MessageParser::default().parse(raw) else { return nothing };
        let attached = parts::attachment(&parsed);
        let bundle = attached.as_ref().and_then(|(_, content)| Bundle::open(content).ok()).map(|bundle| bundle.connection);
        Self {
            from: parts::sender(&parsed),
            to: parts::recipient(&parsed),
            subject: parsed.subject().unwrap_or_default().to_owned(),
            thing: bundle.as_ref().map(|connection| connection.thing_name.clone()),
            certificate: bundle.and_then(|connection| connection.certificate_id),
            attachment: attached.map(|(name, content)| Attachment { name, size: content.len() }),
            ..nothing
        }
    }

    /// Whether the message is addressed to `address`, which may be in the form in which the owner typed it.
    pub fn is_to(&self, address: &str) -> bool {
        let as_sent = |typed: &str| EmailAddress::parse(typed).map_or_else(|| typed.to_owned(), |address| address.whole());
        self.to.eq_ignore_ascii_case(address) || as_sent(&self.to).eq_ignore_ascii_case(&as_sent(address))
    }

    /// When the message was sent, as Unix time in seconds.
    pub fn at(&self) -> u64 {
        self.micros / 1_000_000
    }
}

/// The index of a mail folder, in memory and as a file.
pub(super) struct Index {
    folder: PathBuf,
    /// Sorted by time.
    entries: Vec<Entry>,
    /// Whether the file contains exactly the lines of the entries.
    is_whole: bool,
}

impl Index {
    /// Reads the index of a folder, and repairs it from the messages in the folder.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let written = folder::read(&path.join(FILE))?.unwrap_or_default();
        let lines = written.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Entry>(line).ok());
        let mut known: HashMap<String, Entry> = lines.map(|entry| (entry.id.clone(), entry)).collect();
        let mut entries = Vec::new();
        for (id, file) in messages(path)? {
            let entry = match known.remove(&id) {
                Some(entry) if entry.size == file.len() => Some(entry),
                _ => folder::read(&path.join(&id))?.map(|raw| Entry::of(id.clone(), sent_at(&id, &file), &raw)),
            };
            entries.extend(entry);
        }
        entries.sort_by(|one, other| (one.micros, &one.id).cmp(&(other.micros, &other.id)));
        let mut index = Self { folder: path.to_owned(), is_whole: lines_of(&entries)? == written, entries };
        if !index.is_whole {
            index.write()?;
        }
        Ok(index)
    }

    /// The entries, sorted by time.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The time in the newest file name that this hub generated, in microseconds. Other messages do not count.
    pub(super) fn latest(&self) -> u64 {
        self.entries.iter().rev().find_map(|entry| clock::parse_file_name(stem(&entry.id))).unwrap_or_default()
    }

    /// Adds the newest message. If the file cannot be written, the entry is still added in memory.
    pub(super) fn add(&mut self, entry: Entry) -> io::Result<()> {
        let line = lines_of(std::slice::from_ref(&entry));
        self.entries.push(entry);
        if !self.is_whole {
            return self.write();
        }
        // After an error the file may contain a part of the line.
        self.is_whole = false;
        let mut file = folder::append(&self.folder.join(FILE))?;
        file.write_all(&line?)?;
        file.sync_data()?;
        self.is_whole = true;
        Ok(())
    }

    /// Removes the entries of messages to this address, and returns the file names of the messages.
    pub(super) fn remove(&mut self, address: &str) -> io::Result<Vec<String>> {
        let (gone, kept) = std::mem::take(&mut self.entries).into_iter().partition(|entry| entry.is_to(address));
        self.entries = kept;
        self.is_whole = false;
        self.write()?;
        let gone: Vec<Entry> = gone;
        Ok(gone.into_iter().map(|entry| entry.id).collect())
    }

    fn write(&mut self) -> io::Result<()> {
        disk::write_whole(&self.folder, FILE, &lines_of(&self.entries)?)?;
        self.is_whole = true;
        Ok(())
    }
}

fn lines_of(entries: &[Entry]) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut lines, entry)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

/// The message files in a folder. A symbolic link does not count, because its target may be outside the folder.
fn messages(path: &Path) -> io::Result<Vec<(String, Metadata)>> {
    let mut messages = Vec::new();
    for file in fs::read_dir(path)? {
        let file = file?;
        let Ok(name) = file.file_name().into_string() else { continue };
        let metadata = file.metadata()?;
        if name.ends_with(".eml") && metadata.is_file() && metadata.len() <= folder::MESSAGE_LIMIT {
            messages.push((name, metadata));
        }
    }
    Ok(messages)
}

fn stem(id: &str) -> &str {
    id.strip_suffix(".eml").unwrap_or(id)
}

/// The time in the name if this hub generated the name, or else the modification time of the file, in microseconds.
fn sent_at(id: &str, file: &Metadata) -> u64 {
    let by_file = || file.modified().ok()?.duration_since(UNIX_EPOCH).ok().and_then(|since| u64::try_from(since.as_micros()).ok());
    clock::parse_file_name(stem(id)).or_else(by_file).unwrap_or_default()
}
