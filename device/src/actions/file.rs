//! Writes the value of a property to a file: an attribute of sysfs, a pipe with a reader, or a file that another program watches.
//!
//! The file must exist. The value is written in place with one call, never by way of a temporary file and a rename: behind such a
//! file is a driver or a reader, not stored text.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::run_blocking::run_blocking;

/// Writes the value and a newline to an existing file. The error is a reason for the owner.
pub(super) async fn write(path: &Path, value: &str, limit: Duration) -> Result<(), String> {
    let (place, text) = (path.to_owned(), format!("{value}\n"));
    run_blocking(limit, move || put(&place, &text)).await?.map_err(|error| format!("`{}` {}", path.display(), why(&error)))
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    // Without `O_NONBLOCK`, opening a pipe that has no reader would block the thread for ever.
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
    async fn a_value_replaces_the_old_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("brightness");
        std::fs::write(&path, "a long text that was there before\n").unwrap();
        write(&path, "255", LIMIT).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "255\n");
    }

    #[tokio::test]
    async fn a_pipe_takes_a_line_when_it_has_a_reader() {
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
    async fn a_missing_file_is_not_created() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("leds/led0");
        assert_eq!(write(&missing, "1", LIMIT).await.unwrap_err(), format!("`{}` is not there", missing.display()));
        let misspelt = folder.path().join("led0");
        assert_eq!(write(&misspelt, "1", LIMIT).await.unwrap_err(), format!("`{}` is not there", misspelt.display()));
        assert_eq!(write(folder.path(), "1", LIMIT).await.unwrap_err(), format!("`{}` is a folder", folder.path().display()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_write_to_a_full_device_is_an_error() {
        let told = write(Path::new("/dev/full"), "1", LIMIT).await.unwrap_err();
        assert!(told.starts_with("`/dev/full` could not be written: "), "{told}");
    }
}
