//! A value goes into a file: an attribute of sysfs, a pipe with a reader, a file somebody watches.
//!
//! The file has to be there, and it is written as it stands, in one piece and never by way of a second one: what is behind
//! such a file is no text to be kept but a driver or a reader.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::aside::aside;

/// Writes the value and a line's end.
pub(super) async fn write(path: &Path, value: &str, limit: Duration) -> Result<(), String> {
    let (place, text) = (path.to_owned(), format!("{value}\n"));
    aside(limit, move || put(&place, &text)).await?.map_err(|error| format!("`{}` {}", path.display(), why(&error)))
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    // Without NONBLOCK, a pipe that nobody reads would keep the thread for good.
    let mut file = OpenOptions::new().write(true).truncate(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    file.write_all(text.as_bytes())
}

fn why(error: &io::Error) -> String {
    match (error.kind(), error.raw_os_error().map(Errno::from_raw_os_error)) {
        (_, Some(Errno::NXIO)) | (io::ErrorKind::BrokenPipe, _) => "has no reader".to_owned(),
        (io::ErrorKind::WouldBlock, _) => "is full: its reader does not keep up".to_owned(),
        (io::ErrorKind::NotFound, _) => "is not there".to_owned(),
        (io::ErrorKind::PermissionDenied, _) => "may not be written".to_owned(),
        (io::ErrorKind::IsADirectory, _) => "is a folder".to_owned(),
        (io::ErrorKind::InvalidInput, _) => "does not take this value".to_owned(),
        _ => format!("could not be written: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_value_replaces_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("brightness");
        std::fs::write(&path, "a long text that was there before\n").unwrap();
        write(&path, "255", LIMIT).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "255\n");
    }

    #[tokio::test]
    async fn a_pipe_takes_a_line_when_somebody_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert_eq!(write(&path, "ON", LIMIT).await.unwrap_err(), format!("`{}` has no reader", path.display()));
        let reader = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(&path);
        write(&path, "ON", LIMIT).await.unwrap();
        let mut line = String::new();
        reader.unwrap().read_to_string(&mut line).unwrap();
        assert_eq!(line, "ON\n");
    }

    #[tokio::test]
    async fn nothing_is_made_that_was_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("leds/led0");
        assert_eq!(write(&missing, "1", LIMIT).await.unwrap_err(), format!("`{}` is not there", missing.display()));
        let misspelt = folder.path().join("led0");
        assert_eq!(write(&misspelt, "1", LIMIT).await.unwrap_err(), format!("`{}` is not there", misspelt.display()));
        assert_eq!(write(folder.path(), "1", LIMIT).await.unwrap_err(), format!("`{}` is a folder", folder.path().display()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_full_device_is_said_to_be_so() {
        let told = write(Path::new("/dev/full"), "1", LIMIT).await.unwrap_err();
        assert!(told.starts_with("`/dev/full` could not be written: "), "{told}");
    }
}
