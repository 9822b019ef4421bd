//! The printer's works: what gets warm, moves and breaks, as time passes.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Number, Value, json};

use super::command::Task;

/// Of hot printing, for one copy.
const SECONDS_PER_COPY: f64 = 18.0;
/// How much longer everything takes when the printer is slow.
const SLOWNESS: f64 = 5.0;
/// In copies: where a print breaks off, when it has to.
const RUNS_OUT_AT: f64 = 0.1;
/// In degrees.
const ROOM: f64 = 21.0;
const PRINTS_AT: Heat = Heat { nozzle: 200.0, bed: 60.0 };
/// In degrees a second.
const HEATS_BY: Heat = Heat { nozzle: 90.0, bed: 25.0 };
const COOLS_BY: Heat = Heat { nozzle: 15.0, bed: 4.0 };

#[derive(Clone, Copy, Debug)]
struct Heat {
    nozzle: f64,
    bed: f64,
}

/// What the printer is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing.
    Idle,
    /// A print, or getting hot for it.
    Printing,
    /// A print that waits to be gone on with.
    Paused,
    /// Something a human has to mend.
    Error,
}

/// The printer, as it is to be shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Printer {
    /// `ON` or `OFF`.
    pub power: &'static str,
    /// What it is busy with.
    pub status: Status,
    /// What it prints or printed last.
    pub model: Option<String>,
    /// Percent of all copies.
    pub progress: u32,
    /// Degrees.
    pub nozzle: u32,
    /// Degrees.
    pub bed: u32,
    /// How warm the owner wants it.
    pub nozzle_target: Number,
    /// How warm the owner wants it.
    pub bed_target: Number,
    /// How many are wanted.
    pub copies: u32,
    /// Which of them is being printed, from 1 on.
    pub copy: u32,
}

/// How a print ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Printed,
    RanOut,
}

/// What a command has begun or done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// A print has begun; its command is done when it ends.
    Begun,
    /// Done already.
    Done(&'static str),
}

#[derive(Debug)]
pub(super) struct Works {
    pub(super) on: bool,
    pub(super) status: Status,
    pub(super) model: Option<String>,
    pub(super) copies: u32,
    /// In copies, from 0 to all of them.
    done: f64,
    heat: Heat,
    pub(super) nozzle_target: Number,
    pub(super) bed_target: Number,
    pub(super) slow: bool,
    pub(super) fails: bool,
}

impl Default for Works {
    /// Just plugged in.
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
    /// Does what it is told, or says why not.
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

    /// Switches it. Off throws a print away.
    pub(super) fn switch(&mut self, on: bool) {
        self.on = on;
        if !on && self.is_busy() {
            (self.status, self.done) = (Status::Idle, 0.0);
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        matches!(self.status, Status::Printing | Status::Paused)
    }

    /// Stands where a print had come to, in percent of all copies.
    pub(super) fn stand_at(&mut self, progress: u32) {
        self.done = f64::from(progress.min(100)) / 100.0 * f64::from(self.copies);
    }

    /// Lets time pass; whether a print has ended.
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

    /// Whether time changes nothing.
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
            // Nothing is whole before it is done.
            progress: if self.is_busy() { progress.min(99) } else { progress },
            nozzle: whole(self.heat.nozzle),
            bed: whole(self.heat.bed),
            nozzle_target: self.nozzle_target.clone(),
            bed_target: self.bed_target.clone(),
            copies: self.copies,
            copy: (whole(self.done) + 1).min(self.copies),
        }
    }

    /// What a device of this kind reports.
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
    // A hundredth more: a sum of eighteenths may fall short of a whole by the last bit.
    (number + 0.01).floor() as u32
}

fn towards(from: f64, to: f64, up: f64, down: f64) -> f64 {
    if from < to { (from + up).min(to) } else { (from - down).max(to) }
}
