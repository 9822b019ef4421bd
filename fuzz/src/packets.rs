//! The packets of a client, in pieces of any size, and the packets that the broker answers.
//!
//! The first byte is the size of the pieces; the rest is the byte stream of a connection. Reading in pieces must give the same
//! packets as reading at once, the buffer must not exceed the largest packet, and a client must be able to read the answers.

use bytes::BytesMut;
use onething_hub::mqtt::broker::answer::{Answer, Delivery, write};
use onething_hub::mqtt::broker::message::{Message, Qos};
use onething_hub::mqtt::broker::packet::{Connect, MAXIMUM_PACKET, Packet, Version};
use onething_hub::mqtt::broker::reader::Reader;
use onething_hub::mqtt::broker::reason::Reason;
use rmqtt_codec::{v3, v5};
use tokio_util::codec::Decoder as _;

use super::NOW;

/// The number of bytes of a CONNECT that may precede the protocol version.
const NAMELESS: usize = 16;
/// The largest capacity of the buffer: the largest packet, doubled as a buffer grows.
const ROOM: usize = 2 * MAXIMUM_PACKET as usize;

/// Reads the packets of a connection and writes answers to them.
pub fn run(data: &[u8]) {
    let Some((piece, bytes)) = data.split_first() else { return };
    let (packets, end, version) = read(bytes, bytes.len().max(1));
    let (again, same_end, _) = read(bytes, usize::from(*piece).max(1));
    assert_eq!((format!("{packets:?}"), end), (format!("{again:?}"), same_end), "the packets depend on the size of the pieces");
    for packet in packets {
        for answer in answers(packet) {
            said(answer, version.unwrap_or(Version::V5));
        }
    }
}

/// The packets of a connection, its error, and its protocol version.
fn read(bytes: &[u8], piece: usize) -> (Vec<Packet>, Option<Reason>, Option<Version>) {
    let (mut reader, mut buffer, mut packets) = (Reader::Fresh, BytesMut::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        buffer.extend_from_slice(piece);
        while !buffer.is_empty() {
            match reader.read(&mut buffer, NOW) {
                Ok(Some(packet)) => packets.push(packet),
                Ok(None) => {
                    assert!(reader.version().is_some() || buffer.len() < NAMELESS, "no version in {} bytes", buffer.len());
                    assert!(buffer.capacity() <= ROOM + bytes.len(), "room for {} bytes", buffer.capacity());
                    break;
                }
                Err(fault) => return (packets, Some(fault.reason), reader.version()),
            }
        }
    }
    (packets, None, reader.version())
}

/// All answers that the broker may give to a packet.
fn answers(packet: Packet) -> Vec<Answer> {
    match packet {
        Packet::Connect(connect) => welcomed(*connect),
        Packet::Publish(publish) => {
            let said = publish.id.map(Answer::Acknowledge);
            let alias_only = publish.message.topic.is_empty();
            said.into_iter().chain((!alias_only).then(|| delivered(publish.message))).collect()
        }
        Packet::Acknowledge(id) => vec![Answer::Acknowledge(id)],
        Packet::Subscribe(subscribe) => {
            let granted = |(at, qos): (usize, Qos)| if at % 3 == 2 { Err(Reason::NotAuthorized) } else { Ok(qos) };
            let outcomes = subscribe.subscriptions.iter().map(|asked| asked.qos).enumerate().map(granted).collect();
            vec![Answer::Subscribed(subscribe.id, outcomes)]
        }
        Packet::Unsubscribe(id, filters) => vec![Answer::Unsubscribed(id, filters.iter().map(|filter| filter.len() % 2 == 0).collect())],
        Packet::Ping => vec![Answer::Pong],
        Packet::Disconnect { .. } => {
            Reason::ALL.into_iter().flat_map(|reason| [Answer::ConnectRefused(reason), Answer::Disconnect(reason)]).collect()
        }
    }
}

fn welcomed(connect: Connect) -> Vec<Answer> {
    let Connect { clean_start, session_expiry, keep_alive, client_id, will, .. } = connect;
    let welcome = Answer::ConnectAccepted { session_present: !clean_start, session_expiry, keep_alive, assigned: Some(client_id.into()) };
    [welcome].into_iter().chain(will.map(|will| delivered(will.message))).collect()
}

fn delivered(message: Message) -> Answer {
    let id = (message.qos == Qos::AtLeastOnce).then_some(std::num::NonZeroU16::MAX);
    Answer::Deliver(Delivery { message, id, duplicate: id.is_some(), identifiers: Box::new([std::num::NonZeroU32::MIN]) })
}

/// Requires that a client can decode the answer, and that an answer above the limit of the client writes no byte.
fn said(answer: Answer, version: Version) {
    let message = match &answer {
        Answer::Deliver(delivery) => Some(delivery.message.clone()),
        _ => None,
    };
    let mut small = BytesMut::from(&b"before"[..]);
    if let Answer::Deliver(delivery) = &answer {
        let fits = write(Answer::Deliver(delivery.clone()), version, 8, NOW, &mut small).unwrap_or(false);
        assert!(!fits || small.len() <= 14);
        assert!(fits || &small[..] == b"before", "a part of the packet is left");
    }
    let mut buffer = BytesMut::new();
    let written = write(answer, version, u32::MAX, NOW, &mut buffer);
    assert!(matches!(written, Ok(true)), "the answer cannot be written: {written:?}");
    if buffer.is_empty() {
        return;
    }
    let heard = match version {
        Version::V311 => match v3::Codec::new(0).decode(&mut buffer) {
            Ok(Some((v3::Packet::Publish(publish), _))) => Some((publish.topic, publish.payload)),
            Ok(Some(_)) => None,
            other => panic!("the answer cannot be decoded: {other:?}"),
        },
        Version::V5 => match v5::Codec::new(0, 0).decode(&mut buffer) {
            Ok(Some((v5::Packet::Publish(publish), _))) => Some((publish.topic, publish.payload)),
            Ok(Some(_)) => None,
            other => panic!("the answer cannot be decoded: {other:?}"),
        },
    };
    assert!(buffer.is_empty(), "there are bytes after the packet");
    assert_eq!(heard.as_ref().map(|(topic, payload)| (&**topic, payload)), message.as_ref().map(|said| (&*said.topic, &said.payload)));
}
