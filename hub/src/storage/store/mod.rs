//! The hub's database: one SQLite file, one writer, and nothing answered before it is durable.
//!
//! All work goes through one thread, in the order it was handed over. Whatever waits is done in one
//! transaction, and each caller is answered when that transaction is on the disk; so a thousand callers share
//! one `fsync` instead of waiting for a thousand. A change that fails half way is taken back alone, by a
//! savepoint. A caller that goes away changes nothing: what was handed over is done.
//!
//! The write-ahead log is synced at every commit (`synchronous = FULL`,
//! <https://www.sqlite.org/pragma.html#pragma_synchronous>), so what was answered survives the power cut.

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

/// The name of the database in a data folder.
pub const FILE: &str = "hub.db";
/// The newest schema that this hub knows.
pub const SCHEMA: usize = schema::MIGRATIONS.len();
/// How many pieces of work share a transaction at most: more would make the first of them wait for the last.
const BATCH: usize = 512;
/// How many may wait before a caller has to.
const WAITING: usize = 4 * BATCH;
/// So many pages are copied before others have their turn.
const PAGES: i32 = 256;
/// How long a start waits for a hub that is just ending.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why the database cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The folder or the file.
    #[error("the database {} cannot be opened", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// Two hubs on one folder would each believe they are the only one.
    #[error("another hub is using the database {}", .0.display())]
    InUse(PathBuf),
    /// Written by a hub that knows more.
    #[error("the database {} was made by a newer hub: its schema is {found}, this hub knows up to {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: usize,
        /// The newest that is known here.
        known: usize,
    },
    /// Written by a hub that knows less; it is brought up to date by a start.
    #[error("the database {} was made by an older hub; start this one over it once", .0.display())]
    Older(PathBuf),
    /// A page that is not what it should be.
    #[error("the database {} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says of it.
        what: String,
    },
    /// Not a database, or a broken one.
    #[error("the database {} cannot be used", .0.display())]
    Unusable(PathBuf, #[source] rusqlite::Error),
}

/// Why something was not done.
#[derive(Debug, Error)]
pub enum StoreError {
    /// SQLite refused, before anything was kept.
    #[error("the database refused")]
    Refused(#[from] rusqlite::Error),
    /// Nobody knows whether it was kept.
    #[error("the database did not say whether it was kept")]
    Unclear,
}

/// What the thread of the database does.
enum Work {
    /// In a transaction with others.
    Shared(Shared),
    /// Outside of any transaction; what is called now and then lets others work meanwhile.
    Alone(Alone),
}

/// Work that has the database to itself but for what it lets in between.
type Alone = Box<dyn FnOnce(&Connection, &mut dyn FnMut()) + Send>;

/// Work, which leaves behind how its caller is to be answered.
type Shared = Box<dyn FnOnce(&Connection) -> Answer + Send>;
/// Tells a caller what became of it, once it is durable or not.
type Answer = Box<dyn FnOnce(bool) + Send>;

/// The database of a hub; clones share it.
#[derive(Clone)]
pub struct Store {
    work: SyncSender<Work>,
}

impl Store {
    /// Opens the database at `path`, makes it where there is none, and brings its schema up to date.
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

    /// Reads: sees everything that was handed over before.
    pub async fn read<T, E>(&self, read: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.hand_over(read).await
    }

    /// Changes: as a whole or, on an error, not at all. It is on the disk when this returns.
    pub async fn change<T, E>(&self, change: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.hand_over(|connection| whole(connection, change)).await
    }

    async fn hand_over<T, E>(&self, work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let work: Shared = Box::new(move |connection| {
            let outcome = work(connection);
            Box::new(move |durable| {
                // A caller that has gone away does not hear it.
                let _ = tell.send(if durable { outcome } else { Err(StoreError::Unclear.into()) });
            })
        });
        self.queue(Work::Shared(work)).await;
        told.await.unwrap_or_else(|_| Err(StoreError::Unclear.into()))
    }

    /// Does what SQLite does in no transaction. `work` calls what it is given now and then, so that others are not kept waiting.
    pub async fn alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &mut dyn FnMut()) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (tell, told) = oneshot::channel();
        let work = Work::Alone(Box::new(move |connection, others| {
            // A caller that has gone away does not hear it.
            let _ = tell.send(work(connection, others));
        }));
        self.queue(work).await;
        Ok(told.await.map_err(|_| StoreError::Unclear)??)
    }

    /// Copies the database into a new one, as it is at the end of the copying; others work meanwhile
    /// (<https://www.sqlite.org/backup.html>).
    pub async fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        let path = path.to_owned();
        self.alone(move |source, others| copy(source, &path, others)).await
    }

    /// Writes the whole log into the database and empties it: what was overwritten there is gone from here, too.
    pub async fn empty_log(&self) -> Result<(), StoreError> {
        self.alone(|connection, _| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))).await
    }

    async fn queue(&self, work: Work) {
        if let Err(TrySendError::Full(work)) = self.work.try_send(work) {
            let queue = self.work.clone();
            // That the thread is gone shows in the answer that does not come.
            let _ = tokio::task::spawn_blocking(move || queue.send(work)).await;
        }
    }
}

/// Has a database to itself, as a running hub has, without any change to it.
pub fn hold(path: &Path) -> Result<Connection, OpenError> {
    Connection::open(path).and_then(prepared).map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::InUse(path.to_owned()),
        _ => OpenError::Unusable(path.to_owned(), error),
    })
}

/// Copies the database of a hub that is not running into a new one.
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

/// Sees that a database that was copied is whole, makes one file of it, and says which schema it has.
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

/// SQLite counts to 2^63; a clock does not get there.
pub(crate) fn seconds(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

/// Looks into the database of a hub that is not running, and changes nothing.
pub fn look(path: &Path) -> Result<Connection, OpenError> {
    let unusable = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::InUse(path.to_owned()),
        _ => OpenError::Unusable(path.to_owned(), error),
    };
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(unusable)?;
    schema::check(&connection, path, unusable)?;
    Ok(connection)
}

/// Only this process writes, and every commit is synced.
fn prepared(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // There are private keys in mail that waits: what is deleted is overwritten.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Takes the lock now, and not with the first change.
    connection.execute_batch("BEGIN IMMEDIATE; COMMIT")?;
    Ok(connection)
}

/// A change inside a transaction that others share.
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

/// Does what waits until nobody can hand over any more.
fn serve(connection: &Connection, waiting: &Receiver<Work>) {
    while let Ok(first) = waiting.recv() {
        if !turn(connection, first, waiting) {
            return;
        }
    }
}

/// Does what waits in one transaction, up to what has to be done outside of one, and then that. Returns whether the database can still
/// be worked with.
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
        // What is left of the transaction must not swallow the next one.
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
