//! The database of the hub: one SQLite file with one writer. No result is returned before it is durable.
//!
//! One thread executes all work in the order of the calls. All work in the queue is executed in one transaction, and its callers
//! get their results after the commit, so a thousand callers share one `fsync`. A change that fails is rolled back alone, with a
//! savepoint. A caller that is cancelled does not cancel its work.
//!
//! The write-ahead log is synced at every commit (`synchronous = FULL`, <https://www.sqlite.org/pragma.html#pragma_synchronous>),
//! so confirmed changes survive a power cut.

mod schema;

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use thiserror::Error;
use tokio::sync::oneshot;

use crate::storage::disk;

/// The name of the database file in a data folder.
pub const FILE: &str = "hub.db";
/// The newest version of the schema that this hub supports.
pub const SCHEMA: usize = schema::MIGRATIONS.len();
/// The largest number of works in one transaction. With more, the first of them would wait too long for the commit.
const BATCH: usize = 512;
/// The capacity of the queue. When it is full, callers wait.
const WAITING: usize = 4 * BATCH;
/// The number of pages that are copied between turns of other work.
const PAGES: i32 = 256;
/// The time limit of a start to wait for the lock of another process, for example of a hub that is stopping.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why the database cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file cannot be created or synced.
    #[error("the database {} cannot be opened", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// Another process has locked the database.
    #[error("another hub is using the database {}", .0.display())]
    InUse(PathBuf),
    /// A newer version of the hub wrote the database.
    #[error("the database {} was made by a newer hub: its schema is {found}, this hub knows up to {known}", path.display())]
    Newer {
        /// The path of the database.
        path: PathBuf,
        /// The version of its schema.
        found: usize,
        /// The newest version that this hub supports.
        known: usize,
    },
    /// An older version of the hub wrote the database. A start of this hub migrates the schema.
    #[error("the database {} was made by an older hub; start this one over it once", .0.display())]
    Older(PathBuf),
    /// The integrity check failed.
    #[error("the database {} is damaged: {what}", path.display())]
    Damaged {
        /// The path of the database.
        path: PathBuf,
        /// The message of SQLite.
        what: String,
    },
    /// The file is not a database, or it cannot be read.
    #[error("the database {} cannot be used", .0.display())]
    Unusable(PathBuf, #[source] rusqlite::Error),
}

/// Why an operation failed.
#[derive(Debug, Error)]
pub enum StoreError {
    /// SQLite returned an error, and nothing was changed.
    #[error("the database refused")]
    Refused(#[from] rusqlite::Error),
    /// It is unknown whether the change was committed.
    #[error("the database did not say whether it was kept")]
    Unclear,
}

/// Work for the database thread.
enum Work {
    /// Work in a transaction, which it shares with other work.
    Shared(Shared),
    /// Work outside of a transaction. It calls its second argument from time to time, so that other work is executed meanwhile.
    Alone(Alone),
}

/// Work that needs the connection outside of a transaction.
type Alone = Box<dyn FnOnce(&Connection, &mut dyn FnMut()) + Send>;

/// Work in a transaction. It returns the function that sends the result to the caller.
type Shared = Box<dyn FnOnce(&Connection) -> Answer + Send>;
/// Sends the result to the caller. The argument tells whether the transaction was committed.
type Answer = Box<dyn FnOnce(bool) + Send>;

/// The database of a hub. Clones share the thread.
#[derive(Clone)]
pub struct Store {
    work: SyncSender<Work>,
}

impl Store {
    /// Opens the database at `path`, creates it if necessary, and migrates its schema.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let file = |error| OpenError::File(path.to_owned(), error);
        disk::private(OpenOptions::new().create(true).append(true)).open(path).and_then(|file| file.sync_all()).map_err(file)?;
        if let Some(folder) = path.parent() {
            disk::sync_folder(folder).map_err(file)?;
        }
        let mut connection = hold(path)?;
        schema::migrate(&mut connection, path)?;
        Ok(Self::over(connection))
    }

    fn over(connection: Connection) -> Self {
        let (work, waiting) = sync_channel(WAITING);
        thread::spawn(move || serve(&connection, &waiting));
        Self { work }
    }

    /// Executes a read. It sees all changes that were queued before.
    pub async fn read<T, E>(&self, read: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.submit(read).await
    }

    /// Executes a change. On an error it is rolled back; otherwise it is on the disk when this returns.
    pub async fn change<T, E>(&self, change: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.submit(|connection| whole(connection, change)).await
    }

    async fn submit<T, E>(&self, work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let work: Shared = Box::new(move |connection| {
            let outcome = work(connection);
            Box::new(move |durable| {
                // The caller may have been cancelled.
                let _ = tell.send(if durable { outcome } else { Err(StoreError::Unclear.into()) });
            })
        });
        self.queue(Work::Shared(work)).await;
        told.await.unwrap_or_else(|_| Err(StoreError::Unclear.into()))
    }

    /// Executes work that needs a connection outside of a transaction. `work` must call its second argument from time to time, so
    /// that other work is executed meanwhile.
    pub async fn alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &mut dyn FnMut()) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (tell, told) = oneshot::channel();
        let work = Work::Alone(Box::new(move |connection, others| {
            // The caller may have been cancelled.
            let _ = tell.send(work(connection, others));
        }));
        self.queue(work).await;
        Ok(told.await.map_err(|_| StoreError::Unclear)??)
    }

    /// Copies the database to a new file. The copy has the state at the end of the copying, and other work is executed meanwhile
    /// (<https://www.sqlite.org/backup.html>).
    pub async fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        let path = path.to_owned();
        self.alone(move |source, others| copy(source, &path, others)).await
    }

    /// Checkpoints and truncates the write-ahead log, so that it contains no deleted data.
    pub async fn empty_log(&self) -> Result<(), StoreError> {
        self.alone(|connection, _| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))).await
    }

    async fn queue(&self, work: Work) {
        if let Err(TrySendError::Full(work)) = self.work.try_send(work) {
            let queue = self.work.clone();
            // If the thread has ended, the caller gets no result, which is the error.
            let _ = tokio::task::spawn_blocking(move || queue.send(work)).await;
        }
    }
}

/// Opens a database with an exclusive lock, as a running hub does, and without a migration.
pub fn hold(path: &Path) -> Result<Connection, OpenError> {
    Connection::open(path).and_then(prepared).map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::InUse(path.to_owned()),
        _ => OpenError::Unusable(path.to_owned(), error),
    })
}

/// Copies the database of a hub that is not running to a new file.
pub fn copy_at_rest(from: &Path, to: &Path) -> Result<(), OpenError> {
    let failed = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::InUse(from.to_owned()),
        _ => OpenError::Unusable(from.to_owned(), error),
    };
    let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    copy(&source, to, &mut || ()).map_err(failed)
}

fn copy(source: &Connection, to: &Path, others: &mut dyn FnMut()) -> rusqlite::Result<()> {
    let mut copy = Connection::open(to)?;
    let backup = Backup::new(source, &mut copy)?;
    while backup.step(PAGES)? != StepResult::Done {
        others();
    }
    Ok(())
}

/// Checks the integrity of a copied database, and makes a single file of it. Returns the version of its schema.
pub fn close_copy(path: &Path) -> Result<usize, OpenError> {
    let unusable = |error| OpenError::Unusable(path.to_owned(), error);
    let copy = Connection::open(path).map_err(unusable)?;
    let whole: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(unusable)?;
    if whole != "ok" {
        return Err(OpenError::Damaged { path: path.to_owned(), what: whole });
    }
    copy.pragma_update(None, "journal_mode", "DELETE").map_err(unusable)?;
    schema::version(&copy).map_err(unusable)
}

/// Converts a time for SQLite, whose integers are signed.
pub(crate) fn seconds(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

/// Opens the database of a hub that is not running, read-only. Fails if the schema is not the current one.
pub fn look(path: &Path) -> Result<Connection, OpenError> {
    let unusable = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::InUse(path.to_owned()),
        _ => OpenError::Unusable(path.to_owned(), error),
    };
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(unusable)?;
    schema::check(&connection, path, unusable)?;
    Ok(connection)
}

/// Locks the database exclusively, and configures a sync at every commit.
fn prepared(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Waiting mail contains private keys, so deleted data is overwritten.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Takes the exclusive lock now instead of at the first change.
    connection.execute_batch("BEGIN IMMEDIATE; COMMIT")?;
    Ok(connection)
}

/// Executes a change in a savepoint of the shared transaction.
fn whole<T, E: From<StoreError>>(connection: &Connection, change: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
    run(connection, "SAVEPOINT change")?;
    let outcome = change(connection);
    if outcome.is_err() {
        run(connection, "ROLLBACK TO change")?;
    }
    run(connection, "RELEASE change")?;
    outcome
}

fn run(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

/// Executes work until all handles are dropped.
fn serve(connection: &Connection, waiting: &Receiver<Work>) {
    while let Ok(first) = waiting.recv() {
        if !turn(connection, first, waiting) {
            return;
        }
    }
}

/// Executes the queued work in one transaction, up to the first work that needs no transaction, and then that work. Returns
/// whether the connection is still usable.
fn turn(connection: &Connection, first: Work, waiting: &Receiver<Work>) -> bool {
    let (mut shared, mut alone) = (Vec::new(), None);
    for work in std::iter::once(first).chain(waiting.try_iter()) {
        match work {
            Work::Shared(work) => shared.push(work),
            Work::Alone(work) => alone = Some(work),
        }
        if alone.is_some() || shared.len() == BATCH {
            break;
        }
    }
    if !shared.is_empty() && !transaction(connection, shared) {
        return false;
    }
    let mut works = true;
    if let Some(alone) = alone {
        alone(connection, &mut || {
            if let Ok(next) = waiting.try_recv() {
                works &= turn(connection, next, waiting);
            }
        });
    }
    works
}

fn transaction(connection: &Connection, shared: Vec<Shared>) -> bool {
    let begun = run(connection, "BEGIN IMMEDIATE");
    let answers: Vec<Answer> = shared.into_iter().map(|work| work(connection)).collect();
    let committed = begun.and_then(|()| run(connection, "COMMIT"));
    if let Err(error) = &committed {
        tracing::error!(step = "store", fault = "maker", cause = "store_unclear", "{}", onething::fault::chain(error));
        // An open transaction must not become part of the next one.
        if !connection.is_autocommit() && run(connection, "ROLLBACK").is_err() {
            return false;
        }
    }
    for answer in answers {
        answer(committed.is_ok());
    }
    true
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
