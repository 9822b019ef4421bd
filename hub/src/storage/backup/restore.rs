//! Puts a backup back into a data folder.
//!
//! Everything is first unpacked beside what is there, in `restore.tmp`, and checked. One rename, to `restore.ready`, decides: before it,
//! a crash leaves the folder as it was; after it, whoever opens the folder next goes on until the backup is all that is in it ([`finish`]).
//! That works also where the data folder is a mount point, which nothing can be renamed over.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use super::archive::{Archive, pour};
use super::{BackupError, READY};
use crate::storage::disk::{make_folder, private, sync_folder};
use crate::storage::store;

/// Where a backup is unpacked.
const UNPACKING: &str = "restore.tmp";
/// Everything else is gone, and its files go into their places.
const MOVING: &str = "restore.moving";
/// What file systems keep for themselves in their topmost folder.
const KEPT: &str = "lost+found";

/// Puts a backup into a data folder, which has to be empty unless everything in it is to be replaced. No hub may run over it.
pub fn restore(file: &Path, data: &Path, replace: bool) -> Result<usize, BackupError> {
    let mut archive = Archive::open(file)?;
    let failed = |error| BackupError::File(data.to_owned(), error);
    make_folder(data).map_err(failed)?;
    finish(data).map_err(failed)?;
    let is_empty = fs::read_dir(data).map_err(failed)?.all(|entry| entry.is_ok_and(|entry| entry.file_name() == KEPT));
    if !is_empty && !replace {
        return Err(BackupError::NotEmpty(data.to_owned()));
    }
    let _nobody_else = alone(data)?;
    let unpacking = data.join(UNPACKING);
    let unpacked = unpack(&mut archive, &unpacking);
    if unpacked.is_err() {
        // What is left of it is for its owner only, and the next one removes it.
        let _ = remove(&unpacking);
    }
    unpacked?;
    fs::rename(&unpacking, data.join(READY)).and_then(|()| sync_folder(data)).map_err(failed)?;
    finish(data).map_err(failed)?;
    Ok(archive.manifest.files.len())
}

/// Holds the database of a folder, where there is one that can be held, so that no hub runs over it.
fn alone(data: &Path) -> Result<Option<rusqlite::Connection>, BackupError> {
    let database = data.join(store::FILE);
    if !database.exists() {
        return Ok(None);
    }
    match store::hold(&database) {
        Ok(held) => Ok(Some(held)),
        Err(store::OpenError::InUse(_)) => Err(BackupError::Running(data.to_owned())),
        // What is no database is replaced as well.
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

/// Goes on with a restore that was decided and not finished, and removes what is left of one that was not. Where nothing is to be done,
/// there need be no folder.
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
