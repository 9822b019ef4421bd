//! Access to the files of a mail folder.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use crate::storage::disk::private;

/// The largest size of a message in bytes, which is the limit of SES (<https://docs.aws.amazon.com/ses/latest/dg/quotas.html>).
pub(super) const MESSAGE_LIMIT: u64 = 40 * 1024 * 1024;

/// Opens a file to append to it. Creates the file if it does not exist.
pub(super) fn append(path: &Path) -> io::Result<File> {
    private(OpenOptions::new().append(true).create(true)).open(path)
}

/// The content of a file, up to [`MESSAGE_LIMIT`]. `None` if the file does not exist.
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
