//! The commands that wait in the shadow: `desired.commands`, a map by id.
//!
//! The skill adds commands and the device removes each when it has its end, so that concurrent writers do not overwrite each other.
//! `order` grows with every command that is added to those that wait.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::command_log::CommandLog;
use super::order::Command;

/// The key in `desired`.
pub(super) const COMMANDS: &str = "commands";

/// Which commands the shadow holds, as far as is known.
#[derive(Debug, Default)]
pub(super) struct CommandQueue {
    held: BTreeSet<String>,
    /// Removed by an update that the shadow may have refused.
    removed: BTreeSet<String>,
    /// Ids of entries that are no commands.
    unreadable: BTreeSet<String>,
}

impl CommandQueue {
    /// Takes `commands` of a shadow or a delta, which is the whole of it. The commands in it, in their order.
    pub(super) fn take(&mut self, commands: Option<&Value>) -> Vec<Command> {
        *self = Self::default();
        let mut found = Vec::new();
        for (id, fields) in commands.and_then(Value::as_object).into_iter().flatten() {
            self.held.insert(id.clone());
            match fields.as_object().and_then(|fields| Some((place(fields), Command::of(id, fields)?))) {
                Some(((order, issued), command)) => found.push((order, issued, command)),
                None => drop(self.unreadable.insert(id.clone())),
            }
        }
        found.sort_by(|(order, issued, command), (other_order, other_issued, other)| {
            (order, issued, &command.id).cmp(&(other_order, other_issued, &other.id))
        });
        found.into_iter().map(|(_, _, command)| command).collect()
    }

    /// Whether one of the commands in the shadow has its end.
    pub(super) fn has_ended(&self, command_log: &CommandLog) -> bool {
        self.held.iter().any(|id| self.is_over(id, command_log))
    }

    /// The change of `commands` that removes those with an end; from here on they count as removed.
    pub(super) fn remove_ended(&mut self, command_log: &CommandLog) -> Map<String, Value> {
        let ended: BTreeSet<String> = self.held.iter().filter(|id| self.is_over(id, command_log)).cloned().collect();
        self.held.retain(|id| !ended.contains(id));
        let change = ended.iter().map(|id| (id.clone(), Value::Null)).collect();
        self.removed.extend(ended);
        change
    }

    /// The shadow has refused an update: what it was to remove may still be there.
    pub(super) fn was_refused(&mut self) {
        self.held.append(&mut self.removed);
    }

    fn is_over(&self, id: &str, command_log: &CommandLog) -> bool {
        self.unreadable.contains(id) || command_log.has_ended(id)
    }
}

fn place(fields: &Map<String, Value>) -> (u64, u64) {
    let number = |name: &str| fields.get(name).and_then(Value::as_u64).unwrap_or_default();
    (number("order"), number("issuedAt"))
}
