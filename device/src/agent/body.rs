//! The part behind an agent that sets properties and performs commands.
//!
//! A body knows neither the shadow nor the network. It receives one order after the other, and reports the results as events. The
//! agent has already checked that a command is new and has not expired, and has stored it.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use serde_json::{Map, Value};

use super::command_queue::COMMANDS;
use super::order::{Answer, Command, Order};

/// An event that a body reports.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The status of a command that was begun. After the final status there are no more events for the command.
    Answered(Answer),
    /// The final status of a command that was interrupted by another command of the owner. The owner is not notified of a
    /// failure.
    Interrupted(Answer),
    /// A property has been set.
    Set {
        /// The name of the property in the order.
        name: String,
        /// The value in the order.
        value: Value,
    },
    /// A property could not be set. The difference stays a delta. The property is ordered again when it is desired anew, or with
    /// the next connection.
    NotSet {
        /// The name of the property in the order.
        name: String,
        /// The value in the order.
        value: Value,
        /// The reason for the owner.
        why: String,
    },
    /// Properties that the owner can set got other values than ordered, as a result of the current work: a clamp, or a relative
    /// step such as "brighter".
    Changed(Map<String, Value>),
    /// Properties that the owner can set got other values on the device itself some time ago, such as by a button.
    ChangedBefore {
        /// The new values of the properties.
        properties: Map<String, Value>,
        /// The time since the change.
        age: Duration,
    },
    /// Properties that were measured. They are reported again even if their values did not change.
    Measured(Vec<String>),
    /// A line for the log.
    Note(String),
}

/// The state from before this process, known when the first shadow has arrived.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// The `reported` section of the shadow.
    pub reported: Map<String, Value>,
    /// The `desired` section of the shadow.
    pub desired: Map<String, Value>,
    /// The ids of the commands that were begun and have no final status, oldest first.
    pub open: Vec<String>,
}

impl Past {
    /// The command of this id, if the shadow holds it.
    pub fn command(&self, id: &str) -> Option<Command> {
        let waiting = self.desired.get(COMMANDS).and_then(|commands| commands.get(id)?.as_object()).and_then(|it| Command::of(id, it));
        let newest = self.desired.get("command").and_then(Value::as_object).and_then(Command::read);
        waiting.or(newest.filter(|command| command.id == id))
    }
}

/// Sets properties and performs commands.
pub trait Body: Send {
    /// Whether the body can begin an order now. Orders wait, in their order, until it can.
    fn is_free(&self) -> bool;

    /// Begins an order and returns at once. The result is reported by [`Body::work`], even if it is known at once. A command that
    /// has no answer within a second is reported as accepted.
    fn begin(&mut self, order: Order);

    /// For each interrupting command, the names of the commands that it interrupts. A body that is always free decides by itself
    /// how commands affect each other.
    fn interrupts(&self) -> BTreeMap<String, Vec<String>> {
        BTreeMap::new()
    }

    /// Ends the running command `id`, because of the command named `by`. The end is reported by [`Body::work`] as
    /// [`Event::Interrupted`].
    fn interrupt(&mut self, id: &str, by: &str) {
        let _ = (id, by);
    }

    /// Takes values that properties got on the device itself.
    fn changed_on_device(&mut self, properties: &Map<String, Value>) {
        let _ = properties;
    }

    /// Runs until there are events, or until [`Body::properties`] has changed. While there is nothing to do, this future stays
    /// pending and needs no timer. It is cancellation safe: the caller may drop the future and call `work` again at any time.
    fn work(&mut self) -> impl Future<Output = Vec<Event>> + Send;

    /// The current properties, as they are to be reported. `command` and `certificateId` belong to the agent.
    fn properties(&self) -> Map<String, Value>;

    /// Takes the state from before this process, once, before the first order. Returns the id of the open command that the body
    /// continues and will answer, if any; the other open commands have failed.
    fn remember(&mut self, past: &Past) -> Option<String> {
        let _ = past;
        None
    }
}
