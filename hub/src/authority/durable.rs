//! Files that are there whole or not at all, also after a power cut, in a folder for one process and one user.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::AuthorityError;
use crate::storage::disk::{make_folder, private, sync_folder};

/// Far more than certificates need.
const MAX_BYTES: u64 = 1 << 20;
pub(crate) const LOCK: &str = "lock";

/// A folder that this process has for itself as long as this lives.
pub(super) struct Exclusive {
    path: PathBuf,
    _lock: File,
}

impl Exclusive {
    /// Makes the folder if need be, and waits until no other process uses it.
    pub(super) fn open(path: &Path) -> Result<Self, AuthorityError> {
        let failed = |error| AuthorityError::Folder(path.to_owned(), error);
        make_folder(path).map_err(failed)?;
        if platform::others_may_write(&path.metadata().map_err(failed)?) {
            return Err(AuthorityError::FolderOpen(path.to_owned()));
        }
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path.join(LOCK)).map_err(failed)?;
        lock.lock().map_err(failed)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What a file holds, if it is there.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, AuthorityError> {
        self.read_if(name, |_| Ok(())).map(|content| content.map(|mut content| std::mem::take(&mut *content)))
    }

    /// What a file holds that nobody else may read, if it is there.
    pub(super) fn read_secret(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, AuthorityError> {
        self.read_if(name, |metadata| match platform::others_may_read(metadata) {
            true => Err(AuthorityError::KeyExposed(self.path(name))),
            false => Ok(()),
        })
    }

    fn read_if(
        &self,
        name: &str,
        check: impl FnOnce(&std::fs::Metadata) -> Result<(), AuthorityError>,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, AuthorityError> {
        let failed = |error| AuthorityError::Folder(self.path(name), error);
        let file = match File::open(self.path(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let metadata = file.metadata().map_err(failed)?;
        check(&metadata)?;
        // Room for all of it, so that no grown buffer leaves a copy of a key behind.
        let room = usize::try_from(metadata.len().min(MAX_BYTES)).map_or(0, |length| length + 1);
        let mut content = Zeroizing::new(Vec::with_capacity(room));
        file.take(MAX_BYTES).read_to_end(&mut content).map_err(failed)?;
        Ok(Some(content))
    }

    /// Puts a file there that only its owner may read, whole and on the disk.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<(), AuthorityError> {
        let (path, half) = (self.path(name), self.path(&format!("{name}.half")));
        let write = || {
            // One that an earlier process left there may have other permissions.
            if let Err(error) = std::fs::remove_file(&half)
                && error.kind() != ErrorKind::NotFound
            {
                return Err(error);
            }
            let mut file = private(OpenOptions::new().write(true).create_new(true)).open(&half)?;
            file.write_all(content)?;
            file.sync_all()?;
            std::fs::rename(&half, &path)?;
            sync_folder(&self.path)
        };
        write().map_err(|error| AuthorityError::Folder(path.clone(), error))
    }

    /// Puts one file in the place of another.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), AuthorityError> {
        let renamed = std::fs::rename(self.path(from), self.path(to)).and_then(|()| sync_folder(&self.path));
        renamed.map_err(|error| AuthorityError::Folder(self.path(from), error))
    }

    /// Takes a file away, if it is there.
    pub(super) fn remove(&self, name: &str) -> Result<(), AuthorityError> {
        match std::fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(AuthorityError::Folder(self.path(name), error)),
            _ => Ok(()),
        }
    }
}

#[cfg(unix)]
mod platform {
    use std::fs::Metadata;
    use std::os::unix::fs::PermissionsExt;

    pub(super) fn others_may_write(metadata: &Metadata) -> bool {
        metadata.permissions().mode() & 0o022 != 0
    }

    pub(super) fn others_may_read(metadata: &Metadata) -> bool {
        metadata.permissions().mode() & 0o077 != 0
    }
}

/// Elsewhere a folder of a user's is that user's alone by what it inherits.
#[cfg(not(unix))]
mod platform {
    use std::fs::Metadata;

    pub(super) fn others_may_write(_: &Metadata) -> bool {
        false
    }

    pub(super) fn others_may_read(_: &Metadata) -> bool {
        false
    }
}
