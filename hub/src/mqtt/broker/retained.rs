//! The last message of each topic that was published to be retained, for those who subscribe later (MQTT 5, section 3.3.1.3).

use std::collections::HashMap;
use std::sync::Arc;

use super::message::Message;
use super::topic;

/// How many topics may have one.
const LENGTH: usize = 10_000;
/// How many bytes they may have together, so that nobody fills the memory.
const BYTES: usize = 32 * 1024 * 1024;

/// The retained messages.
#[derive(Debug, Default)]
pub(super) struct Retained {
    messages: HashMap<Arc<str>, Message>,
    bytes: usize,
}

impl Retained {
    /// Keeps a message in place of the one its topic has. Whether there was room.
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

    /// Whether there was one.
    pub(super) fn remove(&mut self, topic: &str) -> bool {
        let removed = self.messages.remove(topic);
        self.bytes -= removed.as_ref().map_or(0, Message::size);
        removed.is_some()
    }

    /// Those that a filter is for and that are not past their time.
    pub(super) fn matching(&self, filter: &str, now: u64) -> Vec<Message> {
        let mut found: Vec<Message> = if topic::has_wildcard(filter) {
            self.messages.values().filter(|message| topic::matches(filter, &message.topic)).cloned().collect()
        } else {
            self.messages.get(filter).cloned().into_iter().collect()
        };
        found.retain(|message| !message.expired(now));
        found
    }

    /// Takes away those that are past their time, and returns their topics.
    pub(super) fn expire(&mut self, now: u64) -> Vec<Arc<str>> {
        let expired = self.messages.iter().filter(|(_, message)| message.expired(now)).map(|(topic, _)| Arc::clone(topic));
        let expired: Vec<_> = expired.collect();
        for topic in &expired {
            self.remove(topic);
        }
        expired
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retained_message_replaces_that_of_its_topic_and_counts_once() {
        let mut retained = Retained::default();
        assert!(retained.insert(Message::new("a/b", vec![0; 100])) && retained.insert(Message::new("a/b", vec![0; 10])));
        assert_eq!((retained.len(), retained.bytes), (1, 13));
        assert_eq!(retained.matching("a/+", 0).len(), 1);
        assert!(retained.remove("a/b") && !retained.remove("a/b"));
        assert_eq!(retained.bytes, 0);
    }

    #[test]
    fn there_is_room_for_so_many_retained_messages_and_no_more() {
        let mut retained = Retained::default();
        let taken = (0..400).filter(|n| retained.insert(Message::new(&n.to_string(), vec![0; 128 * 1024]))).count();
        assert_eq!(taken, 255);
        assert!(retained.insert(Message::new("0", "short")));
    }

    #[test]
    fn what_is_past_its_time_is_not_retained() {
        let mut retained = Retained::default();
        retained.insert(Message { expires: Some(5), ..Message::new("a", "x") });
        assert_eq!((retained.matching("#", 4).len(), retained.matching("#", 5).len()), (1, 0));
        assert_eq!((retained.expire(4).len(), retained.expire(5).len(), retained.len()), (0, 1, 0));
    }
}
