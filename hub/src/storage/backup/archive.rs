//! Reads and checks a backup file.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use zip::ZipArchive;

use super::{BackupError, FORMAT, MANIFEST, Manifest};
use crate::storage::store;

/// The size of the buffer for copying, in bytes.
const PART: usize = 64 * 1024;
/// The largest size of a manifest, in bytes.
const MANIFEST_LIMIT: u64 = 64 * 1024 * 1024;

/// An opened backup.
pub(super) struct Archive {
    file: PathBuf,
    zip: ZipArchive<File>,
    pub(super) manifest: Manifest,
}

impl Archive {
    /// Opens a backup and reads its manifest. Fails if the format or the schema is newer than this hub.
    pub(super) fn open(file: &Path) -> Result<Self, BackupError> {
        let none = |what: String| BackupError::NoBackup { file: file.to_owned(), what };
        let opened = File::open(file).map_err(|error| BackupError::File(file.to_owned(), error))?;
        let mut zip = ZipArchive::new(opened).map_err(|error| none(error.to_string()))?;
        let manifest = zip.by_name(MANIFEST).map_err(|_| none(format!("there is no {MANIFEST} in it")))?;
        let manifest = io::read_to_string(io::Read::take(manifest, MANIFEST_LIMIT)).map_err(|error| none(error.to_string()))?;
        let of_its_time: serde_json::Value = serde_json::from_str(&manifest).map_err(|error| none(format!("{MANIFEST}: {error}")))?;
        let hub = of_its_time["hub"].as_str().unwrap_or("of an unknown version").to_owned();
        let newer = || BackupError::Newer { file: file.to_owned(), hub };
        // Other fields of a newer format may differ, so they are parsed only afterwards.
        if of_its_time["format"].as_u64().is_some_and(|format| format > u64::from(FORMAT)) {
            return Err(newer());
        }
        let manifest: Manifest = serde_json::from_value(of_its_time).map_err(|error| none(format!("{MANIFEST}: {error}")))?;
        if manifest.schema > store::SCHEMA {
            return Err(newer());
        }
        Ok(Self { file: file.to_owned(), zip, manifest })
    }

    /// Reads the complete backup, and compares each file with the manifest.
    pub(super) fn check(mut self) -> Result<(), BackupError> {
        self.each(|_, content| pour(content, &mut io::sink()))
    }

    /// Calls `with` for each file of the manifest. It must read the content, and return the length and the SHA-256 in hex.
    pub(super) fn each(&mut self, mut with: impl FnMut(&Path, &mut dyn io::Read) -> io::Result<(u64, String)>) -> Result<(), BackupError> {
        for entry in &self.manifest.files {
            let damaged = || BackupError::Damaged { file: self.file.clone(), name: entry.name.clone() };
            let path = plain(&entry.name).ok_or_else(damaged)?;
            let mut content = self.zip.by_name(&entry.name).map_err(|_| damaged())?;
            let (size, sha256) = with(&path, &mut content).map_err(|error| match error.kind() {
                // The kinds of error for a damaged zip file, for example a wrong checksum.
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::Other => damaged(),
                _ => BackupError::File(path.clone(), error),
            })?;
            if size != entry.size || sha256 != entry.sha256 {
                return Err(damaged());
            }
        }
        Ok(())
    }
}

/// The name as a relative path. `None` if the path could leave the data folder.
fn plain(name: &str) -> Option<PathBuf> {
    let path = Path::new(name);
    let is_plain = !name.is_empty() && path.components().all(|part| matches!(part, Component::Normal(_)));
    is_plain.then(|| path.to_owned())
}

/// Copies the content of a file. Returns its length and its SHA-256 in hex.
pub(super) fn pour(mut from: impl Read, to: &mut impl Write) -> io::Result<(u64, String)> {
    let (mut hash, mut size, mut part) = (Sha256::new(), 0, vec![0; PART]);
    loop {
        let read = from.read(&mut part)?;
        if read == 0 {
            return Ok((size, HEXLOWER.encode(&hash.finalize())));
        }
        hash.update(&part[..read]);
        to.write_all(&part[..read])?;
        size += read as u64;
    }
}
