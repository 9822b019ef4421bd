//! Tests of MQTT 5 with hand-made packets.

use std::num::{NonZeroU16, NonZeroU32};
use std::sync::atomic::Ordering;

use bytes::Bytes;
use onething_hub::mqtt::broker::message::Message;
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::v5::{
    ConnectAckReason, Disconnect, DisconnectReasonCode, LastWill, Packet, PublishAck, PublishProperties, RetainHandling, Subscribe,
    SubscribeAckReason, SubscriptionOptions, Unsubscribe, UnsubscribeAckReason,
};

use crate::clients::{as_client, id, will};
use crate::support::Hub;

const QOS1: SubscriptionOptions = SubscriptionOptions {
    qos: QoS::AtLeastOnce,
    no_local: false,
    retain_as_published: false,
    retain_handling: RetainHandling::AtSubscribe,
};

fn publish(topic: &str, payload: &'static [u8], packet: Option<u16>) -> Publish {
    Publish {
        dup: false,
        retain: false,
        qos: if packet.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce },
        topic: topic.into(),
        packet_id: packet.map(id),
        payload: Bytes::from_static(payload),
        properties: Some(PublishProperties::default()),
    }
}

fn acknowledge(packet_id: Option<NonZeroU16>) -> Packet {
    PublishAck { packet_id: packet_id.unwrap(), ..PublishAck::default() }.into()
}

#[tokio::test]
async fn the_connack_has_the_limits_of_aws_iot() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    let mut raw = hub.by_hand(&lamp).await;
    let mut connect = as_client(&lamp);
    (connect.keep_alive, connect.session_expiry_interval_secs) = (0, u32::MAX);
    let ack = raw.connect(connect).await;
    assert_eq!((ack.reason_code, ack.max_qos, ack.receive_max), (ConnectAckReason::Success, QoS::AtLeastOnce, id(100)));
    assert_eq!((ack.server_keepalive_sec, ack.session_expiry_interval_secs), (Some(1200), Some(7 * 24 * 3600)));
    assert_eq!((ack.topic_alias_max, ack.shared_subscription_available, ack.max_packet_size), (8, false, Some(149_504)));
}

#[tokio::test]
async fn publish_properties_reach_the_subscriber() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    let mut raw = hub.connected(&lamp, as_client(&lamp)).await;
    let topic_filters = vec![("lamp/#".into(), QOS1), ("lamp/in".into(), SubscriptionOptions::default())];
    raw.send(Subscribe { packet_id: id(1), id: NonZeroU32::new(9), user_properties: Vec::new(), topic_filters }.into()).await;
    let Some(Packet::SubscribeAck(ack)) = raw.next().await else { panic!() };
    assert_eq!(ack.status, [SubscribeAckReason::GrantedQos1, SubscribeAckReason::GrantedQos0]);
    let said = PublishProperties {
        correlation_data: Some(Bytes::from_static(b"42")),
        message_expiry_interval: NonZeroU32::new(100),
        content_type: Some("text/plain".into()),
        user_properties: vec![("a".into(), "1".into()), ("a".into(), "2".into())],
        is_utf8_payload: true,
        response_topic: Some("lamp/out".into()),
        ..PublishProperties::default()
    };
    raw.send(Publish { properties: Some(said.clone()), ..publish("lamp/in", b"x", Some(5)) }.into()).await;
    let Some(Packet::PublishAck(ack)) = raw.next().await else { panic!() };
    assert_eq!(ack.packet_id, id(5));
    // One message for both subscriptions, with the higher QoS.
    let message = raw.message().await;
    let heard = message.properties.unwrap();
    assert!(heard.message_expiry_interval.is_some_and(|left| (60..=100).contains(&left.get())));
    let identifiers = vec![NonZeroU32::new(9).unwrap(); 2];
    assert_eq!(heard, PublishProperties { subscription_ids: identifiers, message_expiry_interval: heard.message_expiry_interval, ..said });
    assert_eq!((message.qos, &*message.payload), (QoS::AtLeastOnce, &b"x"[..]));
}

#[tokio::test]
async fn a_topic_alias_replaces_its_topic() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    let mut raw = hub.connected(&lamp, as_client(&lamp)).await;
    raw.subscribe("lamp/in", SubscriptionOptions::default()).await;
    let alias = |number: u16| Some(PublishProperties { topic_alias: Some(id(number)), ..PublishProperties::default() });
    raw.send(Publish { properties: alias(8), ..publish("lamp/in", b"1", None) }.into()).await;
    raw.send(Publish { properties: alias(8), ..publish("", b"2", None) }.into()).await;
    assert_eq!((&*raw.message().await.payload, &*raw.message().await.payload), (&b"1"[..], &b"2"[..]));
    raw.send(Publish { properties: alias(3), ..publish("", b"3", None) }.into()).await;
    assert_eq!(raw.disconnected().await, DisconnectReasonCode::TopicAliasInvalid);
    raw.closed().await;
}

#[tokio::test]
async fn a_message_is_sent_again_with_its_id_until_acknowledged() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    let mut connect = as_client(&lamp);
    connect.session_expiry_interval_secs = 600;
    let mut raw = hub.connected(&lamp, connect.clone()).await;
    raw.subscribe("lamp/in", QOS1).await;
    hub.broker.publish(&[Message::new("lamp/in", "1"), Message::new("lamp/in", "2")]).await.unwrap();
    let (first, second) = (raw.message().await, raw.message().await);
    raw.send(acknowledge(second.packet_id)).await;
    // The broker has processed the acknowledgement when it answers the next packet.
    raw.send(Packet::PingRequest).await;
    assert_eq!(raw.next().await, Some(Packet::PingResponse));
    drop(raw);
    connect.clean_start = false;
    let mut raw = hub.by_hand(&lamp).await;
    assert!(raw.connect(connect).await.session_present);
    let again = raw.message().await;
    assert_eq!((again.dup, again.packet_id, &again.payload), (true, first.packet_id, &first.payload));
    assert_eq!(hub.store.queued("lamp"), 1);
    raw.send(acknowledge(again.packet_id)).await;
    raw.send(Packet::PingRequest).await;
    assert_eq!(raw.next().await, Some(Packet::PingResponse));
    hub.broker.publish(&[Message::new("lamp/in", "3")]).await.unwrap();
    assert_eq!(&*raw.message().await.payload, b"3");
    assert_eq!(hub.store.queued("lamp"), 1);
}

#[tokio::test]
async fn the_receive_maximum_of_a_client_is_respected() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    let mut connect = as_client(&lamp);
    connect.receive_max = Some(id(2));
    let mut raw = hub.connected(&lamp, connect).await;
    raw.subscribe("lamp/in", QOS1).await;
    let messages = ["1", "2", "3"].map(|payload| Message::new("lamp/in", payload));
    hub.broker.publish(&messages).await.unwrap();
    let (first, _) = (raw.message().await, raw.message().await);
    raw.send(Packet::PingRequest).await;
    assert_eq!(raw.next().await, Some(Packet::PingResponse));
    raw.send(acknowledge(first.packet_id)).await;
    assert_eq!(&*raw.message().await.payload, b"3");
}

#[tokio::test]
async fn a_clean_start_ends_the_session() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    let mut connect = as_client(&lamp);
    connect.session_expiry_interval_secs = 600;
    hub.connected(&lamp, connect.clone()).await.subscribe("lamp/in", QOS1).await;
    let mut raw = hub.by_hand(&lamp).await;
    assert!(!raw.connect(connect.clone()).await.session_present);
    hub.broker.publish(&[Message::new("lamp/in", "1")]).await.unwrap();
    raw.send(Packet::PingRequest).await;
    assert_eq!(raw.next().await, Some(Packet::PingResponse));
    // A client may end its session with the DISCONNECT packet.
    raw.send(Disconnect { session_expiry_interval_secs: Some(0), ..Disconnect::new(DisconnectReasonCode::NormalDisconnection) }.into())
        .await;
    raw.closed().await;
    connect.clean_start = false;
    assert!(!hub.by_hand(&lamp).await.connect(connect).await.session_present);
}

#[tokio::test]
async fn a_subscription_selects_retained_messages() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    let mut raw = hub.connected(&lamp, as_client(&lamp)).await;
    raw.send(Publish { retain: true, ..publish("lamp/state", b"on", Some(1)) }.into()).await;
    assert!(matches!(raw.next().await, Some(Packet::PublishAck(_))));
    let asking = |retain_handling, retain_as_published| SubscriptionOptions { retain_handling, retain_as_published, ..QOS1 };
    raw.subscribe("lamp/state", asking(RetainHandling::NoAtSubscribe, false)).await;
    raw.subscribe("lamp/state", asking(RetainHandling::AtSubscribeNew, true)).await;
    raw.subscribe("lamp/state", asking(RetainHandling::AtSubscribe, true)).await;
    let message = raw.message().await;
    assert!(message.retain);
    raw.send(Publish { retain: true, ..publish("lamp/state", b"", Some(2)) }.into()).await;
    assert!(matches!(raw.next().await, Some(Packet::PublishAck(_))));
    let message = raw.message().await;
    assert!(message.retain && message.payload.is_empty());
    raw.subscribe("lamp/+", QOS1).await;
    raw.send(Packet::PingRequest).await;
    assert_eq!(raw.next().await, Some(Packet::PingResponse));
}

#[tokio::test]
async fn a_client_may_use_no_local_and_may_unsubscribe() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    let mut raw = hub.connected(&lamp, as_client(&lamp)).await;
    raw.subscribe("lamp/in", SubscriptionOptions { no_local: true, ..QOS1 }).await;
    raw.send(publish("lamp/in", b"mine", None).into()).await;
    hub.broker.publish(&[Message::new("lamp/in", "yours")]).await.unwrap();
    assert_eq!(&*raw.message().await.payload, b"yours");
    let topic_filters = vec!["lamp/in".into(), "lamp/other".into()];
    raw.send(Unsubscribe { packet_id: id(3), user_properties: Vec::new(), topic_filters }.into()).await;
    let Some(Packet::UnsubscribeAck(ack)) = raw.next().await else { panic!() };
    assert_eq!(ack.status, [UnsubscribeAckReason::Success, UnsubscribeAckReason::NoSubscriptionExisted]);
}

#[tokio::test]
async fn no_local_does_not_filter_responses_of_services() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    let mut raw = hub.connected(&lamp, as_client(&lamp)).await;
    let alone = SubscriptionOptions { no_local: true, retain_as_published: true, ..QOS1 };
    let answers = ["$aws/things/lamp/shadow/update/+", "$aws/things/lamp/shadow/update/accepted"];
    for (number, filter) in (7..).zip(answers) {
        let topic_filters = vec![(filter.into(), alone)];
        raw.send(Subscribe { packet_id: id(1), id: NonZeroU32::new(number), user_properties: Vec::new(), topic_filters }.into()).await;
        assert!(matches!(raw.next().await, Some(Packet::SubscribeAck(_))));
    }
    raw.send(publish("$aws/things/lamp/shadow/update", b"{}", None).into()).await;
    let heard = raw.message().await;
    assert_eq!((&*heard.topic, heard.retain), (answers[1], false));
    let mut identifiers = heard.properties.unwrap().subscription_ids;
    identifiers.sort_unstable();
    assert_eq!(identifiers, [7, 8].map(|number| NonZeroU32::new(number).unwrap()));
}

#[tokio::test]
async fn no_local_filters_retained_messages_of_the_same_client() {
    let hub = Hub::start().await;
    let (lamp, heater) = (hub.device("lamp"), hub.device("heater"));
    let alone = SubscriptionOptions { no_local: true, ..QOS1 };
    for (device, topic) in [(&lamp, "shared/lamp"), (&heater, "shared/heater")] {
        let mut raw = hub.connected(device, as_client(device)).await;
        raw.send(Publish { retain: true, ..publish(topic, b"on", Some(1)) }.into()).await;
        assert!(matches!(raw.next().await, Some(Packet::PublishAck(_))));
    }
    let hub = hub.kill_and_start_again().await;
    let mut raw = hub.connected(&lamp, as_client(&lamp)).await;
    raw.subscribe("shared/+", alone).await;
    assert_eq!(&*raw.message().await.topic, "shared/heater");
    raw.send(publish("shared/lamp", b"mine", None).into()).await;
    raw.send(Packet::PingRequest).await;
    assert_eq!(raw.next().await, Some(Packet::PingResponse));
    // Without No Local, both messages are delivered.
    raw.subscribe("shared/+", QOS1).await;
    let mut topics = [raw.message().await.topic, raw.message().await.topic];
    topics.sort();
    assert_eq!(topics, ["shared/heater", "shared/lamp"]);
}

#[tokio::test]
async fn a_message_above_the_maximum_packet_size_is_not_delivered() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    let mut connect = as_client(&lamp);
    connect.max_packet_size = NonZeroU32::new(64);
    let mut raw = hub.connected(&lamp, connect).await;
    raw.subscribe("lamp/in", QOS1).await;
    hub.broker.publish(&[Message::new("lamp/in", vec![0; 100]), Message::new("lamp/in", "short")]).await.unwrap();
    assert_eq!(&*raw.message().await.payload, b"short");
    assert_eq!(hub.broker.counters().dropped.read(), 1);
}

#[tokio::test]
async fn a_delayed_will_is_published_unless_the_client_reconnects() {
    let hub = Hub::start().await;
    let (lamp, watcher) = (hub.device("lamp"), hub.device("watcher"));
    let mut watcher = hub.connected(&watcher, as_client(&watcher)).await;
    watcher.subscribe("shared/wills", QOS1).await;
    let delayed =
        |payload, delay| LastWill { qos: QoS::AtLeastOnce, will_delay_interval_sec: Some(delay), ..will("shared/wills", payload) };
    let mut connect = as_client(&lamp);
    (connect.clean_start, connect.session_expiry_interval_secs) = (false, 600);
    connect.last_will = Some(delayed("cancelled", 300));
    drop(hub.connected(&lamp, connect.clone()).await);
    connect.last_will = Some(delayed("published", 1));
    drop(hub.connected(&lamp, connect).await);
    assert_eq!(&*watcher.message().await.payload, b"published");
}

#[tokio::test]
async fn a_message_that_cannot_be_stored_is_not_acknowledged() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    let mut connect = as_client(&lamp);
    connect.session_expiry_interval_secs = 600;
    let mut raw = hub.connected(&lamp, connect.clone()).await;
    hub.store.broken.store(true, Ordering::SeqCst);
    let topic_filters = vec![("lamp/in".into(), QOS1)];
    raw.send(Subscribe { packet_id: id(1), id: None, user_properties: Vec::new(), topic_filters }.into()).await;
    assert_eq!(raw.disconnected().await, DisconnectReasonCode::ServerBusy);
    assert_eq!(hub.by_hand(&lamp).await.connect(connect.clone()).await.reason_code, ConnectAckReason::ServerUnavailable);
    hub.store.broken.store(false, Ordering::SeqCst);
    connect.clean_start = false;
    while hub.by_hand(&lamp).await.connect(connect.clone()).await.reason_code != ConnectAckReason::Success {}
}
