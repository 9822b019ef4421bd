//! Which commands have come, and what became of them.
//!
//! Only the newest that has an answer is answered. To answer an older one would make the newer one look open, and a
//! device that has lost its memory would do it again.

use std::collections::VecDeque;

use super::order::{Answer, CommandStatus};

/// How many commands are remembered: more than a shadow holds at a time.
const LENGTH: usize = 128;

#[derive(Debug)]
struct Known {
    id: String,
    /// Empty where nobody has said it since the start.
    name: String,
    answer: Option<Answer>,
}

/// Commands, the newest last.
#[derive(Debug, Default)]
pub(super) struct CommandLog {
    known: VecDeque<Known>,
}

impl CommandLog {
    /// Takes a command that is wanted now, which makes it the newest. Whether it had not been known.
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

    /// Keeps the name of a command that is known, unless it has one.
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

    /// Keeps what became of a command that is known, unless that has been clear.
    pub(super) fn answer(&mut self, answer: Answer) -> bool {
        let known = self.known.iter_mut().find(|known| known.id == answer.id);
        let Some(known) = known.filter(|known| known.answer.as_ref().is_none_or(|before| !before.status.is_end())) else { return false };
        known.answer = Some(answer);
        true
    }

    /// What is to be reported.
    pub(super) fn newest_answer(&self) -> Option<&Answer> {
        self.known.iter().rev().find_map(|known| known.answer.as_ref())
    }

    /// Commands without an end, oldest first.
    pub(super) fn open(&self) -> Vec<String> {
        let is_open = |known: &&Known| known.answer.as_ref().is_none_or(|answer| answer.status == CommandStatus::Accepted);
        self.known.iter().filter(is_open).map(|known| known.id.clone()).collect()
    }
}
