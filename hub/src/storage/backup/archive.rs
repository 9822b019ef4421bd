//! A backup file, as it is read.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use zip::ZipArchive;

use super::{BackupError, FORMAT, MANIFEST, Manifest};
use crate::storage::store;

/// Of a file that is being read.
const PART: usize = 64 * 1024;
/// Of a manifest.
const MANIFEST_LIMIT: u64 = 64 * 1024 * 1024;

/// A backup that is read.
pub(super) struct Archive {
    file: PathBuf,
    zip: ZipArchive<File>,
    pub(super) manifest: Manifest,
}

impl Archive {
    /// Opens a backup and reads what is in it.
    pub(super) fn open(file: &Path) -> Result<Self, BackupError> {
        let none = |what: String| BackupError::NoBackup { file: file.to_owned(), what };
        let opened = File::open(file).map_err(|error| BackupError::File(file.to_owned(), error))?;
        let mut zip = ZipArchive::new(opened).map_err(|error| none(error.to_string()))?;
        let manifest = zip.by_name(MANIFEST).map_err(|_| none(format!("there is no {MANIFEST} in it")))?;
        let manifest = io::read_to_string(io::Read::take(manifest, MANIFEST_LIMIT)).map_err(|error| none(error.to_string()))?;
        let of_its_time: serde_json::Value = serde_json::from_str(&manifest).map_err(|error| none(format!("{MANIFEST}: {error}")))?;
        let hub = of_its_time["hub"].as_str().unwrap_or("of an unknown version").to_owned();
        let newer = || BackupError::Newer { file: file.to_owned(), hub };
        // What a newer format says besides is its own.
        if of_its_time["format"].as_u64().is_some_and(|format| format > u64::from(FORMAT)) {
            return Err(newer());
        }
        let manifest: Manifest = serde_json::from_value(of_its_time).map_err(|error| none(format!("{MANIFEST}: {error}")))?;
        if manifest.schema > store::SCHEMA {
            return Err(newer());
        }
        Ok(Self { file: file.to_owned(), zip, manifest })
    }

    /// Reads all of it, and sees that nothing has changed since it was written.
    pub(super) fn check(mut self) -> Result<(), BackupError> {
        self.each(|_, content| pour(content, &mut io::sink()))
    }

    /// Does something with each file, which returns its length and SHA-256.
    pub(super) fn each(&mut self, mut with: impl FnMut(&Path, &mut dyn io::Read) -> io::Result<(u64, String)>) -> Result<(), BackupError> {
        for entry in &self.manifest.files {
            let damaged = || BackupError::Damaged { file: self.file.clone(), name: entry.name.clone() };
            let path = plain(&entry.name).ok_or_else(damaged)?;
            let mut content = self.zip.by_name(&entry.name).map_err(|_| damaged())?;
            let (size, sha256) = with(&path, &mut content).map_err(|error| match error.kind() {
                // The checksum of the zip file.
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

/// A name that stays below the folder.
fn plain(name: &str) -> Option<PathBuf> {
    let path = Path::new(name);
    let is_plain = !name.is_empty() && path.components().all(|part| matches!(part, Component::Normal(_)));
    is_plain.then(|| path.to_owned())
}

/// Copies all of a file, and says how long it is and what its SHA-256 is.
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
