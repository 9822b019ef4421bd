//! The printer in real time: a body that ticks while the state changes, and sleeps otherwise.

use std::future::pending;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::machine::Machine;
use crate::agent::{Body, Event, Order, Past};

const TICK: Duration = Duration::from_millis(250);

/// A switch that a user operates on the simulated printer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Switch {
    Slow(bool),
    Fail(bool),
}

/// A printer that runs in real time.
pub struct Simulated {
    machine: Machine,
    /// The time up to which the machine has been simulated.
    at: Instant,
    switches: Option<mpsc::Receiver<Switch>>,
    show: Box<dyn Fn(&Machine) + Send>,
}

impl Default for Simulated {
    fn default() -> Self {
        Self { machine: Machine::default(), at: Instant::now(), switches: None, show: Box::new(|_| {}) }
    }
}

impl Simulated {
    /// A printer with switches. `show` is called whenever the state may have changed.
    pub(super) fn new(switches: mpsc::Receiver<Switch>, show: impl Fn(&Machine) + Send + 'static) -> Self {
        let printer = Self { switches: Some(switches), show: Box::new(show), ..Self::default() };
        (printer.show)(&printer.machine);
        printer
    }

    fn change<T>(&mut self, change: impl FnOnce(&mut Machine) -> T) -> T {
        if self.machine.is_at_rest() {
            // The state has not changed while the machine was at rest, so that time need not be simulated.
            self.at = Instant::now();
        }
        let result = change(&mut self.machine);
        (self.show)(&self.machine);
        result
    }

    fn tick(&mut self) {
        let now = Instant::now();
        self.machine.tick(now.saturating_duration_since(self.at));
        self.at = now;
        (self.show)(&self.machine);
    }
}

impl Body for Simulated {
    /// The printer accepts orders at any time: a print can be paused while it runs.
    fn is_free(&self) -> bool {
        true
    }

    fn begin(&mut self, order: Order) {
        self.change(|machine| machine.begin(order));
    }

    async fn work(&mut self) -> Vec<Event> {
        let events = self.machine.events();
        if !events.is_empty() {
            return events;
        }
        let due = (!self.machine.is_at_rest()).then(|| self.at + TICK);
        tokio::select! {
            switch = next(&mut self.switches) => self.change(|machine| match switch {
                Switch::Slow(slow) => machine.be_slow(slow),
                Switch::Fail(fails) => machine.fail(fails),
            }),
            () = until(due) => self.tick(),
        }
        self.machine.events()
    }

    fn properties(&self) -> Map<String, Value> {
        self.machine.properties()
    }

    fn remember(&mut self, past: &Past) -> Option<String> {
        self.change(|machine| machine.remember(past))
    }
}

async fn next(switches: &mut Option<mpsc::Receiver<Switch>>) -> Switch {
    if let Some(receiver) = switches
        && let Some(switch) = receiver.recv().await
    {
        return switch;
    }
    // The sender was dropped.
    *switches = None;
    pending().await
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}
