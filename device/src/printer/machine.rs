//! The simulated printer: how it reacts to orders, and which properties it reports.
//!
//! This module uses no network and no clock: elapsed time is an argument, events are return values.

use std::time::Duration;

use serde_json::{Map, Number, Value};

use super::command::Task;
use super::works::{Effect, End, Works};
pub use super::works::{Printer, Status};
use crate::agent::{Answer, Command, CommandStatus, Event, Order, Past, plain};

const NOZZLE_LIMIT: f64 = 300.0;
const BED_LIMIT: f64 = 120.0;

/// A simulated printer.
#[derive(Debug, Default)]
pub struct Machine {
    works: Works,
    /// The id of the command of the current print, which is answered when the print ends.
    job: Option<String>,
    events: Vec<Event>,
}

impl Machine {
    /// Begins an order.
    pub fn begin(&mut self, order: Order) {
        match order {
            Order::Do(command) => self.obey(command),
            Order::Set { name, value } => {
                let event = match self.set(&name, &value) {
                    Ok(()) => Event::Set { name, value },
                    Err(why) => {
                        self.note(&why);
                        Event::NotSet { name, value, why }
                    }
                };
                self.events.push(event);
            }
        }
    }

    /// Continues after a power failure, as printers do. The shadow replaces the lost memory of the device. Returns the id of the
    /// command that the printer continues.
    pub fn remember(&mut self, past: &Past) -> Option<String> {
        let text = |name: &str| past.reported.get(name).and_then(Value::as_str);
        self.works.on = text("power") != Some("OFF");
        self.works.model = text("model").map(str::to_owned);
        if let Some(target) = degrees(past.reported.get("nozzleTarget"), NOZZLE_LIMIT) {
            self.works.nozzle_target = target;
        }
        if let Some(target) = degrees(past.reported.get("bedTarget"), BED_LIMIT) {
            self.works.bed_target = target;
        }
        let job = past.open.last();
        // Only the command contains the number of copies.
        let wanted = job.and_then(|id| past.command(id));
        if let Some(command) = wanted
            && let Task::Print { copies, .. } = Task::read(&command)
        {
            self.works.copies = copies;
        }
        let progress = past.reported.get("progress").and_then(Value::as_u64).and_then(|progress| u32::try_from(progress).ok());
        self.works.stand_at(progress.unwrap_or_default());
        match text("status") {
            Some("printing") if self.works.on && self.works.model.is_some() => {
                self.works.status = Status::Printing;
                self.note(&format!("goes on with {}", self.print_job()));
            }
            Some("paused") if self.works.on && self.works.model.is_some() => self.works.status = Status::Paused,
            _ => return None,
        }
        self.job = job.cloned();
        self.job.clone()
    }

    /// Simulates the elapsed time.
    pub fn tick(&mut self, elapsed: Duration) {
        match self.works.work(elapsed) {
            Some(End::Printed) => self.end_job(CommandStatus::Done, &format!("{} is printed", self.print_job())),
            Some(End::RanOut) => self.end_job(CommandStatus::Failed, "the filament has run out"),
            None => {}
        }
    }

    /// Whether the state does not change with time.
    pub fn is_at_rest(&self) -> bool {
        self.works.is_at_rest()
    }

    /// The events since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The properties that the printer reports.
    pub fn properties(&self) -> Map<String, Value> {
        self.works.properties()
    }

    /// Makes the printer slow, or restores its normal speed.
    pub fn be_slow(&mut self, slow: bool) {
        self.works.slow = slow;
    }

    /// Lets the current or the next print run out of filament, or repairs the printer.
    pub fn fail(&mut self, fails: bool) {
        self.works.fails = fails;
        if !fails && self.works.status == Status::Error {
            self.works.status = Status::Idle;
            self.note("mended");
        }
    }

    /// Whether the printer is slow.
    pub fn is_slow(&self) -> bool {
        self.works.slow
    }

    /// Whether prints fail.
    pub fn fails(&self) -> bool {
        self.works.fails
    }

    /// The state of the printer for display.
    pub fn shown(&self) -> Printer {
        self.works.shown()
    }

    fn set(&mut self, name: &str, value: &Value) -> Result<(), String> {
        match (name, value.as_str()) {
            ("power", Some("ON")) => self.switch(true),
            ("power", Some("OFF")) => self.switch(false),
            ("power", _) => return Err("cannot be switched to what is wanted".to_owned()),
            ("nozzleTarget", _) => return self.warm("nozzle", degrees(Some(value), NOZZLE_LIMIT), |works| &mut works.nozzle_target),
            ("bedTarget", _) => return self.warm("bed", degrees(Some(value), BED_LIMIT), |works| &mut works.bed_target),
            (other, _) => return Err(format!("has no {} to be set", plain(other))),
        }
        Ok(())
    }

    fn switch(&mut self, on: bool) {
        if self.works.on != on {
            let was_busy = self.works.is_busy();
            self.works.switch(on);
            self.note(if on { "switched on" } else { "switched off" });
            if was_busy && !on {
                self.end_job(CommandStatus::Failed, "the printer was switched off");
            }
        }
    }

    fn warm(&mut self, part: &str, wanted: Option<Number>, target: fn(&mut Works) -> &mut Number) -> Result<(), String> {
        let Some(degrees) = wanted else { return Err(format!("the {part} cannot be as warm as is wanted")) };
        self.note(&format!("{part} to {degrees} degrees"));
        *target(&mut self.works) = degrees;
        Ok(())
    }

    fn obey(&mut self, command: Command) {
        let (status, detail) = match self.works.obey(Task::read(&command)) {
            Ok(Effect::Begun) => {
                self.job = Some(command.id.clone());
                (CommandStatus::Accepted, format!("{} is being printed", self.print_job()))
            }
            Ok(Effect::Done(what)) => {
                if !self.works.is_busy()
                    && let Some(id) = self.job.take()
                {
                    // The owner ended the print, so this is not reported as a failure.
                    self.events.push(Event::Interrupted(Answer { id, status: CommandStatus::Failed, detail: what.to_owned() }));
                }
                (CommandStatus::Done, what.to_owned())
            }
            Err(why) => (CommandStatus::Refused, why.to_owned()),
        };
        self.events.push(Event::Answered(Answer { id: command.id, status, detail }));
    }

    /// Ends the print and answers its command.
    fn end_job(&mut self, status: CommandStatus, detail: &str) {
        match self.job.take() {
            Some(id) => self.events.push(Event::Answered(Answer { id, status, detail: detail.to_owned() })),
            None => self.note(detail),
        }
    }

    /// A description of what is printed.
    fn print_job(&self) -> String {
        let model = self.works.model.as_deref().map(plain).unwrap_or_default();
        if self.works.copies == 1 { model } else { format!("{} times {model}", self.works.copies) }
    }

    fn note(&mut self, what: &str) {
        self.events.push(Event::Note(what.to_owned()));
    }
}

/// The requested number itself, if it is in the range. It is not converted, because `200` and `200.0` are different values in a
/// shadow.
fn degrees(wanted: Option<&Value>, limit: f64) -> Option<Number> {
    let number = wanted?.as_number()?;
    number.as_f64().is_some_and(|degrees| (0.0..=limit).contains(&degrees)).then(|| number.clone())
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "machine_property_tests.rs"]
mod property_tests;
