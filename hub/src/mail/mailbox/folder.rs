//! What lies in the folder of a mailbox.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use crate::storage::disk::private;

/// SES takes no larger message (<https://docs.aws.amazon.com/ses/latest/dg/quotas.html>).
pub(super) const MESSAGE_LIMIT: u64 = 40 * 1024 * 1024;

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
