//! The handling of commands: each command is begun once, in its order, unless it has expired or is interrupted by another
//! command.

use std::time::Duration;

use serde_json::{Map, Value};

use super::command_queue::COMMANDS;
use super::order::{Answer, Command, CommandStatus, Order, line, plain};
use super::{Agent, Moment};

/// The largest number of waiting orders; a shadow holds fewer commands.
pub(super) const QUEUE: usize = 64;
const TOO_LATE: &str = "it came too late";

/// A command that was begun.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) id: String,
    /// Empty if the shadow no longer holds the command.
    pub(super) name: String,
    pub(super) since: Duration,
    pub(super) is_answered: bool,
    /// Whether another command interrupts this one.
    pub(super) is_interrupted: bool,
}

impl Begun {
    pub(super) fn new(id: String, name: String, since: Duration) -> Self {
        Self { id, name, since, is_answered: false, is_interrupted: false }
    }
}

/// The request to end a running command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interruption {
    /// The id of the running command.
    pub id: String,
    /// The name of the command that interrupts it.
    pub by: String,
}

impl Agent {
    /// The interruptions that have to be passed to [`super::Body::interrupt`] before the body gets its next order.
    pub fn interruptions(&mut self) -> Vec<Interruption> {
        std::mem::take(&mut self.interruptions)
    }

    /// Takes the commands of a shadow or a delta.
    pub(super) fn take_commands(&mut self, wanted: &Map<String, Value>, moment: Moment) {
        for command in self.waiting.take(wanted.get(COMMANDS)) {
            // Every delta contains all waiting commands. A command that is already known keeps its place.
            if self.command_log.knows(&command.id) {
                self.command_log.call(&command.id, &command.name);
            } else {
                self.command_log.take(&command.id, &command.name);
                self.enqueue(command, moment);
            }
        }
        // The newest command. If the skill supports the queue, the command is in the queue as well.
        let Some(command) = wanted.get("command").and_then(Value::as_object).and_then(Command::read) else { return };
        if self.command_log.take(&command.id, &command.name) {
            self.enqueue(command, moment);
        }
    }

    /// Counts commands that were written to the shadow before the newest answer as begun. Without a journal, this is the only
    /// evidence.
    pub(super) fn recall(&mut self, desired: &Map<String, Value>, metadata: Option<&Value>) {
        let second = |pointer: &str| metadata?.pointer(pointer)?.as_u64();
        let Some(answered) = second("/reported/command/id/timestamp") else { return };
        for command in self.waiting.take(desired.get(COMMANDS)) {
            let written = metadata
                .and_then(|metadata| metadata.get("desired")?.get(COMMANDS)?.get(&command.id)?.get("expiresAt")?.get("timestamp"))
                .and_then(Value::as_u64);
            if written.is_some_and(|written| written < answered) {
                self.command_log.take(&command.id, &command.name);
            }
        }
    }

    fn enqueue(&mut self, command: Command, moment: Moment) {
        let interrupts = self.interrupts.contains_key(&command.name);
        let fits = if interrupts || self.queue.len() < QUEUE { Ok(()) } else { Err("too much is wanted at once") };
        match self.counts(&command, moment).and(fits) {
            Ok(()) => {
                let at = if self.interrupt(&command) { self.interrupters() } else { self.queue.len() };
                self.queue.insert(at, Order::Do(command));
            }
            Err(why) => self.refuse(&command, why, moment),
        }
    }

    /// Ends the commands that this command interrupts. Returns whether one of them is running, so that this command has to be the
    /// next one.
    fn interrupt(&mut self, command: &Command) -> bool {
        let Some(named) = self.interrupts.get(&command.name) else { return false };
        let (ended, kept) = self.queue.drain(..).partition(|order| matches!(order, Order::Do(other) if named.contains(&other.name)));
        self.queue = kept;
        let mut is_under_way = false;
        for begun in self.begun.iter_mut().filter(|begun| named.contains(&begun.name)) {
            is_under_way = true;
            if !std::mem::replace(&mut begun.is_interrupted, true) {
                self.interruptions.push(Interruption { id: begun.id.clone(), by: command.name.clone() });
            }
        }
        for order in Vec::from(ended) {
            if let Order::Do(other) = order {
                // The owner requested the interruption, so it is not reported as a failure.
                let detail = format!("interrupted by {}", plain(&command.name));
                self.notes.push(line(&other.name, CommandStatus::Refused, &detail));
                self.command_log.answer(Answer { id: other.id, status: CommandStatus::Refused, detail });
            }
        }
        is_under_way
    }

    /// The number of commands at the head of the queue that interrupt others.
    fn interrupters(&self) -> usize {
        let interrupts = |order: &&Order| matches!(order, Order::Do(command) if self.interrupts.contains_key(&command.name));
        self.queue.iter().take_while(interrupts).count()
    }

    /// Whether a command can still be begun. The time of the shadow is used if it is ahead: a device that was just switched on
    /// may not have the time.
    pub(super) fn counts(&self, command: &Command, moment: Moment) -> Result<(), &'static str> {
        match command.expires_at {
            None => Err("it does not say how long it counts"),
            Some(end) if end <= moment.now.max(self.message_time) => Err(TOO_LATE),
            Some(_) => Ok(()),
        }
    }

    pub(super) fn refuse(&mut self, command: &Command, why: &str, moment: Moment) {
        self.notes.push(format!("{} refused: {why}", plain(&command.name)));
        let answer = Answer { id: command.id.clone(), status: CommandStatus::Refused, detail: why.to_owned() };
        self.failures.command_failed(&command.name, &answer, self.shadow_time(moment).now);
        self.command_log.answer(answer);
    }

    /// Takes the status of a command that was begun. `is_told` says whether the owner is notified if the command did not succeed.
    pub(super) fn take_answer(&mut self, answer: Answer, is_told: bool, moment: Moment) {
        let Some(at) = self.begun.iter().position(|begun| begun.id == answer.id) else { return };
        let begun = &mut self.begun[at];
        let said = if begun.is_answered || begun.name.is_empty() {
            answer.detail.clone()
        } else {
            line(&begun.name, answer.status, &answer.detail)
        };
        begun.is_answered = true;
        self.notes.push(said);
        if answer.status.is_end() {
            self.begun.remove(at);
            self.end(answer, is_told, moment);
        } else {
            self.command_log.answer(answer);
        }
    }

    pub(super) fn end(&mut self, answer: Answer, is_told: bool, moment: Moment) {
        if !self.command_log.answer(answer.clone()) {
            return;
        }
        let name = self.command_log.name(&answer.id);
        match answer.status {
            CommandStatus::Refused | CommandStatus::Failed if is_told => {
                self.failures.command_failed(name, &answer, self.shadow_time(moment).now);
            }
            CommandStatus::Done => self.failures.command_done(name),
            _ => {}
        }
        self.ends.push(answer);
    }
}
