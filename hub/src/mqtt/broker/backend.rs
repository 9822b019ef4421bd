//! The interface between the broker and the rest of the hub: the certificates, the shadow service, and the store for durable state.

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

/// The current status, policies and things of a certificate.
#[derive(Clone, Debug, Default)]
pub struct CertificateStatus {
    /// Whether the certificate is ACTIVE.
    pub active: bool,
    /// The policies that are attached to the certificate.
    pub policies: Vec<Arc<Policy>>,
    /// The things that the certificate is attached to.
    pub attachments: Vec<Attached>,
}

/// A thing that a certificate is attached to.
#[derive(Clone, Debug)]
pub struct Attached {
    /// The name, type and attributes of the thing.
    pub thing: ThingContext,
    /// Whether the attachment has the type `EXCLUSIVE_THING`.
    pub exclusive: bool,
}

/// A message to a topic that begins with `$aws/`. The policies of its publisher allow the publish.
#[derive(Clone, Debug)]
pub struct Request {
    /// The topic, such as `$aws/things/NAME/shadow/update`.
    pub topic: Arc<str>,
    /// The payload as the client sent it.
    pub payload: Bytes,
    /// The Client Identifier of the publisher.
    pub client_id: Arc<str>,
}

/// Why a message to a reserved topic was not processed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RequestError {
    /// No service handles this topic. The broker disconnects the publisher, as AWS IoT does.
    #[error("nothing takes messages to this topic")]
    NoSuchTopic,
    /// The store is unavailable.
    #[error("the message could not be stored")]
    Unavailable,
}

/// The store could not be read or written.
#[derive(Debug, Error)]
#[error("the broker's store does not answer")]
pub struct StoreError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A change of the durable state. The store applies changes in their order. After an error the same change may be written again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A persistent session was created, or its expiry or end has changed.
    SessionKept {
        /// The Client Identifier.
        client_id: Arc<str>,
        /// The Session Expiry Interval: how long the session is kept after its connection, in seconds.
        expiry: u32,
        /// When the session ends, as Unix time in seconds. `None` while the client is connected.
        ends: Option<u64>,
    },
    /// A session has ended. Its subscriptions and its queue are deleted with it.
    SessionEnded {
        /// The Client Identifier.
        client_id: Arc<str>,
    },
    /// A subscription of a persistent session was made. It replaces one with the same filter.
    Subscribed {
        /// The Client Identifier.
        client_id: Arc<str>,
        /// The subscription with its options.
        subscription: Subscription,
    },
    /// A subscription of a persistent session was removed.
    Unsubscribed {
        /// The Client Identifier.
        client_id: Arc<str>,
        /// The topic filter of the subscription.
        filter: Arc<str>,
    },
    /// A message was added to the queue of a persistent session.
    Queued {
        /// The Client Identifier.
        client_id: Arc<str>,
        /// The message and its number in the queue.
        waiting: Waiting,
    },
    /// A message was removed from the queue of a persistent session: acknowledged, expired, refused or displaced.
    Dequeued {
        /// The Client Identifier.
        client_id: Arc<str>,
        /// The number of the message, see [`Waiting::number`].
        number: u64,
    },
    /// A retained message was stored. It replaces the one of the same topic.
    Retained {
        /// The retained message with its topic.
        message: Message,
    },
    /// The retained message of a topic was removed.
    Unretained {
        /// The topic of the removed message.
        topic: Arc<str>,
    },
}

/// A message in the queue of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The number of the message in the queue. Numbers ascend, and a session uses none twice.
    pub number: u64,
    /// The message, with QoS 1 and the RETAIN flag that the client receives.
    pub message: Message,
    /// The Subscription Identifiers of the matching subscriptions.
    pub identifiers: Box<[NonZeroU32]>,
}

/// The durable state of the broker, as read at start.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// The persistent sessions with their subscriptions and queues.
    pub sessions: Vec<StoredSession>,
    /// The retained messages, at most one for each topic.
    pub retained: Vec<Message>,
}

/// A persistent session in the store.
#[derive(Clone, Debug)]
pub struct StoredSession {
    /// The Client Identifier.
    pub client_id: Arc<str>,
    /// The Session Expiry Interval: how long the session is kept after its connection, in seconds.
    pub expiry: u32,
    /// When the session ends, as Unix time in seconds. `None` if the client was connected when the process stopped.
    pub ends: Option<u64>,
    /// The subscriptions of the session.
    pub subscriptions: Vec<Subscription>,
    /// The queued messages, by ascending number.
    pub queue: Vec<Waiting>,
}

/// The event that a client has connected or disconnected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The Client Identifier.
    pub client_id: Arc<str>,
    /// The thing that is associated with the connection, if there is one.
    pub thing: Option<Arc<str>>,
    /// The time of the event, as Unix time in seconds.
    pub at: u64,
    /// The number of the connection. A later connection has a higher number. Events may arrive out of order.
    pub connection: u64,
    /// Why the client has disconnected. `None` if the client has connected.
    pub disconnected: Option<Reason>,
}

/// The services that the broker needs from the rest of the hub.
pub trait Backend: Send + Sync + 'static {
    /// Returns the current status of a certificate. `None` if the registry does not contain the certificate.
    fn certificate_status(&self, certificate: &CertificateId)
    -> impl Future<Output = Result<Option<CertificateStatus>, StoreError>> + Send;

    /// Processes a message to a topic that begins with `$aws/`. Its effect is durable when this returns. The broker publishes the
    /// returned messages.
    fn request(&self, request: Request) -> impl Future<Output = Result<Vec<Message>, RequestError>> + Send;

    /// Reads the durable state. Called once, at start.
    fn load(&self) -> impl Future<Output = Result<Stored, StoreError>> + Send;

    /// Writes changes in their order, all or none of them. They are durable when this returns. Calls do not overlap. After an
    /// error the broker writes the same changes again.
    fn write(&self, changes: &[Change]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes the event that a client has connected or disconnected. This must not block.
    fn noticed(&self, notice: &Notice);

    /// Takes a refused request. A client can repeat a request without limit, so this must be cheap. It must not block.
    fn refused(&self, refusal: &Refusal);
}
