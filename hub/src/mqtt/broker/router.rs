//! The connections and sessions of the broker: its core, without I/O.
//!
//! The router does not wait, write or read a clock. It collects in [`Effects`] the changes for the store, the connections to
//! wake, and the events for the rest of the hub. The part about messages and subscriptions is in `routing`.
//!
//! A Client Identifier has at most one connection. A persistent session belongs to the Client Identifier and not to a
//! certificate: the policies decide who may connect with the Client Identifier, and `iot:Receive` is checked again before each
//! delivery.

use std::collections::HashMap;
use std::num::NonZeroU16;
use std::sync::Arc;

use onething::identifiers::CertificateId;

use super::answer::Delivery;
use super::backend::{CertificateStatus, Change, Notice, Stored};
use super::grant::Grant;
use super::packet::{Connect, Will};
use super::reason::Reason;
use super::refusal::{Cause, Refusal};
use super::retained::Retained;
use super::session::{DelayedWill, Link, Session, Taken};
use super::subscription_options::Options;
use super::subscriptions::Subscriptions;
use super::topic;
use super::wake_up::WakeUp;
use crate::policy::Request;

/// How long a disconnection is remembered, in seconds: half an hour, as in the GetConnection of AWS IoT.
const REMEMBERED: u64 = 30 * 60;

/// The effects of a change that the caller has to carry out.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// The changes for the store, in this order.
    pub(super) changes: Vec<Change>,
    /// The connections that have messages to send.
    pub(super) wake_ups: Vec<Arc<WakeUp>>,
    /// The connect and disconnect events for the rest of the hub.
    pub(super) notices: Vec<Notice>,
    /// The requests that were refused.
    pub(super) refusals: Vec<Refusal>,
    /// The number of messages that were dropped for a client.
    pub(super) dropped: usize,
}

/// The connection status of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// The client is connected.
    Connected {
        /// When the client connected, as Unix time in seconds.
        since: u64,
    },
    /// The client has disconnected within the last half hour.
    Disconnected {
        /// When the client disconnected, as Unix time in seconds.
        since: u64,
        /// Why the connection ended.
        reason: Reason,
    },
    /// The client has not been connected within the last half hour, or since the start of the hub.
    Unknown,
}

/// A CONNECT that the policies allow.
#[derive(Debug)]
pub(super) struct AdmittedConnect {
    pub(super) client_id: Arc<str>,
    pub(super) grant: Grant,
    pub(super) connect: Box<Connect>,
}

/// Identifies the session and the connection of a connected client.
#[derive(Clone, Debug)]
pub(super) struct ConnectionKey {
    pub(super) session: u64,
    pub(super) connection: u64,
    pub(super) wake_up: Arc<WakeUp>,
}

/// All sessions, subscriptions and retained messages.
#[derive(Debug, Default)]
pub(super) struct Router {
    pub(super) sessions: HashMap<u64, Session>,
    names: HashMap<Arc<str>, u64>,
    pub(super) index: Subscriptions<u64, Options>,
    pub(super) retained: Retained,
    connected: HashMap<Arc<str>, u64>,
    disconnected: HashMap<Arc<str>, (u64, Reason)>,
    numbers: u64,
    revision: u64,
    closing: bool,
}

impl Router {
    /// Restores the state in the store. A client that was connected counts as disconnected at `now`.
    pub(super) fn restore(&mut self, stored: Stored, now: u64) {
        for stored in stored.sessions {
            let mut session = Session::new(stored.client_id, stored.expiry);
            session.ends = Some(stored.ends.unwrap_or(now + u64::from(stored.expiry)));
            stored.queue.into_iter().for_each(|waiting| session.restore(waiting));
            let number = self.insert(session);
            for subscription in stored.subscriptions {
                self.hold(number, subscription);
            }
        }
        for message in stored.retained {
            self.retained.insert(message);
        }
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn insert(&mut self, session: Session) -> u64 {
        let number = self.next_number();
        self.names.insert(Arc::clone(&session.client_id), number);
        self.sessions.insert(number, session);
        number
    }

    /// The revision of the registry. It grows with each change; a grant that was read at another revision must be read again.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// Connects a client. The flag in the result is Session Present: the client resumes an earlier session.
    pub(super) fn connect(&mut self, arrival: AdmittedConnect, now: u64, fx: &mut Effects) -> Result<(ConnectionKey, bool), Reason> {
        if self.closing {
            return Err(Reason::ShuttingDown);
        }
        let AdmittedConnect { client_id, grant, connect } = arrival;
        self.end_previous(&client_id, connect.clean_start, now, fx);
        let (session, present) = match self.names.get(&client_id) {
            Some(&session) => (session, true),
            None => (self.insert(Session::new(Arc::clone(&client_id), 0)), false),
        };
        let (connection, grant_number) = (self.next_number(), self.next_number());
        let wake_up = Arc::new(WakeUp::new());
        let thing = grant.thing().map(Into::into);
        let mut link = Link::new(connection, Arc::new(grant), grant_number, Arc::clone(&wake_up));
        link.receive_maximum = connect.receive_maximum;
        link.will = connect.will.map(|mut will| {
            will.message.publisher = Some(Arc::clone(&client_id));
            Box::new(will)
        });
        if let Some(held) = self.sessions.get_mut(&session) {
            let expiry = connect.session_expiry;
            if expiry > 0 {
                fx.changes.push(Change::SessionKept { client_id: Arc::clone(&client_id), expiry, ends: None });
            } else if held.is_persistent() {
                fx.changes.push(Change::SessionEnded { client_id: Arc::clone(&client_id) });
            }
            held.expiry = expiry;
            held.attach(link);
        }
        self.connected.insert(Arc::clone(&client_id), now);
        self.disconnected.remove(&client_id);
        fx.notices.push(Notice { client_id, thing, at: now, connection, disconnected: None });
        Ok((ConnectionKey { session, connection, wake_up }, present))
    }

    /// Ends the previous connection of a client, and its session unless the new connection resumes the session.
    fn end_previous(&mut self, client_id: &Arc<str>, clean: bool, now: u64, fx: &mut Effects) {
        let Some(&number) = self.names.get(client_id) else { return };
        let Some(session) = self.sessions.get_mut(&number) else { return };
        if let Some(link) = session.link.take() {
            link.wake_up.stop(Reason::TakenOver);
            self.record_disconnect(client_id, &link, now, Reason::TakenOver, fx);
            self.publish_or_delay_will(number, *link, now, fx);
        }
        let Some(session) = self.sessions.get_mut(&number) else { return };
        let over = clean || !session.is_persistent() || session.ends.is_some_and(|ends| ends <= now);
        // A delayed Will Message is not published if the client resumes its session (MQTT 5, section 3.1.3.2.2).
        let delayed = session.delayed.take().filter(|_| over);
        if over {
            self.end(number, fx);
        }
        if let Some(delayed) = delayed {
            self.publish_will(delayed.will, &delayed.grant, now, fx);
        }
    }

    /// Ends a connection, unless it has ended already. `expiry` is the Session Expiry Interval of the DISCONNECT, if it has one.
    pub(super) fn disconnect(&mut self, place: &ConnectionKey, reason: Reason, expiry: Option<u32>, now: u64, fx: &mut Effects) {
        let Some(session) = self.sessions.get_mut(&place.session) else { return };
        let Some(link) = session.link.take_if(|link| link.number == place.connection) else { return };
        // A session that was not persistent at connect cannot become persistent (MQTT 5, section 3.14.2.2.2).
        if let Some(expiry) = expiry.filter(|_| session.is_persistent()) {
            session.expiry = expiry;
            if expiry == 0 {
                fx.changes.push(Change::SessionEnded { client_id: Arc::clone(&session.client_id) });
            }
        }
        let client_id = Arc::clone(&session.client_id);
        if session.is_persistent() {
            let ends = Some(now + u64::from(session.expiry));
            session.ends = ends;
            fx.changes.push(Change::SessionKept { client_id: Arc::clone(&client_id), expiry: session.expiry, ends });
        }
        let persistent = session.is_persistent();
        self.record_disconnect(&client_id, &link, now, reason, fx);
        if !matches!(reason, Reason::NormalDisconnect | Reason::ShuttingDown) {
            self.publish_or_delay_will(place.session, *link, now, fx);
        }
        if !persistent {
            self.end(place.session, fx);
        }
    }

    fn record_disconnect(&mut self, client_id: &Arc<str>, link: &Link, now: u64, reason: Reason, fx: &mut Effects) {
        self.connected.remove(client_id);
        self.disconnected.insert(Arc::clone(client_id), (now, reason));
        let thing = link.grant.thing().map(Into::into);
        let (client_id, connection) = (Arc::clone(client_id), link.number);
        fx.notices.push(Notice { client_id, thing, at: now, connection, disconnected: Some(reason) });
    }

    /// Publishes the Will Message of a connection, or schedules it for the end of its Will Delay Interval.
    fn publish_or_delay_will(&mut self, session: u64, link: Link, now: u64, fx: &mut Effects) {
        let Some(will) = link.will else { return };
        let Some(held) = self.sessions.get_mut(&session) else { return };
        let delay = will.delay.min(held.expiry);
        if delay > 0 {
            held.delayed = Some(Box::new(DelayedWill { at: now + u64::from(delay), will: *will, grant: link.grant }));
        } else {
            self.publish_will(*will, &link.grant, now, fx);
        }
    }

    /// Publishes a Will Message if the policies allow it. As in AWS IoT, a Will Message to a reserved topic is not published.
    fn publish_will(&mut self, will: Will, grant: &Grant, now: u64, fx: &mut Effects) {
        let mut message = will.message;
        if message.publisher.as_ref().is_some_and(|client_id| topic::is_bridge_state(&message.topic, client_id)) {
            return;
        }
        let reserved = || topic::is_reserved(&message.topic).then(|| grant.refusal(&Request::Publish(&message.topic), Cause::ReservedWill));
        if let Err(refusal) = grant.may_publish(&message.topic, message.retain).and_then(|()| reserved().map_or(Ok(()), Err)) {
            fx.refusals.push(Refusal { is_will: true, ..*refusal });
            fx.dropped += 1;
            return;
        }
        message.expires = will.lifetime.map(|lifetime| now + u64::from(lifetime));
        self.publish(&message, now, fx);
    }

    /// Ends a session and deletes its subscriptions and queue.
    fn end(&mut self, number: u64, fx: &mut Effects) {
        let Some(session) = self.sessions.remove(&number) else { return };
        self.names.remove(&session.client_id);
        self.index.remove_all(number, session.subscriptions.iter().map(|subscription| &*subscription.filter));
        if session.is_persistent() {
            fx.changes.push(Change::SessionEnded { client_id: session.client_id });
        }
    }

    /// Does the work that is due at `now`: publishes delayed Will Messages, ends expired sessions, removes expired retained
    /// messages, and forgets old disconnections.
    pub(super) fn tick(&mut self, now: u64, fx: &mut Effects) {
        let due = |session: &Session| {
            let over = session.ends.is_some_and(|ends| ends <= now);
            session.link.is_none() && (over || session.delayed.as_ref().is_some_and(|delayed| delayed.at <= now))
        };
        let due: Vec<u64> = self.sessions.iter().filter(|(_, session)| due(session)).map(|(&number, _)| number).collect();
        for number in due {
            let Some(session) = self.sessions.get_mut(&number) else { continue };
            let delayed = session.delayed.take();
            if session.ends.is_some_and(|ends| ends <= now) {
                self.end(number, fx);
            }
            if let Some(delayed) = delayed {
                self.publish_will(delayed.will, &delayed.grant, now, fx);
            }
        }
        self.disconnected.retain(|_, (at, _)| *at + REMEMBERED > now);
        fx.changes.extend(self.retained.expire(now).into_iter().map(|topic| Change::Unretained { topic }));
    }

    /// Marks a change of the registry. A CONNECT in progress then reads its grant again.
    pub(super) fn registry_changes(&mut self) {
        self.revision += 1;
    }

    /// Replaces the grants of the connections of a certificate, and ends these connections if the certificate is not active.
    pub(super) fn regrant(&mut self, certificate: &CertificateId, certificate_status: Option<&CertificateStatus>) {
        let grant_number = self.next_number();
        for link in self.sessions.values_mut().filter_map(|session| session.link.as_deref_mut()) {
            if link.grant.certificate() != certificate {
                continue;
            }
            link.grant = Arc::new(link.grant.with(certificate_status.cloned()));
            link.grant_number = grant_number;
            if !link.grant.is_active() {
                link.wake_up.stop(Reason::Administrative);
            }
        }
    }

    /// Returns the connection status of a client at `now`.
    pub(super) fn connection(&self, client_id: &str, now: u64) -> Connection {
        if let Some(&since) = self.connected.get(client_id) {
            return Connection::Connected { since };
        }
        match self.disconnected.get(client_id) {
            Some(&(since, reason)) if since + REMEMBERED > now => Connection::Disconnected { since, reason },
            _ => Connection::Unknown,
        }
    }

    /// Returns the certificate of the connection of a client.
    pub(super) fn certificate(&self, client_id: &str) -> Option<CertificateId> {
        let session = self.names.get(client_id).and_then(|number| self.sessions.get(number))?;
        session.link.as_ref().map(|link| link.grant.certificate().clone())
    }

    /// Ends the connection of a client and returns whether there was one.
    pub(super) fn stop(&self, client_id: &str, reason: Reason) -> bool {
        let session = self.names.get(client_id).and_then(|number| self.sessions.get(number));
        let Some(link) = session.and_then(|session| session.link.as_ref()) else { return false };
        link.wake_up.stop(reason);
        true
    }

    /// Ends all connections and refuses further ones.
    pub(super) fn close(&mut self) {
        self.closing = true;
        for link in self.sessions.values().filter_map(|session| session.link.as_ref()) {
            link.wake_up.stop(Reason::ShuttingDown);
        }
    }

    /// Returns the session of a connection. `None` if the connection was ended or replaced.
    pub(super) fn held(&mut self, place: &ConnectionKey) -> Option<&mut Session> {
        let session = self.sessions.get_mut(&place.session)?;
        session.link.as_ref().is_some_and(|link| link.number == place.connection).then_some(session)
    }

    /// Returns the current grant of a connection. `None` if the connection was ended or replaced.
    pub(super) fn grant(&self, place: &ConnectionKey) -> Option<Arc<Grant>> {
        let link = self.sessions.get(&place.session)?.link.as_ref()?;
        (link.number == place.connection).then(|| Arc::clone(&link.grant))
    }

    /// Takes the next messages for a connection, up to `room` bytes but at least one message.
    pub(super) fn take(&mut self, place: &ConnectionKey, now: u64, room: usize, fx: &mut Effects) -> Vec<Delivery> {
        let Some(session) = self.held(place) else { return Vec::new() };
        let Taken { deliveries, gone, refusals } = session.take(now, room);
        fx.dropped += gone.len();
        fx.refusals.extend(refusals);
        session.dequeued(gone, fx);
        deliveries
    }

    /// Handles a PUBACK. Returns whether a message with this Packet Identifier was in flight.
    pub(super) fn acknowledge(&mut self, place: &ConnectionKey, id: NonZeroU16, fx: &mut Effects) -> bool {
        let Some(session) = self.held(place) else { return false };
        let number = session.acknowledge(id);
        session.dequeued(number, fx);
        number.is_some()
    }

    /// Returns the number of connected clients.
    pub(super) fn connected(&self) -> usize {
        self.connected.len()
    }
}

impl Session {
    /// Records that messages were removed from the queue of a persistent session.
    pub(super) fn dequeued(&self, numbers: impl IntoIterator<Item = u64>, fx: &mut Effects) {
        if self.is_persistent() {
            let client_id = &self.client_id;
            fx.changes.extend(numbers.into_iter().map(|number| Change::Dequeued { client_id: Arc::clone(client_id), number }));
        }
    }
}

#[cfg(test)]
#[path = "router_tests.rs"]
mod tests;
