//! The MQTT broker: MQTT 3.1.1 and 5 over mutual TLS, with the policies, the limits and the manners of AWS IoT.
//!
//! - [`packet`] and [`answer`] are what is heard and said, in one language for both versions; [`reader`] makes packets of bytes; [`topic`]
//!   and [`subscriptions`] know what a filter is for; `session` is what one client has waiting, `retained` what a topic has; `router` and
//!   `routing` say who is there and who gets what; `grant` asks the policies; [`refusal`] is what they refuse. All of these are pure.
//! - `journal` makes durable what was promised; `wire`, `connection` and [`listener`] are the only ones that know bytes and sockets.
//! - [`backend`] is the port to the rest of the hub.
//!
//! Invariants:
//! - A certificate is asked for at connect and whenever it changes; every connect, publish, subscription and delivery is decided by its
//!   policies. Nobody waits for anybody else: a publisher never for a reader, a reader never for a publisher.
//! - What was acknowledged survives the process: the subscriptions of a persistent session, retained messages, and messages of QoS 1
//!   for a persistent session until its client acknowledges them.
//! - QoS 2, shared subscriptions and extended authentication are refused; user names and passwords are ignored.
//!
//! Sources: <https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/mqtt-v3.1.1.html>, <https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html>,
//! <https://docs.aws.amazon.com/iot/latest/developerguide/mqtt.html>, whose differences from the two are kept.

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

/// How often delayed wills and the ends of sessions are looked after.
const TICK: Duration = Duration::from_secs(1);

/// A handle on the broker.
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
    /// Held while a certificate is read again, so that an older answer never replaces a newer one.
    regranting: tokio::sync::Mutex<()>,
}

impl<B: Backend> Broker<B> {
    /// A broker that goes on where the last one has stopped. `now` is in seconds since the epoch.
    pub async fn open(backend: Arc<B>, now: fn() -> u64) -> Result<Self, StoreError> {
        let mut router = Router::default();
        router.restore(backend.load().await?, now());
        let journal = Journal::start(Arc::clone(&backend));
        let (router, counters, regranting) = (Mutex::new(router), Counters::default(), tokio::sync::Mutex::default());
        let broker = Self(Arc::new(Inner { backend, router, journal, counters, now, regranting }));
        broker.watch_the_clock();
        Ok(broker)
    }

    /// Publishes messages of the hub itself; no policy is asked but those of the readers. They are durable for
    /// the persistent sessions that are to get them when this returns.
    pub async fn publish(&self, messages: &[Message]) -> Result<(), Unavailable> {
        let ((), ticket) = self.change(|router, now, fx| {
            for message in messages {
                router.publish(message, now, fx);
            }
        });
        ticket.durable().await.map_err(|_| Unavailable)
    }

    /// Reads again what a certificate is worth. If it is not active any more, or unknown, its connections end
    /// at once; otherwise they go on with what it may do now.
    pub async fn certificate_changed(&self, certificate: &CertificateId) -> Result<(), StoreError> {
        let _alone = self.0.regranting.lock().await;
        self.lock().registry_changes();
        let certificate_status = self.0.backend.certificate_status(certificate).await?;
        self.lock().regrant(certificate, certificate_status.as_ref());
        Ok(())
    }

    /// Whether a client is connected. It is known for half an hour after it has disconnected.
    pub fn connection(&self, client_id: &str) -> Connection {
        self.lock().connection(client_id, (self.0.now)())
    }

    /// The certificate with which a client is connected.
    pub fn certificate(&self, client_id: &str) -> Option<CertificateId> {
        self.lock().certificate(client_id)
    }

    /// Ends the connection of a client, which may come again. Whether there was one.
    pub fn disconnect(&self, client_id: &str) -> bool {
        self.lock().stop(client_id, Reason::Administrative)
    }

    /// What was counted.
    pub fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// Ends all connections; nobody is let in any more.
    fn close(&self) {
        self.lock().close();
    }

    /// A panic elsewhere leaves a router that is at worst a message short: better than none.
    fn lock(&self) -> MutexGuard<'_, Router> {
        self.0.router.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one way to change the router: what follows from the change is done in its order.
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

    /// Runs as long as there is a broker.
    fn watch_the_clock(&self) {
        let inner = Arc::downgrade(&self.0);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::spawn(async move {
            loop {
                ticks.tick().await;
                let Some(inner) = inner.upgrade() else { return };
                // Nobody waits for what time has brought.
                let _ = Self(inner).change(Router::tick);
            }
        });
    }
}

/// A message could not be made durable.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("the message could not be stored")]
pub struct Unavailable;
