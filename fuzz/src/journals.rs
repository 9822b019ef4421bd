//! The journal of commands, as a power cut or anything else may have left it, and how it goes on.

use std::fs;
use std::path::Path;

use onething_device::agent::{Answer, CommandStatus};
use onething_device::journal::Journal;

/// So many commands are kept.
const KEPT: usize = 128;

/// Reads it, begins and ends a command, and reads it again.
pub fn run(data: &[u8]) {
    let place = place();
    let path = place.path().join("journal");
    assert!(fs::write(&path, data).is_ok());
    let before = begun(&path);
    assert!(before.len() <= KEPT);
    let Ok(mut journal) = Journal::open(&path) else { panic!("it was read a moment ago") };
    // No command has the id of another.
    let mut id = "the next one".to_owned();
    while before.iter().any(|(taken, _)| *taken == id) {
        id.push('!');
    }
    let answer = Answer { id, status: CommandStatus::Done, detail: "it went well".into() };
    assert!(journal.begin(&answer.id).is_ok());
    assert!(begun(&path).iter().any(|(id, _)| *id == answer.id), "what is begun is on the disk");
    assert!(journal.end(&answer).is_ok());
    let here: Vec<_> = journal.begun().collect();
    let there = begun(&path);
    assert!(there.iter().any(|(id, end)| *id == answer.id && end.as_ref().is_some_and(|end| end.status == answer.status)));
    assert_eq!(format!("{here:?}"), format!("{there:?}"), "what is kept in mind is on the disk");
    assert_eq!(here.len(), KEPT.min(before.len() + 1));
}

fn begun(path: &Path) -> Vec<(String, Option<Answer>)> {
    match Journal::open(path) {
        Ok(journal) => journal.begun().collect(),
        Err(error) => panic!("{error}"),
    }
}

/// In memory, where the system has such a place: every command is written through.
fn place() -> tempfile::TempDir {
    match tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()) {
        Ok(place) => place,
        Err(error) => panic!("{error}"),
    }
}
