//! Decodes the packets of a client.
//!
//! `rmqtt-codec` decodes the bytes. This module refuses what the codec accepts against the specifications: wildcards and U+0000
//! in the topic of a PUBLISH or a Will Message, and `#` and `+` that are not a whole level of a filter
//! (<https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html>, section 4.7). The contents of a packet are copied, so that no
//! message keeps the receive buffer alive.

use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rmqtt_codec::error::DecodeError;
use rmqtt_codec::types::{MQTT_LEVEL_5, MQTT_LEVEL_311, QoS};
use rmqtt_codec::version::{ProtocolVersion, VersionCodec};
use rmqtt_codec::{v3, v5};
use tokio_util::codec::Decoder as _;

use super::message::{Message, Properties, Qos};
use super::packet::{
    Connect, Fault, MAXIMUM_PACKET, MAXIMUM_PAYLOAD, MAXIMUM_SESSION_EXPIRY, Named, Packet, Publish, RetainHandling, SESSION_EXPIRY,
    Subscribe, Subscription, Version, Will,
};
use super::reason::Reason;
use super::topic;

/// The decoder of one connection.
#[derive(Debug)]
pub enum Reader {
    /// No CONNECT was decoded, so the version is unknown.
    Fresh,
    /// MQTT 3.1.1.
    V311(v3::Codec),
    /// MQTT 5.
    V5(v5::Codec),
}

impl Reader {
    /// Takes the next packet from the front of `buffer`. `None` if the packet is not complete. `now` is the Unix time in seconds.
    pub fn read(&mut self, buffer: &mut BytesMut, now: u64) -> Result<Option<Packet>, Fault> {
        if let Self::Fresh = self {
            match VersionCodec.decode(buffer) {
                Ok(None) => return Ok(None),
                Ok(Some(ProtocolVersion::MQTT3)) => *self = Self::of(Version::V311),
                Ok(Some(ProtocolVersion::MQTT5)) => *self = Self::of(Version::V5),
                Err(error) => {
                    if let Some(level) = level(buffer) {
                        *self = Self::of(response_version(level));
                    }
                    return Err(decode_error_reason(&error).into());
                }
            }
        }
        match self {
            Self::Fresh => Ok(None),
            Self::V311(codec) => match codec.decode(buffer).map_err(|error| decode_error_reason(&error))? {
                Some((packet, _)) => from_v311(packet).map(Some),
                None => Ok(None),
            },
            Self::V5(codec) => match codec.decode(buffer).map_err(|error| decode_error_reason(&error))? {
                Some((packet, _)) => from_v5(packet, now).map(Some),
                None => Ok(None),
            },
        }
    }

    fn of(version: Version) -> Self {
        match version {
            Version::V311 => Self::V311(v3::Codec::new(MAXIMUM_PACKET)),
            Version::V5 => Self::V5(v5::Codec::new(MAXIMUM_PACKET, 0)),
        }
    }

    /// Returns the version, once it is known. After a CONNECT with an unknown protocol level this is the version of the CONNACK.
    pub fn version(&self) -> Option<Version> {
        match self {
            Self::Fresh => None,
            Self::V311(_) => Some(Version::V311),
            Self::V5(_) => Some(Version::V5),
        }
    }
}

/// Returns the protocol level of a CONNECT (MQTT 3.1.1, section 3.1.2). `None` if the bytes do not begin like a CONNECT.
fn level(packet: &[u8]) -> Option<u8> {
    let (_type, rest) = packet.split_first()?;
    // Remaining Length: each byte except the last has its highest bit set.
    let length = rest.iter().position(|byte| byte & 0x80 == 0)?;
    let header = rest.get(length + 1..)?;
    let after_name = header.strip_prefix(b"\0\x04MQTT").or_else(|| header.strip_prefix(b"\0\x06MQIsdp"))?;
    after_name.first().copied()
}

/// The version of the CONNACK for an unknown protocol level. A mosquitto bridge with `try_private` sets the highest bit of the
/// level in its first CONNECT and connects again without it when refused (<https://mosquitto.org/man/mosquitto-conf-5.html>).
fn response_version(level: u8) -> Version {
    if level & 0x7F == MQTT_LEVEL_5 { Version::V5 } else { Version::V311 }
}

fn decode_error_reason(error: &DecodeError) -> Reason {
    match error {
        DecodeError::MaxSizeExceeded { .. } => Reason::PacketTooLarge,
        DecodeError::InvalidProtocol | DecodeError::UnsupportedProtocolLevel => Reason::UnsupportedVersion,
        DecodeError::InvalidClientId => Reason::ClientIdInvalid,
        DecodeError::InvalidTopicFilter => Reason::TopicFilterInvalid,
        DecodeError::InvalidTopicName => Reason::TopicNameInvalid,
        _ => Reason::MalformedPacket,
    }
}

fn from_v311(packet: v3::Packet) -> Result<Packet, Fault> {
    Ok(match packet {
        v3::Packet::Connect(connect) => connect_v311(*connect)?,
        v3::Packet::Publish(publish) => published(*publish, 0)?,
        v3::Packet::PublishAck { packet_id } => Packet::Acknowledge(packet_id),
        v3::Packet::Subscribe { packet_id, topic_filters } => {
            let asked = topic_filters.into_iter().map(|(filter, qos)| {
                Ok(Subscription {
                    filter: subscription_filter(&filter)?,
                    qos: granted_qos(qos),
                    no_local: false,
                    retain_as_published: false,
                    retain_handling: RetainHandling::Always,
                    identifier: None,
                })
            });
            Packet::Subscribe(Box::new(Subscribe { id: packet_id, subscriptions: asked.collect::<Result<_, Fault>>()? }))
        }
        v3::Packet::Unsubscribe { packet_id, topic_filters } => unsubscribe(packet_id, topic_filters.iter().map(AsRef::as_ref))?,
        v3::Packet::PingRequest => Packet::Ping,
        v3::Packet::Disconnect => Packet::Disconnect { with_will: false, session_expiry: None },
        _ => return Err(Reason::ProtocolError.into()),
    })
}

fn connect_v311(connect: v3::Connect) -> Result<Packet, Fault> {
    if connect.protocol.level() != MQTT_LEVEL_311 {
        return Err(Reason::UnsupportedVersion.into());
    }
    let named = connect.last_will.as_ref().map(|will| named_will(&connect.client_id, &will.topic));
    let will = connect.last_will.map(|will| {
        let message = will_message(&will.topic, &will.message, will.qos, will.retain, Properties::default())?;
        Ok(Will { message, lifetime: None, delay: 0 })
    });
    let will = will.transpose().map_err(|reason| Fault { reason, named })?;
    Ok(Packet::Connect(Box::new(Connect {
        version: Version::V311,
        client_id: connect.client_id.to_string(),
        clean_start: connect.clean_session,
        session_expiry: if connect.clean_session { 0 } else { SESSION_EXPIRY },
        keep_alive: connect.keep_alive,
        receive_maximum: u16::MAX,
        maximum_packet: u32::MAX,
        will,
    })))
}

fn will_message(topic: &str, payload: &[u8], qos: QoS, retain: bool, properties: Properties) -> Result<Message, Reason> {
    Ok(Message {
        topic: valid_topic(topic)?,
        payload: valid_payload(payload)?,
        qos: valid_qos(qos)?,
        retain,
        expires: None,
        properties: (properties != Properties::default()).then(|| Arc::new(properties)),
        publisher: None,
    })
}

fn from_v5(packet: v5::Packet, now: u64) -> Result<Packet, Fault> {
    Ok(match packet {
        v5::Packet::Connect(connect) => connect_v5(*connect)?,
        v5::Packet::Publish(publish) => published(*publish, now)?,
        v5::Packet::PublishAck(ack) => Packet::Acknowledge(ack.packet_id),
        v5::Packet::Subscribe(subscribe) => subscribe_v5(&subscribe)?,
        v5::Packet::Unsubscribe(asked) => unsubscribe(asked.packet_id, asked.topic_filters.iter().map(AsRef::as_ref))?,
        v5::Packet::PingRequest => Packet::Ping,
        v5::Packet::Disconnect(disconnect) => Packet::Disconnect {
            with_will: disconnect.reason_code != v5::DisconnectReasonCode::NormalDisconnection,
            session_expiry: disconnect.session_expiry_interval_secs.map(|seconds| seconds.min(MAXIMUM_SESSION_EXPIRY)),
        },
        _ => return Err(Reason::ProtocolError.into()),
    })
}

fn connect_v5(connect: v5::Connect) -> Result<Packet, Fault> {
    if connect.auth_method.is_some() {
        return Err(Reason::BadAuthenticationMethod.into());
    }
    let named = connect.last_will.as_ref().map(|will| named_will(&connect.client_id, &will.topic));
    let will = connect.last_will.map(|will| {
        let properties = Properties {
            utf8: will.is_utf8_payload.unwrap_or(false),
            content_type: will.content_type.map(|text| text.to_string()),
            response_topic: will.response_topic.map(|text| text.to_string()),
            correlation_data: will.correlation_data.map(Into::into),
            user: will.user_properties.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        };
        let message = will_message(&will.topic, &will.message, will.qos, will.retain, properties)?;
        let lifetime = will.message_expiry_interval.map(NonZeroU32::get);
        Ok(Will { message, lifetime, delay: will.will_delay_interval_sec.unwrap_or(0) })
    });
    let will = will.transpose().map_err(|reason| Fault { reason, named })?;
    Ok(Packet::Connect(Box::new(Connect {
        version: Version::V5,
        client_id: connect.client_id.to_string(),
        clean_start: connect.clean_start,
        session_expiry: connect.session_expiry_interval_secs.min(MAXIMUM_SESSION_EXPIRY),
        keep_alive: connect.keep_alive,
        receive_maximum: connect.receive_max.map_or(u16::MAX, NonZeroU16::get),
        maximum_packet: connect.max_packet_size.map_or(u32::MAX, NonZeroU32::get),
        will,
    })))
}

fn published(publish: rmqtt_codec::types::Publish, now: u64) -> Result<Packet, Fault> {
    let topic = publish.topic.clone();
    read_publish(publish, now).map_err(|reason| Fault { reason, named: Some(Named::Topic(topic.to_string())) })
}

fn read_publish(publish: rmqtt_codec::types::Publish, now: u64) -> Result<Packet, Reason> {
    let (mut expires, mut alias, mut properties) = (None, None, None);
    if let Some(said) = publish.properties {
        // Only a server may send Subscription Identifiers in a PUBLISH (MQTT 5, section 3.3.4).
        if !said.subscription_ids.is_empty() {
            return Err(Reason::ProtocolError);
        }
        if said.response_topic.as_ref().is_some_and(|topic| topic::check_name(topic).is_err()) {
            return Err(Reason::TopicNameInvalid);
        }
        alias = said.topic_alias;
        expires = said.message_expiry_interval.map(|seconds| now + u64::from(seconds.get()));
        let kept = Properties {
            utf8: said.is_utf8_payload,
            content_type: said.content_type.map(|text| text.to_string()),
            response_topic: said.response_topic.map(|text| text.to_string()),
            correlation_data: said.correlation_data.map(Into::into),
            user: said.user_properties.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        };
        properties = (kept != Properties::default()).then(|| Arc::new(kept));
    }
    let topic = if publish.topic.is_empty() && alias.is_some() { "".into() } else { valid_topic(&publish.topic)? };
    let (qos, payload) = (valid_qos(publish.qos)?, valid_payload(&publish.payload)?);
    let message = Message { topic, payload, qos, retain: publish.retain, expires, properties, publisher: None };
    Ok(Packet::Publish(Box::new(Publish { id: publish.packet_id, message, alias })))
}

fn subscribe_v5(subscribe: &v5::Subscribe) -> Result<Packet, Fault> {
    let asked = subscribe.topic_filters.iter().map(|(filter, options)| {
        Ok(Subscription {
            filter: subscription_filter(filter)?,
            qos: granted_qos(options.qos),
            no_local: options.no_local,
            retain_as_published: options.retain_as_published,
            retain_handling: match options.retain_handling {
                v5::RetainHandling::AtSubscribe => RetainHandling::Always,
                v5::RetainHandling::AtSubscribeNew => RetainHandling::WhenNew,
                v5::RetainHandling::NoAtSubscribe => RetainHandling::Never,
            },
            identifier: subscribe.id,
        })
    });
    let subscriptions = asked.collect::<Result<_, Fault>>()?;
    Ok(Packet::Subscribe(Box::new(Subscribe { id: subscribe.packet_id, subscriptions })))
}

fn unsubscribe<'a>(id: NonZeroU16, filters: impl Iterator<Item = &'a str>) -> Result<Packet, Fault> {
    let filters: Vec<Arc<str>> = filters.map(valid_filter).collect::<Result<_, _>>()?;
    if filters.is_empty() { Err(Reason::ProtocolError.into()) } else { Ok(Packet::Unsubscribe(id, filters)) }
}

fn named_will(client_id: &str, topic: &str) -> Named {
    Named::Will { client_id: client_id.to_owned(), topic: topic.to_owned() }
}

/// Checks a filter of a SUBSCRIBE.
fn subscription_filter(filter: &str) -> Result<Arc<str>, Fault> {
    valid_filter(filter).map_err(|reason| Fault { reason, named: Some(Named::Filter(filter.to_owned())) })
}

fn valid_topic(topic: &str) -> Result<Arc<str>, Reason> {
    topic::check_name(topic).map(|()| topic.into()).map_err(|_| Reason::TopicNameInvalid)
}

fn valid_filter(filter: &str) -> Result<Arc<str>, Reason> {
    topic::Subscription::parse(filter).map(|_| filter.into()).map_err(|_| Reason::TopicFilterInvalid)
}

/// The QoS to grant: at most 1. A server may grant less than requested (MQTT 3.1.1, section 3.8.4; MQTT 5, section 3.2.2.3.4).
fn granted_qos(qos: QoS) -> Qos {
    if qos == QoS::AtMostOnce { Qos::AtMostOnce } else { Qos::AtLeastOnce }
}

fn valid_qos(qos: QoS) -> Result<Qos, Reason> {
    match qos {
        QoS::AtMostOnce => Ok(Qos::AtMostOnce),
        QoS::AtLeastOnce => Ok(Qos::AtLeastOnce),
        QoS::ExactlyOnce => Err(Reason::QosNotSupported),
    }
}

fn valid_payload(payload: &[u8]) -> Result<Bytes, Reason> {
    if payload.len() > MAXIMUM_PAYLOAD { Err(Reason::PacketTooLarge) } else { Ok(Bytes::copy_from_slice(payload)) }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
