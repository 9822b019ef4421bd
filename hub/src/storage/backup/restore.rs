//! Restores a backup into a data folder.
//!
//! The backup is first unpacked into `restore.tmp` in the data folder, and checked. Then one rename to `restore.ready` commits
//! the restore. After a crash before the rename the folder is unchanged. After a crash later, the next opening of the folder
//! finishes the restore ([`finish`]). This also works if the data folder is a mount point, which cannot be replaced by a rename.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use super::archive::{Archive, pour};
use super::{BackupError, READY};
use crate::storage::disk::{make_folder, private, sync_folder};
use crate::storage::store;

/// The folder into which a backup is unpacked.
const UNPACKING: &str = "restore.tmp";
/// The folder while its files are moved to their places, after the other files were removed.
const MOVING: &str = "restore.moving";
/// A folder that file systems create in their root directory.
const KEPT: &str = "lost+found";

/// Restores a backup into a data folder, and returns the number of files. The folder must be empty, unless `replace` is set, and
/// no hub may run with it.
pub fn restore(file: &Path, data: &Path, replace: bool) -> Result<usize, BackupError> {
    let mut archive = Archive::open(file)?;
    let failed = |error| BackupError::File(data.to_owned(), error);
    make_folder(data).map_err(failed)?;
    finish(data).map_err(failed)?;
    let is_empty = fs::read_dir(data).map_err(failed)?.all(|entry| entry.is_ok_and(|entry| entry.file_name() == KEPT));
    if !is_empty && !replace {
        return Err(BackupError::NotEmpty(data.to_owned()));
    }
    let _held = lock_database(data)?;
    let unpacking = data.join(UNPACKING);
    let unpacked = unpack(&mut archive, &unpacking);
    if unpacked.is_err() {
        // The next restore removes files that remain here. Only their owner can read them.
        let _ = remove(&unpacking);
    }
    unpacked?;
    fs::rename(&unpacking, data.join(READY)).and_then(|()| sync_folder(data)).map_err(failed)?;
    finish(data).map_err(failed)?;
    Ok(archive.manifest.files.len())
}

/// Locks the database of a folder, so that no hub can start. `None` if there is no database that can be locked.
fn lock_database(data: &Path) -> Result<Option<rusqlite::Connection>, BackupError> {
    let database = data.join(store::FILE);
    if !database.exists() {
        return Ok(None);
    }
    match store::hold(&database) {
        Ok(held) => Ok(Some(held)),
        Err(store::OpenError::InUse(_)) => Err(BackupError::Running(data.to_owned())),
        // A file that is not a database is replaced like the others.
        Err(_) => Ok(None),
    }
}

fn unpack(archive: &mut Archive, folder: &Path) -> Result<(), BackupError> {
    make_folder(folder).map_err(|error| BackupError::File(folder.to_owned(), error))?;
    archive.each(|name, content| {
        let path = folder.join(name);
        let below = path.parent().unwrap_or(folder);
        make_folder(below)?;
        let mut file = private(OpenOptions::new().create_new(true).write(true)).open(&path)?;
        let poured = pour(content, &mut file)?;
        file.sync_all()?;
        sync_folder(below)?;
        Ok(poured)
    })?;
    store::close_copy(&folder.join(store::FILE))?;
    sync_folder(folder).map_err(|error| BackupError::File(folder.to_owned(), error))
}

/// Finishes a committed restore, and removes the files of one that was not committed. The folder need not exist.
pub fn finish(data: &Path) -> io::Result<()> {
    remove(&data.join(UNPACKING))?;
    let (ready, moving) = (data.join(READY), data.join(MOVING));
    if ready.is_dir() {
        for entry in fs::read_dir(data)? {
            let entry = entry?;
            if entry.file_name() != READY && entry.file_name() != KEPT {
                remove(&entry.path())?;
            }
        }
        fs::rename(&ready, &moving)?;
        sync_folder(data)?;
    }
    if moving.is_dir() {
        for entry in fs::read_dir(&moving)? {
            let entry = entry?;
            fs::rename(entry.path(), data.join(entry.file_name()))?;
        }
        sync_folder(data)?;
        fs::remove_dir(&moving)?;
        sync_folder(data)?;
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
