//! The operations on the disk that the state folder is changed by, each of them one step at which a device may lose its power.
//!
//! What is made is for its owner only: there are keys in it. That is the folder's owner: root may set up what another user
//! runs.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Make,
    Write,
    Sync,
    Rename,
    SyncFolder,
    Remove,
}

/// Does the operations. In a test it notes them, and stops before any of them and does nothing ever after, as if the power
/// were cut.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    #[cfg(test)]
    pub(crate) power: Option<std::cell::Cell<u32>>,
    #[cfg(test)]
    pub(crate) done: std::cell::RefCell<Vec<(Step, std::path::PathBuf)>>,
}

impl Disk {
    #[cfg(not(test))]
    fn step(&self, _: Step, _: &Path) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    fn step(&self, step: Step, path: &Path) -> io::Result<()> {
        if let Some(power) = &self.power {
            power.set(power.get().checked_sub(1).ok_or_else(|| io::Error::other("the power was cut"))?);
        }
        self.done.borrow_mut().push((step, path.to_owned()));
        Ok(())
    }

    pub(crate) fn make_folder(&self, path: &Path) -> io::Result<()> {
        self.step(Step::Make, path)?;
        DirBuilder::new().mode(0o700).create(path)?;
        inherit(&File::open(path)?, path)
    }

    /// A new file with this content, on the disk. Its name is not there before its folder is.
    pub(crate) fn write_new(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.step(Step::Make, path)?;
        let mut file = private(OpenOptions::new().write(true).create_new(true)).open(path)?;
        inherit(&file, path)?;
        let (half, rest) = content.split_at(content.len() / 2);
        for part in [half, rest] {
            self.step(Step::Write, path)?;
            file.write_all(part)?;
        }
        self.step(Step::Sync, path)?;
        file.sync_all()
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(Step::Rename, to)?;
        std::fs::rename(from, to)
    }

    /// Brings the names in a folder to the disk.
    pub(crate) fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.step(Step::SyncFolder, folder)?;
        sync_folder(folder)
    }

    /// Takes a file away, if it is there.
    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(Step::Remove, path)?;
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes a folder of files away, if it is there.
    pub(crate) fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let files = match std::fs::read_dir(path) {
            Ok(files) => files,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for file in files {
            self.remove(&file?.path())?;
        }
        self.step(Step::Remove, path)?;
        std::fs::remove_dir(path)
    }

    /// Puts a file there in place of another. It is there whole or not at all, also after a power cut.
    pub(crate) fn replace(&self, folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
        let half = folder.join(format!("{name}.half"));
        // One that an earlier process left there.
        self.remove(&half)?;
        self.write_new(&half, content)?;
        self.rename(&half, &folder.join(name))?;
        self.sync_folder(folder)
    }
}

/// A file that these options make is for its owner only.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

/// Brings the names in a folder to the disk.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// What root makes in a folder of somebody else's is theirs.
pub(crate) fn inherit(made: &File, path: &Path) -> io::Result<()> {
    let folder = folder_of(path).metadata()?;
    if made.metadata()?.uid() != folder.uid() {
        fchown(made, Some(folder.uid()), Some(folder.gid()))?;
    }
    Ok(())
}

/// The folder that a name is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
