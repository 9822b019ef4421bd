//! The mechanics of the simulated printer: temperatures, progress and failures over time.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Number, Value, json};

use super::command::Task;

/// The printing time of one copy at full temperature.
const SECONDS_PER_COPY: f64 = 18.0;
/// The factor by which all durations grow while the printer is slow.
const SLOWNESS: f64 = 5.0;
/// The progress at which a failing print ends, in copies.
const RUNS_OUT_AT: f64 = 0.1;
/// The room temperature, in degrees.
const ROOM: f64 = 21.0;
const PRINTS_AT: Heat = Heat { nozzle: 200.0, bed: 60.0 };
/// In degrees per second.
const HEATS_BY: Heat = Heat { nozzle: 90.0, bed: 25.0 };
const COOLS_BY: Heat = Heat { nozzle: 15.0, bed: 4.0 };

#[derive(Clone, Copy, Debug)]
struct Heat {
    nozzle: f64,
    bed: f64,
}

/// The activity of the printer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The printer is idle.
    Idle,
    /// A print is in progress, or the printer is heating for it.
    Printing,
    /// A print is paused.
    Paused,
    /// The printer has to be repaired by a person.
    Error,
}

/// The state of the printer for display.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Printer {
    /// `ON` or `OFF`.
    pub power: &'static str,
    /// The activity of the printer.
    pub status: Status,
    /// The model that is printed, or was printed last.
    pub model: Option<String>,
    /// The progress of all copies, in percent.
    pub progress: u32,
    /// The temperature of the nozzle, in degrees.
    pub nozzle: u32,
    /// The temperature of the bed, in degrees.
    pub bed: u32,
    /// The desired temperature of the nozzle, in degrees.
    pub nozzle_target: Number,
    /// The desired temperature of the bed, in degrees.
    pub bed_target: Number,
    /// The number of copies to print.
    pub copies: u32,
    /// The number of the current copy, starting at 1.
    pub copy: u32,
}

/// How a print ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Printed,
    RanOut,
}

/// The effect of a command that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// A print has begun; its command is done when the print ends.
    Begun,
    /// The command is done already.
    Done(&'static str),
}

#[derive(Debug)]
pub(super) struct Works {
    pub(super) on: bool,
    pub(super) status: Status,
    pub(super) model: Option<String>,
    pub(super) copies: u32,
    /// The printed amount, in copies.
    done: f64,
    heat: Heat,
    pub(super) nozzle_target: Number,
    pub(super) bed_target: Number,
    pub(super) slow: bool,
    pub(super) fails: bool,
}

impl Default for Works {
    /// A printer that was just switched on.
    fn default() -> Self {
        Self {
            on: true,
            status: Status::Idle,
            model: None,
            copies: 1,
            done: 0.0,
            heat: Heat { nozzle: ROOM, bed: ROOM },
            nozzle_target: Number::from(0),
            bed_target: Number::from(0),
            slow: false,
            fails: false,
        }
    }
}

impl Works {
    /// Performs a task, or returns why it is refused.
    pub(super) fn obey(&mut self, task: Task) -> Result<Effect, &'static str> {
        match (task, self.status) {
            (Task::Unknown, _) => Err("the printer cannot do this"),
            (Task::Unclear(why), _) => Err(why),
            (Task::Print { .. }, _) if !self.on => Err("the printer is switched off"),
            (Task::Print { .. }, Status::Printing | Status::Paused) => Err("the printer is busy"),
            (Task::Print { .. }, Status::Error) => Err("the printer has to be mended first"),
            (Task::Print { model, copies }, Status::Idle) => {
                (self.model, self.copies, self.done) = (Some(model), copies, 0.0);
                self.status = Status::Printing;
                Ok(Effect::Begun)
            }
            (Task::Pause, Status::Printing) => Ok(self.turn(Status::Paused, "paused")),
            (Task::Resume, Status::Paused) => Ok(self.turn(Status::Printing, "resumed")),
            (Task::Cancel, Status::Printing | Status::Paused) => {
                self.done = 0.0;
                Ok(self.turn(Status::Idle, "cancelled"))
            }
            (Task::Pause | Task::Cancel, _) => Err("nothing is printed"),
            (Task::Resume, _) => Err("nothing is paused"),
        }
    }

    fn turn(&mut self, status: Status, what: &'static str) -> Effect {
        self.status = status;
        Effect::Done(what)
    }

    /// Switches the printer on or off. Switching off discards the current print.
    pub(super) fn switch(&mut self, on: bool) {
        self.on = on;
        if !on && self.is_busy() {
            (self.status, self.done) = (Status::Idle, 0.0);
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        matches!(self.status, Status::Printing | Status::Paused)
    }

    /// Sets the progress of a print, in percent of all copies.
    pub(super) fn stand_at(&mut self, progress: u32) {
        self.done = f64::from(progress.min(100)) / 100.0 * f64::from(self.copies);
    }

    /// Simulates the elapsed time. Returns the end of the print, if it has ended.
    pub(super) fn work(&mut self, elapsed: Duration) -> Option<End> {
        let seconds = elapsed.as_secs_f64() / if self.slow { SLOWNESS } else { 1.0 };
        let aim = Heat { nozzle: self.aim(&self.nozzle_target, PRINTS_AT.nozzle), bed: self.aim(&self.bed_target, PRINTS_AT.bed) };
        self.heat.nozzle = towards(self.heat.nozzle, aim.nozzle, HEATS_BY.nozzle * seconds, COOLS_BY.nozzle * seconds);
        self.heat.bed = towards(self.heat.bed, aim.bed, HEATS_BY.bed * seconds, COOLS_BY.bed * seconds);
        if self.status != Status::Printing || self.heat.nozzle < aim.nozzle || self.heat.bed < aim.bed {
            return None;
        }
        let all = f64::from(self.copies);
        self.done = (self.done + seconds / SECONDS_PER_COPY).min(all);
        if self.fails && self.done >= RUNS_OUT_AT {
            self.status = Status::Error;
            Some(End::RanOut)
        } else if self.done >= all {
            self.status = Status::Idle;
            Some(End::Printed)
        } else {
            None
        }
    }

    /// Whether the state does not change with time.
    pub(super) fn is_at_rest(&self) -> bool {
        let heat = (self.aim(&self.nozzle_target, PRINTS_AT.nozzle), self.aim(&self.bed_target, PRINTS_AT.bed));
        self.status != Status::Printing && (self.heat.nozzle, self.heat.bed) == heat
    }

    fn aim(&self, target: &Number, hot: f64) -> f64 {
        match target.as_f64().unwrap_or_default() {
            _ if !self.on => ROOM,
            target if self.is_busy() => target.max(hot),
            target => target.max(ROOM),
        }
    }

    pub(super) fn shown(&self) -> Printer {
        let progress = whole(self.done / f64::from(self.copies) * 100.0);
        Printer {
            power: if self.on { "ON" } else { "OFF" },
            status: self.status,
            model: self.model.clone(),
            // The progress is 100 only when the print is done.
            progress: if self.is_busy() { progress.min(99) } else { progress },
            nozzle: whole(self.heat.nozzle),
            bed: whole(self.heat.bed),
            nozzle_target: self.nozzle_target.clone(),
            bed_target: self.bed_target.clone(),
            copies: self.copies,
            copy: (whole(self.done) + 1).min(self.copies),
        }
    }

    /// The properties that the printer reports.
    pub(super) fn properties(&self) -> Map<String, Value> {
        let shown = self.shown();
        let mut properties = Map::from_iter([
            ("power".to_owned(), json!(shown.power)),
            ("status".to_owned(), json!(shown.status)),
            ("progress".to_owned(), json!(shown.progress)),
            ("nozzle".to_owned(), json!(shown.nozzle)),
            ("bed".to_owned(), json!(shown.bed)),
            ("nozzleTarget".to_owned(), Value::Number(shown.nozzle_target)),
            ("bedTarget".to_owned(), Value::Number(shown.bed_target)),
        ]);
        properties.extend(shown.model.map(|model| ("model".to_owned(), json!(model))));
        properties
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and some hundreds")]
fn whole(number: f64) -> u32 {
    // A hundredth is added, because the sum of eighteenths may be slightly smaller than a whole number.
    (number + 0.01).floor() as u32
}

fn towards(from: f64, to: f64, up: f64, down: f64) -> f64 {
    if from < to { (from + up).min(to) } else { (from - down).max(to) }
}
