//! The running device of the hub's web page: the printer, or any other device that its model describes, with its connection and
//! its switches.
//!
//! It uses the same event loop as every other device, and publishes its state for the page.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use onething::device_model::Simulation;
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::machine::{Machine, Printer};
use super::simulated::{Simulated, Switch};
use crate::agent::{Body, InTurn};
use crate::bundle::{Bundle, BundleError};
use crate::device_model;
use crate::event_loop::{Connection, Control, EventLoop, Pace};
use crate::simulated_device::{SimulatedDevice, Switches};

/// The longest pause between two attempts to connect; shorter than usual, because a user is watching.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// How long the task may take to end.
const STOP_WITHIN: Duration = Duration::from_secs(2);
const LOG_LENGTH: usize = 50;

/// The state of a device for the page. The default is the state without a device.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct State {
    /// Whether there is a device.
    pub running: bool,
    /// The state of the connection.
    pub connection: Online,
    /// Whether the device is slow.
    pub slow: bool,
    /// Whether the actions of the device fail.
    pub fails: bool,
    /// The printer, if the device is one.
    pub printer: Option<Printer>,
    /// The log, oldest line first.
    pub log: Vec<Line>,
    /// The name of the thing of the bundle.
    pub thing: Option<String>,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// Unix time in seconds.
    pub at: u64,
    /// The text of the line.
    pub text: String,
}

/// The state of the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Online {
    /// Disconnected on request.
    #[default]
    Off,
    /// The device is trying to connect.
    Connecting,
    /// The connection is established.
    Connected,
    /// The hub refuses the device; the device tries again from time to time.
    Refused,
}

impl Online {
    /// Whether there is a connection or an attempt to connect.
    pub fn wants(self) -> bool {
        matches!(self, Self::Connecting | Self::Connected)
    }
}

/// Access to the switches of the device.
enum Hand {
    Printer(mpsc::Sender<Switch>),
    Any(Arc<Switches>),
}

/// A device that runs until it is stopped or dropped.
pub struct Device {
    control: Control,
    hand: Hand,
    tell: Arc<watch::Sender<State>>,
    state: watch::Receiver<State>,
    task: JoinHandle<()>,
}

impl Device {
    /// Opens a bundle and starts its device, which connects. `now` returns Unix time in seconds. Needs a tokio runtime.
    pub fn start(zip: &[u8], now: fn() -> u64) -> Result<Self, BundleError> {
        let bundle = Bundle::open(zip)?;
        let first =
            State { running: true, connection: Online::Connecting, thing: Some(bundle.connection.thing_name.clone()), ..State::default() };
        let (tell, state) = watch::channel(first);
        let tell = Arc::new(tell);
        let model = device_model::bundled(&bundle).ok().flatten().or_else(|| device_model::built_in(&bundle.connection.thing_name));
        if model.as_ref().is_some_and(|model| model.simulates == Some(Simulation::Printer)) {
            let (switches, turned) = mpsc::channel(16);
            let shown = Arc::clone(&tell);
            let printer = Simulated::new(turned, move |machine| show(&shown, machine));
            return Ok(Self::run_device(bundle, printer, Hand::Printer(switches), tell, state, now));
        }
        let switches = Arc::new(Switches::default());
        let device = SimulatedDevice::new(model, Arc::clone(&switches));
        let properties = device.properties();
        Ok(Self::run_device(bundle, InTurn::new(device, properties), Hand::Any(switches), tell, state, now))
    }

    fn run_device<B: Body + 'static>(
        bundle: Bundle,
        body: B,
        hand: Hand,
        tell: Arc<watch::Sender<State>>,
        state: watch::Receiver<State>,
        now: fn() -> u64,
    ) -> Self {
        let logged = Arc::clone(&tell);
        let (event_loop, control) = EventLoop::new(bundle, body, now);
        let pace = Pace { longest_wait: LONGEST_WAIT, probation: LONGEST_WAIT, ..Pace::default() };
        let event_loop = event_loop.with_pace(pace).with_log(move |text| log(&logged, Line { at: now(), text: text.to_owned() }));
        let task = tokio::spawn(run(event_loop, control.watch(), Arc::clone(&tell)));
        Self { control, hand, tell, state, task }
    }

    /// Connects at once.
    pub async fn connect(&self) {
        self.control.connect().await;
    }

    /// Disconnects, and does not connect again by itself.
    pub async fn disconnect(&self) {
        self.control.disconnect().await;
    }

    /// Makes the device slow, or restores its normal speed.
    pub async fn slow(&self, slow: bool) {
        self.turn(Switch::Slow(slow)).await;
    }

    /// Lets the current or the next print run out of filament, or repairs the printer.
    pub async fn fail(&self, fails: bool) {
        self.turn(Switch::Fail(fails)).await;
    }

    /// The current state.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// A receiver that is notified of each change of the state.
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// Disconnects and ends.
    pub async fn stop(mut self) {
        self.control.stop().await;
        // A task that does not end in time is aborted when this value is dropped.
        let _ = timeout(STOP_WITHIN, &mut self.task).await;
    }

    async fn turn(&self, switch: Switch) {
        match (&self.hand, switch) {
            // A closed channel means that the device has ended, so its switches have no effect.
            (Hand::Printer(switches), switch) => drop(switches.send(switch).await),
            (Hand::Any(switches), Switch::Slow(slow)) => {
                switches.slow.store(slow, Ordering::Relaxed);
                self.tell.send_modify(|state| state.slow = slow);
            }
            (Hand::Any(switches), Switch::Fail(fails)) => {
                switches.fails.store(fails, Ordering::Relaxed);
                self.tell.send_modify(|state| state.fails = fails);
            }
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run<B: Body>(event_loop: EventLoop<B>, mut status: watch::Receiver<crate::event_loop::Status>, tell: Arc<watch::Sender<State>>) {
    let online = async {
        while status.changed().await.is_ok() {
            let online = match status.borrow_and_update().connection {
                Connection::Off => Online::Off,
                Connection::Connecting | Connection::Lost { .. } => Online::Connecting,
                Connection::Connected { .. } => Online::Connected,
                Connection::Refused { .. } | Connection::Unverified { .. } => Online::Refused,
            };
            tell.send_if_modified(|state| std::mem::replace(&mut state.connection, online) != online);
        }
    };
    tokio::join!(event_loop.run(), online);
    tell.send_replace(State::default());
}

fn show(tell: &watch::Sender<State>, machine: &Machine) {
    let (printer, slow, fails) = (Some(machine.shown()), machine.is_slow(), machine.fails());
    tell.send_if_modified(|state| {
        let changed = state.printer != printer || state.slow != slow || state.fails != fails;
        (state.printer, state.slow, state.fails) = (printer, slow, fails);
        changed
    });
}

fn log(tell: &watch::Sender<State>, line: Line) {
    tell.send_modify(|state| {
        // A repeated line replaces the line before, with a new time.
        if state.log.last().is_some_and(|last| last.text == line.text) {
            state.log.pop();
        }
        state.log.push(line);
        let surplus = state.log.len().saturating_sub(LOG_LENGTH);
        state.log.drain(..surplus);
    });
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
