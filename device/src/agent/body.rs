//! What stands behind an agent: whatever sets properties and does commands.
//!
//! A body knows neither shadow nor network. It is told what to begin, by one order after the other, and tells what came of
//! it whenever something has. The agent has already seen to it that a command is new, counts, and is kept in mind.

use std::future::Future;

use serde_json::{Map, Value};

use super::order::{Answer, Order};

/// What a body tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// What became of a command that was begun. After the end of a command nothing more is heard of it.
    Answered(Answer),
    /// An order to set a property has come to its end, whether it worked or not. What is not as it is wanted then stays a
    /// delta; it is ordered again when it is wanted anew, or with the next connection.
    Set {
        /// The property, as ordered.
        name: String,
        /// The value, as ordered.
        value: Value,
    },
    /// A line for the log.
    Note(String),
}

/// What is known of the time before this process, when the first shadow has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// What the shadow holds as reported.
    pub reported: Map<String, Value>,
    /// What the shadow holds as desired.
    pub desired: Map<String, Value>,
    /// The ids of commands that were begun and have no end, oldest first.
    pub open: Vec<String>,
}

/// What sets properties and does commands.
pub trait Body: Send {
    /// Whether it can begin something now. Orders wait until it can, in their order.
    fn is_free(&self) -> bool;

    /// Begins what it is told, and returns at once; what comes of it is told by [`Body::work`], also where that is clear at
    /// once. A command that has no answer within a second is reported as accepted.
    fn begin(&mut self, order: Order);

    /// Works on until something has happened: there are events, or [`Body::properties`] has changed. Does not return
    /// while there is nothing to be done, and needs no timer then. It is dropped and called again at any time, and goes on
    /// where it was.
    fn work(&mut self) -> impl Future<Output = Vec<Event>> + Send;

    /// What is so, as it is to be reported; `command` and `certificateId` are the agent's.
    fn properties(&self) -> Map<String, Value>;

    /// Is told once, before the first order, what was before. The id, if any, of the open command that it goes on with
    /// and will answer; the others have failed.
    fn remember(&mut self, past: &Past) -> Option<String> {
        let _ = past;
        None
    }
}
