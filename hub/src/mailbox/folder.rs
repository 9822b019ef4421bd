//! What lies in the folder of a mailbox.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use crate::disk::{UNFINISHED, private};

/// SES takes no larger message (<https://docs.aws.amazon.com/ses/latest/dg/quotas.html>).
pub(super) const MESSAGE_LIMIT: u64 = 40 * 1024 * 1024;

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
