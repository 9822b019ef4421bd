//! The backup of a data folder: one zip file with all data.
//!
//! | name | content |
//! |---|---|
//! | `hub.db` | a consistent copy of the database, also of a running hub: things, certificates, shadows, users, claim codes, events, waiting mail |
//! | `authority/…`, `mail/…` and all other files of the folder | unchanged copies |
//! | `backup.json` | the version of this format and of the schema, and the length and the SHA-256 of each file |
//!
//! A backup contains private keys, so only the owner of the file may read it. The file is written atomically, and is read back
//! before it replaces an older one.

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

/// The version of the format.
const FORMAT: u32 = 1;
/// The name of the manifest in a backup.
const MANIFEST: &str = "backup.json";
/// The folder of a restore whose files are completely unpacked and checked. When it exists, the rest of the data folder is
/// removed.
const READY: &str = "restore.ready";

/// The manifest of a backup.
#[derive(Debug, Deserialize, Serialize)]
struct Manifest {
    /// The version of the format, at most [`FORMAT`].
    format: u32,
    /// The version of the hub that wrote the backup.
    hub: String,
    /// The version of the schema of the database.
    schema: usize,
    /// When the backup was written, as Unix time in seconds.
    at: u64,
    files: Vec<Entry>,
}

/// A file in a backup.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
struct Entry {
    /// The path relative to the data folder, with `/` as the separator.
    name: String,
    /// The length in bytes.
    size: u64,
    /// The SHA-256 of the content in hex.
    sha256: String,
}

/// Why a backup was not written, or not restored.
#[derive(Debug, Error)]
pub enum BackupError {
    /// A file or a folder cannot be read or written.
    #[error("{} cannot be used", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// The database cannot be opened or copied.
    #[error(transparent)]
    Database(#[from] store::OpenError),
    /// The backup file is in the data folder, so it would be part of the next backup.
    #[error("{} lies in the data folder itself: name a file elsewhere", .0.display())]
    Inside(PathBuf),
    /// The folder contains no database.
    #[error("there is no hub's data in {}", .0.display())]
    NoData(PathBuf),
    /// Another process is writing a backup to the same file.
    #[error("{} is being written by another backup", .0.display())]
    Busy(PathBuf),
    /// The file is not a zip file, or it has no valid manifest.
    #[error("{} is no backup of a hub, or was cut off: {what}", file.display())]
    NoBackup {
        /// The path of the file.
        file: PathBuf,
        /// The error.
        what: String,
    },
    /// A file in the backup differs from the manifest.
    #[error("{} is damaged: {name} is not as it was written", file.display())]
    Damaged {
        /// The path of the backup.
        file: PathBuf,
        /// The name of the file in the backup.
        name: String,
    },
    /// A newer version of the hub wrote the backup, in a format or with a schema that this version does not know.
    #[error("{} was written by a newer hub ({hub}): restore it with that version or a newer one", file.display())]
    Newer {
        /// The path of the backup.
        file: PathBuf,
        /// The version of the hub that wrote the backup.
        hub: String,
    },
    /// The data folder is not empty.
    #[error("{} is not empty: --replace puts the backup in the place of everything in it", .0.display())]
    NotEmpty(PathBuf),
    /// A hub runs with the data folder.
    #[error("a hub runs over {}: end it first", .0.display())]
    Running(PathBuf),
}

impl BackupError {
    /// Whether the arguments of the command are the reason for the error.
    pub fn is_unusable(&self) -> bool {
        matches!(self, BackupError::NotEmpty(_) | BackupError::Newer { .. } | BackupError::Inside(_))
    }
}

#[cfg(test)]
#[path = "backup_tests.rs"]
mod tests;
