//! Tests of the content of a refusal: action, resource, client and cause.

use std::sync::Arc;

use bytes::Bytes;
use onething_hub::mqtt::broker::backend::{Attached, CertificateStatus};
use onething_hub::mqtt::broker::message::Message;
use onething_hub::mqtt::broker::reason::Reason;
use onething_hub::mqtt::broker::refusal::{Cause, Refusal};
use onething_hub::policy::{Policy, ThingContext};
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::{v3, v5};

use crate::clients::{as_client, id, will};
use crate::store::{DEVICE, policy};
use crate::support::{Hub, Identity};

/// The action, the resource and the cause of a refusal.
type Reported = (Option<&'static str>, String, Cause);

impl Hub {
    /// Takes all refusals so far, each of which must be about this device.
    fn refusals(&self, device: &Identity) -> Vec<Refusal> {
        let refusals = std::mem::take(&mut *self.store.refusals.lock().unwrap());
        for Refusal { requester, .. } in &refusals {
            assert_eq!((&requester.certificate, requester.source.is_loopback()), (&device.certificate, true));
        }
        refusals
    }

    fn reported(&self, device: &Identity) -> Vec<Reported> {
        self.refusals(device).into_iter().map(|refusal| (refusal.action, refusal.resource, refusal.cause)).collect()
    }
}

fn one_refusal(action: &'static str, resource: &str, cause: Cause) -> Vec<Reported> {
    vec![(Some(action), resource.to_owned(), cause)]
}

fn publish(topic: &str) -> Publish {
    let (topic, payload) = (topic.into(), Bytes::from_static(b"x"));
    Publish { dup: false, retain: false, qos: QoS::AtLeastOnce, topic, packet_id: Some(id(1)), payload, properties: None }
}

#[tokio::test]
async fn a_denied_connect_has_the_client_id_and_the_cause() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    let denying = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"iot:*","Resource":"*"}}"#;
    let (document, denying) = (policy(DEVICE), Arc::new(Policy::parse(denying).unwrap()));
    let its = Attached { thing: ThingContext { name: "lamp".into(), ..ThingContext::default() }, exclusive: true };
    let good = CertificateStatus { active: true, policies: vec![Arc::clone(&document)], attachments: vec![its] };
    for (certificate_status, client_id, thing, cause) in [
        (good.clone(), "heater", Some("lamp"), Cause::ImplicitDeny),
        (CertificateStatus { active: false, ..good.clone() }, "lamp", Some("lamp"), Cause::CertificateInactive),
        (CertificateStatus { attachments: Vec::new(), ..good.clone() }, "lamp", None, Cause::ThingNotAttached),
        (CertificateStatus { policies: Vec::new(), ..good.clone() }, "lamp", Some("lamp"), Cause::NoPolicy),
        (CertificateStatus { policies: vec![document, denying], ..good }, "lamp", Some("lamp"), Cause::ExplicitDeny),
    ] {
        hub.store.set(&lamp.certificate, certificate_status);
        let mut raw = hub.by_hand(&lamp).await;
        let ack = raw.connect(v5::Connect { client_id: client_id.into(), ..as_client(&lamp) }).await;
        assert_eq!(ack.reason_code, v5::ConnectAckReason::NotAuthorized);
        raw.closed().await;
        let [refusal] = &hub.refusals(&lamp)[..] else { panic!("{cause:?}") };
        assert_eq!((refusal.action, refusal.resource.as_str(), refusal.cause), (Some("iot:Connect"), client_id, cause));
        assert_eq!((refusal.requester.client_id.as_str(), refusal.requester.thing.as_deref()), (client_id, thing));
    }
    let stranger = hub.stranger("lamp");
    let mut raw = hub.by_hand_v311(&stranger).await;
    raw.send(v3::Connect { clean_session: true, client_id: "lamp".into(), ..v3::Connect::default() }.into()).await;
    raw.closed().await;
    assert_eq!(hub.reported(&stranger), one_refusal("iot:Connect", "lamp", Cause::CertificateUnknown));
}

#[tokio::test]
async fn a_connect_that_fails_without_a_policy_decision_has_the_fault() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    let long = "a".repeat(200);
    let with_long_id = [&b"\x10\xd4\x01\0\x04MQTT\x04\x02\0\x3c\0\xc8"[..], long.as_bytes()].concat();
    for (bytes, resource, reason) in [
        (&b"\x10\x10\0\x04MQTT\x84\x02\0\x3c\0\x04lamp"[..], "", Reason::UnsupportedVersion),
        (b"\x10\x0c\0\x04MQTT\x04\0\0\x3c\0\0", "", Reason::ClientIdInvalid),
        (&with_long_id, &long, Reason::ClientIdInvalid),
        (b"GET / HTTP/1.1\r\n\r\n", "", Reason::MalformedPacket),
        (b"\xc0\0", "", Reason::MalformedPacket),
    ] {
        let mut raw = hub.by_hand_v311(&lamp).await;
        raw.send_bytes(bytes).await;
        while raw.next().await.is_some() {}
        assert_eq!(hub.reported(&lamp), one_refusal("iot:Connect", resource, Cause::Protocol(reason)));
    }
    let mut raw = hub.by_hand_v311(&lamp).await;
    raw.send_bytes(b"\x10\x1b\0\x04MQTT\x04\x06\0\x3c\0\x04lamp\0\x05lamp+\0\x02no").await;
    raw.closed().await;
    let [refusal] = &hub.refusals(&lamp)[..] else { panic!() };
    assert_eq!((refusal.action, refusal.resource.as_str(), refusal.is_will), (Some("iot:Publish"), "lamp+", true));
    assert_eq!((refusal.requester.client_id.as_str(), refusal.cause), ("lamp", Cause::Protocol(Reason::TopicNameInvalid)));
    // A connection that is closed without a packet causes no refusal.
    drop(hub.tls(&lamp).await);
    while hub.broker.counters().refused(Reason::Lost).read() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(hub.reported(&lamp), []);
}

#[tokio::test]
async fn a_denied_publish_has_the_topic_in_both_versions() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    let message = |topic| publish(topic);
    let cases = [
        (message("heater/in"), "iot:Publish", Cause::ImplicitDeny),
        (Publish { retain: true, ..message("$aws/things/lamp/shadow/update") }, "iot:RetainPublish", Cause::ImplicitDeny),
        (message("$aws/things/lamp/shadow/nonsense"), "iot:Publish", Cause::NoService),
        (message("$SYS/broker"), "iot:Publish", Cause::NoService),
        (message("lamp/+"), "iot:Publish", Cause::Protocol(Reason::TopicNameInvalid)),
        (Publish { qos: QoS::ExactlyOnce, ..message("lamp/in") }, "iot:Publish", Cause::Protocol(Reason::QosNotSupported)),
    ];
    for (message, action, cause) in cases {
        let mut raw = hub.connected(&lamp, as_client(&lamp)).await;
        raw.send(message.clone().into()).await;
        raw.disconnected().await;
        raw.closed().await;
        let mut old = hub.by_hand_v311(&lamp).await;
        old.send(v3::Connect { clean_session: true, client_id: "lamp".into(), ..v3::Connect::default() }.into()).await;
        assert!(matches!(old.next().await, Some(v3::Packet::ConnectAck(_))));
        old.send(message.clone().into()).await;
        old.closed().await;
        let expected = one_refusal(action, &message.topic, cause);
        assert_eq!(hub.reported(&lamp), [expected.clone(), expected].concat());
    }
    // A packet that belongs to no policy action.
    let mut raw = hub.connected(&lamp, as_client(&lamp)).await;
    raw.send_bytes(b"\0\0").await;
    raw.disconnected().await;
    assert_eq!(hub.reported(&lamp), [(None, String::new(), Cause::Protocol(Reason::MalformedPacket))]);
}

#[tokio::test]
async fn a_denied_subscription_has_the_filter_in_both_versions() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    let mut raw = hub.connected(&lamp, as_client(&lamp)).await;
    for (filter, cause) in [("#", Cause::ImplicitDeny), ("$share/g/lamp/in", Cause::Protocol(Reason::SharedNotSupported))] {
        raw.subscribe(filter, v5::SubscriptionOptions::default()).await;
        assert_eq!(hub.reported(&lamp), one_refusal("iot:Subscribe", filter, cause));
    }
    let mut old = hub.by_hand_v311(&lamp).await;
    old.send(v3::Connect { clean_session: true, client_id: "lamp".into(), ..v3::Connect::default() }.into()).await;
    assert!(matches!(old.next().await, Some(v3::Packet::ConnectAck(_))));
    let topic_filters = ["heater/in", "lamp/in", "#"].map(|filter| (filter.into(), QoS::AtMostOnce)).to_vec();
    old.send(v3::Packet::Subscribe { packet_id: id(1), topic_filters }).await;
    old.closed().await;
    let expected = ["heater/in", "#"].map(|filter| one_refusal("iot:Subscribe", filter, Cause::ImplicitDeny));
    assert_eq!(hub.reported(&lamp), expected.concat());
    let mut raw = hub.connected(&lamp, as_client(&lamp)).await;
    let many = (0..9).map(|number| (format!("lamp/{number}").into(), v5::SubscriptionOptions::default())).collect();
    raw.send(v5::Subscribe { packet_id: id(1), id: None, user_properties: Vec::new(), topic_filters: many }.into()).await;
    raw.disconnected().await;
    assert_eq!(hub.reported(&lamp), one_refusal("iot:Subscribe", "lamp/0", Cause::Protocol(Reason::QuotaExceeded)));
}

#[tokio::test]
async fn an_undelivered_message_has_its_topic() {
    let hub = Hub::start().await;
    let deaf = hub.device_with("deaf", policy(&[DEVICE[0], DEVICE[3], ("iot:Receive", &["topic/shared/loud"][..])]));
    let mut raw = hub.connected(&deaf, as_client(&deaf)).await;
    raw.subscribe("shared/#", v5::SubscriptionOptions::default()).await;
    hub.broker.publish(&[Message::new("shared/quiet", "1"), Message::new("shared/loud", "2")]).await.unwrap();
    assert_eq!(raw.message().await.topic, "shared/loud");
    assert_eq!(hub.reported(&deaf), one_refusal("iot:Receive", "shared/quiet", Cause::ImplicitDeny));
}

#[tokio::test]
async fn a_denied_will_is_reported_when_it_would_be_published() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    for (topic, retain, action, cause) in [
        ("heater/in", false, "iot:Publish", Cause::ImplicitDeny),
        ("$aws/things/lamp/shadow/update", false, "iot:Publish", Cause::ReservedWill),
        ("$aws/things/lamp/shadow/update", true, "iot:RetainPublish", Cause::ImplicitDeny),
    ] {
        let last_will = v5::LastWill { retain, ..will(topic, "x") };
        let raw = hub.connected(&lamp, v5::Connect { last_will: Some(last_will), ..as_client(&lamp) }).await;
        assert_eq!(hub.reported(&lamp), []);
        drop(raw);
        let refusal = loop {
            match hub.refusals(&lamp).pop() {
                Some(refusal) => break refusal,
                None => tokio::task::yield_now().await,
            }
        };
        assert_eq!((refusal.action, refusal.resource.as_str(), refusal.cause, refusal.is_will), (Some(action), topic, cause, true));
    }
    // The state message that mosquitto bridges leave as a will is not reported as a refusal.
    let last_will = v5::LastWill { retain: true, ..will("$SYS/broker/connection/lamp/state", "") };
    drop(hub.connected(&lamp, v5::Connect { last_will: Some(last_will), ..as_client(&lamp) }).await);
    while hub.broker.counters().connected.read() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(hub.reported(&lamp), []);
}
