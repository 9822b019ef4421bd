//! The events that the hub keeps, in one list: registrations of devices ([`crate::registration`]), refusals of the broker
//! ([`crate::mqtt::refusals`]), and mail that did not go out at the first attempt ([`crate::mail::outgoing`]).

use std::path::Path;

use clap::ValueEnum;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::mail::outgoing::{self, Mail, State};
use crate::mqtt::refusals;
use crate::registration::audit as registrations;
use crate::storage::store::{self, OpenError, StoreError};

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Outcomes of `POST /register`.
    Registration,
    /// Refusals of the broker.
    Refusal,
    /// Mail that did not go out at the first attempt.
    Mail,
}

/// A stored event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Event {
    /// The outcome of a request to `POST /register`.
    Registration(registrations::Kept),
    /// A refusal of the broker.
    Refusal(refusals::StoredRefusal),
    /// A mail that did not go out at the first attempt.
    Mail(DelayedMail),
}

/// A mail that was not sent at the first attempt, in its current state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DelayedMail {
    /// When the hub last updated it, after an attempt for example, as Unix time in seconds.
    pub at: u64,
    /// Its current state.
    pub outcome: State,
    /// The masked address of its recipient.
    pub to: String,
    /// The thing whose certificate the mail contains, if it contains one.
    pub thing: Option<String>,
    /// The number of failed attempts.
    pub attempts: u32,
    /// Who must act: `speaker` (the user), `again` (the hub, which tries again) or `maker` (the operator).
    pub fault: Option<String>,
    /// The error of the last attempt.
    pub detail: Option<String>,
}

impl From<Mail> for DelayedMail {
    fn from(mail: Mail) -> Self {
        let Mail { changed, state, to, thing, attempts, fault, failure, .. } = mail;
        Self { at: changed, outcome: state, to, thing, attempts, fault, detail: failure }
    }
}

/// Why events could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The database cannot be opened.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The database cannot be queried.
    #[error("the events cannot be read")]
    Events(#[from] StoreError),
}

impl Event {
    /// When the event happened, as Unix time in seconds.
    pub fn at(&self) -> u64 {
        match self {
            Self::Registration(kept) => kept.at,
            Self::Refusal(kept) => kept.at,
            Self::Mail(mail) => mail.at,
        }
    }
}

/// The last `count` events of one kind or of all kinds, the oldest first.
pub fn last(db: &Connection, kind: Option<Kind>, count: u32) -> Result<Vec<Event>, StoreError> {
    let mut events = Vec::new();
    if kind.is_none_or(|kind| kind == Kind::Registration) {
        events.extend(registrations::last(db, count)?.into_iter().map(Event::Registration));
    }
    if kind.is_none_or(|kind| kind == Kind::Refusal) {
        events.extend(refusals::last(db, count)?.into_iter().map(Event::Refusal));
    }
    if kind.is_none_or(|kind| kind == Kind::Mail) {
        events.extend(outgoing::delayed(db, count)?.into_iter().map(|mail| Event::Mail(mail.into())));
    }
    events.sort_by_key(Event::at);
    let surplus = events.len().saturating_sub(usize::try_from(count).unwrap_or(usize::MAX));
    events.drain(..surplus);
    Ok(events)
}

/// Reads the last events from the database of a hub that is not running. See [`last`].
pub fn look(database: &Path, kind: Option<Kind>, count: u32) -> Result<Vec<Event>, ReadError> {
    Ok(last(&store::look(database)?, kind, count)?)
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
