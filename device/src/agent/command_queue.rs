//! The command queue in the shadow: `desired.commands`, a map by command id.
//!
//! The skill adds commands, and the device removes each command when it has a final status, so that concurrent writers do not
//! overwrite each other. `order` increases with every command that is added to the queue.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::command_log::CommandLog;
use super::order::Command;

/// The key of the queue in `desired`.
pub(super) const COMMANDS: &str = "commands";

/// The commands that the shadow holds, as far as the agent knows.
#[derive(Debug, Default)]
pub(super) struct CommandQueue {
    held: BTreeSet<String>,
    /// Ids that were removed by an update that the shadow may still reject.
    removed: BTreeSet<String>,
    /// Ids of entries that cannot be parsed as commands.
    unreadable: BTreeSet<String>,
}

impl CommandQueue {
    /// Takes `commands` of a shadow or a delta, which is the whole queue. Returns the commands, sorted by their order.
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

    /// Whether a command in the shadow has a final status.
    pub(super) fn has_ended(&self, command_log: &CommandLog) -> bool {
        self.held.iter().any(|id| self.is_over(id, command_log))
    }

    /// The update of `commands` that removes the entries with a final status. From now on they count as removed.
    pub(super) fn remove_ended(&mut self, command_log: &CommandLog) -> Map<String, Value> {
        let ended: BTreeSet<String> = self.held.iter().filter(|id| self.is_over(id, command_log)).cloned().collect();
        self.held.retain(|id| !ended.contains(id));
        let change = ended.iter().map(|id| (id.clone(), Value::Null)).collect();
        self.removed.extend(ended);
        change
    }

    /// The shadow has rejected an update: the entries that the update should have removed may still exist.
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
