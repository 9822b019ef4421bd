//! Folders and files that are for their owner only, whole or not at all, and names that are on the disk: there are keys in
//! them, and what was answered has to be there after a power cut.
//!
//! Elsewhere than on Unix a user's folder is that user's alone by what it inherits, and names go to the disk with their files.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// What the name of a file ends with until it is whole.
pub(crate) const UNFINISHED: &str = "tmp";

/// Makes a folder that only its owner can look into, where there is none.
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

/// A file that these options make is for its owner only.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Brings the names in a folder to the disk.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    std::fs::File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// Writes a file under another name and moves it into place, where it replaces an older one.
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
        // What is half written holds a key; whether it could be removed changes nothing for the caller.
        let _ = fs::remove_file(&unfinished);
        return moved;
    }
    // The name is in place for everybody who looks, but not yet on the disk. What may not last is taken back.
    sync_folder(folder).inspect_err(|_| {
        let _ = fs::remove_file(&path);
    })
}

/// Removes what a process that died has left: there are keys in it.
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
