//! The door where devices register themselves.

pub mod claims;
