//! The part of the [`Router`] about subscriptions, retained messages and the distribution of messages.
//!
//! A client receives a message once, even if several of its subscriptions match: with the highest QoS of these subscriptions and
//! with all their Subscription Identifiers (MQTT 5, section 3.3.4).

use std::num::NonZeroU32;
use std::sync::Arc;

use super::backend::{Change, Waiting};
use super::message::{Message, Qos};
use super::packet::{RetainHandling, Subscription, Version};
use super::reason::Reason;
use super::refusal::{Cause, End, Refusal};
use super::router::{ConnectionKey, Effects, Router};
use super::session::Offered;
use super::subscription_options::Options;
use super::topic::Subscription as Filter;
use crate::policy::Request;

/// How many subscriptions a session may have: 50, as in AWS IoT.
/// (<https://docs.aws.amazon.com/general/latest/gr/iot-core.html#message-broker-limits>)
pub(super) const SUBSCRIPTIONS: usize = 50;
/// How many filters one SUBSCRIBE may have: 8, as in AWS IoT.
pub(super) const FILTERS: usize = 8;

impl Router {
    /// Offers a message to all matching sessions, and stores it if its RETAIN flag is set. Returns the number of matching sessions.
    pub(super) fn publish(&mut self, message: &Message, now: u64, fx: &mut Effects) -> usize {
        if message.expired(now) {
            return 0;
        }
        if message.retain {
            self.retain(message, fx);
        }
        let mut found: Vec<(u64, Options)> = Vec::new();
        self.index.visit(&message.topic, |session, options| {
            let is_own = || self.sessions.get(&session).is_some_and(|session| session.has_published(message));
            if !(options.no_local && is_own()) {
                found.push((session, options));
            }
        });
        found.sort_unstable_by_key(|(session, _)| *session);
        let mut readers = 0;
        for its in found.chunk_by(|one, other| one.0 == other.0) {
            let best = its.iter().map(|(_, options)| options.qos).max().unwrap_or(Qos::AtMostOnce);
            let mut copy = message.clone();
            copy.qos = message.qos.min(best);
            copy.retain = message.retain && its.iter().any(|(_, options)| options.retain_as_published);
            self.offer(its[0].0, copy, its.iter().filter_map(|(_, options)| options.identifier).collect(), fx);
            readers += 1;
        }
        readers
    }

    fn offer(&mut self, session: u64, message: Message, identifiers: Box<[NonZeroU32]>, fx: &mut Effects) {
        let Some(session) = self.sessions.get_mut(&session) else { return };
        let kept = session.is_persistent().then(|| (message.clone(), identifiers.clone()));
        match session.offer(message, identifiers) {
            Offered::Dropped => fx.dropped += 1,
            Offered::Refused(refusal) => {
                fx.refusals.push(*refusal);
                fx.dropped += 1;
            }
            Offered::Taken { number, dropped } => {
                fx.dropped += dropped.len();
                session.dequeued(dropped, fx);
                if let (Some(number), Some((message, identifiers))) = (number, kept) {
                    let waiting = Waiting { number, message, identifiers };
                    fx.changes.push(Change::Queued { client_id: Arc::clone(&session.client_id), waiting });
                }
                fx.wake_ups.extend(session.link.as_ref().map(|link| Arc::clone(&link.wake_up)));
            }
        }
    }

    /// Stores a retained message. An empty payload removes the retained message of the topic (MQTT 5, section 3.3.1.3).
    fn retain(&mut self, message: &Message, fx: &mut Effects) {
        if message.payload.is_empty() {
            if self.retained.remove(&message.topic) {
                fx.changes.push(Change::Unretained { topic: Arc::clone(&message.topic) });
            }
        } else if self.retained.insert(message.clone()) {
            fx.changes.push(Change::Retained { message: message.clone() });
        } else {
            fx.dropped += 1;
        }
    }

    /// Makes the subscriptions that the policies allow. Returns for each the granted QoS, or why it was refused. As in AWS IoT,
    /// an MQTT 3.1.1 client that requests a filter that the policies do not allow is disconnected.
    pub(super) fn subscribe(
        &mut self,
        place: &ConnectionKey,
        version: Version,
        asked: Vec<Subscription>,
        now: u64,
        fx: &mut Effects,
    ) -> Result<Vec<Result<Qos, Reason>>, End> {
        let grant = self.grant(place).ok_or(Reason::TakenOver)?;
        let refusal = |filter: &str, reason| grant.refusal(&Request::Subscribe(filter), Cause::Protocol(reason));
        if let Some(first) = asked.first().filter(|_| asked.len() > FILTERS) {
            return Err(refusal(&first.filter, Reason::QuotaExceeded).into());
        }
        let refusal_of = |filter: &str| match Filter::parse(filter) {
            Ok(Filter::Shared { .. }) => Some(refusal(filter, Reason::SharedNotSupported)),
            _ => grant.may_subscribe(filter).err(),
        };
        let judged: Vec<_> = asked.into_iter().map(|subscription| (refusal_of(&subscription.filter), subscription)).collect();
        let is_unauthorized = |refusal: &Refusal| refusal.cause.reason() == Reason::NotAuthorized;
        if version == Version::V311 && judged.iter().filter_map(|(refusal, _)| refusal.as_deref()).any(is_unauthorized) {
            let refusals = judged.into_iter().filter_map(|(refusal, _)| refusal.map(|refusal| *refusal)).collect();
            return Err(End { reason: Reason::NotAuthorized, refusals });
        }
        let mut outcomes = Vec::new();
        for (judged, subscription) in judged {
            let filter = Arc::clone(&subscription.filter);
            let outcome = match judged {
                Some(refusal) => Err(refusal),
                None => self.subscribe_one(place, subscription, now, fx).map_err(|reason| refusal(&filter, reason)),
            };
            outcomes.push(outcome.map_err(|refusal| {
                let reason = refusal.cause.reason();
                fx.refusals.push(*refusal);
                reason
            }));
        }
        Ok(outcomes)
    }

    fn subscribe_one(&mut self, place: &ConnectionKey, subscription: Subscription, now: u64, fx: &mut Effects) -> Result<Qos, Reason> {
        let session = self.held(place).ok_or(Reason::TakenOver)?;
        let new = session.subscriptions.iter().all(|held| held.filter != subscription.filter);
        if new && session.subscriptions.len() >= SUBSCRIPTIONS {
            return Err(Reason::QuotaExceeded);
        }
        if session.is_persistent() {
            fx.changes.push(Change::Subscribed { client_id: Arc::clone(&session.client_id), subscription: subscription.clone() });
        }
        let wanted = match subscription.retain_handling {
            RetainHandling::Always => true,
            RetainHandling::WhenNew => new,
            RetainHandling::Never => false,
        };
        if wanted {
            self.send_retained(place.session, &subscription, now, fx);
        }
        Ok(self.hold(place.session, subscription))
    }

    /// Adds a subscription to its session and to the index.
    pub(super) fn hold(&mut self, session: u64, subscription: Subscription) -> Qos {
        let qos = subscription.qos;
        if let Some(held) = self.sessions.get_mut(&session) {
            self.index.insert(&subscription.filter, session, Options::from(&subscription));
            held.subscriptions.retain(|other| other.filter != subscription.filter);
            held.subscriptions.push(subscription);
        }
        qos
    }

    fn send_retained(&mut self, session: u64, subscription: &Subscription, now: u64, fx: &mut Effects) {
        let Some(held) = self.sessions.get(&session) else { return };
        let mut messages = self.retained.matching(&subscription.filter, now);
        messages.retain(|message| !(subscription.no_local && held.has_published(message)));
        for mut message in messages {
            message.qos = message.qos.min(subscription.qos);
            self.offer(session, message, subscription.identifier.into_iter().collect(), fx);
        }
    }

    /// Removes subscriptions. Returns for each whether it existed.
    pub(super) fn unsubscribe(&mut self, place: &ConnectionKey, filters: &[Arc<str>], fx: &mut Effects) -> Vec<bool> {
        let existed = filters.iter().map(|filter| {
            let Some(session) = self.held(place) else { return false };
            let before = session.subscriptions.len();
            session.subscriptions.retain(|held| held.filter != *filter);
            let existed = session.subscriptions.len() < before;
            if existed && session.is_persistent() {
                fx.changes.push(Change::Unsubscribed { client_id: Arc::clone(&session.client_id), filter: Arc::clone(filter) });
            }
            self.index.remove(filter, place.session);
            existed
        });
        existed.collect()
    }
}
