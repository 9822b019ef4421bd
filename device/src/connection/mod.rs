//! One connection to the broker, the pauses between connections, and a test whether the broker can be reached.

pub(crate) mod link;
pub(crate) mod pause;
pub(crate) mod reach;
