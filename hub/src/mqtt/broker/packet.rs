//! What a client sends, as one language for MQTT 3.1.1 and 5.

use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use super::message::{Message, Qos};
use super::reason::Reason;

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
    /// The message, without its publisher.
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
    /// The message, without its publisher; its topic is empty where only an alias is given.
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

/// Why a packet is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What the client is told.
    pub reason: Reason,
    /// What is wrong, where the packet could be read so far.
    pub named: Option<Named>,
}

/// What a packet names that is not taken. All of it is any text, up to 64 KB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// The topic of a PUBLISH.
    Topic(String),
    /// A filter of a SUBSCRIBE.
    Filter(String),
    /// The will of a CONNECT.
    Will {
        /// The client id of the CONNECT.
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
    /// Messages that its own client has published are left out (MQTT 5, section 3.8.3.1).
    pub no_local: bool,
    /// Messages keep their retain flag.
    pub retain_as_published: bool,
    /// What happens to retained messages.
    pub retain_handling: RetainHandling,
    /// A number that comes along with its messages.
    pub identifier: Option<NonZeroU32>,
}
