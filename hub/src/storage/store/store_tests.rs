//! Tests of the guarantees of the database.

use std::fs;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};

use super::*;

/// Inserts a row into a simple table. The name `fails` fails after the insertion.
async fn add(store: &Store, name: &str) -> Result<(), StoreError> {
    let name = name.to_owned();
    store
        .change(move |db| {
            db.execute("INSERT INTO thing_type VALUES (?1)", [&name])?;
            if name == "fails" { Err(StoreError::Unclear) } else { Ok(()) }
        })
        .await
}

async fn names(store: &Store) -> Vec<String> {
    let read = store.read(|db| {
        let mut query = db.prepare("SELECT name FROM thing_type ORDER BY name")?;
        let names = query.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        Ok::<Vec<String>, StoreError>(names)
    });
    read.await.unwrap()
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("hub.db");
    (place, path)
}

/// Drops the store and opens it again. Opening waits until the thread has ended and released the lock.
fn reopened(path: &Path, store: Store) -> Store {
    drop(store);
    Store::open(path).unwrap()
}

#[tokio::test]
async fn confirmed_changes_survive_a_restart() {
    let (_place, path) = place();
    let store = Store::open(&path).unwrap();
    add(&store, "a").await.unwrap();
    let store = reopened(&path, store);
    assert_eq!(names(&store).await, ["a"]);
}

/// `synchronous = 2` is FULL: the write-ahead log is synced before a commit returns.
#[tokio::test]
async fn the_database_syncs_at_every_commit() {
    let (_place, path) = place();
    let store = Store::open(&path).unwrap();
    let read = store.read(|db| {
        let mode: String = db.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        Ok::<_, StoreError>((mode, db.pragma_query_value(None, "synchronous", |row| row.get::<_, u32>(0))?))
    });
    assert_eq!(read.await.unwrap(), ("wal".to_owned(), 2));
}

#[tokio::test]
async fn a_change_that_fails_is_rolled_back_alone() {
    let (_place, path) = place();
    let store = Store::open(&path).unwrap();
    let outcomes = join_all(["a", "fails", "b", "a", "c"].map(|name| add(&store, name))).await;
    let worked: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(worked, [true, false, true, false, true]);
    assert_eq!(names(&store).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_read_sees_changes_that_were_queued_before() {
    let (_place, path) = place();
    let store = Store::open(&path).unwrap();
    let many = (0..600).map(|number| {
        let store = &store;
        async move {
            let name = format!("{number:05}");
            add(store, &name).await.unwrap();
            assert!(names(store).await.contains(&name));
        }
    });
    stream::iter(many).for_each_concurrent(64, |one| one).await;
    assert_eq!(names(&store).await.len(), 600);
}

#[tokio::test]
async fn changes_that_exceed_the_queue_wait_and_are_made() {
    let (_place, path) = place();
    let store = Store::open(&path).unwrap();
    let names_of_all: Vec<String> = (0..2 * WAITING + 1).map(|number| format!("{number:05}")).collect();
    let outcomes = join_all(names_of_all.iter().map(|name| add(&store, name))).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(names(&store).await, names_of_all);
}

#[test]
fn a_second_hub_with_the_same_folder_gets_an_error() {
    let (_place, path) = place();
    let _first = Store::open(&path).unwrap();
    assert!(matches!(Store::open(&path), Err(OpenError::InUse(_))));
}

#[test]
fn a_file_that_is_not_a_database_is_an_error_and_is_not_changed() {
    let (_place, path) = place();
    fs::write(&path, "this is somebody's diary, and no database at all").unwrap();
    assert!(matches!(Store::open(&path), Err(OpenError::Unusable(_, _))));
    assert_eq!(fs::read_to_string(&path).unwrap(), "this is somebody's diary, and no database at all");
}

#[test]
fn a_database_of_a_newer_hub_is_an_error_and_is_not_changed() {
    let (_place, path) = place();
    drop(Store::open(&path).unwrap());
    let open = || Connection::open(&path).unwrap();
    open().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Store::open(&path), Err(OpenError::Newer { found: 99, .. })));
    let version: u32 = open().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 99);
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_the_database() {
    use std::os::unix::fs::PermissionsExt;
    let (place, path) = place();
    let _store = Store::open(&path).unwrap();
    for file in fs::read_dir(place.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", file.path());
    }
}
