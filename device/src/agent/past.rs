//! Takes the state from before this process from the shadow.

use serde_json::{Map, Value};

use super::{Agent, Answer, CommandStatus, Order, Past};

impl Agent {
    /// Takes the reported answer. A command that was answered without this device having a record of it is the newest answered
    /// command, and is not performed again.
    pub(super) fn adopt(&mut self, reported: &Map<String, Value>) {
        let Some(answered) = reported.get("command").and_then(Value::as_object) else { return };
        let said = |field: &str| answered.get(field).and_then(Value::as_str);
        let Some(id) = said("id") else { return };
        let status = said("status").map(|word| CommandStatus::read(word).unwrap_or(CommandStatus::Done));
        let answer = |status| Answer { id: id.to_owned(), status, detail: said("detail").unwrap_or_default().to_owned() };
        let is_new = !self.command_log.knows(id) && self.command_log.take(id, "");
        // The final status of a command that runs here can only come from this process.
        if let Some(status) = status.filter(|status| is_new || !self.remembers || !status.is_end()) {
            self.command_log.answer(answer(status));
        }
    }

    pub(super) fn past(&self, reported: Map<String, Value>, desired: Map<String, Value>) -> Option<Past> {
        let waits = |id: &String| self.queue.iter().any(|order| matches!(order, Order::Do(command) if command.id == *id));
        let open = || self.command_log.open().into_iter().filter(|id| !waits(id)).collect();
        (!self.remembers).then(|| Past { reported, desired, open: open() })
    }
}
