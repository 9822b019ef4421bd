//! A data folder of which a part is missing: the database beside an authority, or the authority beside what it has issued.
//!
//! Each part would be made anew by a start, and nobody would notice until devices do not connect. So a start stops, and goes on only when
//! it is told to. An operator's own root that was put there before the first start is no such case: an authority that has been in use has
//! the file `lock`, which its first use makes.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

use crate::authority::folder;
use crate::clock;
use crate::storage::store;

/// The name of the authority's folder in a data folder.
pub const AUTHORITY: &str = "authority";

/// What is missing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Missing {
    /// No database, or an empty file.
    #[error(
        "the database {} is missing beside a certificate authority that has been in use; all things, certificates and shadows were in it. \
         Put it back, from a backup by `onething-hub restore`, or begin with an empty one by --new-database: no device that is set up can \
         connect then, until its owner has spoken to Alexa and been mailed a new certificate",
        .0.display()
    )]
    Database(PathBuf),
    /// No root certificate, no key of it, or neither.
    #[error(
        "{what} of the certificate authority {} is missing beside {certificates} certificates that it has issued. Put it back, from a backup \
         by `onething-hub restore`, or make a new authority by --new-authority: no device that is set up can connect then, until its owner \
         has asked Alexa for a new certificate",
        folder.display()
    )]
    Authority {
        /// The authority's folder.
        folder: PathBuf,
        /// Which part of it.
        what: &'static str,
        /// So many certificates stand in the database.
        certificates: u64,
    },
}

/// What is missing in a data folder. What cannot be read is left to whoever opens it.
pub fn missing(data: &Path) -> Option<Missing> {
    let (database, folder) = (data.join(store::FILE), data.join(AUTHORITY));
    let has = |name: &str| folder.join(name).exists();
    let (root, key) = (has(folder::CERTIFICATES), has(folder::KEY) || has(folder::NEXT_KEY));
    if !has_content(&database) {
        return (has(folder::LOCK) && (root || key)).then_some(Missing::Database(database));
    }
    let what = match (root, key) {
        (true, true) => return None,
        (true, false) => "the private key",
        (false, true) => "the root certificate",
        (false, false) => "every part",
    };
    let certificates = certificates(&database).ok().filter(|issued| *issued > 0)?;
    Some(Missing::Authority { folder, what, certificates })
}

/// SQLite makes a new database of an empty file, and forgets the log beside it.
fn has_content(database: &Path) -> bool {
    database.metadata().is_ok_and(|metadata| metadata.len() > 0)
}

fn certificates(database: &Path) -> rusqlite::Result<u64> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.query_row("SELECT count(*) FROM certificate", [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
}

/// Lays aside what is left of an authority, so that a new one can be made.
pub(crate) fn lay_aside(folder: &Path) -> std::io::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    fs::rename(folder, folder.with_added_extension(format!("incomplete-{}", clock::file_name(clock::micros()))))
}
