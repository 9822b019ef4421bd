//! Files of an authority that are written atomically and durably, in a folder that one process at a time uses. After a power cut
//! a file is complete or absent.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::AuthorityError;
use crate::storage::disk::{make_folder, private, sync_folder};

/// The largest size of a file that is read. Certificates are far smaller.
const MAX_BYTES: u64 = 1 << 20;
pub(crate) const LOCK: &str = "lock";

/// A folder that this process has locked as long as this value exists.
pub(super) struct Exclusive {
    path: PathBuf,
    _lock: File,
}

impl Exclusive {
    /// Creates the folder if it does not exist, and waits until no other process has locked it.
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

    /// The content of a file. `None` if the file does not exist.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, AuthorityError> {
        self.read_if(name, |_| Ok(())).map(|content| content.map(|mut content| std::mem::take(&mut *content)))
    }

    /// The content of a file that only its owner may read. `None` if the file does not exist.
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
        // The whole content fits, so the buffer does not grow and leaves no copy of a key in freed memory.
        let room = usize::try_from(metadata.len().min(MAX_BYTES)).map_or(0, |length| length + 1);
        let mut content = Zeroizing::new(Vec::with_capacity(room));
        file.take(MAX_BYTES).read_to_end(&mut content).map_err(failed)?;
        Ok(Some(content))
    }

    /// Writes a file atomically and syncs it to the disk. Only its owner may read it.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<(), AuthorityError> {
        let (path, half) = (self.path(name), self.path(&format!("{name}.half")));
        let write = || {
            // A partial file of an earlier process may have other permissions.
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

    /// Renames a file durably, and replaces `to` if it exists.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), AuthorityError> {
        let renamed = std::fs::rename(self.path(from), self.path(to)).and_then(|()| sync_folder(&self.path));
        renamed.map_err(|error| AuthorityError::Folder(self.path(from), error))
    }

    /// Deletes a file if it exists.
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

/// On other systems the folder inherits permissions of the user's folder, so nothing is checked.
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
