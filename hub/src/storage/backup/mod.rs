//! The backup of a data folder: one zip file with everything that is kept.
//!
//! | name | content |
//! |---|---|
//! | `hub.db` | the database, copied whole while the hub runs: things, certificates, shadows, users, codes, events, mail that waits |
//! | `authority/…`, `mail/…` and all other files of the folder | as they are |
//! | `backup.json` | the version of this format and of the schema, and length and SHA-256 of each file |
//!
//! There are private keys in it: the file is for its owner only. It appears whole or not at all, and is read back before it takes the
//! place of an older one.

mod archive;
mod restore;
mod write;

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::restore::{finish, restore};
pub use self::write::{Written, write};
use crate::storage::store;

/// The version of this format.
const FORMAT: u32 = 1;
/// What says what is in a backup.
const MANIFEST: &str = "backup.json";
/// The folder of a restore whose files are all unpacked and checked: everything else in the data folder has to go.
const READY: &str = "restore.ready";

/// What is in a backup.
#[derive(Debug, Deserialize, Serialize)]
struct Manifest {
    /// The version of the format.
    format: u32,
    /// The version of the hub that wrote it.
    hub: String,
    /// The schema of the database.
    schema: usize,
    /// When it was written, in seconds since the epoch.
    at: u64,
    files: Vec<Entry>,
}

/// A file of a backup.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
struct Entry {
    /// Its path in the data folder, with `/` between the parts.
    name: String,
    /// In bytes.
    size: u64,
    /// In hex.
    sha256: String,
}

/// Why there is no backup, or nothing was restored.
#[derive(Debug, Error)]
pub enum BackupError {
    /// A file or a folder.
    #[error("{} cannot be used", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// The database.
    #[error(transparent)]
    Database(#[from] store::OpenError),
    /// The backup would be part of the next one.
    #[error("{} lies in the data folder itself: name a file elsewhere", .0.display())]
    Inside(PathBuf),
    /// There is nothing to back up.
    #[error("there is no hub's data in {}", .0.display())]
    NoData(PathBuf),
    /// Another backup is being written into the same file.
    #[error("{} is being written by another backup", .0.display())]
    Busy(PathBuf),
    /// No zip file, or none of ours.
    #[error("{} is no backup of a hub, or was cut off: {what}", file.display())]
    NoBackup {
        /// The file.
        file: PathBuf,
        /// Why not.
        what: String,
    },
    /// A byte is not what it was.
    #[error("{} is damaged: {name} is not as it was written", file.display())]
    Damaged {
        /// The backup.
        file: PathBuf,
        /// The file in it.
        name: String,
    },
    /// Written by a hub that knows more.
    #[error("{} was written by a newer hub ({hub}): restore it with that version or a newer one", file.display())]
    Newer {
        /// The backup.
        file: PathBuf,
        /// The version that wrote it.
        hub: String,
    },
    /// There is something already.
    #[error("{} is not empty: --replace puts the backup in the place of everything in it", .0.display())]
    NotEmpty(PathBuf),
    /// A hub has what would be replaced.
    #[error("a hub runs over {}: end it first", .0.display())]
    Running(PathBuf),
}

impl BackupError {
    /// Whether what is asked for cannot be, as it is asked for.
    pub fn is_unusable(&self) -> bool {
        matches!(self, BackupError::NotEmpty(_) | BackupError::Newer { .. } | BackupError::Inside(_))
    }
}

#[cfg(test)]
#[path = "backup_tests.rs"]
mod tests;
