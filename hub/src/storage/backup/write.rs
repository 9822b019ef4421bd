//! Writes a backup of a data folder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::archive::{Archive, pour};
use super::{BackupError, Entry, FORMAT, MANIFEST, Manifest, READY};
use crate::authority::folder::LOCK;
use crate::clock;
use crate::storage::data_folder::AUTHORITY;
use crate::storage::disk::{UNFINISHED, private, sync_folder};
use crate::storage::store;

/// The name of the mail folder in a backup, also if the folder is elsewhere.
const MAIL: &str = "mail";
/// Names in the data folder that are not copied as files: the database is copied separately, a demonstration creates its folder
/// again, and a restore in progress is not data.
const LEFT_OUT: [&str; 3] = [store::FILE, "demo", READY];

/// The result of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The number of files in the backup, without the manifest.
    pub files: usize,
    /// The size of the backup file, in bytes.
    pub bytes: u64,
}

/// Writes a backup of a data folder to a file, which replaces an older one. `copy` copies the database to the given path. `mail`
/// is the mail folder, if it is not in the data folder.
pub fn write(
    data: &Path,
    mail: Option<&Path>,
    file: &Path,
    copy: impl FnOnce(&Path) -> Result<(), BackupError>,
) -> Result<Written, BackupError> {
    let folder = folder_of(file)?;
    let canonical = |path: &Path| path.canonicalize().map_err(|error| BackupError::File(path.to_owned(), error));
    let root = canonical(data)?;
    if canonical(&folder)?.starts_with(&root) {
        return Err(BackupError::Inside(file.to_owned()));
    }
    // A folder within the data folder is in the backup already, also if its path leads there through a link.
    let mail = mail.filter(|mail| !mail.starts_with(data)).map(canonical).transpose()?.filter(|mail| !mail.starts_with(&root));
    let mail = mail.as_deref();
    let unfinished = Unfinished::new(file)?;
    let written = unfinished.fill(data, mail, copy)?;
    unfinished.take_its_place(file, &folder)?;
    Ok(written)
}

fn folder_of(file: &Path) -> Result<PathBuf, BackupError> {
    let named = file.file_name().is_some() && !file.is_dir();
    let folder = file.parent().filter(|_| named).ok_or_else(|| BackupError::File(file.to_owned(), io::ErrorKind::IsADirectory.into()))?;
    Ok(if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() })
}

/// A backup in progress, and the copy of the database for it. Both files are removed on failure. After a crash the next backup to
/// the same file removes them.
struct Unfinished {
    archive: PathBuf,
    database: PathBuf,
    file: File,
}

impl Unfinished {
    fn new(file: &Path) -> Result<Self, BackupError> {
        let archive = file.with_added_extension(UNFINISHED);
        let database = file.with_added_extension(format!("db.{UNFINISHED}"));
        let failed = |path: &Path, error| BackupError::File(path.to_owned(), error);
        let open = private(OpenOptions::new().create(true).truncate(false).read(true).write(true)).open(&archive);
        let open = open.map_err(|error| failed(&archive, error))?;
        match open.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BackupError::Busy(file.to_owned())),
            Err(TryLockError::Error(error)) => return Err(failed(&archive, error)),
        }
        open.set_len(0).map_err(|error| failed(&archive, error))?;
        let unfinished = Self { archive, database, file: open };
        remove(&unfinished.database);
        let database = private(OpenOptions::new().create_new(true).write(true)).open(&unfinished.database);
        database.map_err(|error| failed(&unfinished.database, error))?;
        Ok(unfinished)
    }

    fn fill(&self, data: &Path, mail: Option<&Path>, copy: impl FnOnce(&Path) -> Result<(), BackupError>) -> Result<Written, BackupError> {
        copy(&self.database)?;
        let schema = store::close_copy(&self.database)?;
        let mut files = vec![(store::FILE.to_owned(), self.database.clone())];
        list(data, "", &mut files)?;
        if let Some(mail) = mail {
            let folder = format!("{MAIL}/");
            files.retain(|(name, _)| !name.starts_with(&folder));
            list(mail, &folder, &mut files)?;
        }
        let failed = |error: io::Error| BackupError::File(self.archive.clone(), error);
        let mut zip = ZipWriter::new(&self.file);
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).unix_permissions(0o600);
        let mut entries = Vec::new();
        for (name, path) in files {
            zip.start_file(&name, options.large_file(true)).map_err(|error| failed(error.into()))?;
            let unread = |error| BackupError::File(path.clone(), error);
            let source = match File::open(&path) {
                Ok(source) => source,
                // The mail was deleted meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    zip.abort_file().map_err(|error| failed(error.into()))?;
                    continue;
                }
                Err(error) => return Err(unread(error)),
            };
            let (size, sha256) = pour(source, &mut zip).map_err(unread)?;
            entries.push(Entry { name, size, sha256 });
        }
        let files = entries.len();
        let manifest = Manifest { format: FORMAT, hub: env!("CARGO_PKG_VERSION").to_owned(), schema, at: clock::now(), files: entries };
        zip.start_file(MANIFEST, options).map_err(|error| failed(error.into()))?;
        zip.write_all(&serde_json::to_vec_pretty(&manifest).map_err(|error| failed(error.into()))?).map_err(failed)?;
        zip.finish().map_err(|error| failed(error.into()))?;
        self.file.sync_all().map_err(failed)?;
        Archive::open(&self.archive)?.check()?;
        let bytes = self.file.metadata().map_err(failed)?.len();
        Ok(Written { files, bytes })
    }

    fn take_its_place(self, file: &Path, folder: &Path) -> Result<(), BackupError> {
        let moved = fs::rename(&self.archive, file).and_then(|()| sync_folder(folder));
        moved.map_err(|error| BackupError::File(file.to_owned(), error))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        remove(&self.archive);
        remove(&self.database);
    }
}

/// Removes a file. Errors are ignored, because only its owner can read a file that stays.
fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}

/// Appends the files of a folder, with their names in the backup, sorted by name. Symbolic links and sockets are omitted.
fn list(folder: &Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) -> Result<(), BackupError> {
    let failed = |error| BackupError::File(folder.to_owned(), error);
    let mut entries: Vec<_> = fs::read_dir(folder).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().map_err(failed)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let database = prefix.is_empty() && name.strip_prefix(store::FILE).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        let lock = prefix.strip_suffix('/') == Some(AUTHORITY) && name == LOCK;
        let unfinished = [UNFINISHED, "half"].iter().any(|end| Path::new(&name).extension().is_some_and(|extension| extension == *end));
        if database || lock || unfinished || (prefix.is_empty() && LEFT_OUT.contains(&name.as_str())) {
            continue;
        }
        let path = entry.path();
        if kind.is_dir() {
            list(&path, &format!("{prefix}{name}/"), files)?;
        } else if kind.is_file() {
            files.push((format!("{prefix}{name}"), path));
        }
    }
    Ok(())
}
