//! Tests with clients that are slow, numerous, or send invalid packets.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use onething_hub::mqtt::broker::message::Message;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::v5::{DisconnectReasonCode, Packet, PublishProperties, SubscriptionOptions};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::clients::{PATIENCE, as_client, id};
use crate::support::Hub;

#[tokio::test]
async fn a_client_that_does_not_read_does_not_block_others() {
    let hub = Hub::start().await;
    let (slow, quick, loud) = (hub.device("slow"), hub.device("quick"), hub.device("loud"));
    let mut lazy = as_client(&slow);
    lazy.session_expiry_interval_secs = 600;
    let mut slow = hub.connected(&slow, lazy).await;
    let mut quick = hub.connected(&quick, as_client(&quick)).await;
    let mut loud = hub.connected(&loud, as_client(&loud)).await;
    let options = SubscriptionOptions { qos: QoS::AtLeastOnce, ..SubscriptionOptions::default() };
    slow.subscribe("shared/news", options).await;
    quick.subscribe("shared/news", options).await;
    // Far more than the buffers of the kernel, of TLS and of the broker hold together.
    for _ in 0..200 {
        let payload = Bytes::from(vec![7; 100 * 1024]);
        let (topic, properties) = ("shared/news".into(), Some(PublishProperties::default()));
        let publish = Publish { dup: false, retain: false, qos: QoS::AtLeastOnce, topic, packet_id: Some(id(1)), payload, properties };
        loud.send(publish.into()).await;
        assert!(matches!(loud.next().await, Some(Packet::PublishAck(_))));
        let message = quick.message().await;
        quick.send(rmqtt_codec::v5::PublishAck { packet_id: message.packet_id.unwrap(), ..Default::default() }.into()).await;
    }
    assert!(hub.store.queued("slow") <= 6, "{}", hub.store.queued("slow"));
    assert!(hub.broker.counters().dropped.read() >= 190);
    drop(slow);
}

#[tokio::test]
async fn commands_are_delivered_during_a_connection_storm() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    let mut raw = hub.connected(&lamp, as_client(&lamp)).await;
    raw.subscribe("lamp/in", SubscriptionOptions::default()).await;
    // Idle sockets, more than the limit of concurrent handshakes.
    let silent = join_all((0..300).map(|_| TcpStream::connect(hub.address))).await;
    for payload in 0..20u8 {
        hub.broker.publish(&[Message::new("lamp/in", vec![payload])]).await.unwrap();
        let message = timeout(Duration::from_secs(5), raw.message()).await.unwrap();
        assert_eq!(&*message.payload, &[payload]);
    }
    let again = hub.device("again");
    timeout(Duration::from_secs(5), hub.connected(&again, as_client(&again))).await.unwrap();
    drop(silent);
}

#[tokio::test]
async fn the_broker_stops_within_a_second_and_sends_a_reason() {
    let mut hub = Hub::start().await;
    let lamp = hub.device("lamp");
    let mut raw = hub.connected(&lamp, as_client(&lamp)).await;
    let silent = TcpStream::connect(hub.address).await.unwrap();
    let (stopped, last) = tokio::join!(timeout(Duration::from_secs(5), hub.stop()), raw.disconnected());
    stopped.unwrap();
    assert_eq!(last, DisconnectReasonCode::ServerShuttingDown);
    drop(silent);
}

#[tokio::test]
async fn malformed_packets_close_the_connection_with_a_reason() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    for (bytes, reason) in [
        (&b"\x00\x00"[..], DisconnectReasonCode::MalformedPacket),
        (b"\x36\x07\x00\x01a\x00\x01\x00x", DisconnectReasonCode::MalformedPacket),
        (b"\x34\x07\x00\x01a\x00\x01\x00x", DisconnectReasonCode::QosNotSupported),
        (b"\x30\xff\xff\xff\x7f", DisconnectReasonCode::PacketTooLarge),
        (b"\x30\xff\xff\xff\xff", DisconnectReasonCode::MalformedPacket),
        (b"\x30\x05\x00\x02\xc3\x28\x00", DisconnectReasonCode::MalformedPacket),
        (b"\x82\x0b\x00\x01\x00\x00\x05a/#/b\x00", DisconnectReasonCode::TopicFilterInvalid),
        (b"\x82\x03\x00\x01\x00", DisconnectReasonCode::TopicFilterInvalid),
        (b"\x10\x10\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x03abc", DisconnectReasonCode::ProtocolError),
        (b"\x20\x03\x00\x00\x00", DisconnectReasonCode::ProtocolError),
    ] {
        let mut raw = hub.connected(&lamp, as_client(&lamp)).await;
        raw.send_bytes(bytes).await;
        assert_eq!(raw.disconnected().await, reason, "{bytes:02x?}");
        raw.closed().await;
    }
}

#[test]
fn the_broker_survives_any_bytes() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (hub, lamp) = runtime.block_on(async {
        let hub = Hub::start().await;
        let lamp = hub.device("lamp");
        (hub, lamp)
    });
    let mut runner = TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
    let bytes = prop::collection::vec(any::<u8>(), 1..200);
    let kind = prop::sample::select(vec![0x10u8, 0x30, 0x32, 0x3b, 0x40, 0x82, 0xa2, 0xc0, 0xe0, 0xf0]);
    let outcome = runner.run(&(any::<bool>(), kind, bytes), |(connected, kind, bytes)| {
        runtime.block_on(async {
            let mut raw = hub.by_hand(&lamp).await;
            if connected {
                raw.connect(as_client(&lamp)).await;
            }
            raw.send_bytes(&[&[kind, u8::try_from(bytes.len() & 0x7f).unwrap()], &bytes[..]].concat()).await;
            drop(raw);
            let mut raw = hub.connected(&lamp, as_client(&lamp)).await;
            raw.send(Packet::PingRequest).await;
            let alive = timeout(PATIENCE, raw.next()).await.unwrap();
            prop_assert_eq!(alive, Some(Packet::PingResponse));
            Ok(())
        })
    });
    outcome.unwrap();
}
