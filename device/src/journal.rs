//! The journal: which commands were begun, and how they ended, so that a device that starts again does none of them twice.
//!
//! The beginning of a command is on the disk before the command begins; its end is noted after. A command without an end
//! was broken off: nobody knows how far it came, so it is not done again.
//!
//! A line is one JSON object, and lines are only added; a file that has become long is written anew beside the old one and
//! takes its place by `rename`, which is atomic (<https://pubs.opengroup.org/onlinepubs/9799919799/functions/rename.html>).
//! A line that a power cut has torn is one that nobody relied on. A file that is not as it was left is written anew as well.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;
use thiserror::Error;

use crate::agent::{Answer, CommandStatus};
use crate::state::disk::{folder_of, inherit, private, sync_folder};

/// How many commands are kept: an agent remembers no more.
const KEPT: usize = 128;
/// In bytes. Each command takes two lines of some hundred bytes.
const LONGEST: u64 = 128 * 1024;
/// In bytes: what is read at all.
const READ_LIMIT: u64 = 4 * 1024 * 1024;
/// In characters: how much of an answer's words is kept.
const DETAIL_LIMIT: usize = 256;

/// Why nothing is kept in mind.
#[derive(Debug, Error)]
pub enum JournalError {
    /// What was begun before is not known.
    #[error("the journal of commands cannot be read")]
    Read(#[source] io::Error),
    /// The disk is full, is read-only, or is gone.
    #[error("the journal of commands cannot be written")]
    Write(#[source] io::Error),
}

/// A command that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    id: String,
    end: Option<(CommandStatus, String)>,
}

/// A line: a beginning, or with a status an end.
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
    /// Oldest first.
    entries: VecDeque<Entry>,
    /// The file's, when all of it is as it was written here.
    length: Option<u64>,
}

impl Journal {
    /// Reads the journal at this path, where there is one. Its folder has to be there when the first command comes.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let mut text = Vec::new();
        match File::open(path).and_then(|file| file.take(READ_LIMIT).read_to_end(&mut text)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(JournalError::Read(error)),
            _ => {}
        }
        // Whatever was torn or is too long is mended when it is written next.
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

    /// The commands that were begun, oldest first, each with what became of it, where that is known.
    pub fn begun(&self) -> impl Iterator<Item = (String, Option<Answer>)> {
        self.entries.iter().map(|entry| {
            let answer = |(status, detail): &(_, String)| Answer { id: entry.id.clone(), status: *status, detail: detail.clone() };
            (entry.id.clone(), entry.end.as_ref().map(answer))
        })
    }

    /// Notes that a command begins. When this returns without an error the note is on the disk.
    pub fn begin(&mut self, id: &str) -> Result<(), JournalError> {
        self.entries.push_back(Entry { id: id.to_owned(), end: None });
        if let Err(error) = self.note(&json!({"id": id}).to_string()) {
            self.entries.pop_back();
            return Err(JournalError::Write(error));
        }
        self.forget();
        Ok(())
    }

    /// Notes how a command has ended; nothing, when its beginning was not noted.
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
            // A beginning after the end would be a command begun twice, which does not happen.
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

    /// Adds a line that the entries hold already.
    fn note(&mut self, line: &str) -> io::Result<()> {
        // Until it is clear that the line is on the disk, the file may be anything.
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

    /// The new length, or nothing where the file has to be written anew: it has become long, or is not as it was left.
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

    /// Writes the whole journal beside the old one and puts it in its place. Its length.
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
