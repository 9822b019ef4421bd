//! What the broker asks of the rest of the hub: who may connect, what the shadows say, and what must outlive the process.

use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::Bytes;
use onething::identifiers::CertificateId;
use thiserror::Error;

use super::message::Message;
use super::packet::Subscription;
use super::reason::Reason;
use super::refusal::Refusal;
use crate::policy::{Policy, ThingContext};

/// What a certificate is worth at the moment.
#[derive(Clone, Debug, Default)]
pub struct CertificateStatus {
    /// Whether the certificate is ACTIVE.
    pub active: bool,
    /// The policies attached to it.
    pub policies: Vec<Arc<Policy>>,
    /// The things it is attached to.
    pub attachments: Vec<Attached>,
}

/// A thing that a certificate is attached to.
#[derive(Clone, Debug)]
pub struct Attached {
    /// The thing.
    pub thing: ThingContext,
    /// Whether the certificate is attached to it as `EXCLUSIVE_THING`.
    pub exclusive: bool,
}

/// A message to a topic that begins with `$aws/`, which the policy of its publisher allows.
#[derive(Clone, Debug)]
pub struct Request {
    /// The topic, such as `$aws/things/NAME/shadow/update`.
    pub topic: Arc<str>,
    /// The payload as it came.
    pub payload: Bytes,
    /// The publisher's client id.
    pub client_id: Arc<str>,
}

/// Why a message to a reserved topic was not taken.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RequestError {
    /// No service listens to this topic: its publisher is disconnected, as AWS IoT does.
    #[error("nothing takes messages to this topic")]
    NoSuchTopic,
    /// It could not be stored.
    #[error("the message could not be stored")]
    Unavailable,
}

/// What must be kept could not be written or read.
#[derive(Debug, Error)]
#[error("the broker's store does not answer")]
pub struct StoreError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// One thing that the store is to remember. Changes are made in their order, and each may come again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A persistent session is there, or has another expiry.
    SessionKept {
        /// The client id.
        client_id: Arc<str>,
        /// How long it outlives its connection, in seconds.
        expiry: u32,
        /// When it ends, in seconds since the epoch. `None` while its client is connected.
        ends: Option<u64>,
    },
    /// A session is over, with its subscriptions and its queue.
    SessionEnded {
        /// The client id.
        client_id: Arc<str>,
    },
    /// A subscription of a persistent session; it replaces one with the same filter.
    Subscribed {
        /// The client id.
        client_id: Arc<str>,
        /// The subscription.
        subscription: Subscription,
    },
    /// A subscription of a persistent session is gone.
    Unsubscribed {
        /// The client id.
        client_id: Arc<str>,
        /// Its filter.
        filter: Arc<str>,
    },
    /// A message waits for the client of a persistent session.
    Queued {
        /// The client id.
        client_id: Arc<str>,
        /// The message and its place.
        waiting: Waiting,
    },
    /// A message does not wait any more.
    Dequeued {
        /// The client id.
        client_id: Arc<str>,
        /// Its number.
        number: u64,
    },
    /// The retained message of its topic; it replaces another.
    Retained {
        /// The message.
        message: Message,
    },
    /// A topic has no retained message any more.
    Unretained {
        /// The topic.
        topic: Arc<str>,
    },
}

/// A message in the queue of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its place in the queue: numbers ascend, and none comes twice in a session.
    pub number: u64,
    /// The message, of QoS 1, with the retain flag that the client gets.
    pub message: Message,
    /// The numbers of the subscriptions it is for.
    pub identifiers: Box<[NonZeroU32]>,
}

/// What the store remembers.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// The persistent sessions.
    pub sessions: Vec<StoredSession>,
    /// The retained messages.
    pub retained: Vec<Message>,
}

/// A persistent session.
#[derive(Clone, Debug)]
pub struct StoredSession {
    /// The client id.
    pub client_id: Arc<str>,
    /// How long it outlives its connection, in seconds.
    pub expiry: u32,
    /// When it ends, in seconds since the epoch. `None` if its client was connected last.
    pub ends: Option<u64>,
    /// Its subscriptions.
    pub subscriptions: Vec<Subscription>,
    /// What waits for its client, by ascending number.
    pub queue: Vec<Waiting>,
}

/// News about a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The client id.
    pub client_id: Arc<str>,
    /// The thing that the client is, where it is one.
    pub thing: Option<Arc<str>>,
    /// When, in seconds since the epoch.
    pub at: u64,
    /// Grows with every connection: news may come out of order.
    pub connection: u64,
    /// `None` for connected.
    pub disconnected: Option<Reason>,
}

/// The rest of the hub, as the broker needs it.
pub trait Backend: Send + Sync + 'static {
    /// What a certificate is worth now. `None` for one that the registry does not know.
    fn certificate_status(&self, certificate: &CertificateId)
    -> impl Future<Output = Result<Option<CertificateStatus>, StoreError>> + Send;

    /// Takes a message to a topic that begins with `$aws/`. What it does is durable when this returns; the
    /// messages returned are published.
    fn request(&self, request: Request) -> impl Future<Output = Result<Vec<Message>, RequestError>> + Send;

    /// What an earlier process has left.
    fn load(&self) -> impl Future<Output = Result<Stored, StoreError>> + Send;

    /// Writes changes in their order, all or none of them. They are durable when this returns. It is never
    /// called twice at a time; after an error the same changes come again.
    fn write(&self, changes: &[Change]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// A client has connected or disconnected. This must not block.
    fn noticed(&self, notice: &Notice);

    /// A client was refused something, as often as it wants it. This must not block.
    fn refused(&self, refusal: &Refusal);
}
