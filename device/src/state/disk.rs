//! The disk operations of the state folder. Each of them is one step before which a device may lose its power.
//!
//! New files and folders are accessible for their owner only, because they contain keys. Their owner is the owner of the parent
//! folder: root may set up a device that another user runs.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

/// The kind of a disk operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Make,
    Write,
    Sync,
    Rename,
    SyncFolder,
    Remove,
}

/// Performs the operations. In a test it also records them, and can fail from a certain operation on, as if the power had failed.
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

    /// Writes a new file and syncs its content. Its name is on the disk only after [`Self::sync_folder`].
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

    /// Syncs the names in a folder.
    pub(crate) fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.step(Step::SyncFolder, folder)?;
        sync_folder(folder)
    }

    /// Removes a file, if it exists.
    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(Step::Remove, path)?;
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes a folder of files, if it exists.
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

    /// Replaces a file atomically: after a power failure it is either the old or the new file.
    pub(crate) fn replace(&self, folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
        let half = folder.join(format!("{name}.half"));
        // A file that an earlier process left behind.
        self.remove(&half)?;
        self.write_new(&half, content)?;
        self.rename(&half, &folder.join(name))?;
        self.sync_folder(folder)
    }
}

/// Sets that new files are accessible for their owner only.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

/// Syncs the names in a folder.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Gives a new file to the owner of its folder, if root created it in a folder of another user.
pub(crate) fn inherit(made: &File, path: &Path) -> io::Result<()> {
    let folder = folder_of(path).metadata()?;
    if made.metadata()?.uid() != folder.uid() {
        fchown(made, Some(folder.uid()), Some(folder.gid()))?;
    }
    Ok(())
}

/// The folder of a path; `.` for a bare name.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
