//! Tests of authorization by policies, and of the reaction to a denied action, as with AWS IoT.

use bytes::Bytes;
use onething_hub::mqtt::broker::Connection;
use onething_hub::mqtt::broker::backend::CertificateStatus;
use onething_hub::mqtt::broker::message::Message;
use onething_hub::mqtt::broker::reason::Reason;
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::{v3, v5};
use rustls::pki_types::ServerName;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::clients::{Raw, as_client, id, will};
use crate::store::{DEVICE, policy};
use crate::support::{Hub, Identity};

fn publish(topic: &str) -> Publish {
    let (topic, payload) = (topic.into(), Bytes::from_static(b"x"));
    Publish { dup: false, retain: false, qos: QoS::AtLeastOnce, topic, packet_id: Some(id(1)), payload, properties: None }
}

fn v311(client_id: &str) -> v3::Packet {
    v3::Connect { clean_session: true, keep_alive: 60, client_id: client_id.into(), ..v3::Connect::default() }.into()
}

async fn connected_v311(hub: &Hub, identity: &Identity) -> Raw<v3::Codec> {
    let mut raw = hub.by_hand_v311(identity).await;
    raw.send(v311(&identity.name)).await;
    assert!(matches!(raw.next().await, Some(v3::Packet::ConnectAck(_))));
    raw
}

#[tokio::test]
async fn a_denied_connect_is_closed_in_version_3_and_has_a_reason_in_version_5() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    for client_id in ["heater", "", "+"] {
        let mut raw = hub.by_hand_v311(&lamp).await;
        raw.send(v311(client_id)).await;
        raw.closed().await;
        let mut raw = hub.by_hand(&lamp).await;
        let ack = raw.connect(v5::Connect { client_id: client_id.into(), clean_start: true, ..v5::Connect::default() }).await;
        assert_eq!(ack.reason_code, v5::ConnectAckReason::NotAuthorized);
        raw.closed().await;
    }
    let stranger = hub.stranger("lamp");
    assert_eq!(hub.by_hand(&stranger).await.connect(as_client(&stranger)).await.reason_code, v5::ConnectAckReason::NotAuthorized);
    hub.store.set(&lamp.certificate, CertificateStatus { active: false, policies: vec![policy(DEVICE)], attachments: Vec::new() });
    assert_eq!(hub.by_hand(&lamp).await.connect(as_client(&lamp)).await.reason_code, v5::ConnectAckReason::NotAuthorized);
    let long = "a".repeat(129);
    let ack = hub.by_hand(&lamp).await.connect(v5::Connect { client_id: long.into(), ..as_client(&lamp) }).await;
    assert_eq!(ack.reason_code, v5::ConnectAckReason::ClientIdentifierNotValid);
    assert_eq!(hub.broker.counters().refused(Reason::NotAuthorized).read(), 8);
}

#[tokio::test]
async fn a_client_with_a_denied_publish_is_disconnected() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    for (topic, retain, reason) in [
        ("heater/in", false, v5::DisconnectReasonCode::NotAuthorized),
        ("$aws/things/heater/shadow/update", false, v5::DisconnectReasonCode::NotAuthorized),
        ("$aws/things/lamp/shadow/nonsense", false, v5::DisconnectReasonCode::TopicNameInvalid),
        ("$SYS/broker", false, v5::DisconnectReasonCode::TopicNameInvalid),
        ("$aws/things/lamp/shadow/update", true, v5::DisconnectReasonCode::NotAuthorized),
        ("lamp/+", false, v5::DisconnectReasonCode::TopicNameInvalid),
    ] {
        let mut raw = hub.connected(&lamp, as_client(&lamp)).await;
        raw.send(Publish { retain, ..publish(topic) }.into()).await;
        assert_eq!(raw.disconnected().await, reason, "{topic}");
        raw.closed().await;
        let mut raw = connected_v311(&hub, &lamp).await;
        raw.send(Publish { retain, ..publish(topic) }.into()).await;
        raw.closed().await;
    }
}

#[tokio::test]
async fn the_state_message_of_a_bridge_is_acknowledged_and_not_delivered() {
    let hub = Hub::start().await;
    let everything = [("iot:Subscribe", &["topicfilter/$SYS/*"][..]), ("iot:Receive", &["topic/$SYS/*"]), DEVICE[0]];
    let (lamp, reader) = (hub.device("lamp"), hub.device_with("reader", policy(&everything)));
    let mut reader = hub.connected(&reader, as_client(&reader)).await;
    reader.subscribe("$SYS/#", v5::SubscriptionOptions::default()).await;
    let mut raw = hub.connected(&lamp, as_client(&lamp)).await;
    raw.send(Publish { retain: true, ..publish("$SYS/broker/connection/lamp/state") }.into()).await;
    assert!(matches!(raw.next().await, Some(v5::Packet::PublishAck(_))));
    reader.send(v5::Packet::PingRequest).await;
    assert_eq!(reader.next().await, Some(v5::Packet::PingResponse));
    assert_eq!(hub.broker.counters().retained.read(), 0);
    raw.send(Publish { retain: true, ..publish("$SYS/broker/connection/reader/state") }.into()).await;
    assert_eq!(raw.disconnected().await, v5::DisconnectReasonCode::NotAuthorized);
}

#[tokio::test]
async fn a_denied_subscription_is_refused() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    let mut raw = hub.connected(&lamp, as_client(&lamp)).await;
    let options = v5::SubscriptionOptions { qos: QoS::ExactlyOnce, ..v5::SubscriptionOptions::default() };
    for (filter, outcome) in [
        ("heater/in", v5::SubscribeAckReason::NotAuthorized),
        ("#", v5::SubscribeAckReason::NotAuthorized),
        ("$share/group/lamp/in", v5::SubscribeAckReason::SharedSubscriptionNotSupported),
        ("lamp/in", v5::SubscribeAckReason::GrantedQos1),
    ] {
        assert_eq!(raw.subscribe(filter, options).await, outcome, "{filter}");
    }
    let mut raw = connected_v311(&hub, &lamp).await;
    let topic_filters = vec![("lamp/in".into(), QoS::AtMostOnce), ("heater/in".into(), QoS::AtMostOnce)];
    raw.send(v3::Packet::Subscribe { packet_id: id(1), topic_filters }).await;
    raw.closed().await;
}

#[tokio::test]
async fn a_message_that_a_client_may_not_receive_is_not_delivered() {
    let hub = Hub::start().await;
    let (deaf, rules) = ("deaf", [DEVICE[0], DEVICE[3], ("iot:Receive", &["topic/shared/loud"][..])]);
    let deaf = hub.device_with(deaf, policy(&rules));
    let mut connect = as_client(&deaf);
    connect.session_expiry_interval_secs = 600;
    let mut raw = hub.connected(&deaf, connect.clone()).await;
    raw.subscribe("shared/#", v5::SubscriptionOptions { qos: QoS::AtLeastOnce, ..v5::SubscriptionOptions::default() }).await;
    let both = || [Message::new("shared/quiet", "1"), Message::new("shared/loud", "2")];
    hub.broker.publish(&both()).await.unwrap();
    assert_eq!(raw.message().await.topic, "shared/loud");
    drop(raw);
    // The policy may change while the client is offline, so `iot:Receive` is checked when the client is connected again.
    while matches!(hub.broker.connection("deaf"), Connection::Connected { .. }) {
        tokio::task::yield_now().await;
    }
    hub.broker.publish(&both()).await.unwrap();
    connect.clean_start = false;
    let mut raw = hub.connected(&deaf, connect).await;
    for _ in 0..2 {
        assert_eq!(raw.message().await.topic, "shared/loud");
    }
}

#[tokio::test]
async fn a_revoked_certificate_is_disconnected_at_once() {
    let hub = Hub::start().await;
    let (lamp, watcher) = (hub.device("lamp"), hub.device("watcher"));
    let mut watcher = hub.connected(&watcher, as_client(&watcher)).await;
    watcher.subscribe("shared/#", v5::SubscriptionOptions::default()).await;
    let mut connect = as_client(&lamp);
    connect.last_will = Some(will("shared/wills", "a revoked word"));
    let mut raw = hub.connected(&lamp, connect).await;
    hub.store.set(&lamp.certificate, CertificateStatus { active: false, policies: vec![policy(DEVICE)], attachments: Vec::new() });
    hub.broker.certificate_changed(&lamp.certificate).await.unwrap();
    assert_eq!(raw.disconnected().await, v5::DisconnectReasonCode::AdministrativeAction);
    raw.closed().await;
    assert!(matches!(hub.broker.connection("lamp"), Connection::Disconnected { reason: Reason::Administrative, .. }));
    hub.broker.publish(&[Message::new("shared/other", "x")]).await.unwrap();
    assert_eq!(watcher.message().await.topic, "shared/other");
    let notices = hub.store.notices.lock().unwrap();
    let of_lamp: Vec<_> = notices.iter().filter(|notice| notice.thing.as_deref() == Some("lamp") || &*notice.client_id == "lamp").collect();
    assert_eq!(of_lamp.iter().map(|notice| notice.disconnected).collect::<Vec<_>>(), [None, Some(Reason::Administrative)]);
}

#[tokio::test]
async fn a_changed_policy_applies_to_the_next_message() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    let mut raw = hub.connected(&lamp, as_client(&lamp)).await;
    raw.subscribe("lamp/in", v5::SubscriptionOptions::default()).await;
    hub.store.set(&lamp.certificate, CertificateStatus { active: true, policies: vec![policy(&DEVICE[..1])], attachments: Vec::new() });
    hub.broker.certificate_changed(&lamp.certificate).await.unwrap();
    hub.broker.publish(&[Message::new("lamp/in", "not any more")]).await.unwrap();
    raw.send(v5::Packet::PingRequest).await;
    assert_eq!(raw.next().await, Some(v5::Packet::PingResponse));
    raw.send(publish("lamp/in").into()).await;
    assert_eq!(raw.disconnected().await, v5::DisconnectReasonCode::NotAuthorized);
}

#[tokio::test]
async fn the_hub_may_disconnect_a_client_and_a_newer_connection_replaces_an_older() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    let mut first = hub.connected(&lamp, as_client(&lamp)).await;
    let mut second = hub.connected(&lamp, as_client(&lamp)).await;
    assert_eq!(first.disconnected().await, v5::DisconnectReasonCode::SessionTakenOver);
    first.closed().await;
    assert!(hub.broker.disconnect("lamp") && !hub.broker.disconnect("heater"));
    assert_eq!(second.disconnected().await, v5::DisconnectReasonCode::AdministrativeAction);
    second.closed().await;
    assert_eq!(hub.broker.connection("heater"), Connection::Unknown);
    assert_eq!(hub.broker.counters().connected.read(), 0);
}

#[tokio::test]
async fn only_mqtt_is_spoken_after_a_handshake_that_names_protocols() {
    let hub = Hub::start().await;
    for (protocols, taken) in [(&[&b"mqtt"[..]][..], true), (&[], true), (&[b"h2", b"x-amzn-mqtt-ca"], true), (&[b"h2"], false)] {
        let lamp = hub.certified("lamp", protocols);
        let socket = TcpStream::connect(hub.address).await.unwrap();
        let tls = TlsConnector::from(lamp.tls).connect(ServerName::try_from("localhost").unwrap(), socket).await;
        assert_eq!(tls.is_ok(), taken, "{protocols:?}");
    }
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_rejected() {
    let (hub, other) = (Hub::start().await, Hub::start().await);
    let foreign = other.device("lamp");
    // The foreign client trusts its own hub only, so this hub's client shows the foreign certificate.
    let lamp = hub.device("lamp").showing(&foreign);
    let mut stream = hub.tls(&lamp).await;
    assert!(stream.read(&mut [0]).await.is_err());
}
