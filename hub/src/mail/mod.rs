//! Mail: the queue of messages that wait for their server, and a folder that takes messages in its place.

pub mod mailbox;
pub mod outgoing;
