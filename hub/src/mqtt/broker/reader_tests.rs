//! Tests of the decoder with the bytes of packets.

use bytes::BufMut;
use proptest::prelude::*;

use super::*;
use crate::mqtt::broker::answer::{Answer, Delivery, write};

const CONNECT_5: &[u8] = b"\x10\x10\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x03abc";
const CONNECT_311: &[u8] = b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03abc";

fn read(version: Version, bytes: &[u8]) -> Result<Option<Packet>, Fault> {
    let mut reader = Reader::Fresh;
    let mut buffer = BytesMut::from(if version == Version::V5 { CONNECT_5 } else { CONNECT_311 });
    assert!(matches!(reader.read(&mut buffer, 0), Ok(Some(Packet::Connect(_)))));
    buffer.extend_from_slice(bytes);
    reader.read(&mut buffer, 0)
}

fn publish(topic: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x30, u8::try_from(topic.len() + 2).unwrap(), 0, u8::try_from(topic.len()).unwrap()];
    bytes.extend_from_slice(topic);
    bytes
}

fn subscribe(filter: &[u8], qos: u8) -> Vec<u8> {
    let mut bytes = vec![0x82, u8::try_from(filter.len() + 5).unwrap(), 0, 1, 0, u8::try_from(filter.len()).unwrap()];
    bytes.extend_from_slice(filter);
    bytes.push(qos);
    bytes
}

#[test]
fn only_versions_3_1_1_and_5_are_supported() {
    for (bytes, reason) in [
        (&b"\x10\x11\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x03abc"[..], Reason::UnsupportedVersion),
        (b"\x10\x0f\x00\x04MQTT\x06\x02\x00\x3c\x00\x03abc", Reason::UnsupportedVersion),
        (b"\x10\x0f\x00\x04HTTP\x04\x02\x00\x3c\x00\x03abc", Reason::UnsupportedVersion),
        (b"GET / HTTP/1.1\r\n\r\n", Reason::MalformedPacket),
    ] {
        let outcome = Reader::Fresh.read(&mut BytesMut::from(bytes), 0);
        assert_eq!(outcome.map(|_| ()), Err(reason.into()), "{bytes:?}");
    }
}

#[test]
fn invalid_topics_that_the_codec_accepts_are_refused() {
    let deep = "a/".repeat(8);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    for topic in [&b"a/+"[..], b"#", b"a\0b", deep.as_bytes()] {
        let fault = Fault { reason: Reason::TopicNameInvalid, named: Some(Named::Topic(text(topic))) };
        assert_eq!(read(Version::V311, &publish(topic)).map(|_| ()), Err(fault));
    }
    for filter in [&b"a/#/b"[..], b"a+", b"a/b#", b"a\0b", b"$share/a"] {
        let fault = Fault { reason: Reason::TopicFilterInvalid, named: Some(Named::Filter(text(filter))) };
        assert_eq!(read(Version::V311, &subscribe(filter, 0)).map(|_| ()), Err(fault));
    }
    assert!(matches!(read(Version::V311, &publish(b"$aws/things/a/shadow/update")), Ok(Some(Packet::Publish(_)))));
}

#[test]
fn qos_2_is_reduced_in_a_subscription_and_refused_in_a_message() {
    for (version, bytes) in [(Version::V311, &subscribe(b"a", 2)[..]), (Version::V5, b"\x82\x07\x00\x01\x00\x00\x01a\x02")] {
        let Ok(Some(Packet::Subscribe(asked))) = read(version, bytes) else { panic!() };
        assert_eq!(asked.subscriptions[0].qos, Qos::AtLeastOnce);
    }
    for (version, bytes) in [(Version::V311, &b"\x34\x05\x00\x01a\x00\x01"[..]), (Version::V5, b"\x34\x06\x00\x01a\x00\x01\x00")] {
        let fault = Fault { reason: Reason::QosNotSupported, named: Some(Named::Topic("a".into())) };
        assert_eq!(read(version, bytes).map(|_| ()), Err(fault));
    }
}

#[test]
fn the_fault_of_a_refused_will_names_topic_and_client() {
    for bytes in [
        &b"\x10\x16\x00\x04MQTT\x04\x06\x00\x3c\x00\x03abc\x00\x01#\x00\x02no"[..],
        b"\x10\x18\x00\x04MQTT\x05\x06\x00\x3c\x00\x00\x03abc\x00\x00\x01#\x00\x02no",
    ] {
        let named = Named::Will { client_id: "abc".into(), topic: "#".into() };
        let fault = Fault { reason: Reason::TopicNameInvalid, named: Some(named) };
        assert_eq!(Reader::Fresh.read(&mut BytesMut::from(bytes), 0).map(|_| ()), Err(fault));
    }
}

#[test]
fn a_payload_is_limited_to_128_kilobytes() {
    for (more, taken) in [(0, true), (1, false)] {
        let mut bytes = BytesMut::new();
        let size = MAXIMUM_PAYLOAD + more;
        bytes.put_slice(&[0x30, 0x80 | u8::try_from((size + 3) & 0x7f).unwrap(), 0x80 | u8::try_from((size + 3) >> 7 & 0x7f).unwrap()]);
        bytes.put_u8(u8::try_from((size + 3) >> 14).unwrap());
        bytes.put_slice(b"\x00\x01t");
        bytes.put_bytes(0, size);
        assert_eq!(read(Version::V311, &bytes).is_ok(), taken);
    }
}

#[test]
fn the_session_expiry_follows_the_version_and_the_limit() {
    let expiry = |bytes: &[u8]| match Reader::Fresh.read(&mut BytesMut::from(bytes), 0) {
        Ok(Some(Packet::Connect(connect))) => connect.session_expiry,
        other => panic!("{other:?}"),
    };
    assert_eq!(expiry(CONNECT_311), 0);
    assert_eq!(expiry(b"\x10\x0f\x00\x04MQTT\x04\x00\x00\x3c\x00\x03abc"), 3_600);
    assert_eq!(expiry(CONNECT_5), 0);
    assert_eq!(expiry(b"\x10\x15\x00\x04MQTT\x05\x00\x00\x3c\x05\x11\xff\xff\xff\xff\x00\x03abc"), 604_800);
}

fn message() -> impl Strategy<Value = Message> {
    let text = "[a-z]{0,8}";
    let properties =
        (any::<bool>(), prop::option::of(text), prop::option::of("[a-z]{1,8}"), prop::option::of(prop::collection::vec(0u8.., 0..9)));
    let user = prop::collection::vec((text, text), 0..3);
    let parts = ("[a-z/]{1,7}", prop::collection::vec(any::<u8>(), 0..300), any::<bool>(), prop::option::of(1u64..1_000));
    (parts, properties, user).prop_map(
        |((topic, payload, retain, expires), (utf8, content_type, response_topic, correlation_data), user)| {
            let properties = Properties { utf8, content_type, response_topic, correlation_data, user };
            let properties = (properties != Properties::default()).then(|| Arc::new(properties));
            Message { retain, expires, properties, ..Message::new(&topic, payload) }
        },
    )
}

proptest! {
    /// A message is unchanged after encoding and decoding.
    #[test]
    fn an_encoded_message_is_decoded_unchanged(message in message(), id in any::<NonZeroU16>()) {
        let delivery = Delivery { message: message.clone(), id: Some(id), duplicate: false, identifiers: Box::default() };
        let mut bytes = BytesMut::new();
        prop_assert!(write(Answer::Deliver(delivery.clone()), Version::V5, u32::MAX, 0, &mut bytes).unwrap());
        let Ok(Some(Packet::Publish(read_5))) = read(Version::V5, &bytes) else { panic!() };
        prop_assert_eq!(read_5.message, message.clone());
        let size = u32::try_from(bytes.len()).unwrap();
        let mut none = BytesMut::new();
        prop_assert!(!write(Answer::Deliver(delivery.clone()), Version::V5, size - 1, 0, &mut none).unwrap());
        prop_assert!(none.is_empty());
        let mut bytes = BytesMut::new();
        prop_assert!(write(Answer::Deliver(delivery), Version::V311, u32::MAX, 0, &mut bytes).unwrap());
        let Ok(Some(Packet::Publish(read_3))) = read(Version::V311, &bytes) else { panic!() };
        prop_assert_eq!(read_3.message, Message { properties: None, expires: None, ..message });
    }

    /// Any bytes, in pieces of any size, are decoded or refused without a panic.
    #[test]
    fn any_bytes_are_decoded_or_refused(version in any::<bool>(), kind in 0u8.., bytes in prop::collection::vec(any::<u8>(), 0..120), piece in 1usize..50) {
        let mut reader = Reader::Fresh;
        let mut whole = if version { CONNECT_5.to_vec() } else { CONNECT_311.to_vec() };
        whole.extend([kind, u8::try_from(bytes.len()).unwrap()]);
        whole.extend(bytes);
        let mut buffer = BytesMut::new();
        'connection: for piece in whole.chunks(piece) {
            buffer.extend_from_slice(piece);
            loop {
                match reader.read(&mut buffer, 0) {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => break 'connection,
                }
            }
        }
    }
}
