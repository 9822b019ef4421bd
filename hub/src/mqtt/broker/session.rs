//! The state of one session: its subscriptions, the messages that wait for its client, and its connection, if there is one.
//!
//! Messages of QoS 1 stand in one queue, in their order: those in front are on their way to the client and keep their packet id until
//! the client acknowledges them, also into the next connection. Messages of QoS 0 wait apart, and only while there is a connection.
//! Both are bounded, so a client that does not read costs only itself. A full queue loses its oldest message that is not on its way,
//! since the newest says most about what a device should do; a new message of QoS 0 finds no place.

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

/// How many messages of QoS 1 wait for one client.
pub(super) const QUEUE_LENGTH: usize = 1_000;
/// How many bytes of QoS 1 wait for one client. A single message may be larger than what is left.
pub(super) const QUEUE_BYTES: usize = 512 * 1024;
/// How many messages of QoS 0 wait for one client.
const OUTBOX_LENGTH: usize = 100;
/// How many bytes of QoS 0 wait for one client.
const OUTBOX_BYTES: usize = 256 * 1024;

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client_id: Arc<str>,
    pub(super) subscriptions: Vec<Subscription>,
    queue: VecDeque<Entry>,
    queue_bytes: usize,
    /// How many of the queue are on their way.
    sent: usize,
    next_number: u64,
    next_id: NonZeroU16,
    /// How long it outlives its connection, in seconds.
    pub(super) expiry: u32,
    /// When it ends, while there is no connection.
    pub(super) ends: Option<u64>,
    pub(super) link: Option<Box<Link>>,
    /// The will of the last connection, while it is delayed.
    pub(super) delayed: Option<Box<DelayedWill>>,
}

/// A message of QoS 1.
#[derive(Debug)]
struct Entry {
    number: u64,
    message: Message,
    identifiers: Box<[NonZeroU32]>,
    id: Option<NonZeroU16>,
    /// The grant under which it was found that the client may receive it.
    cleared: Option<u64>,
}

/// The connection of a session.
#[derive(Debug)]
pub(super) struct Link {
    /// Tells this connection from earlier ones.
    pub(super) number: u64,
    pub(super) grant: Arc<Grant>,
    /// Tells this grant from earlier ones.
    pub(super) grant_number: u64,
    pub(super) wake_up: Arc<WakeUp>,
    pub(super) receive_maximum: u16,
    pub(super) will: Option<Box<Will>>,
    outbox: VecDeque<Delivery>,
    outbox_bytes: usize,
}

/// A will that waits.
#[derive(Debug)]
pub(super) struct DelayedWill {
    pub(super) at: u64,
    pub(super) will: Will,
    pub(super) grant: Arc<Grant>,
}

/// What became of a message that was offered to a session.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Offered {
    /// It waits; with QoS 1 under this number, in place of those that had to go.
    Taken { number: Option<u64>, dropped: Vec<u64> },
    /// There is no place for it, or nobody who could get it.
    Dropped,
    /// The client may not receive it.
    Refused(Box<Refusal>),
}

/// What a connection takes out of its session.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// What is to be sent.
    pub(super) deliveries: Vec<Delivery>,
    /// The numbers of what is not to be sent any more.
    pub(super) gone: Vec<u64>,
    /// What of that the client may not receive.
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

    /// Whether it outlives its connection.
    pub(super) fn is_persistent(&self) -> bool {
        self.expiry > 0
    }

    /// Whether its client is the publisher of a message.
    pub(super) fn has_published(&self, message: &Message) -> bool {
        message.publisher.as_ref() == Some(&self.client_id)
    }

    /// Puts back what an earlier process has left.
    pub(super) fn restore(&mut self, waiting: Waiting) {
        self.next_number = self.next_number.max(waiting.number + 1);
        self.queue_bytes += waiting.message.size();
        let Waiting { number, message, identifiers } = waiting;
        self.queue.push_back(Entry { number, message, identifiers, id: None, cleared: None });
    }

    /// Begins a connection: what was on its way goes out again.
    pub(super) fn attach(&mut self, link: Link) {
        self.sent = 0;
        self.ends = None;
        self.link = Some(Box::new(link));
    }

    /// Offers a message, which has the QoS and the retain flag that this client gets.
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
        // What is on its way may fill the queue all alone.
        if self.queue.len() >= QUEUE_LENGTH || (self.queue_bytes + size > QUEUE_BYTES && !self.queue.is_empty()) {
            return if dropped.is_empty() { Offered::Dropped } else { Offered::Taken { number: None, dropped } };
        }
        let number = self.next_number;
        self.next_number += 1;
        self.queue_bytes += size;
        self.queue.push_back(Entry { number, message, identifiers, id: None, cleared });
        Offered::Taken { number: Some(number), dropped }
    }

    /// What is to be sent now, up to `room` bytes and at least one message.
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

    /// A packet id that no message of the queue has. The queue is much shorter than there are ids.
    fn free_id(&mut self) -> NonZeroU16 {
        loop {
            let id = self.next_id;
            self.next_id = id.checked_add(1).unwrap_or(NonZeroU16::MIN);
            if !self.queue.iter().any(|entry| entry.id == Some(id)) {
                return id;
            }
        }
    }

    /// The client has a message. Its number, unless nothing of that id is on its way.
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

    /// The numbers of what waits.
    #[cfg(test)]
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.queue.iter().map(|entry| entry.number).collect()
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
