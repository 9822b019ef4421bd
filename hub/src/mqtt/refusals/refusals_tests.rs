//! Tests of the record of refusals.

use std::net::Ipv4Addr;

use super::*;
use crate::mqtt::broker::reason::Reason;
use crate::mqtt::broker::refusal::Requester;

const NOW: u64 = 1_763_760_000;

fn refusal(certificate: &[u8], topic: &str) -> Refusal {
    let certificate = CertificateId::of(certificate);
    let requester = Requester { client_id: "lamp".into(), certificate, thing: Some("lamp".into()), source: Ipv4Addr::LOCALHOST.into() };
    Refusal { requester, action: Some("iot:Publish"), resource: topic.into(), is_will: false, cause: Cause::ImplicitDeny }
}

fn store() -> (tempfile::TempDir, Store) {
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(&place.path().join("hub.db")).unwrap();
    (place, store)
}

fn kept_in(store: &Store) -> Refusals {
    let (refusals, store) = (Refusals::new(|| NOW), store.clone());
    let keeping = refusals.clone();
    tokio::spawn(async move { match keeping.keep(&store).await {} });
    refusals
}

async fn rows(store: &Store) -> Vec<StoredRefusal> {
    store.read(|db| last(db, u32::MAX)).await.unwrap()
}

async fn insert(store: &Store, rows: Vec<StoredRefusal>) {
    store.change::<_, StoreError>(move |db| Ok(rows.iter().try_for_each(|row| row.insert(db))?)).await.unwrap();
}

#[tokio::test]
async fn a_refusal_is_stored_with_its_client_request_and_cause() {
    let (_place, store) = store();
    let refusals = kept_in(&store);
    let mut kept = refusals.watch();
    refusals.note(&refusal(b"a", "other/in"));
    let bad = Refusal { cause: Cause::Protocol(Reason::MalformedPacket), action: None, ..refusal(b"a", "") };
    refusals.note(&Refusal { requester: Requester { thing: None, ..bad.requester.clone() }, ..bad });
    assert_eq!((kept.recv().await, kept.recv().await), (Ok(Some("lamp".into())), Ok(None)));
    let [first, second] = &rows(&store).await[..] else { panic!() };
    let expected = StoredRefusal {
        at: NOW,
        action: Some("iot:Publish".into()),
        resource: "other/in".into(),
        will: false,
        client_id: "lamp".into(),
        certificate: CertificateId::of(b"a").to_string(),
        thing: Some("lamp".into()),
        source: "127.0.0.1".into(),
        reason: "implicit_deny".into(),
        detail: "no policy statement allows it".into(),
        times: 1,
    };
    assert_eq!(*first, expected);
    assert_eq!((second.action.as_deref(), second.reason.as_str(), second.thing.as_deref()), (None, "malformed_packet", None));
}

#[tokio::test]
async fn a_flood_of_refusals_makes_few_rows() {
    let (_place, store) = store();
    let refusals = kept_in(&store);
    let mut kept = refusals.watch();
    for number in 0..100_000 {
        refusals.note(&refusal(b"a", &number.to_string()));
    }
    for _ in 0..limiter::BURST {
        kept.recv().await.unwrap();
    }
    let topics: Vec<String> = rows(&store).await.into_iter().map(|row| row.resource).collect();
    assert_eq!(topics, (0..limiter::BURST).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_rows_of_one_certificate_and_of_all_are_limited() {
    let (_place, store) = store();
    let rows_of = |certificate: &[u8], count: u64| (0..count).map(|at| StoredRefusal::new(&refusal(certificate, "t"), at)).collect();
    insert(&store, rows_of(b"quiet", 1)).await;
    insert(&store, rows_of(b"loud", 1_000)).await;
    let kept = rows(&store).await;
    assert_eq!((kept.len(), kept[0].certificate.clone(), kept[1].at), (101, CertificateId::of(b"quiet").to_string(), 900));
    for certificate in 0_u32..101 {
        insert(&store, rows_of(&certificate.to_be_bytes(), 100)).await;
    }
    assert_eq!(rows(&store).await.len(), 10_000);
}

#[tokio::test]
async fn the_last_refusal_of_a_thing_includes_those_with_a_former_certificate() {
    let (_place, store) = store();
    let kept = |thing: Option<&str>, at| StoredRefusal { thing: thing.map(str::to_owned), ..StoredRefusal::new(&refusal(b"a", "t"), at) };
    let last_of = |thing: &'static str| store.read(move |db| last_of(db, thing));
    assert_eq!(last_of("lamp").await.unwrap(), None);
    insert(&store, vec![kept(Some("lamp"), 1), kept(None, 2), kept(Some("heater"), 3)]).await;
    assert_eq!(last_of("lamp").await.unwrap().map(|kept| kept.at), Some(2));
    assert_eq!(last_of("heater").await.unwrap().map(|kept| kept.at), Some(3));
    assert_eq!(last_of("other").await.unwrap(), None);
}

#[test]
fn a_text_of_a_client_is_escaped_and_truncated() {
    for (text, expected) in [
        ("$aws/things/a \"b\"/Küche", "$aws/things/a \"b\"/Küche"),
        ("a\nb\x1b[31m\u{202e}\u{200b}\0", "a\\nb\\u{1b}[31m\\u{202e}\\u{200b}\\0"),
    ] {
        assert_eq!(shown(text), expected);
    }
    let long = shown(&"ü".repeat(60_000));
    assert_eq!((long.chars().count(), long.ends_with('…')), (TEXT + 1, true));
}
