//! Tests of the stored events.

use onething::identifiers::{CertificateId, ThingName};
use onething::registration::{Audit, Event as Registration};
use rusqlite::params;
use serde_json::json;

use super::*;
use crate::registration::LocalAudit;
use crate::storage::store::Store;

fn registration(at: u64) -> Registration {
    Registration {
        at,
        request_id: format!("request-{at}"),
        source: "192.0.2.7".into(),
        by: "code",
        outcome: "registered",
        status: 200,
        thing: ThingName::parse("3D_Printer-a"),
        certificate: Some(CertificateId::of(b"der")),
        label: None,
    }
}

/// Inserts a refusal at time `at`.
async fn refuse(store: &Store, at: u64) {
    let sql = "INSERT INTO refusal (at, action, resource, will, client_id, certificate, source, reason, detail, times)
        VALUES (?1, 'iot:Publish', 't', 0, 'c', '0', '192.0.2.7', 'implicit_deny', 'no policy statement allows it', 1)";
    store.change::<_, StoreError>(move |db| Ok(db.execute(sql, [store::seconds(at)]).map(drop)?)).await.unwrap();
}

/// Inserts a mail that was queued at time 1 and last changed at time `at`.
async fn delay(store: &Store, at: u64, state: &'static str, attempts: u32) {
    let sql = "INSERT INTO outgoing_mail (at, changed, sender, recipient, state, attempts, fault, failure)
        VALUES (1, ?1, 'hub@localhost', 'a***a@example.com', ?2, ?3, 'maker', 'the mail server cannot be used')";
    store.change::<_, StoreError>(move |db| Ok(db.execute(sql, params![store::seconds(at), state, attempts]).map(drop)?)).await.unwrap();
}

async fn events(store: &Store, kind: Option<Kind>, count: u32) -> Vec<Event> {
    store.read(move |db| last(db, kind, count)).await.unwrap()
}

fn times(events: &[Event]) -> Vec<u64> {
    events.iter().map(Event::at).collect()
}

#[tokio::test]
async fn events_are_ordered_by_time_and_can_be_read_while_no_hub_runs() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("hub.db");
    let store = Store::open(&path).unwrap();
    let audit = LocalAudit::new(store.clone());
    for at in [1, 3, 5] {
        audit.note(&registration(at)).await;
    }
    for at in [2, 4] {
        refuse(&store, at).await;
    }
    let all = events(&store, None, 10).await;
    assert_eq!(times(&all), [1, 2, 3, 4, 5]);
    assert_eq!(times(&events(&store, Some(Kind::Registration), 2).await), [3, 5]);
    assert_eq!(times(&events(&store, Some(Kind::Refusal), 10).await), [2, 4]);
    assert_eq!(events(&store, None, 3).await, all[2..]);
    let Event::Registration(first) = &all[0] else { panic!("{all:?}") };
    assert_eq!((first.by.as_str(), first.outcome.as_str(), first.status), ("code", "registered", 200));
    assert_eq!(first.thing.as_deref(), Some("3D_Printer-a"));
    assert_eq!(serde_json::to_value(&all[1]).unwrap()["kind"], "refusal");
    assert!(matches!(look(&path, None, 10), Err(ReadError::Database(OpenError::InUse(_)))), "the database of a running hub is locked");
    // The database thread stops some time after the last handle is dropped, so this waits until the database can be opened.
    drop((audit, store));
    drop(Store::open(&path).unwrap());
    let looked = loop {
        match look(&path, None, 10) {
            Err(ReadError::Database(OpenError::InUse(_))) => {}
            looked => break looked.unwrap(),
        }
    };
    assert_eq!(looked, all);
}

#[tokio::test]
async fn a_mail_that_did_not_go_out_at_the_first_attempt_is_an_event_at_its_last_change() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(&place.path().join("hub.db")).unwrap();
    delay(&store, 7, "waiting", 2).await;
    delay(&store, 5, "sent", 1).await;
    delay(&store, 6, "sent", 0).await;
    let mails = events(&store, Some(Kind::Mail), 10).await;
    assert_eq!(times(&mails), [5, 7], "a mail that was sent at the first attempt is not an event");
    let expected = json!({"kind": "mail", "at": 7, "outcome": "waiting", "to": "a***a@example.com", "thing": null, "attempts": 2,
        "fault": "maker", "detail": "the mail server cannot be used"});
    assert_eq!(serde_json::to_value(&mails[1]).unwrap(), expected);
    assert_eq!(events(&store, None, 1).await, mails[1..]);
}

#[tokio::test]
async fn old_registration_events_are_deleted() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(&place.path().join("hub.db")).unwrap();
    let audit = LocalAudit::new(store.clone());
    audit.note(&registration(1)).await;
    let later = "UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'registration_event'";
    store.change::<_, StoreError>(move |db| Ok(db.execute(later, [registrations::KEPT]).map(drop)?)).await.unwrap();
    audit.note(&registration(2)).await;
    assert_eq!(times(&events(&store, None, 10).await), [2]);
}

#[tokio::test]
async fn reading_events_fails_without_a_database_of_the_current_version() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("hub.db");
    assert!(matches!(look(&path, None, 1), Err(ReadError::Database(OpenError::Unusable(_, _)))));
    let old = Connection::open(&path).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    assert!(matches!(look(&path, None, 1), Err(ReadError::Database(OpenError::Older(_)))));
}
