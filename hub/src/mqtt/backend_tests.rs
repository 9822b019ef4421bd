//! Tests of the backend. The state in the database is compared with a model in memory.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::authority::Authority;
use crate::policy::DEVICE_DOCUMENT;
use crate::registry::Stack;
use onething::identifiers::{OwnerId, ThingName, ThingPrefix};
use onething::registry::Registry;

const NOW: u64 = 1_795_305_600;

fn over(place: &TempDir) -> HubBackend {
    let store = Store::open(&place.path().join("hub.db")).unwrap();
    let stack = Stack { kind: onething::registry::Kind { thing_type: "t".into(), policies: vec!["P".into()] }, thing_prefix: prefix() };
    let registry = LocalRegistry::new(store.clone(), Arc::new(Authority::new(NOW).unwrap()), stack, || NOW);
    HubBackend::new(registry, LocalShadows::new(store.clone(), || NOW), store, Refusals::new(|| NOW))
}

fn prefix() -> ThingPrefix {
    ThingPrefix::parse("T-").unwrap()
}

/// The state after a list of changes, without a database.
#[derive(Debug, Default, PartialEq)]
struct Model {
    sessions: BTreeMap<Arc<str>, Session>,
    retained: BTreeMap<Arc<str>, Message>,
}

#[derive(Debug, Default, PartialEq)]
struct Session {
    expiry: u32,
    ends: Option<u64>,
    subscriptions: BTreeMap<Arc<str>, Subscription>,
    queue: BTreeMap<u64, Waiting>,
}

impl Model {
    fn take(&mut self, change: Change) {
        match change {
            Change::SessionKept { client_id, expiry, ends } => {
                let session = self.sessions.entry(client_id).or_default();
                (session.expiry, session.ends) = (expiry, ends);
            }
            Change::SessionEnded { client_id } => drop(self.sessions.remove(&client_id)),
            Change::Subscribed { client_id, subscription } => {
                if let Some(session) = self.sessions.get_mut(&client_id) {
                    session.subscriptions.insert(Arc::clone(&subscription.filter), subscription);
                }
            }
            Change::Unsubscribed { client_id, filter } => {
                if let Some(session) = self.sessions.get_mut(&client_id) {
                    session.subscriptions.remove(&filter);
                }
            }
            Change::Queued { client_id, waiting } => {
                if let Some(session) = self.sessions.get_mut(&client_id) {
                    session.queue.insert(waiting.number, waiting);
                }
            }
            Change::Dequeued { client_id, number } => {
                if let Some(session) = self.sessions.get_mut(&client_id) {
                    session.queue.remove(&number);
                }
            }
            Change::Retained { message } => drop(self.retained.insert(Arc::clone(&message.topic), message)),
            Change::Unretained { topic } => drop(self.retained.remove(&topic)),
        }
    }

    fn of(stored: Stored) -> Self {
        let session = |stored: StoredSession| {
            let subscriptions = stored.subscriptions.into_iter().map(|it| (Arc::clone(&it.filter), it)).collect();
            let queue = stored.queue.into_iter().map(|waiting| (waiting.number, waiting)).collect();
            (stored.client_id, Session { expiry: stored.expiry, ends: stored.ends, subscriptions, queue })
        };
        Self {
            sessions: stored.sessions.into_iter().map(session).collect(),
            retained: stored.retained.into_iter().map(|message| (Arc::clone(&message.topic), message)).collect(),
        }
    }
}

fn name() -> impl Strategy<Value = Arc<str>> {
    prop_oneof!["[abc]", Just("ä/+ ' \u{1F5A8}".to_owned())].prop_map(Arc::from)
}

fn number() -> impl Strategy<Value = Option<NonZeroU32>> {
    (0_u32..4).prop_map(NonZeroU32::new)
}

fn a_qos() -> impl Strategy<Value = Qos> {
    prop_oneof![Just(Qos::AtMostOnce), Just(Qos::AtLeastOnce)]
}

fn a_message() -> impl Strategy<Value = Message> {
    let properties = (any::<bool>(), prop::option::of("[a-z]{1,3}"), prop::option::of(prop::collection::vec(any::<u8>(), 0..3)));
    let properties = properties.prop_map(|(utf8, text, data)| Properties {
        utf8,
        content_type: text.clone(),
        response_topic: text,
        correlation_data: data,
        user: vec![("name".into(), "a value".into())],
    });
    let payload = prop::collection::vec(any::<u8>(), 0..5);
    let (expires, publisher) = (prop::option::of(0..=NOW), prop::option::of(name()));
    (name(), payload, a_qos(), any::<bool>(), expires, prop::option::of(properties), publisher).prop_map(
        |(topic, payload, qos, retain, expires, properties, publisher)| Message {
            topic,
            payload: payload.into(),
            qos,
            retain,
            expires,
            properties: properties.map(Arc::new),
            publisher,
        },
    )
}

fn a_subscription() -> impl Strategy<Value = Subscription> {
    (name(), a_qos(), any::<bool>(), any::<bool>(), 0_usize..3, number()).prop_map(
        |(filter, qos, no_local, retain_as_published, handling, identifier)| Subscription {
            filter,
            qos,
            no_local,
            retain_as_published,
            retain_handling: RETAIN_HANDLING[handling],
            identifier,
        },
    )
}

fn a_change() -> impl Strategy<Value = Change> {
    let waiting = (0_u64..4, a_message(), prop::collection::vec(number(), 0..3)).prop_map(|(number, message, identifiers)| Waiting {
        number,
        message,
        identifiers: identifiers.into_iter().flatten().collect(),
    });
    prop_oneof![
        3 => (name(), any::<u32>(), prop::option::of(0..=NOW))
            .prop_map(|(client_id, expiry, ends)| Change::SessionKept { client_id, expiry, ends }),
        1 => name().prop_map(|client_id| Change::SessionEnded { client_id }),
        3 => (name(), a_subscription()).prop_map(|(client_id, subscription)| Change::Subscribed { client_id, subscription }),
        1 => (name(), name()).prop_map(|(client_id, filter)| Change::Unsubscribed { client_id, filter }),
        3 => (name(), waiting).prop_map(|(client_id, waiting)| Change::Queued { client_id, waiting }),
        1 => (name(), 0_u64..4).prop_map(|(client_id, number)| Change::Dequeued { client_id, number }),
        2 => a_message().prop_map(|message| Change::Retained { message }),
        1 => name().prop_map(|topic| Change::Unretained { topic }),
    ]
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn written_changes_are_read_after_a_restart(batches in prop::collection::vec(prop::collection::vec(a_change(), 0..12), 1..4)) {
        let place = tempfile::tempdir().unwrap();
        let (behind, mut model) = (over(&place), Model::default());
        for batch in batches {
            wait(behind.write(&batch)).unwrap();
            // After an error the broker writes the same changes again.
            wait(behind.write(&batch)).unwrap();
            batch.iter().chain(&batch).cloned().for_each(|change| model.take(change));
        }
        drop(behind);
        prop_assert_eq!(Model::of(wait(over(&place).load()).unwrap()), model);
    }
}

#[tokio::test]
async fn the_status_of_a_certificate_follows_the_registry() {
    let place = tempfile::tempdir().unwrap();
    let behind = over(&place);
    let owner = OwnerId::parse("amzn1.account.A").unwrap();
    let thing = ThingName::of(&prefix(), &owner);
    behind.registry.create_thing_type("t").await.unwrap();
    behind.registry.create_policy("P", DEVICE_DOCUMENT).await.unwrap();
    behind.registry.claim(&thing, &owner, &Default::default()).await.unwrap();
    let id = CertificateId::of(b"a certificate");
    assert!(behind.certificate_status(&id).await.unwrap().is_none(), "the certificate is not registered yet");

    behind.registry.register(&id, &thing).await.unwrap();
    let new = behind.certificate_status(&id).await.unwrap().unwrap();
    assert!(!new.active && new.policies.is_empty() && new.attachments.is_empty());

    behind.registry.attach_policy(&id).await.unwrap();
    behind.registry.attach_thing(&id, &thing).await.unwrap();
    behind.registry.activate(&id).await.unwrap();
    let served = behind.certificate_status(&id).await.unwrap().unwrap();
    assert!(served.active && served.attachments[0].exclusive);
    assert_eq!(served.attachments[0].thing.name, thing.as_str());
    assert_eq!(*served.policies[0], Policy::parse(DEVICE_DOCUMENT).unwrap());
}

#[tokio::test]
async fn an_invalid_policy_document_is_an_error() {
    let place = tempfile::tempdir().unwrap();
    let behind = over(&place);
    behind.registry.create_policy("P", "{}").await.unwrap();
    let id = CertificateId::of(b"a certificate");
    behind.registry.register(&id, &ThingName::of(&prefix(), &OwnerId::parse("a").unwrap())).await.unwrap();
    behind.registry.attach_policy(&id).await.unwrap();
    assert!(behind.certificate_status(&id).await.is_err());
}

#[tokio::test]
async fn only_requests_on_shadow_topics_are_processed() {
    let place = tempfile::tempdir().unwrap();
    let behind = over(&place);
    let ask = |topic: &str, payload: &'static str| Request { topic: topic.into(), payload: payload.into(), client_id: "T-1".into() };
    let answers = behind.request(ask("$aws/things/T-1/shadow/update", r#"{"state":{"reported":{"a":1}}}"#)).await.unwrap();
    assert_eq!(&*answers[0].topic, "$aws/things/T-1/shadow/update/accepted");
    for topic in ["$aws/things/T-1/shadow/update/accepted", "$aws/things/T-1/jobs/get", "$aws/rules/x", "$aws/things//shadow/get"] {
        let refused = behind.request(ask(topic, "{}")).await;
        assert!(matches!(refused, Err(RequestError::NoSuchTopic)), "{topic}");
    }
}
