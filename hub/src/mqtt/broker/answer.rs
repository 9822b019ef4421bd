//! The packets of the broker, and their encoding for MQTT 3.1.1 and MQTT 5.
//!
//! The size limit of the codec is not used, because it miscounts for a very small Maximum Packet Size. [`write()`] discards a
//! packet that is too large for its client, as MQTT 5 requires (section 3.1.2.11.4).

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

/// The Topic Alias Maximum of the broker: 8, as in AWS IoT.
pub const TOPIC_ALIASES: u16 = 8;
/// The Receive Maximum of the broker, and the most QoS 1 messages in flight to a client: 100, as in AWS IoT.
pub const RECEIVE_MAXIMUM: u16 = 100;

/// A packet that the broker sends.
#[derive(Debug)]
pub enum Answer {
    /// CONNACK that accepts the connection.
    ConnectAccepted {
        /// Session Present: the client resumes an earlier session.
        session_present: bool,
        /// The Session Expiry Interval in effect, in seconds.
        session_expiry: u32,
        /// The Keep Alive in effect, in seconds.
        keep_alive: u16,
        /// The Assigned Client Identifier, if the client sent an empty one.
        assigned: Option<Arc<str>>,
    },
    /// CONNACK that refuses the connection. MQTT 3.1.1 has return codes for an unknown protocol level, a rejected Client
    /// Identifier and an unavailable server (section 3.2.2.3). For other reasons, such as a refusal by policy, the broker only
    /// closes an MQTT 3.1.1 connection, as AWS IoT does.
    ConnectRefused(Reason),
    /// PUBLISH with a message for the client.
    Deliver(Delivery),
    /// PUBACK with its Packet Identifier.
    Acknowledge(NonZeroU16),
    /// SUBACK: for each filter the granted QoS, or why it was refused.
    Subscribed(NonZeroU16, Vec<Result<Qos, Reason>>),
    /// UNSUBACK: for each filter whether the subscription existed.
    Unsubscribed(NonZeroU16, Vec<bool>),
    /// PINGRESP.
    Pong,
    /// DISCONNECT. An MQTT 3.1.1 server cannot send it.
    Disconnect(Reason),
}

/// A message to send to one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The message, with the QoS and the RETAIN flag that this client receives.
    pub message: Message,
    /// The Packet Identifier. `None` for QoS 0.
    pub id: Option<NonZeroU16>,
    /// The DUP flag: the message was sent before.
    pub duplicate: bool,
    /// The Subscription Identifiers of the matching subscriptions.
    pub identifiers: Box<[NonZeroU32]>,
}

/// Appends the encoded `answer` to `buffer`. Returns `false`, and appends nothing, if the packet is larger than `maximum` bytes.
/// `now` is the Unix time in seconds.
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
        Answer::ConnectAccepted { session_present, .. } => {
            v3::Packet::ConnectAck(v3::ConnectAck { session_present, return_code: v3::ConnectAckReason::ConnectionAccepted })
        }
        Answer::ConnectRefused(reason) => {
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
        Answer::ConnectAccepted { session_present, session_expiry, keep_alive, assigned } => v5::ConnectAck {
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
        Answer::ConnectRefused(reason) => {
            let reason_code = match reason {
                Reason::Unavailable | Reason::ShuttingDown => v5::ConnectAckReason::ServerUnavailable,
                _ => reason.code()?.try_into().unwrap_or(v5::ConnectAckReason::UnspecifiedError),
            };
            v5::ConnectAck { reason_code, ..v5::ConnectAck::default() }.into()
        }
        Answer::Deliver(delivery) => {
            let message = &delivery.message;
            let mut properties = v5::PublishProperties {
                // The interval must not be 0, so a message that is about to expire gets 1 second.
                message_expiry_interval: message.expires.and_then(|expires| seconds(expires.saturating_sub(now).max(1))),
                subscription_ids: delivery.identifiers.to_vec(),
                ..v5::PublishProperties::default()
            };
            if let Some(own) = &message.properties {
                properties.is_utf8_payload = own.utf8;
                properties.content_type = own.content_type.as_deref().map(Into::into);
                properties.response_topic = own.response_topic.as_deref().map(Into::into);
                properties.correlation_data = own.correlation_data.clone().map(Into::into);
                properties.user_properties = own.user.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect();
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

/// Converts to the 32 bits of an MQTT interval. A longer interval becomes the longest one, and 0 becomes `None`.
fn seconds(seconds: u64) -> Option<NonZeroU32> {
    NonZeroU32::new(u32::try_from(seconds).unwrap_or(u32::MAX))
}
