//! The packets of a client, in one form for MQTT 3.1.1 and MQTT 5.

use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use super::message::{Message, Qos};
use super::reason::Reason;

/// The largest accepted packet without its fixed header, in bytes: 128 KB of payload as in AWS IoT, and the topic and properties.
pub const MAXIMUM_PACKET: u32 = 149_504;
/// The largest accepted payload, in bytes.
pub const MAXIMUM_PAYLOAD: usize = 128 * 1024;
/// How long a persistent session of an MQTT 3.1.1 client is kept after its connection, in seconds: the default of AWS IoT.
pub const SESSION_EXPIRY: u32 = 3600;
/// The longest Session Expiry Interval of an MQTT 5 client, in seconds: seven days, as in AWS IoT.
pub const MAXIMUM_SESSION_EXPIRY: u32 = 7 * 24 * 3600;

/// The MQTT version of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.1.
    V311,
    /// MQTT 5.
    V5,
}

/// A packet that a client sends.
#[derive(Debug)]
pub enum Packet {
    /// CONNECT: the first packet of a connection.
    Connect(Box<Connect>),
    /// PUBLISH of a message with QoS 0 or 1.
    Publish(Box<Publish>),
    /// PUBACK with its Packet Identifier.
    Acknowledge(NonZeroU16),
    /// SUBSCRIBE with one or more topic filters.
    Subscribe(Box<Subscribe>),
    /// UNSUBSCRIBE with its Packet Identifier and topic filters.
    Unsubscribe(NonZeroU16, Vec<Arc<str>>),
    /// PINGREQ.
    Ping,
    /// DISCONNECT: the client ends the connection.
    Disconnect {
        /// The broker publishes the Will Message although the client disconnects.
        with_will: bool,
        /// The new Session Expiry Interval, in seconds, if the packet has one.
        session_expiry: Option<u32>,
    },
}

/// The content of a CONNECT packet.
#[derive(Debug)]
pub struct Connect {
    /// The MQTT version of the client.
    pub version: Version,
    /// The Client Identifier. If it is empty, the broker assigns one.
    pub client_id: String,
    /// Clean Start, or Clean Session in MQTT 3.1.1: an earlier session is discarded.
    pub clean_start: bool,
    /// The Session Expiry Interval, in seconds: 0 for a session that ends with the connection, at most [`MAXIMUM_SESSION_EXPIRY`].
    pub session_expiry: u32,
    /// The requested Keep Alive, in seconds. 0 if the client requests none.
    pub keep_alive: u16,
    /// The Receive Maximum: how many QoS 1 messages may be in flight to the client.
    pub receive_maximum: u16,
    /// The Maximum Packet Size of the client, in bytes.
    pub maximum_packet: u32,
    /// The Will Message.
    pub will: Option<Will>,
}

/// A Will Message with its properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    /// The message. Its publisher is not set yet.
    pub message: Message,
    /// The Message Expiry Interval, in seconds after the publication.
    pub lifetime: Option<u32>,
    /// The Will Delay Interval, in seconds.
    pub delay: u32,
}

/// The content of a PUBLISH packet.
#[derive(Debug)]
pub struct Publish {
    /// The Packet Identifier. `None` for QoS 0.
    pub id: Option<NonZeroU16>,
    /// The message. Its publisher is not set yet. Its topic is empty if the packet has only a Topic Alias.
    pub message: Message,
    /// The Topic Alias.
    pub alias: Option<NonZeroU16>,
}

/// The content of a SUBSCRIBE packet.
#[derive(Debug)]
pub struct Subscribe {
    /// The Packet Identifier.
    pub id: NonZeroU16,
    /// The requested subscriptions, in the order of the packet.
    pub subscriptions: Vec<Subscription>,
}

/// Why a packet is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The reason that is sent to the client.
    pub reason: Reason,
    /// The topic or filter that is not accepted, if the packet could be decoded so far.
    pub named: Option<Named>,
}

/// The topic or filter of a packet that is not accepted. Each text is unchecked, up to 64 KB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// The topic of a PUBLISH.
    Topic(String),
    /// A filter of a SUBSCRIBE.
    Filter(String),
    /// The will of a CONNECT.
    Will {
        /// The Client Identifier of the CONNECT.
        client_id: String,
        /// The topic of the will.
        topic: String,
    },
}

impl From<Reason> for Fault {
    fn from(reason: Reason) -> Self {
        Self { reason, named: None }
    }
}

/// Retain Handling: when retained messages are sent for a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetainHandling {
    /// At each SUBSCRIBE.
    Always,
    /// At a SUBSCRIBE that makes a new subscription.
    WhenNew,
    /// At no SUBSCRIBE.
    Never,
}

/// A subscription that a client requests and a session holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The topic filter as the client sent it.
    pub filter: Arc<str>,
    /// The highest QoS of messages for this subscription.
    pub qos: Qos,
    /// No Local: messages that the same client has published are not sent (MQTT 5, section 3.8.3.1).
    pub no_local: bool,
    /// Retain As Published: messages keep the RETAIN flag of their publisher.
    pub retain_as_published: bool,
    /// When retained messages are sent.
    pub retain_handling: RetainHandling,
    /// The Subscription Identifier, which is sent with the messages.
    pub identifier: Option<NonZeroU32>,
}
