//! What the broker sends, written for MQTT 3.1.1 or 5.
//!
//! The codec's own limit on what it writes is not used: it miscounts for clients that take very little. A
//! packet that is too large for its reader is left out here, as MQTT 5 has it (section 3.1.2.11.4).

use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use bytes::BytesMut;
use rmqtt_codec::error::EncodeError;
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::{v3, v5};
use tokio_util::codec::Encoder as _;

use super::message::{Message, Qos};
use super::packet::{MAXIMUM_PACKET, Version};
use super::reason::Reason;

/// How many topics a client may give a number: AWS IoT's eight.
pub const TOPIC_ALIASES: u16 = 8;
/// How many QoS 1 messages may be on their way to the broker, or from it: AWS IoT's hundred.
pub const RECEIVE_MAXIMUM: u16 = 100;

/// A packet of the broker.
#[derive(Debug)]
pub enum Answer {
    /// CONNACK for a client that is in.
    Welcome {
        /// An earlier session goes on.
        session_present: bool,
        /// How long the session is kept after the connection, in seconds.
        session_expiry: u32,
        /// The keep-alive that counts, in seconds.
        keep_alive: u16,
        /// The client id, where the broker chose it.
        assigned: Option<Arc<str>>,
    },
    /// CONNACK for a client that is not. In MQTT 3.1.1 there is one for an unknown protocol level, a client id that cannot be used, and a
    /// server that is not available (section 3.2.2.3). For all else, and for what the policy refuses, AWS IoT just closes the connection.
    Refused(Reason),
    /// PUBLISH.
    Deliver(Delivery),
    /// PUBACK.
    Acknowledge(NonZeroU16),
    /// SUBACK: for each filter its QoS, or why not.
    Subscribed(NonZeroU16, Vec<Result<Qos, Reason>>),
    /// UNSUBACK: for each filter whether there was such a subscription.
    Unsubscribed(NonZeroU16, Vec<bool>),
    /// PINGRESP.
    Pong,
    /// DISCONNECT; there is none in MQTT 3.1.1.
    Disconnect(Reason),
}

/// A message on its way to one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The message, with the QoS and the retain flag that this reader gets.
    pub message: Message,
    /// With QoS 1, what the client acknowledges.
    pub id: Option<NonZeroU16>,
    /// It was sent before.
    pub duplicate: bool,
    /// The numbers of the subscriptions it is for.
    pub identifiers: Box<[NonZeroU32]>,
}

/// Appends `answer` to `buffer`. Whether it was written: a packet larger than `maximum` is not. `now` is in
/// seconds since the epoch.
pub fn write(answer: Answer, version: Version, maximum: u32, now: u64, buffer: &mut BytesMut) -> Result<bool, EncodeError> {
    let before = buffer.len();
    match version {
        Version::V311 => {
            if let Some(packet) = to_v311(answer) {
                v3::Codec::new(0).encode(packet, buffer)?;
            }
        }
        Version::V5 => {
            if let Some(packet) = to_v5(answer, now) {
                v5::Codec::new(0, 0).encode(packet, buffer)?;
            }
        }
    }
    let fits = buffer.len() - before <= usize::try_from(maximum).unwrap_or(usize::MAX);
    if !fits {
        buffer.truncate(before);
    }
    Ok(fits)
}

fn to_v311(answer: Answer) -> Option<v3::Packet> {
    Some(match answer {
        Answer::Welcome { session_present, .. } => {
            v3::Packet::ConnectAck(v3::ConnectAck { session_present, return_code: v3::ConnectAckReason::ConnectionAccepted })
        }
        Answer::Refused(reason) => {
            let return_code = match reason {
                Reason::UnsupportedVersion => v3::ConnectAckReason::UnacceptableProtocolVersion,
                Reason::ClientIdInvalid => v3::ConnectAckReason::IdentifierRejected,
                Reason::Unavailable | Reason::ShuttingDown => v3::ConnectAckReason::ServiceUnavailable,
                _ => return None,
            };
            v3::Packet::ConnectAck(v3::ConnectAck { session_present: false, return_code })
        }
        Answer::Disconnect(_) => return None,
        Answer::Deliver(delivery) => v3::Packet::Publish(Box::new(publish(delivery, None))),
        Answer::Acknowledge(packet_id) => v3::Packet::PublishAck { packet_id },
        Answer::Subscribed(packet_id, outcomes) => {
            let status = outcomes.into_iter().map(|outcome| match outcome {
                Ok(granted) => v3::SubscribeReturnCode::Success(qos(granted)),
                Err(_) => v3::SubscribeReturnCode::Failure,
            });
            v3::Packet::SubscribeAck { packet_id, status: status.collect() }
        }
        Answer::Unsubscribed(packet_id, _) => v3::Packet::UnsubscribeAck { packet_id },
        Answer::Pong => v3::Packet::PingResponse,
    })
}

fn to_v5(answer: Answer, now: u64) -> Option<v5::Packet> {
    Some(match answer {
        Answer::Welcome { session_present, session_expiry, keep_alive, assigned } => v5::ConnectAck {
            session_present,
            session_expiry_interval_secs: Some(session_expiry),
            receive_max: NonZeroU16::new(RECEIVE_MAXIMUM).unwrap_or(NonZeroU16::MIN),
            max_qos: QoS::AtLeastOnce,
            max_packet_size: Some(MAXIMUM_PACKET),
            assigned_client_id: assigned.map(|id| (*id).into()),
            topic_alias_max: TOPIC_ALIASES,
            shared_subscription_available: false,
            server_keepalive_sec: Some(keep_alive),
            ..v5::ConnectAck::default()
        }
        .into(),
        Answer::Refused(reason) => {
            let reason_code = match reason {
                Reason::Unavailable | Reason::ShuttingDown => v5::ConnectAckReason::ServerUnavailable,
                _ => reason.code()?.try_into().unwrap_or(v5::ConnectAckReason::UnspecifiedError),
            };
            v5::ConnectAck { reason_code, ..v5::ConnectAck::default() }.into()
        }
        Answer::Deliver(delivery) => {
            let message = &delivery.message;
            let mut properties = v5::PublishProperties {
                // What is about to expire is sent with its last second.
                message_expiry_interval: message.expires.and_then(|expires| seconds(expires.saturating_sub(now).max(1))),
                subscription_ids: delivery.identifiers.to_vec(),
                ..v5::PublishProperties::default()
            };
            if let Some(said) = &message.properties {
                properties.is_utf8_payload = said.utf8;
                properties.content_type = said.content_type.as_deref().map(Into::into);
                properties.response_topic = said.response_topic.as_deref().map(Into::into);
                properties.correlation_data = said.correlation_data.clone().map(Into::into);
                properties.user_properties = said.user.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect();
            }
            publish(delivery, Some(properties)).into()
        }
        Answer::Acknowledge(packet_id) => v5::PublishAck { packet_id, ..v5::PublishAck::default() }.into(),
        Answer::Subscribed(packet_id, outcomes) => {
            let status = outcomes.into_iter().map(|outcome| match outcome {
                Ok(Qos::AtMostOnce) => v5::SubscribeAckReason::GrantedQos0,
                Ok(Qos::AtLeastOnce) => v5::SubscribeAckReason::GrantedQos1,
                Err(reason) => reason.code().and_then(|code| code.try_into().ok()).unwrap_or(v5::SubscribeAckReason::UnspecifiedError),
            });
            v5::SubscribeAck { packet_id, properties: Vec::new(), reason_string: None, status: status.collect() }.into()
        }
        Answer::Unsubscribed(packet_id, outcomes) => {
            let status = outcomes.into_iter().map(|existed| match existed {
                true => v5::UnsubscribeAckReason::Success,
                false => v5::UnsubscribeAckReason::NoSubscriptionExisted,
            });
            v5::UnsubscribeAck { packet_id, properties: Vec::new(), reason_string: None, status: status.collect() }.into()
        }
        Answer::Pong => v5::Packet::PingResponse,
        Answer::Disconnect(reason) => {
            let code = v5::DisconnectReasonCode::try_from(reason.code()?).unwrap_or(v5::DisconnectReasonCode::UnspecifiedError);
            v5::Disconnect::new(code).into()
        }
    })
}

fn publish(delivery: Delivery, properties: Option<v5::PublishProperties>) -> Publish {
    let message = delivery.message;
    Publish {
        dup: delivery.duplicate,
        retain: message.retain,
        qos: if delivery.id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce },
        topic: (*message.topic).into(),
        packet_id: delivery.id,
        payload: message.payload,
        properties,
    }
}

fn qos(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
    }
}

/// MQTT counts time in 32 bits.
fn seconds(seconds: u64) -> Option<NonZeroU32> {
    NonZeroU32::new(u32::try_from(seconds).unwrap_or(u32::MAX))
}
