//! The options of a subscription that the index holds for routing.

use std::num::NonZeroU32;

use super::message::Qos;
use super::packet::Subscription;

/// The options of a subscription in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) qos: Qos,
    pub(super) no_local: bool,
    pub(super) retain_as_published: bool,
    pub(super) identifier: Option<NonZeroU32>,
}

impl From<&Subscription> for Options {
    fn from(subscription: &Subscription) -> Self {
        let &Subscription { qos, no_local, retain_as_published, identifier, .. } = subscription;
        Self { qos, no_local, retain_as_published, identifier }
    }
}
