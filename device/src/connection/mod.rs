//! One connection to the broker, the pauses between connections, and whether a broker can be reached at all.

pub(crate) mod link;
pub(crate) mod pause;
pub(crate) mod reach;
