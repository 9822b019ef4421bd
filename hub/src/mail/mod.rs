//! Mail: the queue of messages for the mail server, and a folder that receives messages instead of a server.

pub mod mailbox;
pub mod outgoing;
