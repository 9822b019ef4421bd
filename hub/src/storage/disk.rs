//! Durable writes of files and folders that only their owner can access. They contain keys, and every confirmed change must
//! survive a power cut.
//!
//! On systems other than Unix, permissions are inherited from the user's folder, and the names of files are written to the disk
//! together with the files.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// The extension of a file that is not complete yet.
pub(crate) const UNFINISHED: &str = "tmp";

/// Creates a folder that only its owner can access, unless the folder exists.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let mut folder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    folder.recursive(true).create(path)?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => Ok(()),
    }
}

/// Makes these options create files that only their owner can access.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Writes the names of the files in a folder to the disk.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    std::fs::File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// Writes a file atomically and durably. It replaces an existing file.
pub(crate) fn write_whole(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
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
        // The partial file may contain a key. A failure to remove it does not change the result.
        let _ = fs::remove_file(&unfinished);
        return moved;
    }
    // Other processes see the file, but its name may not survive a power cut. After an error the file is removed.
    sync_folder(folder).inspect_err(|_| {
        let _ = fs::remove_file(&path);
    })
}

/// Removes partial files of a crashed process, because they may contain keys.
pub(crate) fn remove_unfinished(path: &Path) -> io::Result<()> {
    for file in fs::read_dir(path)? {
        let file = file?;
        let left = Path::new(&file.file_name()).extension().is_some_and(|extension| extension == UNFINISHED);
        if left && file.file_type()?.is_file() {
            fs::remove_file(file.path())?;
        }
    }
    Ok(())
}
