//! Tests of the CONNACK codes for connections that fail for a reason other than the policy.

use std::sync::atomic::Ordering;

use onething_hub::mqtt::broker::reason::Reason;
use rmqtt_codec::v3::{ConnectAck, ConnectAckReason, Packet};
use rmqtt_codec::v5;

use crate::clients::as_client;
use crate::support::{Hub, Identity};

/// Sends a CONNECT and returns the code of the CONNACK, after which the connection must be closed.
async fn return_code(hub: &Hub, identity: &Identity, connect: &[u8]) -> Option<ConnectAckReason> {
    let mut raw = hub.by_hand_v311(identity).await;
    raw.send_bytes(connect).await;
    let code = match raw.next().await {
        Some(Packet::ConnectAck(ConnectAck { return_code, session_present: false })) => return_code,
        None => return None,
        other => panic!("{other:?}"),
    };
    raw.closed().await;
    Some(code)
}

#[tokio::test]
async fn an_unknown_protocol_level_is_answered_with_return_code_1() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    // Neither the client id nor the rest of the packet matters. 0x84 is the first version that a mosquitto bridge tries.
    for (name, level) in [("MQTT", 0), ("MQTT", 3), ("MQTT", 6), ("MQTT", 0x84), ("MQTT", 0xFF), ("MQIsdp", 3), ("MQIsdp", 0x83)] {
        for client_id in ["lamp", "", "heater"] {
            let text = |text: &str| [&[0, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
            let body = [text(name), vec![level, 2, 0, 60], text(client_id)].concat();
            let connect = [vec![0x10, u8::try_from(body.len()).unwrap()], body].concat();
            let code = return_code(&hub, &lamp, &connect).await;
            assert_eq!(code, Some(ConnectAckReason::UnacceptableProtocolVersion), "{name} {level} {client_id}");
        }
    }
    // A packet that is not MQTT closes the connection.
    assert_eq!(return_code(&hub, &lamp, b"\x10\x0f\0\x04HTTP\x04\x02\0\x3c\0\x03abc").await, None);
    assert_eq!(hub.broker.counters().refused(Reason::UnsupportedVersion).read(), 22);
}

#[tokio::test]
async fn a_bridge_with_the_private_version_5_receives_a_version_5_connack() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    let mut raw = hub.by_hand(&lamp).await;
    raw.send_bytes(b"\x10\x11\0\x04MQTT\x85\x02\0\x3c\0\0\x04lamp").await;
    let Some(v5::Packet::ConnectAck(ack)) = raw.next().await else { panic!() };
    assert_eq!(ack.reason_code, v5::ConnectAckReason::UnsupportedProtocolVersion);
    raw.closed().await;
}

#[tokio::test]
async fn an_invalid_client_id_is_answered_with_return_code_2() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    // A session cannot be stored without a client id.
    let code = return_code(&hub, &lamp, b"\x10\x0c\0\x04MQTT\x04\0\0\x3c\0\0").await;
    assert_eq!(code, Some(ConnectAckReason::IdentifierRejected));
    let long = [&b"\x10\x8d\x01\0\x04MQTT\x04\x02\0\x3c\0\x81"[..], &[b'a'; 129]].concat();
    assert_eq!(return_code(&hub, &lamp, &long).await, Some(ConnectAckReason::IdentifierRejected));
    assert_eq!(return_code(&hub, &lamp, b"\x10\x0f\0\x04MQTT\x04\x02\0\x3c\0\x03a\0b").await, Some(ConnectAckReason::IdentifierRejected));
    let mut raw = hub.by_hand(&lamp).await;
    let ack = raw.connect(v5::Connect { client_id: "".into(), clean_start: false, ..as_client(&lamp) }).await;
    assert_eq!(ack.reason_code, v5::ConnectAckReason::ClientIdentifierNotValid);
    raw.closed().await;
}

#[tokio::test]
async fn a_failing_store_is_answered_with_return_code_3() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    hub.store.broken.store(true, Ordering::SeqCst);
    for flags in [0, 2] {
        let connect = [&b"\x10\x10\0\x04MQTT\x04"[..], &[flags], &b"\0\x3c\0\x04lamp"[..]].concat();
        assert_eq!(return_code(&hub, &lamp, &connect).await, Some(ConnectAckReason::ServiceUnavailable), "{flags}");
    }
    let ack = hub.by_hand(&lamp).await.connect(as_client(&lamp)).await;
    assert_eq!(ack.reason_code, v5::ConnectAckReason::ServerUnavailable);
}
