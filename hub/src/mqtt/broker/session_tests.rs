//! Tests of the queues of a session.

use std::net::{IpAddr, Ipv4Addr};

use onething::identifiers::CertificateId;
use proptest::prelude::*;

use super::*;
use crate::mqtt::broker::backend::CertificateStatus;
use crate::mqtt::broker::packet::{Connect, Version};
use crate::mqtt::broker::refusal::Cause;
use crate::policy::Policy;

fn grant(receive: &str) -> Arc<Grant> {
    let document = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"iot:Receive","Resource":"arn:aws:iot:a:1:topic/{receive}"}}]}}"#
    );
    let certificate_status =
        CertificateStatus { active: true, policies: vec![Arc::new(Policy::parse(&document).unwrap())], attachments: Vec::new() };
    let connect = Connect {
        version: Version::V5,
        client_id: "a".into(),
        clean_start: true,
        session_expiry: 60,
        keep_alive: 60,
        receive_maximum: 100,
        maximum_packet: u32::MAX,
        will: None,
    };
    Arc::new(Grant::new(Some(certificate_status), CertificateId::of(b"a certificate"), "a", IpAddr::V4(Ipv4Addr::LOCALHOST), &connect))
}

fn link(receive: &str, receive_maximum: u16) -> Link {
    let mut link = Link::new(1, grant(receive), 1, Arc::new(WakeUp::new()));
    link.receive_maximum = receive_maximum;
    link
}

fn session() -> Session {
    let mut session = Session::new("a".into(), 60);
    session.attach(link("*", 3));
    session
}

fn offer(session: &mut Session, payload: &str) -> Offered {
    session.offer(Message::new("t", payload.to_owned()), Box::default())
}

fn payloads(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| std::str::from_utf8(&delivery.message.payload).unwrap()).collect()
}

#[test]
fn messages_are_sent_in_order_within_the_receive_maximum() {
    let mut session = session();
    for payload in ["1", "2", "3", "4"] {
        offer(&mut session, payload);
    }
    let first = session.take(0, usize::MAX).deliveries;
    assert_eq!(payloads(&first), ["1", "2", "3"]);
    assert!(session.take(0, usize::MAX).deliveries.is_empty());
    assert_eq!(session.acknowledge(first[1].id.unwrap()), Some(2));
    assert_eq!(session.acknowledge(first[1].id.unwrap()), None);
    let next = session.take(0, usize::MAX).deliveries;
    assert_eq!(payloads(&next), ["4"]);
    assert!(next[0].id != first[0].id && next[0].id != first[2].id);
}

#[test]
fn messages_in_flight_are_sent_again_first_with_their_packet_identifiers() {
    let mut session = session();
    offer(&mut session, "1");
    let first = session.take(0, usize::MAX).deliveries;
    session.link = None;
    offer(&mut session, "2");
    session.attach(link("*", 3));
    let again = session.take(0, usize::MAX).deliveries;
    assert_eq!(payloads(&again), ["1", "2"]);
    assert_eq!((again[0].id, again[0].duplicate, again[1].duplicate), (first[0].id, true, false));
}

#[test]
fn a_full_queue_drops_its_oldest_message_that_is_not_in_flight() {
    let mut session = session();
    for number in 0..QUEUE_LENGTH {
        offer(&mut session, &number.to_string());
    }
    session.take(0, usize::MAX);
    assert_eq!(offer(&mut session, "new"), Offered::Taken { number: Some(1001), dropped: vec![4] });
    assert_eq!(session.queue.len(), QUEUE_LENGTH);
}

#[test]
fn the_bytes_of_a_queue_are_limited_but_it_takes_one_message_of_any_size() {
    let mut session = session();
    session.link = None;
    let large = "x".repeat(128 * 1024);
    for _ in 0..10 {
        offer(&mut session, &large);
    }
    assert_eq!(session.queue.len(), 3);
    assert!(session.queue_bytes <= QUEUE_BYTES);
    let mut alone = Session::new("a".into(), 60);
    assert!(matches!(offer(&mut alone, &"x".repeat(QUEUE_BYTES + 1)), Offered::Taken { number: Some(1), .. }));
}

#[test]
fn qos_0_messages_are_dropped_without_a_connection_or_room() {
    let mut session = session();
    let message = || Message { qos: Qos::AtMostOnce, ..Message::new("t", "x") };
    let taken = (0..OUTBOX_LENGTH + 10).filter(|_| session.offer(message(), Box::default()) != Offered::Dropped).count();
    assert_eq!(taken, OUTBOX_LENGTH);
    assert_eq!(session.take(0, usize::MAX).deliveries.len(), OUTBOX_LENGTH);
    session.link = None;
    assert_eq!(session.offer(message(), Box::default()), Offered::Dropped);
}

#[test]
fn expired_and_refused_messages_are_not_sent() {
    let mut session = session();
    session.offer(Message { expires: Some(10), ..Message::new("t", "late") }, Box::default());
    session.link = None;
    session.offer(Message::new("forbidden", "1"), Box::default());
    session.offer(Message::new("allowed", "2"), Box::default());
    session.attach(link("allowed", 3));
    let taken = session.take(10, usize::MAX);
    assert_eq!((payloads(&taken.deliveries), taken.gone), (vec!["2"], vec![1, 2]));
    assert_eq!(taken.refusals.len(), 1);
    let Offered::Refused(refusal) = session.offer(Message::new("forbidden", "3"), Box::default()) else { panic!() };
    assert_eq!(*refusal, taken.refusals[0]);
    assert_eq!((refusal.action, refusal.resource.as_str(), refusal.cause), (Some("iot:Receive"), "forbidden", Cause::ImplicitDeny));
}

#[test]
fn take_stops_at_the_room_but_returns_at_least_one_message() {
    let mut session = session();
    for payload in ["1", "2", "3"] {
        offer(&mut session, payload);
    }
    assert_eq!(session.take(0, 3).deliveries.len(), 2);
    assert_eq!(session.take(0, 1).deliveries.len(), 1);
    assert_eq!(session.take(0, 1).deliveries.len(), 0);
}

#[derive(Clone, Debug)]
enum Event {
    Offer(usize),
    Take(usize),
    Acknowledge(u16),
    Reconnect,
}

proptest! {
    /// After any events, Packet Identifiers are unique, the window and the bounds are kept, and messages stay in order.
    #[test]
    fn the_invariants_of_the_queue_hold_after_any_events(events in prop::collection::vec(prop_oneof![
        4 => (0usize..60_000).prop_map(Event::Offer),
        3 => (0usize..100_000).prop_map(Event::Take),
        3 => (1u16..40).prop_map(Event::Acknowledge),
        1 => Just(Event::Reconnect),
    ], 1..200)) {
        let mut session = session();
        for event in events {
            match event {
                Event::Offer(size) => drop(offer(&mut session, &"x".repeat(size))),
                Event::Take(room) => drop(session.take(0, room)),
                Event::Acknowledge(id) => drop(session.acknowledge(NonZeroU16::new(id).unwrap())),
                Event::Reconnect => session.attach(link("*", 3)),
            }
            let mut ids: Vec<_> = session.queue.iter().filter_map(|entry| entry.id).collect();
            let count = ids.len();
            ids.sort_unstable();
            ids.dedup();
            prop_assert_eq!(ids.len(), count);
            prop_assert!(session.sent <= 3 && session.sent <= session.queue.len());
            prop_assert!(session.queue.iter().take(session.sent).all(|entry| entry.id.is_some()));
            let numbers: Vec<_> = session.queue.iter().map(|entry| entry.number).collect();
            prop_assert!(numbers.is_sorted());
            let bytes: usize = session.queue.iter().map(|entry| entry.message.size()).sum();
            prop_assert_eq!(bytes, session.queue_bytes);
            prop_assert!(bytes <= QUEUE_BYTES);
        }
    }
}
