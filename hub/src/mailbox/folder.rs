//! Files that are there whole or not at all, also after a power cut.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::disk::{private, sync_folder};

/// SES takes no larger message (<https://docs.aws.amazon.com/ses/latest/dg/quotas.html>).
pub(super) const MESSAGE_LIMIT: u64 = 40 * 1024 * 1024;
const UNFINISHED: &str = "tmp";

/// Removes what a process that died has left: there are keys in it.
pub(super) fn remove_unfinished(path: &Path) -> io::Result<()> {
    for file in fs::read_dir(path)? {
        let file = file?;
        let left = Path::new(&file.file_name()).extension().is_some_and(|extension| extension == UNFINISHED);
        if left && file.file_type()?.is_file() {
            fs::remove_file(file.path())?;
        }
    }
    Ok(())
}

/// Writes a file under another name and moves it into place, where it replaces an older one.
pub(super) fn write_whole(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let path = folder.join(name);
    let unfinished = path.with_added_extension(format!("{}.{UNFINISHED}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let written = private(&mut options).open(&unfinished).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    let moved = written.and_then(|()| fs::rename(&unfinished, &path));
    if moved.is_err() {
        // What is half written holds a key; whether it could be removed changes nothing for the caller.
        let _ = fs::remove_file(&unfinished);
        return moved;
    }
    // The name is in place for everybody who looks, but not yet on the disk. What may not last is taken back.
    sync_folder(folder).inspect_err(|_| {
        let _ = fs::remove_file(&path);
    })
}

/// Opens a file to be written at its end.
pub(super) fn append(path: &Path) -> io::Result<File> {
    private(OpenOptions::new().append(true).create(true)).open(path)
}

/// A file's content, or `None` when there is no such file.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut content = Vec::new();
    file.take(MESSAGE_LIMIT).read_to_end(&mut content)?;
    Ok(Some(content))
}
