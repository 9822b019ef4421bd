use std::cell::Cell;
use std::collections::HashMap;

use serde_json::json;

use super::*;

/// Files whose contents contain the name of their thing.
pub(super) fn credentials(thing: &str) -> Files {
    let topics = json!({"get": thing, "getAccepted": thing, "getRejected": thing, "update": thing, "updateAccepted": thing,
        "updateRejected": thing, "updateDelta": thing});
    let connection = json!({"version": 1, "thingName": thing, "clientId": thing, "endpoint": "localhost", "port": 8883,
        "certificate": "certificate.pem", "privateKey": "private.key.pem", "rootCas": ["RootCA.pem"], "topics": topics});
    let mut files = Files::new();
    files.insert("connection.json", connection.to_string().into_bytes()).unwrap();
    for name in ["certificate.pem", "private.key.pem", "RootCA.pem"] {
        files.insert(name, format!("{name} of {thing}").into_bytes()).unwrap();
    }
    files
}

pub(super) fn hold(path: &Path) -> Held {
    let (held, narrowed) = State::at(path).hold().unwrap();
    assert_eq!(narrowed, None);
    held
}

/// Locks the folder for a process whose power fails after this number of operations.
pub(super) fn hold_for(path: &Path, operations: u32) -> Held {
    let mut held = hold(path);
    held.state.disk.power = Some(Cell::new(operations));
    held
}

pub(super) fn entries(path: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn stored_credentials_replace_the_former_ones() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("a/b");
    assert_eq!(State::at(&path).credentials().unwrap(), None);
    for thing in ["one", "two", "three"] {
        hold(&path).store(&credentials(thing)).unwrap();
        assert_eq!(State::at(&path).credentials().unwrap(), Some(credentials(thing)));
    }
    assert_eq!(entries(&path), ["credentials-3", "current", "lock"]);
}

/// Fails after each number of operations: either the old or the new credentials are stored, and the next process can store
/// others.
fn check_power_failures(old: Option<&str>) {
    let mut found = HashMap::new();
    for operations in 0.. {
        let place = tempfile::tempdir().unwrap();
        if let Some(old) = old {
            hold(place.path()).store(&credentials(old)).unwrap();
        }
        let outcome = hold_for(place.path(), operations).store(&credentials("new"));
        let there = State::at(place.path()).credentials().unwrap();
        assert!(there == old.map(credentials) || there == Some(credentials("new")), "after {operations} operations: {there:?}");
        assert!(outcome.is_err() || there == Some(credentials("new")), "the credentials are not stored in spite of the success");
        *found.entry(there == Some(credentials("new"))).or_insert(0) += 1;

        hold(place.path()).store(&credentials("next")).unwrap();
        assert_eq!(State::at(place.path()).credentials().unwrap(), Some(credentials("next")));
        let folders = entries(place.path()).into_iter().filter(|name| name.starts_with("credentials-"));
        assert_eq!(folders.count(), 1, "a key was left behind");
        if outcome.is_ok() {
            break;
        }
    }
    // There are four operations for each of the four files and for the pointer, and some others.
    assert!(found[&false] > 20 && found[&true] > 1, "{found:?}");
}

/// A rename may reach the disk before data that was written earlier and not synced.
#[test]
fn the_pointer_changes_after_the_credentials_are_synced_and_before_the_former_go() {
    use super::disk::Step;

    let place = tempfile::tempdir().unwrap();
    hold(place.path()).store(&credentials("old")).unwrap();
    let held = hold(place.path());
    held.store(&credentials("new")).unwrap();
    let done = held.disk.done.take();
    let new = place.path().join("credentials-2");
    let at = |step, path: &Path| {
        done.iter().position(|done| *done == (step, path.to_owned())).unwrap_or_else(|| panic!("{step:?} {path:?}: {done:?}"))
    };
    let named = at(Step::Rename, &place.path().join("current"));
    let last_write = done.iter().rposition(|(step, path)| *step == Step::Sync && path.starts_with(&new)).unwrap();
    assert_eq!(done[..named].iter().filter(|(step, path)| *step == Step::Sync && path.starts_with(&new)).count(), 4);
    assert!(last_write < at(Step::SyncFolder, &new) && at(Step::SyncFolder, &new) < named);
    // The name of the folder is synced first, then the pointer.
    let synced: Vec<_> = (0..done.len()).filter(|at| done[*at] == (Step::SyncFolder, place.path().to_owned())).collect();
    assert!(at(Step::Make, &new) < synced[0] && synced[0] < named && named < synced[1]);
    assert!(at(Step::Sync, &place.path().join("current.half")) < named);
    let removed = done.iter().position(|(step, path)| *step == Step::Remove && path.starts_with(place.path().join("credentials-1")));
    assert!(synced[1] < removed.unwrap(), "{done:?}");
}

#[test]
fn a_power_failure_during_a_replacement_leaves_the_old_or_the_new_credentials() {
    check_power_failures(Some("old"));
}

#[test]
fn a_power_failure_during_the_first_store_leaves_none_or_the_new_credentials() {
    check_power_failures(None);
}

#[test]
fn a_power_failure_during_a_deletion_leaves_all_or_none() {
    for operations in 0.. {
        let place = tempfile::tempdir().unwrap();
        hold(place.path()).store(&credentials("old")).unwrap();
        let outcome = hold_for(place.path(), operations).forget();
        let there = State::at(place.path()).credentials().unwrap();
        assert!(there.is_none() || (outcome.is_err() && there == Some(credentials("old"))), "after {operations} operations");
        hold(place.path()).forget().unwrap();
        assert_eq!(entries(place.path()), ["lock"]);
        if outcome.is_ok() {
            assert!(!hold(place.path()).forget().unwrap());
            break;
        }
    }
}

#[test]
fn an_invalid_pointer_is_an_error() {
    let place = tempfile::tempdir().unwrap();
    hold(place.path()).store(&credentials("one")).unwrap();
    for (content, words) in [
        ("", "current is empty"),
        ("\n", "current is empty"),
        ("credentials-1", "current is cut off"),
        ("../credentials-1\n", "does not say where"),
        ("credentials-01\n", "does not say where"),
        ("credentials-x\n", "does not say where"),
        ("credentials-9\n", "the bundle has no connection.json"),
    ] {
        std::fs::write(place.path().join("current"), content).unwrap();
        let error = onething::fault::chain(&State::at(place.path()).credentials().unwrap_err());
        assert!(error.contains(words), "{content:?}: {error}");
    }
}

#[test]
fn one_process_at_a_time_locks_the_folder_and_others_may_read() {
    let place = tempfile::tempdir().unwrap();
    let state = State::at(place.path());
    assert!(!state.is_held().unwrap());
    let held = hold(place.path());
    assert!(state.is_held().unwrap());
    let error = State::at(place.path()).hold().unwrap_err();
    assert!(matches!(&error, StateError::Busy(path) if path == place.path()), "{error}");
    held.keep_name("thing-0000007").unwrap();
    drop(held);
    assert!(!state.is_held().unwrap());
    assert_eq!(state.name().unwrap().as_deref(), Some("thing-0000007"));
}

#[test]
fn the_status_is_the_last_one_that_was_written() {
    let place = tempfile::tempdir().unwrap();
    let held = hold(place.path());
    assert_eq!(held.status().unwrap(), None);
    let status =
        |why: &str| Status { connection: crate::local::status::Online::Connecting, since: 7, why: Some(why.into()), last_command: None };
    for why in ["one", "two"] {
        held.say(&status(why)).unwrap();
        assert_eq!(held.status().unwrap(), Some(status(why)));
    }
    std::fs::write(place.path().join("status.json"), "{").unwrap();
    assert!(matches!(held.status(), Err(StateError::Status(..))));
}

#[test]
fn only_the_owner_has_access() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("state");
    hold(&path).store(&credentials("one")).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
    for folder in [&path, &path.join("credentials-1")] {
        assert_eq!(mode(folder), 0o700);
    }
    for file in entries(&path.join("credentials-1")) {
        assert_eq!(mode(&path.join("credentials-1").join(file)), 0o600);
    }
    for file in ["current", "lock"] {
        assert_eq!(mode(&path.join(file)), 0o600);
    }

    let open = |path: &Path| std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    open(&path);
    let (held, narrowed) = State::at(&path).hold().unwrap();
    assert!(narrowed.unwrap().contains("others could look into") && mode(held.path()) == 0o700);

    // A folder that may be a home folder is not changed.
    let home = place.path().join("home");
    std::fs::create_dir(&home).unwrap();
    open(&home);
    std::fs::write(home.join("letter"), "").unwrap();
    assert!(matches!(State::at(&home).hold(), Err(StateError::Open(_))));
    assert_eq!((mode(&home), entries(&home)), (0o755, vec!["letter".to_owned()]));
    std::fs::remove_file(home.join("letter")).unwrap();
    hold(&home);
    assert_eq!(mode(&home), 0o700);
}

#[test]
fn the_default_folder_depends_on_the_environment() {
    struct Variables(HashMap<&'static str, &'static str>);
    impl Source for Variables {
        fn variable(&self, name: &str) -> Option<String> {
            self.0.get(name).map(|value| (*value).to_owned())
        }
        fn file(&self, _: &str) -> io::Result<String> {
            Err(ErrorKind::NotFound.into())
        }
        fn packaged_model(&self) -> io::Result<String> {
            Err(ErrorKind::NotFound.into())
        }
    }
    let check = |variables: &[(&'static str, &'static str)], expected: Option<&str>| {
        let folder = default_folder(&Variables(variables.iter().copied().collect())).ok();
        assert_eq!(folder.as_deref(), expected.map(Path::new), "{variables:?}");
    };
    let (service, data, home) = (("STATE_DIRECTORY", "/var/lib/x:/var/lib/y"), ("XDG_DATA_HOME", "/data"), ("HOME", "/home/ana"));
    check(&[service, data, home], Some("/var/lib/x"));
    check(&[data, home], Some("/data/onething-device"));
    check(&[home], Some("/home/ana/.local/share/onething-device"));
    check(&[("XDG_DATA_HOME", "relative"), home], Some("/home/ana/.local/share/onething-device"));
    check(&[("HOME", "relative")], None);
    check(&[], None);
}
