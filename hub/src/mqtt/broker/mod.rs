//! An MQTT broker for MQTT 3.1.1 and MQTT 5 over mutual TLS, with the policies, the limits and the behaviour of AWS IoT.
//!
//! - [`packet`] holds the packets of clients and [`answer`] the packets of the broker, each in one form for both MQTT versions.
//!   [`reader`] decodes packets. [`topic`] and [`subscriptions`] match topic filters with topic names. `session` holds the state
//!   of one client, `retained` the retained messages. `router` tracks connections and sessions, and `routing` distributes
//!   messages. `grant` evaluates the policies, and [`refusal`] describes a refused request. None of these modules does I/O.
//! - `journal` makes changes durable. Only `packet_stream`, `connection` and [`listener`] handle bytes and sockets.
//! - [`backend`] is the interface to the rest of the hub.
//!
//! Invariants:
//! - The broker reads the status of a certificate at connect and after each change of the certificate. The policies of the
//!   certificate decide every connect, publish, subscription and delivery. A publisher never waits for a subscriber, nor a
//!   subscriber for a publisher.
//! - Acknowledged state survives a restart: the subscriptions of a persistent session, retained messages, and QoS 1 messages for a
//!   persistent session until the client acknowledges them.
//! - The broker refuses QoS 2 messages, shared subscriptions and extended authentication. It ignores user names and passwords.
//!
//! Sources: <https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/mqtt-v3.1.1.html>,
//! <https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html>, and
//! <https://docs.aws.amazon.com/iot/latest/developerguide/mqtt.html>, which takes precedence where AWS IoT differs from the two.

pub mod answer;
pub mod backend;
pub mod counters;
pub mod listener;
pub mod message;
pub mod packet;
pub mod reader;
pub mod reason;
pub mod refusal;
pub mod subscriptions;
pub mod topic;

mod connection;
mod grant;
mod journal;
mod packet_stream;
mod retained;
mod router;
mod routing;
mod session;
mod subscription_options;
mod wake_up;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onething::identifiers::CertificateId;
use tokio::time::{MissedTickBehavior, interval};

use backend::{Backend, StoreError};
use counters::Counters;
use journal::{Journal, Ticket};
use message::Message;
use reason::Reason;
use router::{Effects, Router};

pub use router::Connection;

/// The interval at which the broker publishes delayed Will Messages and ends expired sessions.
const TICK: Duration = Duration::from_secs(1);

/// A handle on the broker. Clones refer to the same broker.
pub struct Broker<B>(Arc<Inner<B>>);

impl<B> Clone for Broker<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Inner<B> {
    backend: Arc<B>,
    router: Mutex<Router>,
    journal: Journal,
    counters: Counters,
    now: fn() -> u64,
    /// Held while the status of a certificate is read again, so that an older status never replaces a newer one.
    regranting: tokio::sync::Mutex<()>,
}

impl<B: Backend> Broker<B> {
    /// Starts a broker with the state in the store. `now` returns the Unix time in seconds.
    pub async fn open(backend: Arc<B>, now: fn() -> u64) -> Result<Self, StoreError> {
        let mut router = Router::default();
        router.restore(backend.load().await?, now());
        let journal = Journal::start(Arc::clone(&backend));
        let (router, counters, regranting) = (Mutex::new(router), Counters::default(), tokio::sync::Mutex::default());
        let broker = Self(Arc::new(Inner { backend, router, journal, counters, now, regranting }));
        broker.spawn_ticks();
        Ok(broker)
    }

    /// Publishes messages of the hub itself. Only the policies of the subscribers apply (`iot:Receive`). When this returns, the
    /// messages are durable in the persistent sessions that receive them.
    pub async fn publish(&self, messages: &[Message]) -> Result<(), Unavailable> {
        let ((), ticket) = self.change(|router, now, fx| {
            for message in messages {
                router.publish(message, now, fx);
            }
        });
        ticket.durable().await.map_err(|_| Unavailable)
    }

    /// Reads the status of a certificate again and applies it to the connections of the certificate. If the certificate is no
    /// longer active, or is unknown, these connections end at once.
    pub async fn certificate_changed(&self, certificate: &CertificateId) -> Result<(), StoreError> {
        let _alone = self.0.regranting.lock().await;
        self.lock().registry_changes();
        let certificate_status = self.0.backend.certificate_status(certificate).await?;
        self.lock().regrant(certificate, certificate_status.as_ref());
        Ok(())
    }

    /// Returns whether a client is connected. A disconnection is remembered for half an hour.
    pub fn connection(&self, client_id: &str) -> Connection {
        self.lock().connection(client_id, (self.0.now)())
    }

    /// Returns the certificate of the connection of a client. `None` if the client is not connected.
    pub fn certificate(&self, client_id: &str) -> Option<CertificateId> {
        self.lock().certificate(client_id)
    }

    /// Ends the connection of a client and returns whether there was one. The client may connect again.
    pub fn disconnect(&self, client_id: &str) -> bool {
        self.lock().stop(client_id, Reason::Administrative)
    }

    /// Returns the counters of the broker.
    pub fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// Ends all connections and refuses further ones.
    fn close(&self) {
        self.lock().close();
    }

    /// Ignores poisoning: after a panic in another task the router lacks at most one message.
    fn lock(&self) -> MutexGuard<'_, Router> {
        self.0.router.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the router and carries out the effects of the change, in their order. All other changes with effects go through
    /// this.
    fn change<T>(&self, change: impl FnOnce(&mut Router, u64, &mut Effects) -> T) -> (T, Ticket) {
        let (now, mut fx) = ((self.0.now)(), Effects::default());
        let mut router = self.lock();
        let outcome = change(&mut router, now, &mut fx);
        let ticket = self.0.journal.append(fx.changes);
        let counters = &self.0.counters;
        counters.connected.set(router.connected());
        counters.sessions.set(router.sessions.len());
        counters.subscriptions.set(router.index.len());
        counters.retained.set(router.retained.len());
        drop(router);
        counters.dropped.add(fx.dropped);
        fx.wake_ups.iter().for_each(|wake_up| wake_up.wake());
        fx.notices.iter().for_each(|notice| self.0.backend.noticed(notice));
        fx.refusals.iter().for_each(|refusal| self.0.backend.refused(refusal));
        (outcome, ticket)
    }

    /// Starts the task that calls [`Router::tick`] once per [`TICK`]. The task ends when the broker is dropped.
    fn spawn_ticks(&self) {
        let inner = Arc::downgrade(&self.0);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::spawn(async move {
            loop {
                ticks.tick().await;
                let Some(inner) = inner.upgrade() else { return };
                // No packet is acknowledged for these changes, so their durability is not awaited.
                let _ = Self(inner).change(Router::tick);
            }
        });
    }
}

/// The store is unavailable, so a message is not durable.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("the message could not be stored")]
pub struct Unavailable;
