//! The journal of commands in any state, as after a power failure, and its further use.

use std::fs;
use std::path::Path;

use onething_device::agent::{Answer, CommandStatus};
use onething_device::journal::Journal;

/// The number of commands that the journal keeps.
const KEPT: usize = 128;

/// Opens the journal, begins and ends a command, and opens the journal again.
pub fn run(data: &[u8]) {
    let place = place();
    let path = place.path().join("journal");
    assert!(fs::write(&path, data).is_ok());
    let before = begun(&path);
    assert!(before.len() <= KEPT);
    let Ok(mut journal) = Journal::open(&path) else { panic!("the journal cannot be opened a second time") };
    // The id of the new command is not in the journal yet.
    let mut id = "the next one".to_owned();
    while before.iter().any(|(taken, _)| *taken == id) {
        id.push('!');
    }
    let answer = Answer { id, status: CommandStatus::Done, detail: "it went well".into() };
    assert!(journal.begin(&answer.id).is_ok());
    assert!(begun(&path).iter().any(|(id, _)| *id == answer.id), "the begun command is on the disk");
    assert!(journal.end(&answer).is_ok());
    let here: Vec<_> = journal.begun().collect();
    let there = begun(&path);
    assert!(there.iter().any(|(id, end)| *id == answer.id && end.as_ref().is_some_and(|end| end.status == answer.status)));
    assert_eq!(format!("{here:?}"), format!("{there:?}"), "the state in memory differs from that on the disk");
    assert_eq!(here.len(), KEPT.min(before.len() + 1));
}

fn begun(path: &Path) -> Vec<(String, Option<Answer>)> {
    match Journal::open(path) {
        Ok(journal) => journal.begun().collect(),
        Err(error) => panic!("{error}"),
    }
}

/// A temporary folder in memory, if the system has one, because the journal syncs every command to the disk.
fn place() -> tempfile::TempDir {
    match tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()) {
        Ok(place) => place,
        Err(error) => panic!("{error}"),
    }
}
