//! Tests of the router without sockets. The state that the store would contain is compared with the state of the router.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::*;
use crate::mqtt::broker::message::{Message, Qos};
use crate::mqtt::broker::packet::{RetainHandling, Subscription, Version};
use crate::policy::Policy;

const ANYTHING: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}"#;

fn certificate_status() -> CertificateStatus {
    CertificateStatus { active: true, policies: vec![Arc::new(Policy::parse(ANYTHING).unwrap())], attachments: Vec::new() }
}

fn arrival(client_id: &str, clean_start: bool, session_expiry: u32, will: Option<Will>) -> AdmittedConnect {
    let certificate = CertificateId::of(b"a certificate");
    let connect = Box::new(Connect {
        version: Version::V5,
        client_id: client_id.into(),
        clean_start,
        session_expiry,
        keep_alive: 60,
        receive_maximum: 10,
        maximum_packet: u32::MAX,
        will,
    });
    let grant = Grant::new(Some(certificate_status()), certificate, client_id, IpAddr::V4(Ipv4Addr::LOCALHOST), &connect);
    AdmittedConnect { client_id: client_id.into(), grant, connect }
}

fn will(topic: &str, delay: u32) -> Option<Will> {
    Some(Will { message: Message::new(topic, "gone"), lifetime: None, delay })
}

fn subscription(filter: &str) -> Subscription {
    Subscription {
        filter: filter.into(),
        qos: Qos::AtLeastOnce,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::Always,
        identifier: None,
    }
}

/// A session in the store: its expiry, its end, its filters, and the numbers of its queued messages.
type StoredState = (u32, Option<u64>, Vec<String>, Vec<u64>);

/// A router, and a store to which its changes are applied.
#[derive(Default)]
struct World {
    router: Router,
    store: BTreeMap<String, StoredState>,
    notices: Vec<Notice>,
}

impl World {
    fn with<T>(&mut self, change: impl FnOnce(&mut Router, &mut Effects) -> T) -> T {
        let mut fx = Effects::default();
        let outcome = change(&mut self.router, &mut fx);
        for change in fx.changes {
            match change {
                Change::SessionKept { client_id, expiry, ends } => {
                    let held = self.store.entry(client_id.to_string()).or_default();
                    (held.0, held.1) = (expiry, ends);
                }
                Change::SessionEnded { client_id } => drop(self.store.remove(&*client_id)),
                Change::Subscribed { client_id, subscription } => {
                    let held = &mut self.store.get_mut(&*client_id).unwrap().2;
                    held.retain(|filter| *filter != *subscription.filter);
                    held.push(subscription.filter.to_string());
                }
                Change::Unsubscribed { client_id, filter } => {
                    self.store.get_mut(&*client_id).unwrap().2.retain(|held| **held != *filter);
                }
                Change::Queued { client_id, waiting } => self.store.get_mut(&*client_id).unwrap().3.push(waiting.number),
                Change::Dequeued { client_id, number } => self.store.get_mut(&*client_id).unwrap().3.retain(|held| *held != number),
                Change::Retained { .. } | Change::Unretained { .. } => {}
            }
        }
        self.notices.extend(fx.notices);
        outcome
    }

    fn connect(&mut self, client_id: &str, clean: bool, expiry: u32, will: Option<Will>, now: u64) -> (ConnectionKey, bool) {
        self.with(|router, fx| router.connect(arrival(client_id, clean, expiry, will), now, fx)).unwrap()
    }

    fn subscribe(&mut self, place: &ConnectionKey, filter: &str) {
        let asked = vec![subscription(filter)];
        let outcome = self.with(|router, fx| router.subscribe(place, Version::V5, asked, 0, fx));
        assert_eq!(outcome, Ok(vec![Ok(Qos::AtLeastOnce)]));
    }

    fn publish(&mut self, topic: &str, now: u64) -> usize {
        self.with(|router, fx| router.publish(&Message::new(topic, "x"), now, fx))
    }

    fn topics(&mut self, place: &ConnectionKey, now: u64) -> Vec<String> {
        let deliveries = self.with(|router, fx| router.take(place, now, usize::MAX, fx));
        deliveries.iter().map(|delivery| delivery.message.topic.to_string()).collect()
    }

    fn disconnect(&mut self, place: &ConnectionKey, reason: Reason, now: u64) {
        self.with(|router, fx| router.disconnect(place, reason, None, now, fx));
    }
}

#[test]
fn a_session_ends_after_its_expiry_interval() {
    let mut world = World::default();
    let (place, present) = world.connect("a", false, 60, None, 0);
    assert!(!present);
    world.subscribe(&place, "t");
    world.disconnect(&place, Reason::Lost, 100);
    world.with(|router, fx| router.tick(159, fx));
    let (place, present) = world.connect("a", false, 60, None, 159);
    assert!(present);
    world.disconnect(&place, Reason::Lost, 200);
    // The session has also ended if `tick` was not called meanwhile.
    assert!(!world.connect("a", false, 0, None, 260).1);
    assert!(world.store.is_empty());
    assert_eq!(world.publish("t", 260), 0);
}

#[test]
fn a_session_without_expiry_interval_ends_with_its_connection() {
    let mut world = World::default();
    let (place, _) = world.connect("a", false, 0, None, 0);
    world.subscribe(&place, "t");
    assert_eq!(world.publish("t", 0), 1);
    world.disconnect(&place, Reason::NormalDisconnect, 0);
    assert!(world.store.is_empty() && world.router.sessions.is_empty() && world.router.index.is_empty());
}

#[test]
fn a_taken_over_connection_cannot_affect_the_new_one() {
    let mut world = World::default();
    let (old, _) = world.connect("a", false, 60, None, 0);
    let (new, _) = world.connect("a", false, 60, None, 1);
    assert_eq!((old.wake_up.stopped(), new.wake_up.stopped()), (Some(Reason::TakenOver), None));
    world.disconnect(&old, Reason::TakenOver, 1);
    assert!(world.router.held(&new).is_some() && world.router.held(&old).is_none() && world.router.grant(&old).is_none());
    assert_eq!(world.router.connection("a", 2), Connection::Connected { since: 1 });
    let news: Vec<_> = world.notices.iter().map(|notice| notice.disconnected).collect();
    assert_eq!(news, [None, Some(Reason::TakenOver), None]);
}

#[test]
fn a_will_is_published_at_once_after_its_delay_or_never() {
    let mut world = World::default();
    let (watcher, _) = world.connect("watcher", true, 0, None, 0);
    world.subscribe(&watcher, "#");
    for (topic, delay, reason) in
        [("goodbye", 0, Reason::NormalDisconnect), ("stop", 0, Reason::ShuttingDown), ("$aws/things/a", 0, Reason::Lost)]
    {
        let (place, _) = world.connect("a", true, 60, will(topic, delay), 0);
        world.disconnect(&place, reason, 0);
    }
    assert!(world.topics(&watcher, 0).is_empty());
    let (place, _) = world.connect("a", true, 60, will("now", 0), 0);
    world.disconnect(&place, Reason::DisconnectWithWill, 0);
    assert_eq!(world.topics(&watcher, 0), ["now"]);
    let (place, _) = world.connect("a", true, 60, will("later", 30), 0);
    world.disconnect(&place, Reason::Lost, 100);
    world.with(|router, fx| router.tick(129, fx));
    assert!(world.topics(&watcher, 129).is_empty());
    world.with(|router, fx| router.tick(130, fx));
    assert_eq!(world.topics(&watcher, 130), ["later"]);
    // The end of a session publishes its will before the Will Delay Interval has passed.
    let (place, _) = world.connect("a", true, 60, will("with the session", 3_000), 0);
    world.disconnect(&place, Reason::Lost, 200);
    world.connect("a", true, 60, None, 201);
    assert_eq!(world.topics(&watcher, 201), ["with the session"]);
    let (_, _) = world.connect("b", true, 0, will("taken over", 0), 300);
    world.connect("b", true, 0, None, 301);
    assert_eq!(world.topics(&watcher, 301), ["taken over"]);
}

#[test]
fn the_numbers_of_subscriptions_and_of_filters_are_limited() {
    let mut world = World::default();
    let (place, _) = world.connect("a", true, 0, None, 0);
    for number in 0..50 {
        world.subscribe(&place, &number.to_string());
    }
    world.subscribe(&place, "49");
    let more = vec![subscription("50")];
    let outcome = world.with(|router, fx| router.subscribe(&place, Version::V5, more, 0, fx));
    assert_eq!(outcome, Ok(vec![Err(Reason::QuotaExceeded)]));
    let many = (0..9).map(|number| subscription(&number.to_string())).collect();
    let end = world.with(|router, fx| router.subscribe(&place, Version::V5, many, 0, fx)).unwrap_err();
    assert_eq!((end.reason, end.refusals.len()), (Reason::QuotaExceeded, 1));
}

#[test]
fn a_disconnection_is_forgotten_after_half_an_hour() {
    let mut world = World::default();
    let (place, _) = world.connect("a", true, 0, None, 0);
    world.disconnect(&place, Reason::KeepAliveTimeout, 100);
    let left = Connection::Disconnected { since: 100, reason: Reason::KeepAliveTimeout };
    assert_eq!((world.router.connection("a", 1_899), world.router.connection("a", 1_900)), (left, Connection::Unknown));
    world.with(|router, fx| router.tick(1_900, fx));
    assert!(world.router.disconnected.is_empty());
}

#[test]
fn a_closing_router_refuses_connections() {
    let mut world = World::default();
    let (place, _) = world.connect("a", true, 0, None, 0);
    world.router.close();
    assert_eq!(place.wake_up.stopped(), Some(Reason::ShuttingDown));
    let refused = world.with(|router, fx| router.connect(arrival("b", true, 0, None), 0, fx));
    assert_eq!(refused.unwrap_err(), Reason::ShuttingDown);
}

#[derive(Clone, Debug)]
enum Event {
    Connect(usize, bool, u32),
    Disconnect(usize),
    Subscribe(usize, usize),
    Unsubscribe(usize, usize),
    Publish(usize),
    TakeAndAcknowledge(usize),
    Wait(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let (client, topic) = (0usize..3, 0usize..3);
    prop_oneof![
        3 => (client.clone(), any::<bool>(), prop::sample::select(vec![0u32, 5, 50])).prop_map(|(c, clean, e)| Event::Connect(c, clean, e)),
        2 => client.clone().prop_map(Event::Disconnect),
        3 => (client.clone(), topic.clone()).prop_map(|(c, t)| Event::Subscribe(c, t)),
        1 => (client.clone(), topic.clone()).prop_map(|(c, t)| Event::Unsubscribe(c, t)),
        4 => topic.prop_map(Event::Publish),
        2 => client.prop_map(Event::TakeAndAcknowledge),
        1 => (1u64..20).prop_map(Event::Wait),
    ]
}

proptest! {
    /// The store always contains exactly the persistent sessions with their subscriptions and messages.
    #[test]
    fn the_store_contains_the_persistent_state_of_the_router(events in prop::collection::vec(event(), 1..120)) {
        let (mut world, mut now) = (World::default(), 0);
        let mut places: [Option<ConnectionKey>; 3] = [None, None, None];
        let names = ["a", "b", "c"];
        for event in events {
            match event {
                Event::Connect(client, clean, expiry) => places[client] = Some(world.connect(names[client], clean, expiry, None, now).0),
                Event::Disconnect(client) => {
                    if let Some(place) = places[client].take() {
                        world.disconnect(&place, Reason::Lost, now);
                    }
                }
                Event::Subscribe(client, topic) => {
                    if let Some(place) = &places[client] {
                        world.subscribe(place, names[topic]);
                    }
                }
                Event::Unsubscribe(client, topic) => {
                    if let Some(place) = &places[client] {
                        world.with(|router, fx| router.unsubscribe(place, &[names[topic].into()], fx));
                    }
                }
                Event::Publish(topic) => drop(world.publish(names[topic], now)),
                Event::TakeAndAcknowledge(client) => {
                    if let Some(place) = &places[client] {
                        let deliveries = world.with(|router, fx| router.take(place, now, usize::MAX, fx));
                        if let Some(id) = deliveries.first().and_then(|delivery| delivery.id) {
                            prop_assert!(world.with(|router, fx| router.acknowledge(place, id, fx)));
                        }
                    }
                }
                Event::Wait(seconds) => {
                    now += seconds;
                    world.with(|router, fx| router.tick(now, fx));
                }
            }
            let held: BTreeMap<_, _> = world
                .router
                .sessions
                .values()
                .filter(|session| session.is_persistent())
                .map(|session| {
                    let filters: Vec<_> = session.subscriptions.iter().map(|held| held.filter.to_string()).collect();
                    (session.client_id.to_string(), (session.expiry, session.ends, filters, session.numbers()))
                })
                .collect();
            prop_assert_eq!(&held, &world.store);
            let connected = places.iter().flatten().count();
            prop_assert_eq!(world.router.connected(), connected);
        }
    }
}
