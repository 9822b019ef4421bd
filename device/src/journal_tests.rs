use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A folder that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("onething-journal-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn journal(&self) -> PathBuf {
        self.0.join("journal")
    }

    fn open(&self) -> Journal {
        Journal::open(&self.journal()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn end(id: &str, status: CommandStatus) -> Answer {
    Answer { id: id.to_owned(), status, detail: format!("what became of \"{id}\"\n") }
}

fn begun(journal: &Journal) -> Vec<(String, Option<CommandStatus>)> {
    journal.begun().map(|(id, end)| (id, end.map(|end| end.status))).collect()
}

#[test]
fn what_was_begun_and_how_it_ended_is_there_after_a_restart() {
    let folder = Folder::new();
    let mut journal = folder.open();
    assert_eq!(begun(&journal), []);
    for id in ["1", "ü \"2\"\n", "3"] {
        journal.begin(id).unwrap();
    }
    journal.end(&end("1", CommandStatus::Done)).unwrap();
    journal.end(&end("ü \"2\"\n", CommandStatus::Failed)).unwrap();
    journal.end(&end("never begun", CommandStatus::Done)).unwrap();
    let known: Vec<_> = folder.open().begun().collect();
    assert_eq!(known, journal.begun().collect::<Vec<_>>());
    assert_eq!(known[0], ("1".to_owned(), Some(end("1", CommandStatus::Done))));
    assert_eq!(known[2], ("3".to_owned(), None));
}

#[test]
fn a_journal_that_breaks_off_anywhere_holds_what_stood_before_and_goes_on() {
    let folder = Folder::new();
    let mut journal = folder.open();
    let mut states = vec![(0, begun(&journal))];
    let mut state = |journal: &Journal| states.push((fs::metadata(folder.journal()).unwrap().len(), begun(journal)));
    for id in ["1", "zwölf", "3"] {
        journal.begin(id).unwrap();
        state(&journal);
        journal.end(&end(id, CommandStatus::Done)).unwrap();
        state(&journal);
    }
    let whole = fs::read(folder.journal()).unwrap();
    for length in 0..=whole.len() {
        for garbage in ["", "\0\0\0\0", "{\"id\":\"x", "\n\n[]\n\u{7f}"] {
            let mut text = whole[..length].to_vec();
            text.extend(garbage.as_bytes());
            fs::write(folder.journal(), &text).unwrap();
            let mut journal = folder.open();
            // Of a line whose last byte alone is missing everything is said. One byte more is its end of line.
            let stood = |length| states.iter().rev().find(|(at, _)| *at <= length as u64).map(|(_, state)| state.clone()).unwrap();
            let known = begun(&journal);
            assert!(known == stood(length) || known == stood(length + 1), "{length} {garbage:?}: {known:?}");
            journal.begin("next").unwrap();
            journal.end(&end("next", CommandStatus::Done)).unwrap();
            let mut expected = known;
            expected.push(("next".to_owned(), Some(CommandStatus::Done)));
            assert_eq!(begun(&folder.open()), expected, "{length} {garbage:?}");
        }
    }
}

#[test]
fn a_journal_stays_small_and_keeps_the_newest() {
    let folder = Folder::new();
    let mut journal = folder.open();
    let mut longest = 0;
    for number in 0..600 {
        let id = format!("{number:0>200}");
        journal.begin(&id).unwrap();
        journal.end(&end(&id, CommandStatus::Done)).unwrap();
        longest = longest.max(fs::metadata(folder.journal()).unwrap().len());
    }
    assert!((LONGEST / 2..=LONGEST).contains(&longest), "{longest}");
    let known = begun(&folder.open());
    assert_eq!((known.len(), &known[KEPT - 1].0), (KEPT, &format!("{:0>200}", 599)));
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "nothing else is left in the folder");
}

#[test]
fn a_journal_that_somebody_took_away_or_changed_is_written_anew() {
    let folder = Folder::new();
    let mut journal = folder.open();
    journal.begin("1").unwrap();
    fs::remove_file(folder.journal()).unwrap();
    journal.begin("2").unwrap();
    assert_eq!(begun(&folder.open()), begun(&journal));
    fs::write(folder.journal(), "nonsense").unwrap();
    journal.end(&end("1", CommandStatus::Done)).unwrap();
    assert_eq!(begun(&folder.open()), [("1".to_owned(), Some(CommandStatus::Done)), ("2".to_owned(), None)]);
}

#[test]
fn what_cannot_be_written_is_said_and_forgotten() {
    let folder = Folder::new();
    let mut journal = folder.open();
    journal.begin("1").unwrap();
    fs::remove_dir_all(&folder.0).unwrap();
    assert!(matches!(journal.begin("2"), Err(JournalError::Write(_))));
    assert!(journal.end(&end("1", CommandStatus::Done)).is_err());
    fs::create_dir(&folder.0).unwrap();
    journal.begin("3").unwrap();
    assert_eq!(begun(&folder.open()), [("1".to_owned(), Some(CommandStatus::Done)), ("3".to_owned(), None)]);
}

#[test]
fn a_journal_that_cannot_be_read_is_no_empty_one() {
    let folder = Folder::new();
    fs::create_dir(folder.journal()).unwrap();
    assert!(matches!(Journal::open(&folder.journal()), Err(JournalError::Read(_))));
}

#[cfg(unix)]
#[test]
fn a_journal_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    folder.open().begin("1").unwrap();
    assert_eq!(fs::metadata(folder.journal()).unwrap().permissions().mode() & 0o777, 0o600);
}
