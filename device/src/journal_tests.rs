use tempfile::TempDir;

use super::*;

/// The folder of a journal.
fn folder() -> TempDir {
    TempDir::new().unwrap()
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("journal")
}

fn open(folder: &TempDir) -> Journal {
    Journal::open(&file(folder)).unwrap()
}

fn end(id: &str, status: CommandStatus) -> Answer {
    Answer { id: id.to_owned(), status, detail: format!("what became of \"{id}\"\n") }
}

fn begun(journal: &Journal) -> Vec<(String, Option<CommandStatus>)> {
    journal.begun().map(|(id, end)| (id, end.map(|end| end.status))).collect()
}

#[test]
fn beginnings_and_ends_are_known_after_a_restart() {
    let folder = folder();
    let mut journal = open(&folder);
    assert_eq!(begun(&journal), []);
    for id in ["1", "ü \"2\"\n", "3"] {
        journal.begin(id).unwrap();
    }
    journal.end(&end("1", CommandStatus::Done)).unwrap();
    journal.end(&end("ü \"2\"\n", CommandStatus::Failed)).unwrap();
    journal.end(&end("never begun", CommandStatus::Done)).unwrap();
    let known: Vec<_> = open(&folder).begun().collect();
    assert_eq!(known, journal.begun().collect::<Vec<_>>());
    assert_eq!(known[0], ("1".to_owned(), Some(end("1", CommandStatus::Done))));
    assert_eq!(known[2], ("3".to_owned(), None));
}

#[test]
fn a_truncated_journal_keeps_its_complete_lines_and_continues() {
    let folder = folder();
    let mut journal = open(&folder);
    let mut states = vec![(0, begun(&journal))];
    let mut state = |journal: &Journal| states.push((fs::metadata(file(&folder)).unwrap().len(), begun(journal)));
    for id in ["1", "zwölf", "3"] {
        journal.begin(id).unwrap();
        state(&journal);
        journal.end(&end(id, CommandStatus::Done)).unwrap();
        state(&journal);
    }
    let whole = fs::read(file(&folder)).unwrap();
    for length in 0..=whole.len() {
        for garbage in ["", "\0\0\0\0", "{\"id\":\"x", "\n\n[]\n\u{7f}"] {
            let mut text = whole[..length].to_vec();
            text.extend(garbage.as_bytes());
            fs::write(file(&folder), &text).unwrap();
            let mut journal = open(&folder);
            // A line is complete without its newline, so its entry is known one byte earlier.
            let stood = |length| states.iter().rev().find(|(at, _)| *at <= length as u64).map(|(_, state)| state.clone()).unwrap();
            let known = begun(&journal);
            assert!(known == stood(length) || known == stood(length + 1), "{length} {garbage:?}: {known:?}");
            journal.begin("next").unwrap();
            journal.end(&end("next", CommandStatus::Done)).unwrap();
            let mut expected = known;
            expected.push(("next".to_owned(), Some(CommandStatus::Done)));
            assert_eq!(begun(&open(&folder)), expected, "{length} {garbage:?}");
        }
    }
}

#[test]
fn a_journal_stays_small_and_keeps_the_newest() {
    let folder = folder();
    let mut journal = open(&folder);
    let mut longest = 0;
    for number in 0..600 {
        let id = format!("{number:0>200}");
        journal.begin(&id).unwrap();
        journal.end(&end(&id, CommandStatus::Done)).unwrap();
        longest = longest.max(fs::metadata(file(&folder)).unwrap().len());
    }
    assert!((LONGEST / 2..=LONGEST).contains(&longest), "{longest}");
    let known = begun(&open(&folder));
    assert_eq!((known.len(), &known[KEPT - 1].0), (KEPT, &format!("{:0>200}", 599)));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left in the folder");
}

#[test]
fn a_deleted_or_changed_journal_is_written_again() {
    let folder = folder();
    let mut journal = open(&folder);
    journal.begin("1").unwrap();
    fs::remove_file(file(&folder)).unwrap();
    journal.begin("2").unwrap();
    assert_eq!(begun(&open(&folder)), begun(&journal));
    fs::write(file(&folder), "nonsense").unwrap();
    journal.end(&end("1", CommandStatus::Done)).unwrap();
    assert_eq!(begun(&open(&folder)), [("1".to_owned(), Some(CommandStatus::Done)), ("2".to_owned(), None)]);
}

#[test]
fn an_entry_that_cannot_be_written_is_an_error_and_not_kept() {
    let folder = folder();
    let mut journal = open(&folder);
    journal.begin("1").unwrap();
    fs::remove_dir_all(folder.path()).unwrap();
    assert!(matches!(journal.begin("2"), Err(JournalError::Write(_))));
    assert!(journal.end(&end("1", CommandStatus::Done)).is_err());
    fs::create_dir(folder.path()).unwrap();
    journal.begin("3").unwrap();
    assert_eq!(begun(&open(&folder)), [("1".to_owned(), Some(CommandStatus::Done)), ("3".to_owned(), None)]);
}

#[test]
fn an_unreadable_journal_is_an_error() {
    let folder = folder();
    fs::create_dir(file(&folder)).unwrap();
    assert!(matches!(Journal::open(&file(&folder)), Err(JournalError::Read(_))));
}

#[test]
fn a_journal_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    open(&folder).begin("1").unwrap();
    assert_eq!(fs::metadata(file(&folder)).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_of_root_belongs_to_the_owner_of_the_folder() {
    use std::os::unix::fs::{MetadataExt, chown};
    let folder = folder();
    if rustix::process::geteuid().is_root() {
        chown(folder.path(), Some(4_321), Some(4_321)).unwrap();
    }
    open(&folder).begin("1").unwrap();
    let owner = |path: &Path| path.metadata().map(|metadata| (metadata.uid(), metadata.gid())).unwrap();
    assert_eq!(owner(&file(&folder)), owner(folder.path()));
}
