//! The commands that have arrived, with their answers.
//!
//! Only the newest command that has an answer is reported. A report of an older one would make the newer one look open, and a
//! device that has lost its state would perform it again.

use std::collections::VecDeque;

use super::order::{Answer, CommandStatus};

/// How many commands are remembered: more than a shadow holds at a time.
const LENGTH: usize = 128;

#[derive(Debug)]
struct Known {
    id: String,
    /// Empty if the name has not been received since the start.
    name: String,
    answer: Option<Answer>,
}

/// The commands in the order of their arrival, the newest last.
#[derive(Debug, Default)]
pub(super) struct CommandLog {
    known: VecDeque<Known>,
}

impl CommandLog {
    /// Records a command as the newest one. Returns whether the command is new.
    pub(super) fn take(&mut self, id: &str, name: &str) -> bool {
        let before = self.known.iter().position(|known| known.id == id).and_then(|at| self.known.remove(at));
        let is_new = before.is_none();
        self.known.push_back(before.unwrap_or_else(|| Known { id: id.to_owned(), name: String::new(), answer: None }));
        self.call(id, name);
        if self.known.len() > LENGTH {
            self.known.pop_front();
        }
        is_new
    }

    pub(super) fn knows(&self, id: &str) -> bool {
        self.known.iter().any(|known| known.id == id)
    }

    /// Records the name of a known command, unless its name is already known.
    pub(super) fn call(&mut self, id: &str, name: &str) {
        if let Some(known) = self.known.iter_mut().find(|known| known.id == id && known.name.is_empty()) {
            known.name = name.to_owned();
        }
    }

    pub(super) fn name(&self, id: &str) -> &str {
        self.known.iter().find(|known| known.id == id).map_or("", |known| &known.name)
    }

    pub(super) fn has_ended(&self, id: &str) -> bool {
        self.known.iter().any(|known| known.id == id && known.answer.as_ref().is_some_and(|answer| answer.status.is_end()))
    }

    /// Records the answer to a known command. Returns false if the command is unknown or already has a final status.
    pub(super) fn answer(&mut self, answer: Answer) -> bool {
        let known = self.known.iter_mut().find(|known| known.id == answer.id);
        let Some(known) = known.filter(|known| known.answer.as_ref().is_none_or(|before| !before.status.is_end())) else { return false };
        known.answer = Some(answer);
        true
    }

    /// The answer that is to be reported.
    pub(super) fn newest_answer(&self) -> Option<&Answer> {
        self.known.iter().rev().find_map(|known| known.answer.as_ref())
    }

    /// The ids of the commands without a final status, oldest first.
    pub(super) fn open(&self) -> Vec<String> {
        let is_open = |known: &&Known| known.answer.as_ref().is_none_or(|answer| answer.status == CommandStatus::Accepted);
        self.known.iter().filter(is_open).map(|known| known.id.clone()).collect()
    }
}
