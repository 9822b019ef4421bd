//! The journal: which commands were begun, and how they ended, so that a device that is restarted performs none of them twice.
//!
//! The beginning of a command is on the disk before the command begins; the end is written afterwards. A command without an end
//! was aborted. Its progress is unknown, so it is not performed again.
//!
//! A line is one JSON object, and lines are only appended. A file that has become long is written again next to the old one and
//! replaces it by `rename`, which is atomic (<https://pubs.opengroup.org/onlinepubs/9799919799/functions/rename.html>). A line
//! that a power failure has truncated belongs to a command that was not begun. A file that was changed by others is written again
//! as well.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;
use thiserror::Error;

use crate::agent::{Answer, CommandStatus};
use crate::state::disk::{folder_of, inherit, private, sync_folder};

/// The number of commands that are kept, which is the number that an agent remembers.
const KEPT: usize = 128;
/// The largest length of the file, in bytes. Each command takes two lines of some hundred bytes.
const LONGEST: u64 = 128 * 1024;
/// The largest part of the file that is read, in bytes.
const READ_LIMIT: u64 = 4 * 1024 * 1024;
/// The largest part of the detail of an answer that is kept, in characters.
const DETAIL_LIMIT: usize = 256;

/// Why the journal cannot be used.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The file cannot be read, so the earlier commands are unknown.
    #[error("the journal of commands cannot be read")]
    Read(#[source] io::Error),
    /// The file cannot be written: the disk may be full, read-only or missing.
    #[error("the journal of commands cannot be written")]
    Write(#[source] io::Error),
}

/// A command that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    id: String,
    end: Option<(CommandStatus, String)>,
}

/// A line of the file: the beginning of a command, or with a status its end.
#[derive(Deserialize)]
struct Line {
    id: String,
    status: Option<String>,
    #[serde(default)]
    detail: String,
}

/// The journal of one device, in one file.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    /// The entries, oldest first.
    entries: VecDeque<Entry>,
    /// The length of the file, if its content matches the entries.
    length: Option<u64>,
}

impl Journal {
    /// Reads the journal at this path, if it exists. The folder has to exist before the first command is written.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let mut text = Vec::new();
        match File::open(path).and_then(|file| file.take(READ_LIMIT).read_to_end(&mut text)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(JournalError::Read(error)),
            _ => {}
        }
        // A file that is truncated or too long is written again with the next entry.
        let is_whole = text.is_empty() || text.ends_with(b"\n");
        let length = u64::try_from(text.len()).ok().filter(|length| is_whole && *length < READ_LIMIT);
        let mut journal = Self { path: path.to_owned(), entries: VecDeque::new(), length };
        for line in text.split(|byte| *byte == b'\n') {
            if let Ok(line) = serde_json::from_slice::<Line>(line) {
                journal.take(line);
            }
        }
        Ok(journal)
    }

    /// The commands that were begun, oldest first, each with its final answer if that is known.
    pub fn begun(&self) -> impl Iterator<Item = (String, Option<Answer>)> {
        self.entries.iter().map(|entry| {
            let answer = |(status, detail): &(_, String)| Answer { id: entry.id.clone(), status: *status, detail: detail.clone() };
            (entry.id.clone(), entry.end.as_ref().map(answer))
        })
    }

    /// Writes the beginning of a command. If there is no error, the entry is on the disk.
    pub fn begin(&mut self, id: &str) -> Result<(), JournalError> {
        self.entries.push_back(Entry { id: id.to_owned(), end: None });
        if let Err(error) = self.note(&json!({"id": id}).to_string()) {
            self.entries.pop_back();
            return Err(JournalError::Write(error));
        }
        self.forget();
        Ok(())
    }

    /// Writes the end of a command. Has no effect if the journal has no beginning for it.
    pub fn end(&mut self, answer: &Answer) -> Result<(), JournalError> {
        let Some(entry) = self.entries.iter_mut().rev().find(|entry| entry.id == answer.id) else { return Ok(()) };
        let detail: String = answer.detail.chars().take(DETAIL_LIMIT).collect();
        let line = json!({"id": answer.id, "status": answer.status, "detail": detail}).to_string();
        entry.end = Some((answer.status, detail));
        self.note(&line).map_err(JournalError::Write)
    }

    fn take(&mut self, line: Line) {
        let end = line.status.as_deref().map(|word| (CommandStatus::read(word).unwrap_or(CommandStatus::Failed), line.detail));
        match self.entries.iter_mut().rev().find(|entry| entry.id == line.id) {
            // A line with a beginning after the end is ignored: a command is never begun twice.
            Some(entry) => entry.end = end.or(entry.end.take()),
            None => self.entries.push_back(Entry { id: line.id, end }),
        }
        self.forget();
    }

    fn forget(&mut self) {
        while self.entries.len() > KEPT {
            self.entries.pop_front();
        }
    }

    /// Appends a line that `entries` already contains.
    fn note(&mut self, line: &str) -> io::Result<()> {
        // The content of the file is unknown until the line has been written.
        let length = self.length.take();
        let line = format!("{line}\n");
        let added = match length {
            Some(length) if length > 0 => self.append(length, &line)?,
            _ => None,
        };
        self.length = Some(match added {
            Some(length) => length,
            None => self.rewrite()?,
        });
        Ok(())
    }

    /// Appends a line and returns the new length. `None` if the file has to be written again, because it is too long or was
    /// changed by others.
    fn append(&self, length: u64, line: &str) -> io::Result<Option<u64>> {
        let mut file = match OpenOptions::new().append(true).open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let longer = length.saturating_add(line.len() as u64);
        if file.metadata()?.len() != length || longer > LONGEST {
            return Ok(None);
        }
        file.write_all(line.as_bytes())?;
        file.sync_all()?;
        Ok(Some(longer))
    }

    /// Writes the whole journal to a new file, which replaces the old one. Returns its length.
    fn rewrite(&self) -> io::Result<u64> {
        let mut text = String::new();
        for Entry { id, end } in &self.entries {
            let line = match end {
                None => json!({"id": id}),
                Some((status, detail)) => json!({"id": id, "status": status, "detail": detail}),
            };
            text.push_str(&format!("{line}\n"));
        }
        let new = self.path.with_extension("new");
        let mut file = private(OpenOptions::new().write(true).create(true).truncate(true)).open(&new)?;
        inherit(&file, &new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        sync_folder(folder_of(&self.path))?;
        Ok(text.len() as u64)
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
