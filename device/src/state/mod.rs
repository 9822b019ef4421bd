//! The private folder of a device: its credentials, its name, and what the agent says about itself.
//!
//! | file | content |
//! |---|---|
//! | `current` | the name of the folder with the credentials in use, and a line end |
//! | `credentials-N/` | the files of a bundle; never changed once `current` names it |
//! | `former` | while renewed credentials are on trial: the folder with those to go back to |
//! | `pending.key.pem` | the private key of a registration under way |
//! | `device.toml` | the device model that was named at the setup |
//! | `name` | the name that the device gave itself |
//! | `status.json` | what the agent last said of itself |
//! | `journal` | which commands were begun, and how they ended |
//! | `agent.sock` | where other commands ask the running agent |
//! | `report.sock` | while an agent runs: the socket by which it is told what was measured |
//! | `lock` | held by the process that may change the folder |
//!
//! New credentials are written into a folder of their own, brought to the disk, and only then named by `current`, which is
//! replaced by a rename. The former ones go afterwards. So whenever a device loses its power, it has the old ones or the new
//! ones. What is stored and cannot be used is an error that says what it is, and never counts as nothing.

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

/// Who only asks whether an agent runs holds the lock for an instant.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Why the state folder cannot be used, or what is stored in it cannot.
#[derive(Debug, Error)]
pub(crate) enum StateError {
    /// There is no way to it, or the disk is full or broken.
    #[error("the state folder {} cannot be used", .0.display())]
    Folder(PathBuf, #[source] io::Error),
    /// No folder was named, and the user has none of their own.
    #[error("there is no place for a state folder: name one by --state DIR")]
    Nowhere,
    /// Keys would lie open, and closing the folder might take something away from others.
    #[error("others may look into {}, which is no state folder yet: name a folder that is new or empty", .0.display())]
    Open(PathBuf),
    /// Another process has the lock.
    #[error("an agent runs with the state folder {}: stop it first", .0.display())]
    Busy(PathBuf),
    /// The pointer to the credentials.
    #[error("{} {}", .0.display(), .1)]
    Pointer(PathBuf, &'static str),
    /// The credentials that it names.
    #[error("the credentials in {} cannot be used", .0.display())]
    Credentials(PathBuf, #[source] BundleError),
    /// The status file.
    #[error("{} cannot be read: {}", .0.display(), .1)]
    Status(PathBuf, &'static str),
}

/// The folder where nobody named one: systemd's for the service, else the user's folder for data
/// (<https://specifications.freedesktop.org/basedir/latest/>, `systemd.exec(5)`).
pub(crate) fn default_folder(source: &impl Source) -> Result<PathBuf, StateError> {
    // Of several folders the first is ours.
    let service = source.variable("STATE_DIRECTORY").and_then(|folders| folders.split(':').next().map(PathBuf::from));
    let absolute = |folder: String| Some(PathBuf::from(folder)).filter(|folder| folder.is_absolute());
    let data = || {
        let home = || Some(absolute(source.variable("HOME")?)?.join(".local/share"));
        Some(source.variable("XDG_DATA_HOME").and_then(absolute).or_else(home)?.join("onething-device"))
    };
    service.or_else(data).ok_or(StateError::Nowhere)
}

/// The folder, to read in.
#[derive(Debug)]
pub(crate) struct State {
    path: PathBuf,
    disk: Disk,
}

/// The folder, which no other process changes as long as this lives.
#[derive(Debug)]
pub(crate) struct Held {
    state: State,
    registering: Mutex<()>,
    _lock: File,
}

impl State {
    /// A folder that need not be there; its path is absolute.
    pub(crate) fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), disk: Disk::default() }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn failed(&self) -> impl FnOnce(io::Error) -> StateError {
        let path = self.path.clone();
        move |error| StateError::Folder(path, error)
    }

    /// Makes the folder where there is none, and takes it for this process. The sentence is for the user: others could look
    /// into the folder until now.
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

    /// Whether a process holds the folder.
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
                // Somebody has put others in their place meanwhile.
                Err(_) if self.pointer(CURRENT)?.as_ref() != Some(&current) => {}
                Err(error) => return Err(StateError::Credentials(folder, error)),
            }
        }
    }

    /// Which folder has them. A pointer without its line end has lost more than that.
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

    /// The name that the device gave itself.
    pub(crate) fn name(&self) -> Result<Option<String>, StateError> {
        Ok(self.read(NAME)?.and_then(|name| String::from_utf8(name).ok()).map(|name| name.trim_ascii().to_owned()))
    }

    /// The socket by which the running agent is told what was measured.
    pub(crate) fn reports_socket(&self) -> PathBuf {
        self.path.join(REPORTS)
    }

    /// The socket by which other commands ask the running agent for something.
    pub(crate) fn requests_socket(&self) -> PathBuf {
        self.path.join(REQUESTS)
    }

    /// What the agent last said of itself.
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

    /// The folders with credentials, whether in use or not, by number.
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
    /// Of several registrations one goes after the other: there is one pending key.
    pub(crate) async fn registers(&self) -> MutexGuard<'_, ()> {
        self.registering.lock().await
    }

    /// Puts credentials in the place of what is stored. When this returns, they are there for good; if it fails, they or the
    /// former ones are.
    pub(crate) fn store(&self, files: &Files) -> Result<(), StateError> {
        self.put(files).map_err(self.failed())
    }

    fn put(&self, files: &Files) -> io::Result<()> {
        let name = self.lay_down(files)?;
        if self.path.join(FORMER).exists() {
            // From what comes now nobody goes back to what was before a trial.
            self.remove(FORMER)?;
        }
        self.point(CURRENT, &name)?;
        self.sweep(&[number(&name)])
    }

    /// Writes credentials into a folder of their own, for good; its name.
    fn lay_down(&self, files: &Files) -> io::Result<String> {
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

    /// Where it is kept in mind which commands were begun.
    pub(crate) fn journal(&self) -> PathBuf {
        self.path.join(JOURNAL)
    }

    /// Takes the stored credentials away, and what was said of them. `false` where there are none.
    pub(crate) fn forget(&self) -> Result<bool, StateError> {
        let stored = self.has_credentials()?;
        let forget = || {
            // In this order: credentials that are named are whole.
            self.remove(CURRENT)?;
            for file in [FORMER, MODEL, PENDING, STATUS, JOURNAL, REQUESTS, REPORTS] {
                self.disk.remove(&self.path.join(file))?;
            }
            self.sweep(&[])
        };
        forget().map(|()| stored).map_err(self.failed())
    }

    /// Whether any are stored, good or bad.
    pub(crate) fn has_credentials(&self) -> Result<bool, StateError> {
        let numbered = self.numbered().map_err(self.failed())?;
        Ok(!numbered.is_empty() || self.path.join(CURRENT).exists())
    }

    /// Removes a file of the folder, for good.
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

    /// Keeps the name that the device gave itself.
    pub(crate) fn keep_name(&self, name: &str) -> Result<(), StateError> {
        self.disk.replace(&self.path, NAME, format!("{name}\n").as_bytes()).map_err(self.failed())
    }

    /// Says something about the agent, in place of what was said before.
    pub(crate) fn say(&self, status: &Status) -> Result<(), StateError> {
        let status = serde_json::to_vec(status).map_err(io::Error::other);
        status.and_then(|status| self.disk.replace(&self.path, STATUS, &status)).map_err(self.failed())
    }
}

fn number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(CREDENTIALS)?;
    let number = digits.parse().ok()?;
    // Written in one way only, so that a number is a folder.
    (digits == u64::to_string(&number)).then_some(number)
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
