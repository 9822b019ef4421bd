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

/// A kind of event.
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

/// An event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Event {
    /// The outcome of a request to `POST /register`.
    Registration(registrations::Kept),
    /// A refusal of the broker.
    Refusal(refusals::Kept),
    /// A mail that did not go out at the first attempt.
    Mail(DelayedMail),
}

/// A mail that did not go out at the first attempt, by its last change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DelayedMail {
    /// When its state was last looked at, in seconds since the epoch.
    pub at: u64,
    /// What has become of it.
    pub outcome: State,
    /// The masked address of its recipient.
    pub to: String,
    /// Whose certificate is in it, where there is one.
    pub thing: Option<String>,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// Who must act: `speaker`, `again` (nobody) or `maker`.
    pub fault: Option<String>,
    /// Why it did not go out at the last attempt.
    pub detail: Option<String>,
}

impl From<Mail> for DelayedMail {
    fn from(mail: Mail) -> Self {
        let Mail { changed, state, to, thing, attempts, fault, failure, .. } = mail;
        Self { at: changed, outcome: state, to, thing, attempts, fault, detail: failure }
    }
}

/// Why no events were read.
#[derive(Debug, Error)]
pub enum LookError {
    /// No database.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The database cannot be read.
    #[error("the events cannot be read")]
    Events(#[from] StoreError),
}

impl Event {
    /// When, in seconds since the epoch.
    pub fn at(&self) -> u64 {
        match self {
            Self::Registration(kept) => kept.at,
            Self::Refusal(kept) => kept.at,
            Self::Mail(mail) => mail.at,
        }
    }
}

/// The last events of one kind or of all, the oldest of them first.
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

/// The same, from the database of a hub that is not running.
pub fn look(database: &Path, kind: Option<Kind>, count: u32) -> Result<Vec<Event>, LookError> {
    Ok(last(&store::look(database)?, kind, count)?)
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
