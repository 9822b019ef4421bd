//! The printer as a device: what it does with what is wanted of it, and what it says about itself.
//!
//! No network, no clock: time comes in as an argument, reports come out as values. A command is done once for its
//! id and never after it has expired, however often and in whatever order the shadow tells of it. What is reported is
//! the difference between what the shadow holds and what is so: nothing that was lost on the way stays lost.
//!
//! The shadow's documents are those of AWS IoT
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-document.html>). A delta holds of a command only
//! what is not reported, so a command without an id has been answered.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Number, Value, json};

use super::body::{Body, Effect, End};
pub use super::body::{Printer, Status};
use super::command::{Command, Order};

/// Between two reports, so that a moving print head does not become a storm of updates.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);
/// After which everything is said again that the shadow refused to take.
const SECOND_TRY: Duration = Duration::from_secs(5);
/// How many command ids are remembered: a shadow holds one at a time.
const MEMORY: usize = 100;
const NOZZLE_LIMIT: f64 = 300.0;
const BED_LIMIT: f64 = 120.0;

/// What became of the last command.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Answer {
    id: String,
    status: &'static str,
    detail: String,
}

/// A printer with a memory.
#[derive(Debug)]
pub struct Machine {
    /// Reported, so that an older one of the same thing can be taken out of service.
    certificate: Option<String>,
    body: Body,
    /// The command of the print under way: it is answered when the print ends.
    job: Option<String>,
    /// Only the newest command is answered. To answer an older one would make the newer one look open, and a device
    /// that has lost its memory would do it again.
    answer: Option<Answer>,
    seen: VecDeque<String>,
    /// What the shadow holds of this device, as far as is known; `None` while nobody listens.
    reported: Option<Map<String, Value>>,
    /// Of the last document of this connection.
    version: Option<u64>,
    remembers: bool,
    since_report: Duration,
    repeat_in: Option<Duration>,
    /// The newest delta that came before the shadow.
    early: Option<Value>,
    notes: Vec<String>,
}

impl Machine {
    /// A printer that has just been plugged in, with the certificate of this id.
    pub fn new(certificate: Option<String>) -> Self {
        Self {
            certificate,
            body: Body::default(),
            job: None,
            answer: None,
            seen: VecDeque::new(),
            reported: None,
            version: None,
            remembers: false,
            since_report: REPORT_INTERVAL,
            repeat_in: None,
            early: None,
            notes: Vec::new(),
        }
    }

    /// Takes the shadow, as it answers the question at the beginning of a connection. `now` is in seconds since the epoch.
    pub fn take_shadow(&mut self, document: &Value, now: u64) {
        let version = document.get("version").and_then(Value::as_u64);
        if version < self.version {
            return;
        }
        self.version = version;
        let section = |pointer: &str| document.pointer(pointer).and_then(Value::as_object).cloned().unwrap_or_default();
        let reported = section("/state/reported");
        if let Some(id) = reported.get("command").and_then(|command| command.get("id")).and_then(Value::as_str) {
            self.has_seen(id);
        }
        if !self.remembers {
            self.remember(&reported, &section("/state/desired"));
        }
        self.reported = Some(reported);
        self.take(&section("/state/delta"), now);
        if let Some(early) = self.early.take() {
            self.take_delta(&early, now);
        }
    }

    /// There is no shadow: nothing is wanted, and everything is news. `now` is in seconds since the epoch.
    pub fn take_no_shadow(&mut self, now: u64) {
        self.remembers = true;
        self.reported = Some(Map::new());
        if let Some(early) = self.early.take() {
            self.take_delta(&early, now);
        }
    }

    /// Takes a delta, unless something as new has been seen. `now` is in seconds since the epoch.
    pub fn take_delta(&mut self, message: &Value, now: u64) {
        let version = message.get("version").and_then(Value::as_u64);
        if version.is_none() || version <= self.version {
            return;
        }
        if self.reported.is_none() {
            // It has overtaken the shadow itself, without which nobody knows what has been answered.
            if self.early.as_ref().and_then(|early| early.get("version")).and_then(Value::as_u64) < version {
                self.early = Some(message.clone());
            }
            return;
        }
        self.version = version;
        if let Some(state) = message.get("state").and_then(Value::as_object) {
            self.take(state, now);
        }
    }

    /// The shadow refused a report: it is said again, a little later.
    pub fn was_refused(&mut self) {
        self.repeat_in = Some(SECOND_TRY);
    }

    /// The connection is gone. Versions begin anew with the next one: the shadow may have been deleted meanwhile.
    pub fn is_alone(&mut self) {
        (self.reported, self.version, self.repeat_in, self.early) = (None, None, None, None);
    }

    /// Lets time pass. What is to be put into the shadow's `reported`, if anything.
    pub fn tick(&mut self, elapsed: Duration) -> Option<Map<String, Value>> {
        match self.body.work(elapsed) {
            Some(End::Printed) => self.end_job("done", &format!("{} is printed", self.wares())),
            Some(End::RanOut) => self.end_job("failed", "the filament has run out"),
            None => {}
        }
        self.since_report = self.since_report.saturating_add(elapsed);
        let mut so = self.body.properties();
        so.extend(self.certificate.as_ref().map(|id| ("certificateId".to_owned(), json!(id))));
        so.extend(self.answer.as_ref().map(|answer| ("command".to_owned(), json!(answer))));
        let reported = self.reported.as_mut()?;
        if let Some(left) = self.repeat_in {
            self.repeat_in = left.checked_sub(elapsed).filter(|left| !left.is_zero());
            if self.repeat_in.is_some() {
                return None;
            }
            reported.clear();
        }
        if self.since_report < REPORT_INTERVAL {
            return None;
        }
        so.retain(|name, value| reported.get(name) != Some(value));
        if so.is_empty() {
            return None;
        }
        self.since_report = Duration::ZERO;
        reported.extend(so.clone());
        Some(so)
    }

    /// Makes it slow, or as fast as it was.
    pub fn be_slow(&mut self, slow: bool) {
        self.body.slow = slow;
    }

    /// Makes the print under way, or the next one, run out of filament; or mends the printer.
    pub fn fail(&mut self, fails: bool) {
        self.body.fails = fails;
        if !fails && self.body.status == Status::Error {
            self.body.status = Status::Idle;
            self.note("mended");
        }
    }

    /// Whether it is slow.
    pub fn is_slow(&self) -> bool {
        self.body.slow
    }

    /// Whether prints fail.
    pub fn fails(&self) -> bool {
        self.body.fails
    }

    /// The printer, as it is to be shown.
    pub fn shown(&self) -> Printer {
        self.body.shown()
    }

    /// What has happened since this was last asked, in words.
    pub fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Goes on where the power was cut, as printers do: the shadow is the memory of a device that has lost its own.
    fn remember(&mut self, reported: &Map<String, Value>, desired: &Map<String, Value>) {
        self.remembers = true;
        let text = |name: &str| reported.get(name).and_then(Value::as_str);
        let answered = reported.get("command").cloned().unwrap_or_default();
        let said = |field: &str| answered.get(field).and_then(Value::as_str);
        if let (Some(id), Some(status)) = (said("id"), said("status")) {
            let known = ["accepted", "done", "refused", "failed"].into_iter().find(|known| *known == status);
            let detail = said("detail").unwrap_or_default().to_owned();
            self.answer = Some(Answer { id: id.to_owned(), status: known.unwrap_or("done"), detail });
        }
        self.job = said("id").filter(|_| said("status") == Some("accepted")).map(str::to_owned);

        self.body.on = text("power") != Some("OFF");
        self.body.model = text("model").map(str::to_owned);
        if let Some(target) = degrees(reported.get("nozzleTarget"), NOZZLE_LIMIT) {
            self.body.nozzle_target = target;
        }
        if let Some(target) = degrees(reported.get("bedTarget"), BED_LIMIT) {
            self.body.bed_target = target;
        }
        // The number of copies stands in the command alone.
        let wanted = desired.get("command").and_then(Value::as_object).and_then(Command::read);
        if let Some(Command { id, order: Order::Print { copies, .. }, .. }) = wanted
            && Some(&id) == self.job.as_ref()
        {
            self.body.copies = copies;
        }
        let progress = reported.get("progress").and_then(Value::as_u64).and_then(|progress| u32::try_from(progress).ok());
        self.body.stand_at(progress.unwrap_or_default());
        match text("status") {
            Some("printing") if self.body.on && self.body.model.is_some() => {
                self.body.status = Status::Printing;
                self.note(&format!("goes on with {}", self.wares()));
            }
            Some("paused") if self.body.on && self.body.model.is_some() => self.body.status = Status::Paused,
            _ if self.job.is_some() => self.end_job("failed", "the power was cut"),
            _ => {}
        }
    }

    /// What is desired and not reported.
    fn take(&mut self, wanted: &Map<String, Value>, now: u64) {
        for (name, value) in wanted {
            match name.as_str() {
                // What is to be done comes after what it is to be done with.
                "command" => {}
                "power" => match value.as_str() {
                    Some("ON") => self.switch(true),
                    Some("OFF") => self.switch(false),
                    _ => self.note("cannot be switched to what is wanted"),
                },
                "nozzleTarget" => self.warm("nozzle", degrees(Some(value), NOZZLE_LIMIT), |body| &mut body.nozzle_target),
                "bedTarget" => self.warm("bed", degrees(Some(value), BED_LIMIT), |body| &mut body.bed_target),
                other => self.note(&format!("has no {} to be set", plain(other))),
            }
        }
        if let Some(command) = wanted.get("command").and_then(Value::as_object).and_then(Command::read) {
            self.command(command, now);
        }
    }

    fn switch(&mut self, on: bool) {
        if self.body.on == on {
            return;
        }
        let was_busy = self.body.is_busy();
        self.body.switch(on);
        self.note(if on { "switched on" } else { "switched off" });
        if was_busy && !on {
            self.end_job("failed", "the printer was switched off");
        }
    }

    fn warm(&mut self, part: &str, wanted: Option<Number>, target: fn(&mut Body) -> &mut Number) {
        match wanted {
            Some(degrees) => {
                self.note(&format!("{part} to {degrees} degrees"));
                *target(&mut self.body) = degrees;
            }
            None => self.note(&format!("the {part} cannot be as warm as is wanted")),
        }
    }

    fn has_seen(&mut self, id: &str) -> bool {
        let before = self.seen.iter().any(|seen| seen == id);
        if !before {
            self.seen.push_back(id.to_owned());
            if self.seen.len() > MEMORY {
                self.seen.pop_front();
            }
        }
        before
    }

    fn command(&mut self, command: Command, now: u64) {
        if self.has_seen(&command.id) {
            return;
        }
        let outcome = match command.expires_at {
            None => Err("it does not say how long it counts"),
            Some(end) if end <= now => Err("it came too late"),
            Some(_) => self.body.obey(command.order),
        };
        let (status, detail) = match outcome {
            Ok(Effect::Begun) => {
                self.job = Some(command.id.clone());
                ("accepted", format!("{} is being printed", self.wares()))
            }
            Ok(Effect::Done(what)) => {
                if !self.body.is_busy() {
                    self.job = None;
                }
                ("done", what.to_owned())
            }
            Err(why) => ("refused", why.to_owned()),
        };
        self.note(&format!("{} {status}: {}", plain(&command.name), plain(&detail)));
        self.answer = Some(Answer { id: command.id, status, detail });
    }

    /// Ends the print, and answers its command if no other has come since.
    fn end_job(&mut self, status: &'static str, detail: &str) {
        let job = self.job.take();
        let Some(answer) = self.answer.as_mut().filter(|answer| Some(&answer.id) == job.as_ref()) else {
            // A command that came in between is the last that may be answered.
            return self.note(detail);
        };
        (answer.status, answer.detail) = (status, detail.to_owned());
        self.note(detail);
    }

    /// What is printed, in words.
    fn wares(&self) -> String {
        let model = self.body.model.as_deref().map(plain).unwrap_or_default();
        if self.body.copies == 1 { model } else { format!("{} times {model}", self.body.copies) }
    }

    fn note(&mut self, what: &str) {
        self.notes.push(what.to_owned());
    }
}

/// The very number that is wanted, where it is in the range: `200` and `200.0` are two values to a shadow.
fn degrees(wanted: Option<&Value>, limit: f64) -> Option<Number> {
    let number = wanted?.as_number()?;
    number.as_f64().is_some_and(|degrees| (0.0..=limit).contains(&degrees)).then(|| number.clone())
}

/// Words of others, as part of one line.
fn plain(words: &str) -> String {
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(64).collect()
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "machine_property_tests.rs"]
mod property_tests;
