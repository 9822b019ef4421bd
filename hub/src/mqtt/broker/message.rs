//! A message as the broker carries it, whatever version of MQTT its publisher and its reader speak.
//!
//! What MQTT 5 adds to a message travels with it untouched (MQTT 5, section 3.3.2.3); a reader with
//! MQTT 3.1.1 does not see it. A payload is nobody's business: no `Debug` shows it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// How often a message is delivered. AWS IoT knows no third level.
/// (<https://docs.aws.amazon.com/iot/latest/developerguide/mqtt.html#mqtt-qos>)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Qos {
    /// QoS 0.
    AtMostOnce,
    /// QoS 1.
    AtLeastOnce,
}

/// An application message.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The topic it was published to.
    pub topic: Arc<str>,
    /// Up to 128 KB of anything.
    pub payload: Bytes,
    /// How it was published.
    pub qos: Qos,
    /// Whether it was published to be retained.
    pub retain: bool,
    /// From when on nobody wants it any more, in seconds since the epoch.
    pub expires: Option<u64>,
    /// What else its publisher said, with MQTT 5.
    pub properties: Option<Arc<Properties>>,
    /// The client id of its publisher. `None` for the hub, whose services answer clients too.
    pub publisher: Option<Arc<str>>,
}

/// What a publisher with MQTT 5 says about a message, for its readers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Properties {
    /// The payload is text.
    pub utf8: bool,
    /// Such as a MIME type.
    pub content_type: Option<String>,
    /// Where an answer is expected.
    pub response_topic: Option<String>,
    /// By which the answer is known.
    pub correlation_data: Option<Vec<u8>>,
    /// Names and values, in their order.
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
    /// A message of the hub itself: QoS 1, so that every reader gets it as they subscribed.
    pub fn new(topic: &str, payload: impl Into<Bytes>) -> Self {
        let (topic, payload) = (topic.into(), payload.into());
        Self { topic, payload, qos: Qos::AtLeastOnce, retain: false, expires: None, properties: None, publisher: None }
    }

    /// What it takes of a queue, in bytes.
    pub fn size(&self) -> usize {
        self.topic.len() + self.payload.len() + self.properties.as_ref().map_or(0, |properties| properties.size())
    }

    /// Whether it is past its time. `now` is in seconds since the epoch.
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
