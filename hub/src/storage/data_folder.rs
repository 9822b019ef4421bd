//! Detects a data folder of which a part is missing: the database of an authority that has been in use, or the authority of a
//! database with certificates.
//!
//! A start would create each part again, and nobody would notice before devices fail to connect. So the start fails, unless an
//! option allows the new part. A root that an operator supplies before the first start is not such a case: an authority that has
//! been in use has the file `lock`.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

use crate::authority::folder;
use crate::clock;
use crate::storage::store;

/// The name of the authority's folder in the data folder.
pub const AUTHORITY: &str = "authority";

/// The part of a data folder that is missing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Missing {
    /// The database is missing or empty, and the authority has been in use.
    #[error(
        "the database {} is missing beside a certificate authority that has been in use; all things, certificates and shadows were in it. \
         Put it back, from a backup by `onething-hub restore`, or begin with an empty one by --new-database: no device that is set up can \
         connect then, until its owner has spoken to Alexa and been mailed a new certificate",
        .0.display()
    )]
    Database(PathBuf),
    /// The root certificate, its key or both are missing, and the database contains certificates.
    #[error(
        "{what} of the certificate authority {} is missing beside {certificates} certificates that it has issued. Put it back, from a backup \
         by `onething-hub restore`, or make a new authority by --new-authority: no device that is set up can connect then, until its owner \
         has asked Alexa for a new certificate",
        folder.display()
    )]
    Authority {
        /// The path of the authority's folder.
        folder: PathBuf,
        /// The missing part, for the message.
        what: &'static str,
        /// The number of certificates in the database.
        certificates: u64,
    },
}

/// The part that is missing in a data folder. A part that exists but cannot be read does not count; opening it reports the error.
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

/// An empty file counts as missing, because SQLite makes a new database of it and discards the write-ahead log.
fn has_content(database: &Path) -> bool {
    database.metadata().is_ok_and(|metadata| metadata.len() > 0)
}

fn certificates(database: &Path) -> rusqlite::Result<u64> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.query_row("SELECT count(*) FROM certificate", [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
}

/// Renames the folder of an incomplete authority, so that a new authority can be created.
pub(crate) fn move_aside(folder: &Path) -> std::io::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    fs::rename(folder, folder.with_added_extension(format!("incomplete-{}", clock::file_name(clock::micros()))))
}
