//! The retained messages: the last one of each topic, for later subscriptions (MQTT 5, section 3.3.1.3).

use std::collections::HashMap;
use std::sync::Arc;

use super::message::Message;
use super::topic;

/// The largest number of retained messages.
const LENGTH: usize = 10_000;
/// The largest total size of the retained messages, in bytes. It bounds the memory that clients can use.
const BYTES: usize = 32 * 1024 * 1024;

/// The retained messages by topic, with their total size in bytes.
#[derive(Debug, Default)]
pub(super) struct Retained {
    messages: HashMap<Arc<str>, Message>,
    bytes: usize,
}

impl Retained {
    /// Stores a message and replaces the one of its topic. Returns `false`, and changes nothing, if a limit would be exceeded.
    pub(super) fn insert(&mut self, message: Message) -> bool {
        let (replaced, size) = (self.messages.get(&message.topic).map_or(0, Message::size), message.size());
        let new = usize::from(replaced == 0);
        if self.messages.len() + new > LENGTH || self.bytes - replaced + size > BYTES {
            return false;
        }
        self.bytes = self.bytes - replaced + size;
        self.messages.insert(Arc::clone(&message.topic), message);
        true
    }

    /// Removes the message of a topic and returns whether there was one.
    pub(super) fn remove(&mut self, topic: &str) -> bool {
        let removed = self.messages.remove(topic);
        self.bytes -= removed.as_ref().map_or(0, Message::size);
        removed.is_some()
    }

    /// Returns the messages that match a filter and have not expired.
    pub(super) fn matching(&self, filter: &str, now: u64) -> Vec<Message> {
        let mut found: Vec<Message> = if topic::has_wildcard(filter) {
            self.messages.values().filter(|message| topic::matches(filter, &message.topic)).cloned().collect()
        } else {
            self.messages.get(filter).cloned().into_iter().collect()
        };
        found.retain(|message| !message.expired(now));
        found
    }

    /// Removes the expired messages and returns their topics.
    pub(super) fn expire(&mut self, now: u64) -> Vec<Arc<str>> {
        let expired = self.messages.iter().filter(|(_, message)| message.expired(now)).map(|(topic, _)| Arc::clone(topic));
        let expired: Vec<_> = expired.collect();
        for topic in &expired {
            self.remove(topic);
        }
        expired
    }

    /// Returns the number of retained messages.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retained_message_replaces_the_previous_one_of_its_topic() {
        let mut retained = Retained::default();
        assert!(retained.insert(Message::new("a/b", vec![0; 100])) && retained.insert(Message::new("a/b", vec![0; 10])));
        assert_eq!((retained.len(), retained.bytes), (1, 13));
        assert_eq!(retained.matching("a/+", 0).len(), 1);
        assert!(retained.remove("a/b") && !retained.remove("a/b"));
        assert_eq!(retained.bytes, 0);
    }

    #[test]
    fn the_total_size_of_retained_messages_is_limited() {
        let mut retained = Retained::default();
        let taken = (0..400).filter(|n| retained.insert(Message::new(&n.to_string(), vec![0; 128 * 1024]))).count();
        assert_eq!(taken, 255);
        assert!(retained.insert(Message::new("0", "short")));
    }

    #[test]
    fn an_expired_retained_message_is_not_sent_and_is_removed() {
        let mut retained = Retained::default();
        retained.insert(Message { expires: Some(5), ..Message::new("a", "x") });
        assert_eq!((retained.matching("#", 4).len(), retained.matching("#", 5).len()), (1, 0));
        assert_eq!((retained.expire(4).len(), retained.expire(5).len(), retained.len()), (0, 1, 0));
    }
}
