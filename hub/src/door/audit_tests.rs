//! Events by what their readers rely on.

use super::*;

fn event(at: u64) -> Event {
    Event {
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

#[tokio::test]
async fn events_are_kept_in_order_and_read_also_when_nobody_serves() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("hub.db");
    let audit = LocalAudit::new(Store::open(&path).unwrap());
    for at in 1..=3 {
        audit.note(&event(at)).await;
    }
    let all = audit.last(10).await.unwrap();
    assert_eq!(all.iter().map(|event| event.at).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((all[0].by.as_str(), all[0].outcome.as_str(), all[0].status), ("code", "registered", 200));
    assert_eq!(all[0].thing.as_deref(), Some("3D_Printer-a"));
    assert_eq!(audit.last(2).await.unwrap(), all[1..]);
    assert!(matches!(look(&path, 10), Err(LookError::Database(OpenError::InUse(_)))), "a running hub has the database to itself");
    // The thread that has the database ends with the last handle, and opening it waits for that.
    drop(audit);
    drop(Store::open(&path).unwrap());
    let looked = loop {
        match look(&path, 10) {
            Err(LookError::Database(OpenError::InUse(_))) => {}
            looked => break looked.unwrap(),
        }
    };
    assert_eq!(looked, all);
}

#[tokio::test]
async fn only_the_last_events_are_kept() {
    let place = tempfile::tempdir().unwrap();
    let audit = LocalAudit::new(Store::open(&place.path().join("hub.db")).unwrap());
    audit.note(&event(1)).await;
    let later = "UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'registration_event'";
    audit.store.change::<_, StoreError>(move |db| Ok(db.execute(later, [KEPT]).map(drop)?)).await.unwrap();
    audit.note(&event(2)).await;
    assert_eq!(audit.last(10).await.unwrap().iter().map(|event| event.at).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn there_are_no_events_where_there_is_no_database_of_this_time() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("hub.db");
    assert!(matches!(look(&path, 1), Err(LookError::Database(OpenError::Unusable(_, _)))));
    let old = Connection::open(&path).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    assert!(matches!(look(&path, 1), Err(LookError::Database(OpenError::Older(_)))));
}
