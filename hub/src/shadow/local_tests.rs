//! Tests of the shadows in the database. The tests of the results of updates are in `exchange_tests.rs`.

use std::cell::Cell;

use onething::identifiers::{OwnerId, ThingPrefix};
use serde_json::json;
use tempfile::TempDir;

use super::*;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(1_795_305_600) };
}

fn open(place: &TempDir) -> LocalShadows {
    LocalShadows::new(Store::open(&place.path().join("hub.db")).unwrap(), || NOW.get())
}

fn thing() -> ThingName {
    ThingName::of(&ThingPrefix::parse("T-").unwrap(), &OwnerId::parse("a").unwrap())
}

async fn report(shadows: &LocalShadows, reported: &Value) -> Vec<Message> {
    let update = json!({"state": {"reported": reported}}).to_string();
    shadows.ask((&thing()).into(), Operation::Update, update.into_bytes()).await.unwrap()
}

async fn rows(shadows: &LocalShadows) -> i64 {
    let count = |db: &rusqlite::Connection| Ok::<_, StoreError>(db.query_row("SELECT count(*) FROM shadow", [], |row| row.get(0))?);
    shadows.store.read(count).await.unwrap()
}

#[tokio::test]
async fn an_accepted_update_is_stored_after_a_restart() {
    let place = tempfile::tempdir().unwrap();
    let shadows = open(&place);
    let answers = report(&shadows, &json!({"status": "idle"})).await;
    assert!(answers[0].topic.ends_with("/shadow/update/accepted"), "{answers:?}");
    drop(shadows);
    let document = open(&place).document(&thing()).await.unwrap().unwrap();
    assert_eq!((&document["state"]["reported"]["status"], &document["version"]), (&json!("idle"), &json!(1)));
}

#[tokio::test]
async fn a_rejected_update_is_answered_and_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let shadows = open(&place);
    report(&shadows, &json!({"status": "idle"})).await;
    let answers = shadows.ask((&thing()).into(), Operation::Update, b"{".to_vec()).await.unwrap();
    assert!(answers.len() == 1 && answers[0].topic.ends_with("/shadow/update/rejected"), "{answers:?}");
    assert_eq!(shadows.document(&thing()).await.unwrap().unwrap()["version"], 1);
}

#[tokio::test]
async fn the_version_of_a_deleted_shadow_continues_for_two_days() {
    let place = tempfile::tempdir().unwrap();
    let shadows = open(&place);
    for _twice in 0..2 {
        report(&shadows, &json!({"status": "idle"})).await;
    }
    shadows.delete(&thing()).await.unwrap();
    NOW.set(NOW.get() + REMEMBERED);
    shadows.clean_up().await.unwrap();
    assert_eq!(rows(&shadows).await, 1, "the version of the deleted shadow is still stored");
    report(&shadows, &json!({"status": "idle"})).await;
    assert_eq!(shadows.document(&thing()).await.unwrap().unwrap()["version"], 3);

    shadows.clean_up().await.unwrap();
    assert_eq!(rows(&shadows).await, 1, "the shadow exists");
    shadows.delete(&thing()).await.unwrap();
    NOW.set(NOW.get() + REMEMBERED + 1);
    shadows.clean_up().await.unwrap();
    assert_eq!(rows(&shadows).await, 0);
}

#[tokio::test]
async fn a_receiver_gets_the_thing_of_each_changed_shadow() {
    let place = tempfile::tempdir().unwrap();
    let shadows = open(&place);
    let mut receiver = shadows.watch();
    shadows.ask((&thing()).into(), Operation::Get, Vec::new()).await.unwrap();
    assert!(receiver.try_recv().is_err(), "a read must not notify the receivers");
    report(&shadows, &json!({"status": "idle"})).await;
    assert_eq!(receiver.try_recv().unwrap(), thing().as_str());
}
