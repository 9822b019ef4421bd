//! Turns the desired state of the shadow into orders for a [`Body`], and the results into reports.
//!
//! This module uses no network, no clock and no files: messages and times are arguments, orders and reports are return values. A
//! command is performed at most once for each id and never after it has expired, however often and in whatever order the shadow
//! sends it. Orders are given in the order of the requests; the properties of a message come before its command.
//!
//! The documents of the shadow are those of AWS IoT
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-document.html>).

mod body;
mod command_log;
mod command_queue;
mod commands;
mod desired;
mod failures;
mod in_turn;
mod mirror;
mod order;
mod past;
mod pending_changes;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use onething::device_model::RESERVED;
use serde_json::{Map, Value, json};

pub use body::{Body, Event, Past};
pub use commands::Interruption;
pub use in_turn::{InTurn, Perform, Performed};
pub use mirror::Report;
pub(crate) use order::plain;
pub use order::{Answer, Command, CommandStatus, Order};

use command_log::CommandLog;
use command_queue::{COMMANDS, CommandQueue};
use commands::Begun;
use desired::{Desired, ShadowTime};
use failures::{FAILURES, Failures};
use mirror::Mirror;
use pending_changes::PendingChange;

/// A command that has no answer after this time is reported as accepted.
const ACCEPTED_AFTER: Duration = Duration::from_secs(1);
const STOPPED: &str = "the device stopped while it was at work";
/// The `clientToken` of the agent's updates of `desired`, which distinguishes them from requests of the owner.
pub(crate) const CLIENT_TOKEN: &str = "onething-device";
/// A reported property. It tells the skill to add commands to `desired.commands` instead of replacing the command before.
const COMMAND_QUEUE: &str = "commandQueue";

/// The time of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Unix time in seconds by the clock of the device, which may be wrong and may jump.
    pub now: u64,
    /// The time on a monotonic clock with an arbitrary start.
    pub uptime: Duration,
}

/// The state of the device with respect to its shadow: desired values, commands, and pending reports.
#[derive(Debug)]
pub struct Agent {
    /// The id of the certificate. It is reported so that an older certificate of the same thing can be revoked.
    certificate: Option<String>,
    command_log: CommandLog,
    mirror: Mirror,
    /// Whether the first shadow, and with it the state from before this process, has been taken.
    remembers: bool,
    queue: VecDeque<Order>,
    pending_changes: BTreeMap<String, PendingChange>,
    begun: Vec<Begun>,
    /// For each interrupting command, the names of the commands that it interrupts.
    interrupts: BTreeMap<String, Vec<String>>,
    interruptions: Vec<Interruption>,
    /// The commands that the shadow holds.
    waiting: CommandQueue,
    desired: Desired,
    failures: Failures,
    /// The time of the last order.
    ordered_at: Duration,
    /// Whether there is no journal, so that the shadow is the only record of the commands that were begun.
    is_forgetful: bool,
    /// The time in the last message of the shadow, as Unix time in seconds, and the moment of its arrival.
    message_time: u64,
    told_at: Duration,
    ends: Vec<Answer>,
    notes: Vec<String>,
}

impl Agent {
    /// Creates an agent with the id of its certificate and the commands that were begun earlier: oldest first, each with its
    /// final answer, or `None` if that is unknown.
    pub fn new(certificate: Option<String>, begun: impl IntoIterator<Item = (String, Option<Answer>)>) -> Self {
        let mut command_log = CommandLog::default();
        for (id, end) in begun {
            command_log.take(&id, "");
            end.map(|end| command_log.answer(end));
        }
        Self {
            certificate,
            command_log,
            mirror: Mirror::default(),
            remembers: false,
            queue: VecDeque::new(),
            pending_changes: BTreeMap::new(),
            begun: Vec::new(),
            interrupts: BTreeMap::new(),
            interruptions: Vec::new(),
            waiting: CommandQueue::default(),
            desired: Desired::default(),
            failures: Failures::default(),
            ordered_at: Duration::ZERO,
            is_forgetful: false,
            message_time: 0,
            told_at: Duration::ZERO,
            ends: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Sets the interruptions of the body, see [`Body::interrupts`].
    #[must_use]
    pub fn with_interrupts(mut self, interrupts: BTreeMap<String, Vec<String>>) -> Self {
        self.interrupts = interrupts;
        self
    }

    /// Sets that there is no journal: the shadow is the only record of the commands that were begun before this process.
    #[must_use]
    pub fn without_journal(mut self) -> Self {
        self.is_forgetful = true;
        self
    }

    /// The device has a new certificate with this id.
    pub fn renew(&mut self, certificate: Option<String>) {
        self.certificate = certificate;
    }

    /// Takes the shadow from the response to the get request at the start of a connection. The first one returns the state from
    /// before this process: it has to be passed to [`Body::remember`], and the result to [`Agent::remembered`].
    #[must_use = "the body has to remember, and there are no orders before"]
    pub fn take_shadow(&mut self, document: &Value, moment: Moment) -> Option<Past> {
        let section = |pointer: &str| document.pointer(pointer).and_then(Value::as_object).cloned().unwrap_or_default();
        let reported = section("/state/reported");
        if !self.mirror.take_shadow(document, &reported) {
            return None;
        }
        let desired = section("/state/desired");
        self.hear_time(document, moment);
        self.desired.take_all(&desired, document.pointer("/metadata/desired"), self.shadow_time(moment));
        if !self.remembers {
            self.failures.adopt(&reported);
            if self.is_forgetful {
                self.recall(&desired, document.get("metadata"));
            }
        }
        self.adopt(&reported);
        // The requests that are still pending are in this document. Requests that failed are tried again.
        self.queue.retain(|order| matches!(order, Order::Do(_)));
        self.pending_changes.clear();
        self.take(document, &section("/state/delta"), document.pointer("/metadata/desired"), moment);
        self.take_early(moment);
        self.past(reported, desired)
    }

    /// Takes the response that there is no shadow: nothing is desired, and every property has to be reported. As with
    /// [`Agent::take_shadow`], a returned state has to be passed to the body.
    #[must_use = "the body has to remember, and there are no orders before"]
    pub fn take_no_shadow(&mut self, moment: Moment) -> Option<Past> {
        self.mirror.take_no_shadow();
        self.waiting = CommandQueue::default();
        self.desired.take_all(&Map::new(), None, self.shadow_time(moment));
        self.queue.retain(|order| matches!(order, Order::Do(_)));
        self.pending_changes.clear();
        self.take_early(moment);
        self.past(Map::new(), Map::new())
    }

    /// Takes a delta, unless a message of the same or a later version has been seen.
    pub fn take_delta(&mut self, message: &Value, moment: Moment) {
        if self.mirror.take_delta(message)
            && let Some(state) = message.get("state").and_then(Value::as_object)
        {
            self.take(message, state, message.get("metadata"), moment);
        }
    }

    /// Takes an accepted update of the shadow. If the new desired value equals the reported one, there is no delta; the update
    /// then revokes a waiting request for another value.
    pub fn take_update(&mut self, update: &Value, moment: Moment) {
        let Some(desired) = update.pointer("/state/desired").and_then(Value::as_object) else { return };
        if update.get("clientToken").is_some_and(|token| token == CLIENT_TOKEN) {
            return self.desired.was_taken(desired);
        }
        if !self.mirror.is_new(update) {
            return;
        }
        for (name, wanted) in desired {
            let written = update.pointer("/metadata/desired").and_then(|metadata| metadata.get(name));
            self.desired.take(name, wanted, written, self.shadow_time(moment));
            let taken_back = |order: &Order| matches!(order, Order::Set { name: other, value } if other == name && value != wanted);
            if self.queue.iter().any(taken_back) {
                self.queue.retain(|order| !taken_back(order));
                self.pending_changes.remove(name);
            }
        }
    }

    /// The body knows the state from before this process and continues the command of this id. The other open commands have
    /// failed.
    pub fn remembered(&mut self, past: &Past, goes_on: Option<&str>, moment: Moment) {
        self.remembers = true;
        for id in &past.open {
            let name = past.command(id).map(|command| command.name).unwrap_or_default();
            self.command_log.call(id, &name);
            if Some(id.as_str()) == goes_on {
                self.begun.push(Begun::new(id.clone(), name, moment.uptime));
            } else {
                self.end(Answer { id: id.clone(), status: CommandStatus::Failed, detail: STOPPED.to_owned() }, true, moment);
            }
        }
    }

    /// The shadow has rejected an update.
    pub fn was_refused(&mut self, moment: Moment) {
        self.mirror.was_refused(moment.uptime);
        self.waiting.was_refused();
        self.desired.was_refused();
    }

    /// The connection was lost.
    pub fn connection_lost(&mut self) {
        self.mirror.connection_lost();
    }

    /// The next order to begin, for a body with the current properties `so`. A command has to be written to the journal before it
    /// begins; otherwise it has to be refused by way of [`Agent::hear`].
    pub fn next(&mut self, so: &Map<String, Value>, moment: Moment) -> Option<Order> {
        while self.remembers
            && let Some(order) = self.queue.pop_front()
        {
            self.ordered_at = moment.uptime;
            match &order {
                Order::Set { name, value } if so.get(name) == Some(value) => self.was_set(name, value),
                Order::Set { .. } => return Some(order),
                Order::Do(command) => match self.counts(command, moment) {
                    Err(why) => self.refuse(command, why, moment),
                    Ok(()) => {
                        self.begun.push(Begun::new(command.id.clone(), command.name.clone(), moment.uptime));
                        return Some(order);
                    }
                },
            }
        }
        None
    }

    /// Takes an event of the body.
    pub fn hear(&mut self, event: Event, moment: Moment) {
        match event {
            Event::Note(note) => self.notes.push(note),
            Event::Set { name, value } => self.was_set(&name, &value),
            Event::NotSet { name, value, why } => {
                self.was_tried(&name, &value);
                let pending_change = self.pending_changes.get(&name).filter(|pending_change| pending_change.value == value);
                let requested = pending_change.and_then(|pending_change| pending_change.requested.as_ref()?.get("timestamp")?.as_u64());
                self.failures.property_failed(&name, &value, &why, requested, self.shadow_time(moment).now);
            }
            // A request that the owner has made since that order was given still waits, and is the newer one.
            Event::Changed(properties) => self.take_changes(&properties, self.ordered_at, |_| false),
            Event::ChangedBefore { properties, age } => {
                let at = Moment { now: moment.now.saturating_sub(age.as_secs()), uptime: moment.uptime.saturating_sub(age) };
                self.changed_on_device(&properties, at);
            }
            Event::Measured(names) => self.mirror.forget(&names),
            Event::Answered(answer) => self.take_answer(answer, true, moment),
            Event::Interrupted(answer) => self.take_answer(answer, false, moment),
        }
    }

    /// Properties that the owner can set got other values on the device itself, such as by a button. These become the desired
    /// values, unless the owner has requested others since then. The body takes and reports the values themselves:
    /// [`Body::changed_on_device`].
    pub fn changed_on_device(&mut self, properties: &Map<String, Value>, at: Moment) {
        self.take_changes(properties, at.uptime, |pending_change| pending_change.since <= at.uptime);
    }

    /// The report that is due now, for a device with the current properties `so`.
    pub fn report(&mut self, mut so: Map<String, Value>, moment: Moment) -> Report {
        let mut accepted_at = None;
        for begun in self.begun.iter_mut().filter(|begun| !begun.is_answered) {
            let due = begun.since.saturating_add(ACCEPTED_AFTER);
            if moment.uptime < due {
                accepted_at = Some(accepted_at.map_or(due, |other: Duration| other.min(due)));
            } else {
                begun.is_answered = true;
                let name = if begun.name.is_empty() { "what was begun".to_owned() } else { plain(&begun.name) };
                self.notes.push(format!("{name} is being done"));
                self.command_log.answer(Answer { id: begun.id.clone(), status: CommandStatus::Accepted, detail: "at work".to_owned() });
            }
        }
        so.retain(|name, _| !RESERVED.contains(&name.as_str()));
        let desired = &self.desired;
        self.failures.forget_resolved(|name| so.get(name).is_some_and(|value| desired.wanted(name) == Some(value)));
        let is_more = self.desired.has_changes(&so) || self.waiting.has_ended(&self.command_log);
        let changes = if is_more { so.clone() } else { Map::new() };
        so.insert(COMMAND_QUEUE.to_owned(), json!(true));
        so.extend(self.certificate.as_ref().map(|id| ("certificateId".to_owned(), json!(id))));
        so.extend(self.command_log.newest_answer().map(|answer| ("command".to_owned(), json!(answer))));
        so.extend(self.failures.report(self.mirror.reported(FAILURES)).map(|failures| (FAILURES.to_owned(), failures)));
        let mut report = self.mirror.report(so, is_more, moment.uptime);
        if report.reported.is_some() && is_more {
            report.desired = self.desired.write(&changes);
            let ended = self.waiting.remove_ended(&self.command_log);
            report.desired.extend((!ended.is_empty()).then(|| (COMMANDS.to_owned(), Value::Object(ended))));
        }
        report.again_at = report.again_at.into_iter().chain(accepted_at).min();
        report
    }

    /// The report of everything that is pending, without a delay, before the connection is closed.
    pub fn last_report(&mut self, so: Map<String, Value>, moment: Moment) -> Report {
        self.mirror.hurry();
        self.report(so, moment)
    }

    /// The answer to the newest command that has one.
    pub fn newest_answer(&self) -> Option<&Answer> {
        self.command_log.newest_answer()
    }

    /// The final answers since the last call, to be written to the journal.
    pub fn ends(&mut self) -> Vec<Answer> {
        std::mem::take(&mut self.ends)
    }

    /// The log lines since the last call.
    pub fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    fn take_early(&mut self, moment: Moment) {
        if let Some(early) = self.mirror.early() {
            self.take_delta(&early, moment);
        }
    }

    /// Takes the values that differ between `desired` and `reported`.
    fn take(&mut self, message: &Value, wanted: &Map<String, Value>, metadata: Option<&Value>, moment: Moment) {
        self.hear_time(message, moment);
        // A delta contains every difference: a property that is missing is no longer requested, or already has the desired value.
        self.pending_changes.retain(|name, _| wanted.contains_key(name));
        self.queue.retain(|order| !matches!(order, Order::Set { name, .. } if !wanted.contains_key(name)));
        for (name, value) in wanted.iter().filter(|(name, _)| *name != "command" && *name != COMMANDS) {
            let requested = metadata.and_then(|metadata| metadata.get(name));
            if self.desired.take(name, value, requested, self.shadow_time(moment)) {
                self.change(name, value, requested.cloned(), moment);
            }
        }
        // Commands come after the properties that they may depend on.
        self.take_commands(wanted, moment);
    }

    fn hear_time(&mut self, message: &Value, moment: Moment) {
        self.message_time = message.get("timestamp").and_then(Value::as_u64).unwrap_or_default();
        self.told_at = moment.uptime;
    }

    /// The time by the clock of the shadow, or by the clock of the device if the shadow has sent no time.
    fn shadow_time(&self, moment: Moment) -> ShadowTime {
        let since = moment.uptime.saturating_sub(self.told_at).as_secs();
        let now = if self.message_time == 0 { moment.now } else { self.message_time.saturating_add(since) };
        ShadowTime { now, uptime: moment.uptime }
    }
}

#[cfg(test)]
#[path = "agent_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "command_tests.rs"]
mod command_tests;

#[cfg(test)]
#[path = "failure_tests.rs"]
mod failure_tests;

#[cfg(test)]
#[path = "device_change_tests.rs"]
mod device_change_tests;

#[cfg(test)]
#[path = "agent_property_tests.rs"]
mod property_tests;
