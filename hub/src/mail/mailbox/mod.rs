//! Mail into a folder: one `.eml` per message, for a mail program, an editor, a page or a test to open.
//!
//! A message appears whole or not at all, under a name that sorts by time, and only its owner can read it:
//! there is a private key in it. One that was taken survives a power cut. The [`index`] beside the messages says what is in
//! them; the messages are the truth, and whatever the index lacks or has too much is mended when the folder is opened.
//!
//! Everything here blocks, as files do: an asynchronous caller puts it on a thread that may.

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

/// What [`MailFolder::probe`] writes.
const PROBE: &str = ".probe";

/// A folder that takes mail.
#[derive(Clone)]
pub struct MailFolder {
    path: PathBuf,
    index: Arc<Mutex<Index>>,
    /// How many messages there are, for those who wait for the next one.
    count: watch::Sender<usize>,
}

impl MailFolder {
    /// Opens a folder with what lies in it, and makes it where there is none. What an earlier process left half written is
    /// removed.
    pub fn open(path: &Path) -> io::Result<Self> {
        disk::make_folder(path)?;
        disk::remove_unfinished(path)?;
        let index = Index::open(path)?;
        let (count, _) = watch::channel(index.entries().len());
        Ok(Self { path: path.to_owned(), index: Arc::new(Mutex::new(index)), count })
    }

    /// All messages, oldest first, also those of earlier processes.
    pub fn sent(&self) -> Vec<PathBuf> {
        self.lock().entries().iter().map(|entry| self.path.join(&entry.id)).collect()
    }

    /// The entries of the index, oldest first: of one recipient's mail, or of all.
    pub fn entries(&self, to: Option<&str>) -> Vec<Entry> {
        self.lock().entries().iter().filter(|entry| to.is_none_or(|to| entry.is_to(to))).cloned().collect()
    }

    /// The messages as a reader shows them, oldest first: of one recipient, or all. One that somebody has deleted by hand
    /// is left out.
    pub fn messages(&self, to: Option<&str>) -> io::Result<Vec<Message>> {
        let read = self.entries(to).into_iter().map(|entry| {
            let raw = folder::read(&self.path.join(&entry.id))?;
            Ok(raw.map(|raw| Message::read(entry, &raw)))
        });
        read.filter_map(io::Result::transpose).collect()
    }

    /// A message as it was sent. `None` when there is none of this id.
    pub fn raw(&self, id: &str) -> io::Result<Option<Vec<u8>>> {
        // An id is a name in the index and nothing else, so it leads to no other place.
        let known = self.lock().entries().iter().any(|entry| entry.id == id);
        if known { folder::read(&self.path.join(id)) } else { Ok(None) }
    }

    /// The HTML of a message, where it has any. It is the sender's: whoever shows it keeps it from doing anything.
    pub fn html(&self, id: &str) -> io::Result<Option<String>> {
        Ok(self.raw(id)?.and_then(|raw| message::html(&MessageParser::default().parse(&raw)?)))
    }

    /// Name and content of a message's attachment.
    pub fn attachment(&self, id: &str) -> io::Result<Option<(String, Vec<u8>)>> {
        let attachment = |raw: Vec<u8>| {
            let parsed = MessageParser::default().parse(&raw)?;
            parts::attachment(&parsed).map(|(name, content)| (name, content.to_vec()))
        };
        Ok(self.raw(id)?.and_then(attachment))
    }

    /// Saves the attachment of a message beside it, as a mail program does.
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

    /// Whether mail can be put here, tried with a file that is gone again.
    pub fn probe(&self) -> io::Result<()> {
        // One at a time: another's probe would take this one's file away.
        let _index = self.lock();
        disk::write_whole(&self.path, PROBE, b"")?;
        fs::remove_file(self.path.join(PROBE))
    }

    /// Tells how many messages there are, whenever one arrives.
    pub fn arrivals(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }

    /// Throws away all mail to this address.
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
        // Two messages of one microsecond, or a clock set back, must not change the order.
        let micros = clock::micros().max(index.latest() + 1);
        let name = format!("{}.eml", clock::file_name(micros));
        disk::write_whole(&self.path, &name, &letter.message)?;
        let mut entry = Entry::of(name, micros, &letter.message);
        if let Some(label) = &letter.label {
            entry.thing = Some(label.thing.to_string());
            entry.certificate = Some(label.certificate.as_str().to_owned());
        }
        // The message lies there and counts as sent: an index that could not be written is mended at the next chance.
        if let Err(error) = index.add(entry) {
            tracing::warn!(%error, "the index of the mailbox could not be written");
        }
        self.count.send_replace(index.entries().len());
        Ok(())
    }

    /// A panic elsewhere leaves an index that is whole: its entries are added last.
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
