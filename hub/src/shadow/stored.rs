//! What a database keeps of a shadow, and for how long it remembers one that was deleted.
//!
//! A shadow that is made within 48 hours after one of its name was deleted goes on counting where that one
//! ended, so that a device which missed the deletion does not take its updates for old ones
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-data-flow.html>).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::document::{Document, Section};

/// For how long after its deletion a shadow's version is remembered, in seconds.
pub(super) const REMEMBERED: u64 = 48 * 60 * 60;

/// What is kept of a shadow.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored {
    /// There is a shadow.
    Present(Document),
    /// There was one.
    Deleted {
        /// Its last version.
        version: u64,
        /// When it was deleted, in seconds since the epoch.
        at: u64,
    },
}

/// The text is not one that [`Stored::text`] wrote.
#[derive(Debug, Error)]
#[error("the stored shadow cannot be read")]
pub struct Corrupt(#[from] serde_json::Error);

/// The text as it is stored. The metadata is in it as bare seconds.
#[derive(Serialize, Deserialize)]
struct Row<'a> {
    #[serde(default, skip_serializing_if = "is_empty")]
    desired: Cow<'a, Section>,
    #[serde(default, skip_serializing_if = "is_empty")]
    reported: Cow<'a, Section>,
    version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deleted: Option<u64>,
}

fn is_empty(section: &Section) -> bool {
    section.values.is_empty()
}

impl Stored {
    /// The text to be stored: JSON.
    pub fn text(&self) -> String {
        let row = match self {
            Self::Present(document) => Row {
                desired: Cow::Borrowed(&document.desired),
                reported: Cow::Borrowed(&document.reported),
                version: document.version,
                deleted: None,
            },
            Self::Deleted { version, at } => {
                Row { desired: Cow::default(), reported: Cow::default(), version: *version, deleted: Some(*at) }
            }
        };
        // It fails only for names that are no strings, and these are.
        serde_json::to_string(&row).unwrap_or_default()
    }

    /// What was stored as this text.
    pub fn restore(text: &str) -> Result<Self, Corrupt> {
        let Row { desired, reported, version, deleted } = serde_json::from_str(text)?;
        Ok(match deleted {
            None => Self::Present(Document { desired: desired.into_owned(), reported: reported.into_owned(), version }),
            Some(at) => Self::Deleted { version, at },
        })
    }

    /// The shadow, if there is one.
    pub fn document(&self) -> Option<&Document> {
        match self {
            Self::Present(document) => Some(document),
            Self::Deleted { .. } => None,
        }
    }

    /// Whether it may be thrown away: the shadow was deleted so long ago that nothing depends on it.
    pub fn is_forgotten(&self, now: u64) -> bool {
        matches!(self, Self::Deleted { at, .. } if now.saturating_sub(*at) > REMEMBERED)
    }

    /// The document that an update starts from.
    pub(super) fn base(current: Option<&Self>, now: u64) -> Cow<'_, Document> {
        match current {
            Some(Self::Present(document)) => Cow::Borrowed(document),
            Some(deleted @ Self::Deleted { version, .. }) if !deleted.is_forgotten(now) => {
                Cow::Owned(Document { version: *version, ..Document::default() })
            }
            Some(Self::Deleted { .. }) | None => Cow::Owned(Document::default()),
        }
    }
}
