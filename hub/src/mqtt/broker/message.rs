//! An Application Message, independent of the MQTT versions of its publisher and its subscribers.
//!
//! The MQTT 5 properties of a message are forwarded unchanged (MQTT 5, section 3.3.2.3). An MQTT 3.1.1 subscriber does not
//! receive them. Payloads are confidential: `Debug` does not print them.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The QoS of a message. AWS IoT does not support QoS 2.
/// (<https://docs.aws.amazon.com/iot/latest/developerguide/mqtt.html#mqtt-qos>)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Qos {
    /// QoS 0: the message is not acknowledged and may be lost.
    AtMostOnce,
    /// QoS 1: the message is sent until it is acknowledged.
    AtLeastOnce,
}

/// An Application Message.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The topic name.
    pub topic: Arc<str>,
    /// The payload: any bytes, at most 128 KB from a client.
    pub payload: Bytes,
    /// The QoS: as published, and later the lower QoS of the subscription.
    pub qos: Qos,
    /// The RETAIN flag.
    pub retain: bool,
    /// When the message expires, as Unix time in seconds. `None` if it does not expire.
    pub expires: Option<u64>,
    /// The other MQTT 5 properties. `None` if there are none.
    pub properties: Option<Arc<Properties>>,
    /// The Client Identifier of the publisher. `None` for a message of the hub, such as the response of a service.
    pub publisher: Option<Arc<str>>,
}

/// The properties that an MQTT 5 publisher sends to the subscribers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Properties {
    /// Payload Format Indicator: the payload is UTF-8 text.
    pub utf8: bool,
    /// Content Type, such as a MIME type.
    pub content_type: Option<String>,
    /// Response Topic: the topic for a response.
    pub response_topic: Option<String>,
    /// Correlation Data, which identifies the request in the response.
    pub correlation_data: Option<Vec<u8>>,
    /// User Properties: names and values, in the order of the publisher.
    pub user: Vec<(String, String)>,
}

impl Properties {
    fn size(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let user: usize = self.user.iter().map(|(name, value)| name.len() + value.len()).sum();
        text(&self.content_type) + text(&self.response_topic) + self.correlation_data.as_ref().map_or(0, Vec::len) + user
    }
}

impl Message {
    /// Creates a message of the hub. It has QoS 1, so that each subscriber receives it with the QoS of the subscription.
    pub fn new(topic: &str, payload: impl Into<Bytes>) -> Self {
        let (topic, payload) = (topic.into(), payload.into());
        Self { topic, payload, qos: Qos::AtLeastOnce, retain: false, expires: None, properties: None, publisher: None }
    }

    /// Returns the size that counts for the queue limits, in bytes: topic, payload and properties.
    pub fn size(&self) -> usize {
        self.topic.len() + self.payload.len() + self.properties.as_ref().map_or(0, |properties| properties.size())
    }

    /// Whether the message has expired. `now` is the Unix time in seconds.
    pub fn expired(&self, now: u64) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Message");
        shown.field("topic", &self.topic).field("qos", &self.qos).field("retain", &self.retain);
        shown.field("bytes", &self.payload.len()).finish_non_exhaustive()
    }
}
