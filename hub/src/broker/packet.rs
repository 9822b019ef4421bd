//! What a client sends, as one language for MQTT 3.1.1 and 5.
//!
//! `rmqtt-codec` reads the bytes; what it lets pass and the specifications do not is refused here: wildcards
//! and NUL in the topic of a PUBLISH or a will, `#` and `+` that are not a level of their own in a filter.
//! (<https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html>, section 4.7)
//! Whatever is kept of a packet is copied, so that no message holds on to the buffer it came in.

use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rmqtt_codec::error::DecodeError;
use rmqtt_codec::types::{MQTT_LEVEL_311, QoS};
use rmqtt_codec::version::{ProtocolVersion, VersionCodec};
use rmqtt_codec::{v3, v5};
use tokio_util::codec::Decoder as _;

use super::message::{Message, Properties, Qos};
use super::reason::Reason;
use super::topic;

/// The largest packet that is taken, without its fixed header: AWS IoT's 128 KB of payload, and room for the
/// topic and the properties.
pub const MAXIMUM_PACKET: u32 = 149_504;
/// The largest payload.
pub const MAXIMUM_PAYLOAD: usize = 128 * 1024;
/// How long a persistent session of a client with MQTT 3.1.1 is kept after the connection, in seconds: the default of AWS IoT.
pub const SESSION_EXPIRY: u32 = 3600;
/// The longest session that a client with MQTT 5 may have, in seconds: AWS IoT's seven days.
pub const MAXIMUM_SESSION_EXPIRY: u32 = 7 * 24 * 3600;

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.1.
    V311,
    /// MQTT 5.
    V5,
}

/// A packet of a client.
#[derive(Debug)]
pub enum Packet {
    /// CONNECT.
    Connect(Box<Connect>),
    /// PUBLISH.
    Publish(Box<Publish>),
    /// PUBACK for a packet id.
    Acknowledge(NonZeroU16),
    /// SUBSCRIBE.
    Subscribe(Box<Subscribe>),
    /// UNSUBSCRIBE: the packet id and the filters.
    Unsubscribe(NonZeroU16, Vec<Arc<str>>),
    /// PINGREQ.
    Ping,
    /// DISCONNECT.
    Disconnect {
        /// The client wants its will to be published all the same.
        with_will: bool,
        /// The session's new expiry, in seconds.
        session_expiry: Option<u32>,
    },
}

/// CONNECT.
#[derive(Debug)]
pub struct Connect {
    /// The client's protocol.
    pub version: Version,
    /// Empty when the broker is to choose one.
    pub client_id: String,
    /// An earlier session is to be forgotten.
    pub clean_start: bool,
    /// How long the session is kept after the connection, in seconds: not at all, or up to seven days.
    pub session_expiry: u32,
    /// In seconds; 0 for none.
    pub keep_alive: u16,
    /// How many QoS 1 messages the client takes at a time.
    pub receive_maximum: u16,
    /// The largest packet the client takes.
    pub maximum_packet: u32,
    /// What is to be said when the connection breaks.
    pub will: Option<Will>,
}

/// A last will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    /// The message.
    pub message: Message,
    /// How long its lifetime is once it is published, in seconds.
    pub lifetime: Option<u32>,
    /// How long to wait before it is published, in seconds.
    pub delay: u32,
}

/// PUBLISH.
#[derive(Debug)]
pub struct Publish {
    /// With QoS 1, what to acknowledge.
    pub id: Option<NonZeroU16>,
    /// The message; its topic is empty where only an alias is given.
    pub message: Message,
    /// A number for the topic.
    pub alias: Option<NonZeroU16>,
}

/// SUBSCRIBE.
#[derive(Debug)]
pub struct Subscribe {
    /// What to acknowledge.
    pub id: NonZeroU16,
    /// What is subscribed to.
    pub subscriptions: Vec<Subscription>,
}

/// When retained messages are sent for a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetainHandling {
    /// Each time it is made.
    Always,
    /// When it is new.
    WhenNew,
    /// Never.
    Never,
}

/// A subscription, as a client asks for it and a session holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The topic filter.
    pub filter: Arc<str>,
    /// The best QoS that its messages get.
    pub qos: Qos,
    /// Messages of the client itself are left out.
    pub no_local: bool,
    /// Messages keep their retain flag.
    pub retain_as_published: bool,
    /// What happens to retained messages.
    pub retain_handling: RetainHandling,
    /// A number that comes along with its messages.
    pub identifier: Option<NonZeroU32>,
}

/// Reads the packets of one connection.
#[derive(Debug)]
pub enum Reader {
    /// The version is not known yet.
    Fresh,
    /// MQTT 3.1.1.
    V311(v3::Codec),
    /// MQTT 5.
    V5(v5::Codec),
}

impl Reader {
    /// The next packet, taken from the front of `buffer`. `now` is in seconds since the epoch.
    pub fn read(&mut self, buffer: &mut BytesMut, now: u64) -> Result<Option<Packet>, Reason> {
        if let Self::Fresh = self {
            match VersionCodec.decode(buffer).map_err(|error| unreadable(&error))? {
                None => return Ok(None),
                Some(ProtocolVersion::MQTT3) => *self = Self::V311(v3::Codec::new(MAXIMUM_PACKET)),
                Some(ProtocolVersion::MQTT5) => *self = Self::V5(v5::Codec::new(MAXIMUM_PACKET, 0)),
            }
        }
        match self {
            Self::Fresh => Ok(None),
            Self::V311(codec) => match codec.decode(buffer).map_err(|error| unreadable(&error))? {
                Some((packet, _)) => from_v311(packet).map(Some),
                None => Ok(None),
            },
            Self::V5(codec) => match codec.decode(buffer).map_err(|error| unreadable(&error))? {
                Some((packet, _)) => from_v5(packet, now).map(Some),
                None => Ok(None),
            },
        }
    }

    /// The version, once it is known.
    pub fn version(&self) -> Option<Version> {
        match self {
            Self::Fresh => None,
            Self::V311(_) => Some(Version::V311),
            Self::V5(_) => Some(Version::V5),
        }
    }
}

fn unreadable(error: &DecodeError) -> Reason {
    match error {
        DecodeError::MaxSizeExceeded { .. } => Reason::PacketTooLarge,
        DecodeError::InvalidProtocol | DecodeError::UnsupportedProtocolLevel => Reason::UnsupportedVersion,
        DecodeError::InvalidClientId => Reason::ClientIdInvalid,
        DecodeError::InvalidTopicFilter => Reason::TopicFilterInvalid,
        DecodeError::InvalidTopicName => Reason::TopicNameInvalid,
        _ => Reason::MalformedPacket,
    }
}

fn from_v311(packet: v3::Packet) -> Result<Packet, Reason> {
    Ok(match packet {
        v3::Packet::Connect(connect) => connect_v311(*connect)?,
        v3::Packet::Publish(publish) => published(*publish, 0)?,
        v3::Packet::PublishAck { packet_id } => Packet::Acknowledge(packet_id),
        v3::Packet::Subscribe { packet_id, topic_filters } => {
            let asked = topic_filters.into_iter().map(|(filter, qos)| {
                Ok(Subscription {
                    filter: valid_filter(&filter)?,
                    qos: valid_qos(qos)?,
                    no_local: false,
                    retain_as_published: false,
                    retain_handling: RetainHandling::Always,
                    identifier: None,
                })
            });
            Packet::Subscribe(Box::new(Subscribe { id: packet_id, subscriptions: asked.collect::<Result<_, Reason>>()? }))
        }
        v3::Packet::Unsubscribe { packet_id, topic_filters } => unsubscribe(packet_id, topic_filters.iter().map(AsRef::as_ref))?,
        v3::Packet::PingRequest => Packet::Ping,
        v3::Packet::Disconnect => Packet::Disconnect { with_will: false, session_expiry: None },
        _ => return Err(Reason::ProtocolError),
    })
}

fn connect_v311(connect: v3::Connect) -> Result<Packet, Reason> {
    if connect.protocol.level() != MQTT_LEVEL_311 {
        return Err(Reason::UnsupportedVersion);
    }
    let will = connect.last_will.map(|will| {
        let message = Message {
            topic: valid_topic(&will.topic)?,
            payload: valid_payload(&will.message)?,
            qos: valid_qos(will.qos)?,
            retain: will.retain,
            expires: None,
            properties: None,
        };
        Ok(Will { message, lifetime: None, delay: 0 })
    });
    Ok(Packet::Connect(Box::new(Connect {
        version: Version::V311,
        client_id: connect.client_id.to_string(),
        clean_start: connect.clean_session,
        session_expiry: if connect.clean_session { 0 } else { SESSION_EXPIRY },
        keep_alive: connect.keep_alive,
        receive_maximum: u16::MAX,
        maximum_packet: u32::MAX,
        will: will.transpose()?,
    })))
}

fn from_v5(packet: v5::Packet, now: u64) -> Result<Packet, Reason> {
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
        _ => return Err(Reason::ProtocolError),
    })
}

fn connect_v5(connect: v5::Connect) -> Result<Packet, Reason> {
    if connect.auth_method.is_some() {
        return Err(Reason::BadAuthenticationMethod);
    }
    let will = connect.last_will.map(|will| {
        let properties = Properties {
            utf8: will.is_utf8_payload.unwrap_or(false),
            content_type: will.content_type.map(|text| text.to_string()),
            response_topic: will.response_topic.map(|text| text.to_string()),
            correlation_data: will.correlation_data.map(Into::into),
            user: will.user_properties.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        };
        let message = Message {
            topic: valid_topic(&will.topic)?,
            payload: valid_payload(&will.message)?,
            qos: valid_qos(will.qos)?,
            retain: will.retain,
            expires: None,
            properties: (properties != Properties::default()).then(|| Arc::new(properties)),
        };
        let lifetime = will.message_expiry_interval.map(NonZeroU32::get);
        Ok(Will { message, lifetime, delay: will.will_delay_interval_sec.unwrap_or(0) })
    });
    Ok(Packet::Connect(Box::new(Connect {
        version: Version::V5,
        client_id: connect.client_id.to_string(),
        clean_start: connect.clean_start,
        session_expiry: connect.session_expiry_interval_secs.min(MAXIMUM_SESSION_EXPIRY),
        keep_alive: connect.keep_alive,
        receive_maximum: connect.receive_max.map_or(u16::MAX, NonZeroU16::get),
        maximum_packet: connect.max_packet_size.map_or(u32::MAX, NonZeroU32::get),
        will: will.transpose()?,
    })))
}

fn published(publish: rmqtt_codec::types::Publish, now: u64) -> Result<Packet, Reason> {
    let (mut expires, mut alias, mut properties) = (None, None, None);
    if let Some(said) = publish.properties {
        // Only a server may send the identifiers of subscriptions (MQTT 5, section 3.3.4).
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
    let message = Message { topic, payload, qos, retain: publish.retain, expires, properties };
    Ok(Packet::Publish(Box::new(Publish { id: publish.packet_id, message, alias })))
}

fn subscribe_v5(subscribe: &v5::Subscribe) -> Result<Packet, Reason> {
    let asked = subscribe.topic_filters.iter().map(|(filter, options)| {
        Ok(Subscription {
            filter: valid_filter(filter)?,
            // A server of QoS 1 grants that to whoever asks for more (MQTT 5, section 3.2.2.3.4).
            qos: if options.qos == QoS::AtMostOnce { Qos::AtMostOnce } else { Qos::AtLeastOnce },
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
    let subscriptions = asked.collect::<Result<_, Reason>>()?;
    Ok(Packet::Subscribe(Box::new(Subscribe { id: subscribe.packet_id, subscriptions })))
}

fn unsubscribe<'a>(id: NonZeroU16, filters: impl Iterator<Item = &'a str>) -> Result<Packet, Reason> {
    let filters: Vec<Arc<str>> = filters.map(valid_filter).collect::<Result<_, _>>()?;
    if filters.is_empty() { Err(Reason::ProtocolError) } else { Ok(Packet::Unsubscribe(id, filters)) }
}

fn valid_topic(topic: &str) -> Result<Arc<str>, Reason> {
    topic::check_name(topic).map(|()| topic.into()).map_err(|_| Reason::TopicNameInvalid)
}

fn valid_filter(filter: &str) -> Result<Arc<str>, Reason> {
    topic::Subscription::parse(filter).map(|_| filter.into()).map_err(|_| Reason::TopicFilterInvalid)
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
#[path = "packet_tests.rs"]
mod tests;
