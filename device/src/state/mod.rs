//! The private folder of a device: its credentials, its name, and the status of the agent.
//!
//! | file | content |
//! |---|---|
//! | `current` | the name of the folder with the credentials in use, and a newline |
//! | `credentials-N/` | the files of a bundle; never changed after `current` names the folder |
//! | `former` | while renewed credentials are on trial: the name of the folder with the former ones, and a newline |
//! | `pending.key.pem` | the private key of an unfinished registration |
//! | `device.toml` | the device model that was given to `setup` |
//! | `name` | the name that the device generated for itself |
//! | `status.json` | the last status of the agent |
//! | `journal` | the commands that were begun, and how they ended |
//! | `agent.sock` | while an agent runs: the socket for requests of other commands |
//! | `report.sock` | while an agent runs: the socket for measured values |
//! | `lock` | locked by the process that may change the folder |
//!
//! New credentials are written into a new folder and synced to the disk, and only then named by `current`, which is replaced by a
//! rename. The former ones are deleted afterwards. After a power failure at any time, a device therefore has either the old or
//! the new credentials. Stored credentials that cannot be used are an error that names the cause; they are never treated as
//! missing.

pub(crate) mod disk;
mod folder;
mod model;
mod pending;
mod trial;

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use onething::config::Source;
use thiserror::Error;
use tokio::sync::{Mutex, MutexGuard};

use self::disk::{Disk, inherit, private};
use self::model::MODEL;
use self::pending::PENDING;
use self::trial::FORMER;
use crate::bundle::BundleError;
use crate::bundle::files::Files;
use crate::local::status::Status;

const CURRENT: &str = "current";
const CREDENTIALS: &str = "credentials-";
const NAME: &str = "name";
const STATUS: &str = "status.json";
const JOURNAL: &str = "journal";
const LOCK: &str = "lock";
const REQUESTS: &str = "agent.sock";
const REPORTS: &str = "report.sock";

/// The number of tries to get the lock: another process that only tests the lock holds it for an instant.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Why the state folder or its content cannot be used.
#[derive(Debug, Error)]
pub(crate) enum StateError {
    /// The folder cannot be accessed, or the disk is full or defective.
    #[error("the state folder {} cannot be used", .0.display())]
    Folder(PathBuf, #[source] io::Error),
    /// No folder was given, and the user has no home folder.
    #[error("there is no place for a state folder: name one by --state DIR")]
    Nowhere,
    /// Others can read the folder. Its permissions are not changed, because the folder may be in use for other purposes.
    #[error("others may look into {}, which is no state folder yet: name a folder that is new or empty", .0.display())]
    Open(PathBuf),
    /// Another process has locked the folder.
    #[error("an agent runs with the state folder {}: stop it first", .0.display())]
    Busy(PathBuf),
    /// A file that names the folder of the credentials is invalid.
    #[error("{} {}", .0.display(), .1)]
    Pointer(PathBuf, &'static str),
    /// The credentials are invalid.
    #[error("the credentials in {} cannot be used", .0.display())]
    Credentials(PathBuf, #[source] BundleError),
    /// The status file is invalid.
    #[error("{} cannot be read: {}", .0.display(), .1)]
    Status(PathBuf, &'static str),
}

/// The default folder: the state folder of the systemd service, else the data folder of the user
/// (<https://specifications.freedesktop.org/basedir/latest/>, `systemd.exec(5)`).
pub(crate) fn default_folder(source: &impl Source) -> Result<PathBuf, StateError> {
    // systemd separates several folders by colons; the first one is that of the agent.
    let service = source.variable("STATE_DIRECTORY").and_then(|folders| folders.split(':').next().map(PathBuf::from));
    let absolute = |folder: String| Some(PathBuf::from(folder)).filter(|folder| folder.is_absolute());
    let data = || {
        let home = || Some(absolute(source.variable("HOME")?)?.join(".local/share"));
        Some(source.variable("XDG_DATA_HOME").and_then(absolute).or_else(home)?.join("onething-device"))
    };
    service.or_else(data).ok_or(StateError::Nowhere)
}

/// The state folder, for reading.
#[derive(Debug)]
pub(crate) struct State {
    path: PathBuf,
    disk: Disk,
}

/// The state folder, locked for changes by this process as long as this value exists.
#[derive(Debug)]
pub(crate) struct Held {
    state: State,
    registering: Mutex<()>,
    _lock: File,
}

impl State {
    /// The folder at an absolute path. It need not exist.
    pub(crate) fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), disk: Disk::default() }
    }

    /// The path of the folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn failed(&self) -> impl FnOnce(io::Error) -> StateError {
        let path = self.path.clone();
        move |error| StateError::Folder(path, error)
    }

    /// Creates the folder if necessary, and locks it for this process. Also returns a sentence for the user if others had access
    /// to the folder until now.
    pub(crate) fn hold(self) -> Result<(Held, Option<String>), StateError> {
        if self.path.is_file() {
            return Err(self.failed()(io::Error::other("it is a file, and no folder")));
        }
        let narrowed = folder::make(&self.path)?;
        let path = self.path.join(LOCK);
        let lock = private(File::options().create(true).truncate(false).write(true)).open(&path).map_err(self.failed())?;
        inherit(&lock, &path).map_err(self.failed())?;
        let mut tries = LOCK_TRIES;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok((Held { state: self, registering: Mutex::default(), _lock: lock }, narrowed)),
                Err(TryLockError::Error(error)) => return Err(self.failed()(error)),
                Err(TryLockError::WouldBlock) if tries == 0 => return Err(StateError::Busy(self.path)),
                Err(TryLockError::WouldBlock) => tries -= 1,
            }
            std::thread::sleep(LOCK_PAUSE);
        }
    }

    /// Whether a process has locked the folder.
    pub(crate) fn is_held(&self) -> Result<bool, StateError> {
        let lock = match File::open(self.path.join(LOCK)) {
            Ok(lock) => lock,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(self.failed()(error)),
        };
        match lock.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(self.failed()(error)),
        }
    }

    /// The stored credentials, if there are any.
    pub(crate) fn credentials(&self) -> Result<Option<Files>, StateError> {
        loop {
            let Some(current) = self.pointer(CURRENT)? else { return Ok(None) };
            let folder = self.path.join(&current);
            match Files::from_folder(&folder) {
                Ok(files) => return Ok(Some(files)),
                // The credentials were replaced in the meantime.
                Err(_) if self.pointer(CURRENT)?.as_ref() != Some(&current) => {}
                Err(error) => return Err(StateError::Credentials(folder, error)),
            }
        }
    }

    /// The name of the folder in a pointer file. A missing newline means that the file is truncated.
    fn pointer(&self, pointer: &str) -> Result<Option<String>, StateError> {
        let Some(content) = self.read(pointer)? else { return Ok(None) };
        let fault = |what| Err(StateError::Pointer(self.path.join(pointer), what));
        if content.trim_ascii().is_empty() {
            return fault("is empty");
        }
        let Some(line) = content.strip_suffix(b"\n") else { return fault("is cut off: its end is missing") };
        match str::from_utf8(line).ok().filter(|name| number(name).is_some()) {
            Some(name) => Ok(Some(name.to_owned())),
            None => fault("does not say where the credentials are"),
        }
    }

    /// The name that the device generated for itself.
    pub(crate) fn name(&self) -> Result<Option<String>, StateError> {
        Ok(self.read(NAME)?.and_then(|name| String::from_utf8(name).ok()).map(|name| name.trim_ascii().to_owned()))
    }

    /// The path of the socket for measured values.
    pub(crate) fn reports_socket(&self) -> PathBuf {
        self.path.join(REPORTS)
    }

    /// The path of the socket for requests of other commands.
    pub(crate) fn requests_socket(&self) -> PathBuf {
        self.path.join(REQUESTS)
    }

    /// The last status of the agent.
    pub(crate) fn status(&self) -> Result<Option<Status>, StateError> {
        let Some(content) = self.read(STATUS)? else { return Ok(None) };
        serde_json::from_slice(&content).map(Some).map_err(|_| StateError::Status(self.path.join(STATUS), "it is no status"))
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        match std::fs::read(self.path.join(name)) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StateError::Folder(self.path.join(name), error)),
        }
    }

    /// The numbers of the folders with credentials, whether they are in use or not.
    fn numbered(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            numbers.extend(entry?.file_name().to_str().and_then(number));
        }
        Ok(numbers)
    }
}

impl std::ops::Deref for Held {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl Held {
    /// Serialises registrations: there is only one pending key.
    pub(crate) async fn registers(&self) -> MutexGuard<'_, ()> {
        self.registering.lock().await
    }

    /// Replaces the stored credentials. After success, the new credentials are on the disk; after an error, either the new or the
    /// former ones are in use.
    pub(crate) fn store(&self, files: &Files) -> Result<(), StateError> {
        self.put(files).map_err(self.failed())
    }

    fn put(&self, files: &Files) -> io::Result<()> {
        let name = self.write_credentials(files)?;
        if self.path.join(FORMER).exists() {
            // A return to the credentials from before a trial is no longer possible.
            self.remove(FORMER)?;
        }
        self.point(CURRENT, &name)?;
        self.sweep(&[number(&name)])
    }

    /// Writes credentials into a new folder and syncs it. Returns the name of the folder.
    fn write_credentials(&self, files: &Files) -> io::Result<String> {
        let number = self.numbered()?.into_iter().max().map_or(1, |number| number + 1);
        let (name, disk) = (format!("{CREDENTIALS}{number}"), &self.disk);
        let folder = self.path.join(&name);
        disk.make_folder(&folder)?;
        for (file, content) in files.iter() {
            disk.write_new(&folder.join(file), content)?;
        }
        disk.sync_folder(&folder)?;
        disk.sync_folder(&self.path)?;
        Ok(name)
    }

    /// The path of the journal of commands.
    pub(crate) fn journal(&self) -> PathBuf {
        self.path.join(JOURNAL)
    }

    /// Deletes the stored credentials and everything that belongs to them. Returns `false` if there were none.
    pub(crate) fn forget(&self) -> Result<bool, StateError> {
        let stored = self.has_credentials()?;
        let forget = || {
            // `current` is removed first, so that it never names an incomplete folder.
            self.remove(CURRENT)?;
            for file in [FORMER, MODEL, PENDING, STATUS, JOURNAL, REQUESTS, REPORTS] {
                self.disk.remove(&self.path.join(file))?;
            }
            self.sweep(&[])
        };
        forget().map(|()| stored).map_err(self.failed())
    }

    /// Whether credentials are stored, valid or not.
    pub(crate) fn has_credentials(&self) -> Result<bool, StateError> {
        let numbered = self.numbered().map_err(self.failed())?;
        Ok(!numbered.is_empty() || self.path.join(CURRENT).exists())
    }

    /// Removes a file of the folder, and syncs the folder.
    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(&self.path.join(name))?;
        self.disk.sync_folder(&self.path)
    }

    fn sweep(&self, keep: &[Option<u64>]) -> io::Result<()> {
        for number in self.numbered()?.into_iter().filter(|number| !keep.contains(&Some(*number))) {
            self.disk.remove_folder(&self.path.join(format!("{CREDENTIALS}{number}")))?;
        }
        self.disk.sync_folder(&self.path)
    }

    /// Stores the name that the device generated for itself.
    pub(crate) fn keep_name(&self, name: &str) -> Result<(), StateError> {
        self.disk.replace(&self.path, NAME, format!("{name}\n").as_bytes()).map_err(self.failed())
    }

    /// Replaces the status of the agent.
    pub(crate) fn say(&self, status: &Status) -> Result<(), StateError> {
        let status = serde_json::to_vec(status).map_err(io::Error::other);
        status.and_then(|status| self.disk.replace(&self.path, STATUS, &status)).map_err(self.failed())
    }
}

fn number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(CREDENTIALS)?;
    let number = digits.parse().ok()?;
    // Only the canonical form of a number is accepted, so that each number denotes one folder.
    (digits == u64::to_string(&number)).then_some(number)
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
