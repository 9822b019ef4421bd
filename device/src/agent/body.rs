//! What stands behind an agent: whatever sets properties and does commands.
//!
//! A body knows neither shadow nor network. It is told what to begin, by one order after the other, and tells what came of
//! it whenever something has. The agent has already seen to it that a command is new, counts, and is kept in mind.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use serde_json::{Map, Value};

use super::command_queue::COMMANDS;
use super::order::{Answer, Command, Order};

/// What a body tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// What became of a command that was begun. After the end of a command nothing more is heard of it.
    Answered(Answer),
    /// The same of a command that another command of the owner has ended: no failure to tell the owner of.
    Interrupted(Answer),
    /// A property has been set.
    Set {
        /// The property, as ordered.
        name: String,
        /// The value, as ordered.
        value: Value,
    },
    /// A property could not be set. What is not as it is wanted then stays a delta; it is ordered again when it is wanted anew, or
    /// with the next connection.
    NotSet {
        /// The property, as ordered.
        name: String,
        /// The value, as ordered.
        value: Value,
        /// The reason, for a person.
        why: String,
    },
    /// Properties that the owner can set have become otherwise than ordered by what was under way: a clamp, or the step that
    /// "brighter" is.
    Changed(Map<String, Value>),
    /// Properties that the owner can set have got other values on the device itself, such as by a button, some time ago.
    ChangedBefore {
        /// Their values.
        properties: Map<String, Value>,
        /// How long ago that was.
        age: Duration,
    },
    /// These properties were measured: they are reported again, though they may not have changed.
    Measured(Vec<String>),
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

impl Past {
    /// The command of this id, where the shadow holds it.
    pub fn command(&self, id: &str) -> Option<Command> {
        let waiting = self.desired.get(COMMANDS).and_then(|commands| commands.get(id)?.as_object()).and_then(|it| Command::of(id, it));
        let newest = self.desired.get("command").and_then(Value::as_object).and_then(Command::read);
        waiting.or(newest.filter(|command| command.id == id))
    }
}

/// What sets properties and does commands.
pub trait Body: Send {
    /// Whether it can begin something now. Orders wait until it can, in their order.
    fn is_free(&self) -> bool;

    /// Begins what it is told, and returns at once; what comes of it is told by [`Body::work`], also where that is clear at
    /// once. A command that has no answer within a second is reported as accepted.
    fn begin(&mut self, order: Order);

    /// Which commands end which others, where those could be under way. A body that is always free decides by itself what a
    /// command does to another one.
    fn interrupts(&self) -> BTreeMap<String, Vec<String>> {
        BTreeMap::new()
    }

    /// Ends the command of this id that is under way, because of the command of the name `by`. The end is told by
    /// [`Body::work`], as [`Event::Interrupted`].
    fn interrupt(&mut self, id: &str, by: &str) {
        let _ = (id, by);
    }

    /// Takes values that properties have got on the device itself.
    fn changed_on_device(&mut self, properties: &Map<String, Value>) {
        let _ = properties;
    }

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
