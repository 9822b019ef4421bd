//! The form of a shadow in the database, and the remembered version of a deleted shadow.
//!
//! A shadow that is created within 48 hours after the deletion of a shadow with the same name continues the version of the
//! deleted shadow. A device that missed the deletion then does not ignore the new updates as old ones
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-data-flow.html>).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::document::{Document, Section};

/// How long the version of a deleted shadow is remembered, in seconds.
pub(super) const REMEMBERED: u64 = 48 * 60 * 60;

/// A shadow in the database.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored {
    /// The shadow exists.
    Present(Document),
    /// The shadow was deleted.
    Deleted {
        /// The last version of the shadow.
        version: u64,
        /// When the shadow was deleted, as Unix time in seconds.
        at: u64,
    },
}

/// The stored text was not written by [`Stored::text`].
#[derive(Debug, Error)]
#[error("the stored shadow cannot be read")]
pub struct Corrupt(#[from] serde_json::Error);

/// The stored text. Its metadata are bare numbers, as Unix time in seconds.
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
    /// Returns the JSON text for the database.
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
        // Serialization fails only for map keys that are not strings. All keys here are strings.
        serde_json::to_string(&row).unwrap_or_default()
    }

    /// Parses the text of [`Stored::text`].
    pub fn restore(text: &str) -> Result<Self, Corrupt> {
        let Row { desired, reported, version, deleted } = serde_json::from_str(text)?;
        Ok(match deleted {
            None => Self::Present(Document { desired: desired.into_owned(), reported: reported.into_owned(), version }),
            Some(at) => Self::Deleted { version, at },
        })
    }

    /// Returns the document of the shadow. `None` if the shadow was deleted.
    pub fn document(&self) -> Option<&Document> {
        match self {
            Self::Present(document) => Some(document),
            Self::Deleted { .. } => None,
        }
    }

    /// Whether the version of a deleted shadow is no longer remembered. `now` is the Unix time in seconds.
    pub fn is_forgotten(&self, now: u64) -> bool {
        matches!(self, Self::Deleted { at, .. } if now.saturating_sub(*at) > REMEMBERED)
    }

    /// Returns the document to which an update is applied.
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
