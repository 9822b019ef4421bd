//! The state of one session: its subscriptions, the messages that wait for its client, and its connection, if there is one.
//!
//! QoS 1 messages are in one ordered queue. The messages at its front are in flight: they were sent and keep their Packet
//! Identifier until the client acknowledges them, across connections. QoS 0 messages are in a separate queue, which exists only
//! during a connection. Both queues are bounded, so a client that does not read affects only itself. A full QoS 1 queue drops its
//! oldest message that is not in flight, because the newest message is the most relevant to a device. A full QoS 0 queue drops
//! the new message.

use std::collections::VecDeque;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use super::answer::{Delivery, RECEIVE_MAXIMUM};
use super::backend::Waiting;
use super::grant::Grant;
use super::message::{Message, Qos};
use super::packet::{Subscription, Will};
use super::refusal::Refusal;
use super::wake_up::WakeUp;

/// The largest number of QoS 1 messages in the queue of a session.
pub(super) const QUEUE_LENGTH: usize = 1_000;
/// The largest size of the QoS 1 queue of a session, in bytes. An empty queue takes a message of any size.
pub(super) const QUEUE_BYTES: usize = 512 * 1024;
/// The largest number of QoS 0 messages in the queue of a connection.
const OUTBOX_LENGTH: usize = 100;
/// The largest size of the QoS 0 queue of a connection, in bytes. An empty queue takes a message of any size.
const OUTBOX_BYTES: usize = 256 * 1024;

/// The session of one client.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client_id: Arc<str>,
    pub(super) subscriptions: Vec<Subscription>,
    queue: VecDeque<Entry>,
    queue_bytes: usize,
    /// The number of messages at the front of the queue that are in flight.
    sent: usize,
    next_number: u64,
    next_id: NonZeroU16,
    /// The Session Expiry Interval: how long the session is kept after its connection, in seconds.
    pub(super) expiry: u32,
    /// When the session ends, as Unix time in seconds. `None` during a connection.
    pub(super) ends: Option<u64>,
    pub(super) link: Option<Box<Link>>,
    /// The Will Message of the last connection, during its Will Delay Interval.
    pub(super) delayed: Option<Box<DelayedWill>>,
}

/// A QoS 1 message in the queue of a session.
#[derive(Debug)]
struct Entry {
    number: u64,
    message: Message,
    identifiers: Box<[NonZeroU32]>,
    id: Option<NonZeroU16>,
    /// The number of the grant under which `iot:Receive` was last allowed for this message.
    cleared: Option<u64>,
}

/// The connection of a session.
#[derive(Debug)]
pub(super) struct Link {
    /// Identifies the connection. A later connection has a higher number.
    pub(super) number: u64,
    pub(super) grant: Arc<Grant>,
    /// Identifies the grant. A later grant has a higher number.
    pub(super) grant_number: u64,
    pub(super) wake_up: Arc<WakeUp>,
    pub(super) receive_maximum: u16,
    pub(super) will: Option<Box<Will>>,
    outbox: VecDeque<Delivery>,
    outbox_bytes: usize,
}

/// A Will Message during its Will Delay Interval. `at` is the Unix time in seconds at which it is published.
#[derive(Debug)]
pub(super) struct DelayedWill {
    pub(super) at: u64,
    pub(super) will: Will,
    pub(super) grant: Arc<Grant>,
}

/// The result of offering a message to a session.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Offered {
    /// The message is queued. A QoS 1 message has a number; `dropped` are the numbers of the messages that were removed for it.
    /// The number is also `None` if messages were removed but the new message still did not fit.
    Taken { number: Option<u64>, dropped: Vec<u64> },
    /// The queue is full, or the message has QoS 0 and the client is not connected.
    Dropped,
    /// The policies do not allow the client to receive the message.
    Refused(Box<Refusal>),
}

/// The messages that a connection takes from its session.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The messages to send.
    pub(super) deliveries: Vec<Delivery>,
    /// The numbers of the messages that were removed because they expired or were refused.
    pub(super) gone: Vec<u64>,
    /// The refusals of `iot:Receive` among the removed messages.
    pub(super) refusals: Vec<Refusal>,
}

impl Link {
    pub(super) fn new(number: u64, grant: Arc<Grant>, grant_number: u64, wake_up: Arc<WakeUp>) -> Self {
        let (outbox, outbox_bytes, receive_maximum) = (VecDeque::new(), 0, RECEIVE_MAXIMUM);
        Self { number, grant, grant_number, wake_up, receive_maximum, will: None, outbox, outbox_bytes }
    }
}

impl Session {
    pub(super) fn new(client_id: Arc<str>, expiry: u32) -> Self {
        Self {
            client_id,
            subscriptions: Vec::new(),
            queue: VecDeque::new(),
            queue_bytes: 0,
            sent: 0,
            next_number: 1,
            next_id: NonZeroU16::MIN,
            expiry,
            ends: None,
            link: None,
            delayed: None,
        }
    }

    /// Whether the session is kept after its connection.
    pub(super) fn is_persistent(&self) -> bool {
        self.expiry > 0
    }

    /// Whether the client of this session has published a message.
    pub(super) fn has_published(&self, message: &Message) -> bool {
        message.publisher.as_ref() == Some(&self.client_id)
    }

    /// Appends a queued message from the store.
    pub(super) fn restore(&mut self, waiting: Waiting) {
        self.next_number = self.next_number.max(waiting.number + 1);
        self.queue_bytes += waiting.message.size();
        let Waiting { number, message, identifiers } = waiting;
        self.queue.push_back(Entry { number, message, identifiers, id: None, cleared: None });
    }

    /// Begins a connection. The messages in flight are sent again.
    pub(super) fn attach(&mut self, link: Link) {
        self.sent = 0;
        self.ends = None;
        self.link = Some(Box::new(link));
    }

    /// Adds a message to a queue. The message has the QoS and the RETAIN flag that this client receives.
    pub(super) fn offer(&mut self, message: Message, identifiers: Box<[NonZeroU32]>) -> Offered {
        if let Some(Err(refusal)) = self.link.as_ref().map(|link| link.grant.may_receive(&message.topic)) {
            return Offered::Refused(refusal);
        }
        let cleared = self.link.as_ref().map(|link| link.grant_number);
        match (message.qos, &mut self.link) {
            (Qos::AtMostOnce, None) => Offered::Dropped,
            (Qos::AtMostOnce, Some(link)) => {
                let size = message.size();
                let full = link.outbox.len() >= OUTBOX_LENGTH || link.outbox_bytes + size > OUTBOX_BYTES;
                if full && !link.outbox.is_empty() {
                    return Offered::Dropped;
                }
                link.outbox_bytes += size;
                link.outbox.push_back(Delivery { message, id: None, duplicate: false, identifiers });
                Offered::Taken { number: None, dropped: Vec::new() }
            }
            (Qos::AtLeastOnce, _) => self.enqueue(message, identifiers, cleared),
        }
    }

    fn enqueue(&mut self, message: Message, identifiers: Box<[NonZeroU32]>, cleared: Option<u64>) -> Offered {
        let size = message.size();
        let mut dropped = Vec::new();
        while self.queue.len() >= QUEUE_LENGTH || (self.queue_bytes + size > QUEUE_BYTES && !self.queue.is_empty()) {
            let Some(oldest) = self.queue.remove(self.sent) else { break };
            self.queue_bytes -= oldest.message.size();
            dropped.push(oldest.number);
        }
        // Messages in flight are never removed, and may fill the queue alone.
        if self.queue.len() >= QUEUE_LENGTH || (self.queue_bytes + size > QUEUE_BYTES && !self.queue.is_empty()) {
            return if dropped.is_empty() { Offered::Dropped } else { Offered::Taken { number: None, dropped } };
        }
        let number = self.next_number;
        self.next_number += 1;
        self.queue_bytes += size;
        self.queue.push_back(Entry { number, message, identifiers, id: None, cleared });
        Offered::Taken { number: Some(number), dropped }
    }

    /// Takes the next messages to send, up to `room` bytes but at least one message.
    pub(super) fn take(&mut self, now: u64, room: usize) -> Taken {
        let (mut taken, mut bytes) = (Taken::default(), 0);
        let Some(mut link) = self.link.take() else { return taken };
        while bytes < room
            && let Some(delivery) = link.outbox.pop_front()
        {
            link.outbox_bytes -= delivery.message.size();
            bytes += delivery.message.size();
            taken.deliveries.push(delivery);
        }
        if link.outbox.is_empty() {
            link.outbox = VecDeque::new();
        }
        let window = usize::from(link.receive_maximum.min(RECEIVE_MAXIMUM));
        while bytes < room && self.sent < window {
            let Some(entry) = self.queue.get_mut(self.sent) else { break };
            let is_cleared = entry.cleared == Some(link.grant_number);
            let refusal = if is_cleared { None } else { link.grant.may_receive(&entry.message.topic).err() };
            if entry.message.expired(now) || refusal.is_some() {
                taken.refusals.extend(refusal.map(|refusal| *refusal));
                taken.gone.extend(self.remove(self.sent));
                continue;
            }
            entry.cleared = Some(link.grant_number);
            let duplicate = entry.id.is_some();
            let id = match entry.id {
                Some(id) => id,
                None => self.free_id(),
            };
            if let Some(entry) = self.queue.get_mut(self.sent) {
                entry.id = Some(id);
                bytes += entry.message.size();
                taken.deliveries.push(Delivery {
                    message: entry.message.clone(),
                    id: Some(id),
                    duplicate,
                    identifiers: entry.identifiers.clone(),
                });
            }
            self.sent += 1;
        }
        self.link = Some(link);
        taken
    }

    /// Returns a Packet Identifier that no queued message has. The queue is much shorter than the range of identifiers.
    fn free_id(&mut self) -> NonZeroU16 {
        loop {
            let id = self.next_id;
            self.next_id = id.checked_add(1).unwrap_or(NonZeroU16::MIN);
            if !self.queue.iter().any(|entry| entry.id == Some(id)) {
                return id;
            }
        }
    }

    /// Removes an acknowledged message and returns its number. `None` if no message with this Packet Identifier is in flight.
    pub(super) fn acknowledge(&mut self, id: NonZeroU16) -> Option<u64> {
        let place = self.queue.iter().take(self.sent).position(|entry| entry.id == Some(id))?;
        self.sent -= 1;
        self.remove(place)
    }

    fn remove(&mut self, place: usize) -> Option<u64> {
        let entry = self.queue.remove(place)?;
        self.queue_bytes -= entry.message.size();
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        Some(entry.number)
    }

    /// Returns the numbers of the queued messages, in their order.
    #[cfg(test)]
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.queue.iter().map(|entry| entry.number).collect()
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
