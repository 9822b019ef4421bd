//! The running device: the printer, its connection, and somebody with a finger on its switches.
//!
//! One task owns the machine, so nothing is done twice at once. A lost connection is opened again, later each time and at
//! no fixed beat; one that is refused as well, because a certificate may come back into use. What the shadow missed
//! meanwhile is found when it is read at the beginning of the next connection.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until, timeout};

use super::machine::{Machine, Printer};
use crate::bundle::{Bundle, BundleError};
use crate::link::{Link, News};

const TICK: Duration = Duration::from_millis(250);
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// After which a connection counts as a good one, and the next attempt comes soon.
const PROBATION: Duration = Duration::from_secs(20);
/// For the answer to the question for the shadow.
const SHADOW_WITHIN: Duration = Duration::from_secs(10);
/// For the task to end.
const FAREWELL: Duration = Duration::from_secs(1);
const LOG_LENGTH: usize = 50;

/// What a device says about itself. The default is that of no device.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct State {
    /// Whether there is a device.
    pub running: bool,
    /// Whether it is connected.
    pub connection: Online,
    /// Whether it is slow.
    pub slow: bool,
    /// Whether its prints fail.
    pub fails: bool,
    /// The printer.
    pub printer: Option<Printer>,
    /// What has happened, oldest first.
    pub log: Vec<Line>,
    /// Whose bundle it has.
    pub thing: Option<String>,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// Seconds since the epoch.
    pub at: u64,
    /// What happened.
    pub text: String,
}

/// The state of the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Online {
    /// Nobody wants one.
    #[default]
    Off,
    /// It is tried.
    Connecting,
    /// It stands.
    Connected,
    /// The hub says no; it is tried again now and then.
    Refused,
}

/// A device that runs until it is stopped or dropped.
pub struct Device {
    switches: mpsc::Sender<Switch>,
    state: watch::Receiver<State>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy)]
enum Switch {
    Connect,
    Disconnect,
    Slow(bool),
    Fail(bool),
    Stop,
}

impl Device {
    /// Opens a bundle and starts the device with it, which connects. `now` is in seconds since the epoch. Needs a
    /// tokio runtime.
    pub fn start(zip: &[u8], now: fn() -> u64) -> Result<Self, BundleError> {
        let bundle = Bundle::open(zip)?;
        let (switches, orders) = mpsc::channel(16);
        let first =
            State { running: true, connection: Online::Connecting, thing: Some(bundle.connection.thing_name.clone()), ..State::default() };
        let (tell, state) = watch::channel(first);
        let machine = Machine::new(bundle.connection.certificate_id.clone());
        let life = Life { bundle, now, machine, link: None, due: Some(Instant::now()), failures: 0, tell };
        Ok(Self { switches, state, task: tokio::spawn(life.run(orders)) })
    }

    /// Connects, at once.
    pub async fn connect(&self) {
        self.turn(Switch::Connect).await;
    }

    /// Disconnects, and stays so.
    pub async fn disconnect(&self) {
        self.turn(Switch::Disconnect).await;
    }

    /// Makes it slow, or as fast as it was.
    pub async fn slow(&self, slow: bool) {
        self.turn(Switch::Slow(slow)).await;
    }

    /// Lets the print under way, or the next one, run out of filament; or mends the printer.
    pub async fn fail(&self, fails: bool) {
        self.turn(Switch::Fail(fails)).await;
    }

    /// How it is.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Tells whenever something has changed.
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// Says goodbye and ends.
    pub async fn stop(mut self) {
        self.turn(Switch::Stop).await;
        // A task that does not end by itself is ended when this value is dropped.
        let _ = timeout(FAREWELL, &mut self.task).await;
    }

    async fn turn(&self, switch: Switch) {
        // Without a receiver the device has ended, and its switches do nothing.
        let _ = self.switches.send(switch).await;
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The task that is the device.
struct Life {
    bundle: Bundle,
    now: fn() -> u64,
    machine: Machine,
    link: Option<Connected>,
    /// When to connect; never, when nobody wants it or it is done.
    due: Option<Instant>,
    failures: u32,
    tell: watch::Sender<State>,
}

struct Connected {
    link: Link,
    /// When the shadow was asked for.
    since: Option<Instant>,
    has_shadow: bool,
}

impl Life {
    async fn run(mut self, mut orders: mpsc::Receiver<Switch>) {
        let mut ticks: Interval = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut last = Instant::now();
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    None | Some(Switch::Stop) => break,
                    Some(order) => self.turn(order).await,
                },
                news = news(&mut self.link) => self.hear(news),
                () = until(self.due) => {
                    self.due = None;
                    self.link = Some(Connected { link: Link::open(&self.bundle), since: None, has_shadow: false });
                }
                now = ticks.tick() => {
                    let elapsed = now.saturating_duration_since(last);
                    last = now;
                    self.tick(elapsed);
                }
            }
            self.show();
        }
        self.hang_up().await;
        self.tell.send_replace(State::default());
    }

    async fn turn(&mut self, switch: Switch) {
        match switch {
            Switch::Connect => {
                self.failures = 0;
                if self.link.is_none() {
                    self.due = Some(Instant::now());
                    self.is(Online::Connecting);
                }
            }
            Switch::Disconnect => {
                self.hang_up().await;
                self.is(Online::Off);
                self.log("disconnected");
            }
            Switch::Slow(slow) => self.machine.be_slow(slow),
            Switch::Fail(fails) => self.machine.fail(fails),
            Switch::Stop => {}
        }
    }

    async fn hang_up(&mut self) {
        self.due = None;
        self.machine.is_alone();
        if let Some(connected) = self.link.take() {
            connected.link.close().await;
        }
    }

    fn hear(&mut self, news: News) {
        let now = (self.now)();
        let Some(connected) = &mut self.link else { return };
        match news {
            News::Up => {
                connected.since = Some(Instant::now());
                self.is(Online::Connected);
                self.log("connected");
            }
            News::Shadow(document) => {
                // What is no JSON says nothing; the question is open until it is answered.
                let Ok(document) = serde_json::from_slice::<Value>(&document) else { return };
                connected.has_shadow = true;
                self.machine.take_shadow(&document, now);
            }
            News::NoShadow(error) => match code(&error) {
                Some(404) => {
                    connected.has_shadow = true;
                    self.machine.take_no_shadow(now);
                }
                code => {
                    let why = format!("the shadow could not be read{}", with(code));
                    self.lose(Online::Connecting, &why);
                }
            },
            News::Delta(message) => {
                if let Ok(message) = serde_json::from_slice::<Value>(&message) {
                    self.machine.take_delta(&message, now);
                }
            }
            News::ReportRefused(error) => {
                self.machine.was_refused();
                self.log(&format!("a report was refused{}", with(code(&error))));
            }
            News::Refused(why) | News::Stranger(why) => self.lose(Online::Refused, why),
            News::Lost(why) => self.lose(Online::Connecting, why),
        }
    }

    /// The connection is gone; the next one is due in a while.
    fn lose(&mut self, online: Online, why: &str) {
        let since = self.link.take().and_then(|connected| connected.since);
        self.machine.is_alone();
        if since.is_some_and(|since| since.elapsed() >= PROBATION) {
            self.failures = 0;
        }
        // Without randomness the beat is fixed, which is worse and still works.
        let random = getrandom::u32().unwrap_or_default();
        self.due = Some(Instant::now() + wait(self.failures, random));
        self.failures = self.failures.saturating_add(1);
        self.is(online);
        self.log(why);
    }

    fn tick(&mut self, elapsed: Duration) {
        let report = self.machine.tick(elapsed);
        let Some(connected) = &self.link else { return };
        if !connected.has_shadow && connected.since.is_some_and(|since| since.elapsed() >= SHADOW_WITHIN) {
            return self.lose(Online::Connecting, "the shadow was not answered");
        }
        let Some(reported) = report else { return };
        if !connected.link.report(json!({"state": {"reported": reported}}).to_string()) {
            self.lose(Online::Connecting, "the connection stalled");
        }
    }

    fn is(&self, online: Online) {
        self.tell.send_if_modified(|state| std::mem::replace(&mut state.connection, online) != online);
    }

    fn log(&self, text: &str) {
        let line = Line { at: (self.now)(), text: text.to_owned() };
        self.tell.send_modify(|state| {
            // The same complaint again is the same line, with a new time.
            if state.log.last().is_some_and(|last| last.text == line.text) {
                state.log.pop();
            }
            state.log.push(line);
            let surplus = state.log.len().saturating_sub(LOG_LENGTH);
            state.log.drain(..surplus);
        });
    }

    fn show(&mut self) {
        for note in self.machine.notes() {
            self.log(&note);
        }
        let (printer, slow, fails) = (Some(self.machine.shown()), self.machine.is_slow(), self.machine.fails());
        self.tell.send_if_modified(|state| {
            let changed = state.printer != printer || state.slow != slow || state.fails != fails;
            (state.printer, state.slow, state.fails) = (printer, slow, fails);
            changed
        });
    }
}

async fn news(link: &mut Option<Connected>) -> News {
    match link {
        Some(connected) => connected.link.news().await,
        None => std::future::pending().await,
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The code of a rejection
/// (<https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-error-messages.html>).
fn code(error: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Value>(error).ok()?.get("code")?.as_u64()
}

fn with(code: Option<u64>) -> String {
    code.map(|code| format!(" ({code})")).unwrap_or_default()
}

/// Twice as long each time, and somewhere in the second half of it.
fn wait(failures: u32, random: u32) -> Duration {
    let longest = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST_WAIT);
    longest.mul_f64(0.5 + f64::from(random) / f64::from(u32::MAX) / 2.0)
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
