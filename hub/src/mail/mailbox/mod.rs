//! A mail folder with one `.eml` file per message, which mail programs, editors, the page and tests can open.
//!
//! A message is written atomically under a name that sorts by time. Only its owner can read the file, because a message contains
//! a private key. A message that was accepted survives a power cut. The [`index`] summarises the messages. The messages are
//! authoritative, and the index is repaired from them when the folder is opened.
//!
//! All functions except [`Mailer::send`] block, so an async task must call them on a blocking thread.

mod folder;
pub mod index;
mod message;
mod parts;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mail_parser::MessageParser;
use onething::mail::{Letter, MailError, Mailer};
use tokio::sync::watch;

use self::index::{Entry, Index};
pub use self::message::Message;
use crate::clock;
use crate::storage::disk;

/// The name of the file that [`MailFolder::probe`] writes.
const PROBE: &str = ".probe";

/// A folder to which mail is sent. Clones share the index.
#[derive(Clone)]
pub struct MailFolder {
    path: PathBuf,
    index: Arc<Mutex<Index>>,
    /// The number of messages, for tasks that wait for the next one.
    count: watch::Sender<usize>,
}

impl MailFolder {
    /// Opens a mail folder, or creates it. Removes partial files of a crashed process.
    pub fn open(path: &Path) -> io::Result<Self> {
        disk::make_folder(path)?;
        disk::remove_unfinished(path)?;
        let index = Index::open(path)?;
        let (count, _) = watch::channel(index.entries().len());
        Ok(Self { path: path.to_owned(), index: Arc::new(Mutex::new(index)), count })
    }

    /// The paths of all messages, the oldest first, including messages of earlier processes.
    pub fn sent(&self) -> Vec<PathBuf> {
        self.lock().entries().iter().map(|entry| self.path.join(&entry.id)).collect()
    }

    /// The entries of the index, the oldest first, for one recipient or for all.
    pub fn entries(&self, to: Option<&str>) -> Vec<Entry> {
        self.lock().entries().iter().filter(|entry| to.is_none_or(|to| entry.is_to(to))).cloned().collect()
    }

    /// The messages with their text, the oldest first, for one recipient or for all. Messages whose files were deleted by hand
    /// are omitted.
    pub fn messages(&self, to: Option<&str>) -> io::Result<Vec<Message>> {
        let read = self.entries(to).into_iter().map(|entry| {
            let raw = folder::read(&self.path.join(&entry.id))?;
            Ok(raw.map(|raw| Message::read(entry, &raw)))
        });
        read.filter_map(io::Result::transpose).collect()
    }

    /// The raw bytes of a message. `None` if there is no message with this id.
    pub fn raw(&self, id: &str) -> io::Result<Option<Vec<u8>>> {
        // Only names in the index are accepted, so an id cannot name another file.
        let known = self.lock().entries().iter().any(|entry| entry.id == id);
        if known { folder::read(&self.path.join(id)) } else { Ok(None) }
    }

    /// The HTML body of a message, if there is one. It is not sanitised, so a page must display it in a sandbox.
    pub fn html(&self, id: &str) -> io::Result<Option<String>> {
        Ok(self.raw(id)?.and_then(|raw| message::html(&MessageParser::default().parse(&raw)?)))
    }

    /// The name and the content of the first attachment of a message.
    pub fn attachment(&self, id: &str) -> io::Result<Option<(String, Vec<u8>)>> {
        let attachment = |raw: Vec<u8>| {
            let parsed = MessageParser::default().parse(&raw)?;
            parts::attachment(&parsed).map(|(name, content)| (name, content.to_vec()))
        };
        Ok(self.raw(id)?.and_then(attachment))
    }

    /// Saves the attachment of a message in the mail folder. Fails if the name belongs to a message or to the index.
    pub fn save_attachment(&self, message: &Path) -> io::Result<PathBuf> {
        let message = fs::read(message)?;
        let parsed = MessageParser::default().parse(&message);
        let attachment = parsed.as_ref().and_then(parts::attachment);
        let (name, content) = attachment.ok_or_else(|| io::Error::other("the message has no attachment"))?;
        if name == index::FILE || name.ends_with(".eml") {
            return Err(io::Error::other("the attachment has a name that belongs to the mailbox"));
        }
        disk::write_whole(&self.path, &name, content)?;
        Ok(self.path.join(name))
    }

    /// Whether mail can be written, tested with a temporary file.
    pub fn probe(&self) -> io::Result<()> {
        // Concurrent probes use the same file name, so the lock serialises them.
        let _index = self.lock();
        disk::write_whole(&self.path, PROBE, b"")?;
        fs::remove_file(self.path.join(PROBE))
    }

    /// The number of messages, with a notification for each change.
    pub fn arrivals(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }

    /// Deletes all messages to this address.
    pub fn remove(&self, address: &str) -> io::Result<()> {
        let mut index = self.lock();
        for id in index.remove(address)? {
            fs::remove_file(self.path.join(id))?;
        }
        self.count.send_replace(index.entries().len());
        Ok(())
    }

    fn take(&self, letter: &Letter) -> io::Result<()> {
        let mut index = self.lock();
        // The order of the names is the order of arrival, even for two messages in one microsecond and after the clock was set
        // back.
        let micros = clock::micros().max(index.latest() + 1);
        let name = format!("{}.eml", clock::file_name(micros));
        disk::write_whole(&self.path, &name, &letter.message)?;
        let mut entry = Entry::of(name, micros, &letter.message);
        if let Some(label) = &letter.label {
            entry.thing = Some(label.thing.to_string());
            entry.certificate = Some(label.certificate.as_str().to_owned());
        }
        // The message file is written, so the message counts as sent. The next write repairs the index.
        if let Err(error) = index.add(entry) {
            tracing::warn!(%error, "the index of the mailbox could not be written");
        }
        self.count.send_replace(index.entries().len());
        Ok(())
    }

    /// A panic in another thread leaves the index consistent, because entries are added last.
    fn lock(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mailer for MailFolder {
    async fn send(&self, letter: Letter) -> Result<(), MailError> {
        let folder = self.clone();
        let written = tokio::task::spawn_blocking(move || folder.take(&letter)).await;
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(MailError::Refused(error.to_string())),
            Err(_) => Err(MailError::Unclear("the mailbox broke down".into())),
        }
    }
}

#[cfg(test)]
#[path = "mailbox_tests.rs"]
mod tests;
