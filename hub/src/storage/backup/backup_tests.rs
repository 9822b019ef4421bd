//! Tests of backups: a crash at every step of a restore, changed bytes, paths outside of the folder, and newer versions.

use std::fs;
use std::io::{Cursor, Read, Write as _};
use std::path::Path;

use rusqlite::Connection;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::READY;
use super::*;
use crate::storage::store::{Store, StoreError};

/// A data folder with a database, an authority, mail, files of the operator, and files that a backup omits.
fn folder(place: &Path, name: &str) -> PathBuf {
    let data = place.join(name);
    for (file, content) in [
        ("authority/root.pem", "a root"),
        ("authority/root.key.pem", "a key"),
        ("authority/lock", ""),
        ("mail/one.eml", "a mail"),
        ("mail/two.eml.7.tmp", "half a mail"),
        ("policies/lamp.json", "{}"),
        ("device.toml", "a model"),
        ("demo/hub.db", "a demo"),
        ("restore.tmp/x", "a restore that came to nothing"),
    ] {
        let path = data.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    drop(Store::open(&data.join(store::FILE)).unwrap());
    data
}

fn note(data: &Path, text: &str) {
    let db = Connection::open(data.join(store::FILE)).unwrap();
    db.execute("INSERT INTO shadow VALUES ('t', '', ?1)", [text]).unwrap();
}

fn noted(data: &Path) -> String {
    let db = Connection::open(data.join(store::FILE)).unwrap();
    db.query_row("SELECT document FROM shadow", [], |row| row.get(0)).unwrap()
}

/// Copies the database. The thread of the database stops some time after the last handle is dropped, so this waits until the database
/// can be copied.
fn copy_of(data: &Path) -> impl Fn(&Path) -> Result<(), BackupError> {
    move |to| loop {
        match store::copy_at_rest(&data.join(store::FILE), to) {
            Err(store::OpenError::InUse(_)) => {}
            copied => return Ok(copied?),
        }
    }
}

fn back_up(data: &Path, file: &Path) -> Result<Written, BackupError> {
    write(data, None, file, copy_of(data))
}

fn names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            names.extend(super::tests::names(&entry.path()).into_iter().map(|below| format!("{name}/{below}")));
        } else {
            names.push(name);
        }
    }
    names.sort();
    names
}

const RESTORED: [&str; 6] = ["authority/root.key.pem", "authority/root.pem", "device.toml", "hub.db", "mail/one.eml", "policies/lamp.json"];

#[test]
fn a_backup_contains_all_data_and_can_be_restored() {
    let place = tempfile::tempdir().unwrap();
    let (data, file, other) = (folder(place.path(), "data"), place.path().join("backup.zip"), place.path().join("other"));
    let written = back_up(&data, &file).unwrap();
    assert_eq!((written.files, written.bytes), (RESTORED.len(), file.metadata().unwrap().len()));
    assert_eq!(restore(&file, &other, false).unwrap(), RESTORED.len());
    assert_eq!(names(&other), RESTORED);
    assert_eq!(fs::read_to_string(other.join("authority/root.key.pem")).unwrap(), "a key");
    let left: Vec<_> = names(place.path()).into_iter().filter(|name| name.starts_with("backup")).collect();
    assert_eq!(left, ["backup.zip"], "there are no temporary files");
    #[cfg(unix)]
    for path in [file, other.join("hub.db"), other.join("authority/root.key.pem"), other.join("mail")] {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
    }
}

#[test]
fn a_folder_that_is_not_empty_is_replaced_only_with_the_option() {
    let place = tempfile::tempdir().unwrap();
    let (data, file) = (folder(place.path(), "data"), place.path().join("backup.zip"));
    back_up(&data, &file).unwrap();
    note(&data, "afterwards");
    let refused = restore(&file, &data, false).unwrap_err();
    assert!(matches!(refused, BackupError::NotEmpty(_)) && refused.is_unusable(), "{refused}");
    assert_eq!(noted(&data), "afterwards");
    restore(&file, &data, true).unwrap();
    assert_eq!(names(&data), RESTORED);
    fs::create_dir(place.path().join("mount")).unwrap();
    fs::create_dir(place.path().join("mount/lost+found")).unwrap();
    restore(&file, &place.path().join("mount"), false).unwrap();
}

#[test]
fn a_folder_with_a_running_hub_is_not_changed() {
    let place = tempfile::tempdir().unwrap();
    let (data, file) = (folder(place.path(), "data"), place.path().join("backup.zip"));
    back_up(&data, &file).unwrap();
    let _running = Store::open(&data.join(store::FILE)).unwrap();
    assert!(matches!(restore(&file, &data, true).unwrap_err(), BackupError::Running(_)));
    assert!(data.join("device.toml").exists());
}

/// Rewrites a backup with changed files.
fn rewrite(file: &Path, change: impl Fn(&str, Vec<u8>) -> Option<(String, Vec<u8>)>) {
    let mut archive = ZipArchive::new(Cursor::new(fs::read(file).unwrap())).unwrap();
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).unwrap();
        let (name, mut content) = (entry.name().unwrap().into_owned(), Vec::new());
        entry.read_to_end(&mut content).unwrap();
        if let Some((name, content)) = change(&name, content) {
            zip.start_file(name, SimpleFileOptions::default().compression_method(CompressionMethod::Stored)).unwrap();
            zip.write_all(&content).unwrap();
        }
    }
    fs::write(file, zip.finish().unwrap().into_inner()).unwrap();
}

fn check_refused(change: impl Fn(&str, Vec<u8>) -> Option<(String, Vec<u8>)>, words: &str) {
    let place = tempfile::tempdir().unwrap();
    let (data, file, other) = (folder(place.path(), "data"), place.path().join("backup.zip"), place.path().join("other"));
    back_up(&data, &file).unwrap();
    rewrite(&file, change);
    let refused = restore(&file, &other, false).unwrap_err().to_string();
    assert!(refused.contains(words), "{refused}");
    assert!(!other.exists() || names(&other).is_empty(), "no files are left");
    assert!(!place.path().join("evil").exists());
}

#[test]
fn damaged_newer_and_invalid_backups_are_refused_without_changes() {
    let replaced = |from: &'static str, to: &'static str| {
        move |name: &str, content: Vec<u8>| {
            let text = String::from_utf8(content.clone());
            let content = if name == MANIFEST { text.unwrap().replace(from, to).into_bytes() } else { content };
            Some((name.to_owned(), content))
        }
    };
    let other_bytes =
        |name: &str, content: Vec<u8>| Some((name.to_owned(), if name == "mail/one.eml" { b"a MAIL".to_vec() } else { content }));
    check_refused(other_bytes, "mail/one.eml is not as it was written");
    check_refused(|name, content| (name != "authority/root.pem").then(|| (name.to_owned(), content)), "root.pem is not as it was written");
    check_refused(|name, content| (name != MANIFEST).then(|| (name.to_owned(), content)), "there is no backup.json in it");
    check_refused(replaced("\"format\": 1", "\"format\": 2"), concat!("was written by a newer hub (", env!("CARGO_PKG_VERSION"), ")"));
    check_refused(replaced("\"schema\": ", "\"schema\": 9"), "was written by a newer hub");
    check_refused(replaced("device.toml", "../evil"), "../evil is not as it was written");
    check_refused(replaced("device.toml", "/evil"), "/evil is not as it was written");
    check_refused(|name, _| Some((name.to_owned(), b"{".to_vec())), "is no backup of a hub");

    let place = tempfile::tempdir().unwrap();
    let (data, file, other) = (folder(place.path(), "data"), place.path().join("backup.zip"), place.path().join("other"));
    back_up(&data, &file).unwrap();
    let whole = fs::read(&file).unwrap();
    for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
        fs::write(&file, &whole[..cut]).unwrap();
        assert!(matches!(restore(&file, &other, false).unwrap_err(), BackupError::NoBackup { .. }), "{cut} bytes");
    }
    // One changed byte within a file.
    let at = whole.windows(6).position(|part| part == b"a root").unwrap();
    let mut bad = whole;
    bad[at] ^= 1;
    fs::write(&file, bad).unwrap();
    assert!(matches!(restore(&file, &other, false).unwrap_err(), BackupError::Damaged { .. }));
}

#[test]
fn after_a_crash_a_restore_is_either_undone_or_finished() {
    let place = tempfile::tempdir().unwrap();
    let (data, file) = (folder(place.path(), "data"), place.path().join("backup.zip"));
    back_up(&data, &file).unwrap();
    let new = place.path().join("new");
    restore(&file, &new, false).unwrap();

    // A crash while the backup is unpacked: the old data stay.
    let old = folder(place.path(), "old");
    note(&old, "old");
    finish(&old).unwrap();
    assert_eq!(noted(&old), "old");
    // A crash after the rename to `restore.ready`: the restore is finished.
    let files = || ["hub.db", "device.toml", "authority", "mail", "policies"];
    for removed in 0..=2 {
        for moved in 0..=files().len() {
            let data = place.path().join(format!("crashed-{removed}-{moved}"));
            fs::create_dir(&data).unwrap();
            let unpacked = data.join(if removed == 2 { "restore.moving" } else { READY });
            restore(&file, &unpacked, false).unwrap();
            if removed == 0 {
                fs::create_dir(data.join("mail")).unwrap();
                fs::write(data.join("mail/old.eml"), "old").unwrap();
                fs::write(data.join("hub.db"), "old").unwrap();
            } else if removed == 2 {
                for name in files().into_iter().take(moved) {
                    fs::rename(unpacked.join(name), data.join(name)).unwrap();
                }
            }
            finish(&data).unwrap();
            assert_eq!(names(&data), RESTORED, "{removed} {moved}");
        }
    }
}

#[test]
fn a_failed_backup_does_not_change_the_older_file() {
    let place = tempfile::tempdir().unwrap();
    let (data, file) = (folder(place.path(), "data"), place.path().join("backup.zip"));
    back_up(&data, &file).unwrap();
    let older = fs::read(&file).unwrap();
    let failed = write(&data, None, &file, |_| Err(BackupError::NoData(data.clone())));
    assert!(failed.is_err() && fs::read(&file).unwrap() == older);
    fs::write(data.join(store::FILE), "no database at all, for long enough to be one".repeat(100)).unwrap();
    assert!(back_up(&data, &file).is_err() && fs::read(&file).unwrap() == older);
    let inside = write(&data, None, &data.join("backup.zip"), |_| Ok(())).unwrap_err();
    assert!(matches!(inside, BackupError::Inside(_)), "{inside}");
    assert!(write(&data, None, &place.path().join("no/where.zip"), |_| Ok(())).is_err());
    assert!(write(&data, None, place.path(), |_| Ok(())).is_err(), "the target is a folder");
}

#[cfg(unix)]
#[test]
fn a_mail_folder_in_the_data_folder_is_backed_up_once_also_under_another_path() {
    let place = tempfile::tempdir().unwrap();
    let data = folder(place.path(), "data");
    fs::create_dir(data.join("letters")).unwrap();
    fs::write(data.join("letters/three.eml"), "a mail").unwrap();
    std::os::unix::fs::symlink(&data, place.path().join("alias")).unwrap();
    let file = place.path().join("backup.zip");
    write(&data, Some(&place.path().join("alias/letters")), &file, copy_of(&data)).unwrap();
    let archive = ZipArchive::new(Cursor::new(fs::read(file).unwrap())).unwrap();
    let messages: Vec<_> = archive.file_names().map(|name| name.unwrap().into_owned()).filter(|name| name.ends_with(".eml")).collect();
    assert_eq!(messages, ["letters/three.eml", "mail/one.eml"]);
}

#[test]
fn a_backup_contains_a_mail_folder_outside_of_the_data_folder() {
    let place = tempfile::tempdir().unwrap();
    let (data, mail) = (folder(place.path(), "data"), place.path().join("elsewhere"));
    fs::create_dir(&mail).unwrap();
    fs::write(mail.join("three.eml"), "a mail").unwrap();
    let file = place.path().join("backup.zip");
    write(&data, Some(&mail), &file, copy_of(&data)).unwrap();
    restore(&file, &place.path().join("other"), false).unwrap();
    assert!(names(&place.path().join("other")).contains(&"mail/three.eml".to_owned()));
    assert!(!place.path().join("other/mail/one.eml").exists());
}

#[tokio::test]
async fn writes_continue_while_the_database_is_copied_and_the_copy_is_consistent() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(&place.path().join("hub.db")).unwrap();
    let write = async |number: i64| {
        let change = move |db: &Connection| {
            Ok::<_, StoreError>(db.execute("INSERT INTO retained VALUES (?1, zeroblob(20000), '{}')", [number]).map(drop)?)
        };
        store.change(change).await.unwrap();
    };
    for number in 0..400 {
        write(number).await;
    }
    let to = place.path().join("copy.db");
    let writes = async {
        for number in 400..500 {
            write(number).await;
        }
    };
    let (copied, ()) = tokio::join!(store.copy_to(&to), writes);
    copied.unwrap();
    assert_eq!(store::close_copy(&to).unwrap(), store::SCHEMA);
    let copy = Connection::open(&to).unwrap();
    let rows: i64 = copy.query_row("SELECT count(*) FROM retained", [], |row| row.get(0)).unwrap();
    assert!((400..=500).contains(&rows), "{rows}");
}
