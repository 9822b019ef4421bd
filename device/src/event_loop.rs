//! The event loop of a device: its agent, its body and its connection in one task, which runs until it is stopped.
//!
//! One task owns all of them, so no work is done twice concurrently. A lost connection is opened again, with growing and random
//! pauses; so is a refused connection, because a certificate may be reactivated. Changes that the device missed are found in the
//! shadow that is read at the start of the next connection. While there is nothing to do, the loop waits without a timer; only
//! the MQTT keep-alive of the connection wakes the process.

pub(crate) mod control;
mod pace;

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

pub use control::{Connection, Control, Status};
pub use pace::Pace;

use crate::agent::{Agent, Answer, Body, CLIENT_TOKEN, CommandStatus, Event, Interruption, Moment, Order, Past, Report};
use crate::bundle::Bundle;
use crate::connection::link::{CLOSED, Link, LinkEvent};
use crate::journal::Journal;
use control::ControlRequest;

/// How long the response to the shadow get request is waited for.
const SHADOW_WITHIN: Duration = Duration::from_secs(10);
const JOURNAL_UNAVAILABLE: &str = "the device cannot keep in mind what it does";
/// The number of closed connections in a row that are attributed to restarts of the server.
const EARLY_CLOSE_LIMIT: u32 = 2;
/// With two connections of one client id, the server has to close the older one, section 3.1.4
/// (<https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html>).
const RIVAL: &str = "the server ends every connection soon after it stands: does another device use the same bundle?";

/// A device that has not been started; [`EventLoop::run`] starts it.
pub struct EventLoop<B> {
    bundle: Bundle,
    body: B,
    agent: Agent,
    journal: Option<Journal>,
    pace: Pace,
    now: fn() -> u64,
    log: Box<dyn FnMut(&str) + Send>,
    began: Instant,
    link: Option<Connected>,
    /// The time of the next attempt to connect. `None` while disconnected on request or after the attempt.
    connect_at: Option<Instant>,
    report_at: Option<Instant>,
    failures: u32,
    /// The number of connections that the server has closed early since the last stable connection.
    cut_short: u32,
    requests: mpsc::Receiver<ControlRequest>,
    status: watch::Sender<Status>,
}

struct Connected {
    link: Link,
    /// The time at which the connection was established.
    since: Option<Instant>,
    has_shadow: bool,
}

impl<B: Body> EventLoop<B> {
    /// A device with this bundle and body. `now` returns Unix time in seconds. Needs a tokio runtime with a clock.
    pub fn new(bundle: Bundle, body: B, now: fn() -> u64) -> (Self, Control) {
        let (control, requests, status) = control::pair(bundle.certificate_id.clone());
        let agent = Agent::new(bundle.connection.certificate_id.clone(), []).with_interrupts(body.interrupts()).without_journal();
        let began = Instant::now();
        let event_loop = Self {
            bundle,
            body,
            agent,
            journal: None,
            pace: Pace::default(),
            now,
            log: Box::new(|_| {}),
            began,
            link: None,
            connect_at: Some(began),
            report_at: None,
            failures: 0,
            cut_short: 0,
            requests,
            status,
        };
        (event_loop, control)
    }

    /// Records the commands that were begun, across restarts. Without a journal, the shadow is the only record.
    #[must_use]
    pub fn with_journal(mut self, journal: Journal) -> Self {
        let certificate = self.bundle.connection.certificate_id.clone();
        self.agent = Agent::new(certificate, journal.begun()).with_interrupts(self.body.interrupts());
        self.journal = Some(journal);
        self
    }

    /// Replaces the default times of the connection.
    #[must_use]
    pub fn with_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Sets the receiver of the log, which gets one line for each call.
    #[must_use]
    pub fn with_log(mut self, log: impl FnMut(&str) + Send + 'static) -> Self {
        self.log = Box::new(log);
        self
    }

    /// Runs until a stop is requested or all [`Control`]s are dropped; then reports what is pending and disconnects. The current
    /// work of the body ends with it. If the future is dropped earlier, the device ends without a last report.
    pub async fn run(mut self) {
        loop {
            self.act();
            let due = [self.connect_at, self.report_at, self.shadow_due()].into_iter().flatten().min();
            tokio::select! {
                request = self.requests.recv() => match request {
                    None | Some(ControlRequest::Stop) => break,
                    Some(request) => self.handle_request(request).await,
                },
                news = news(&mut self.link) => self.handle_event(news),
                events = self.body.work() => {
                    let moment = self.moment();
                    events.into_iter().for_each(|event| self.agent.hear(event, moment));
                }
                () = until(due) => self.wake(),
            }
        }
        self.disconnect().await;
        self.set_connection(Connection::Off);
    }

    fn moment(&self) -> Moment {
        Moment { now: (self.now)(), uptime: self.began.elapsed() }
    }

    async fn handle_request(&mut self, request: ControlRequest) {
        match request {
            ControlRequest::Connect => {
                self.failures = 0;
                if self.link.is_none() {
                    self.connect_at = Some(Instant::now());
                    self.set_connection(Connection::Connecting);
                }
            }
            ControlRequest::Disconnect => {
                self.disconnect().await;
                self.set_connection(Connection::Off);
                (self.log)("disconnected");
            }
            ControlRequest::Use(bundle) => {
                let was_wanted = self.link.is_some() || self.connect_at.is_some();
                self.disconnect().await;
                self.agent.renew(bundle.connection.certificate_id.clone());
                self.bundle = *bundle;
                (self.failures, self.cut_short) = (0, 0);
                (self.log)("has other credentials");
                self.connect_at = was_wanted.then(Instant::now);
                // The status changes at once, so that the old connection is not taken for one with the new certificate.
                self.status.send_modify(|status| {
                    status.certificate = self.bundle.certificate_id.clone();
                    status.connection = if was_wanted { Connection::Connecting } else { Connection::Off };
                });
            }
            ControlRequest::Stop => {}
        }
    }

    async fn disconnect(&mut self) {
        (self.connect_at, self.report_at) = (None, None);
        let last_report = self.agent.last_report(self.body.properties(), self.moment());
        self.agent.connection_lost();
        if let Some(connected) = self.link.take() {
            if let Some(update) = update(last_report) {
                // Values that are not received are reported with the next connection, or after the next start.
                connected.link.report(update);
            }
            connected.link.close().await;
        }
    }

    /// Connects if an attempt is due, and drops a connection without a shadow after the time limit.
    fn wake(&mut self) {
        let now = Instant::now();
        if self.connect_at.is_some_and(|due| due <= now) {
            self.connect_at = None;
            self.link = Some(Connected { link: Link::open(&self.bundle, self.pace.keep_alive), since: None, has_shadow: false });
        }
        if self.shadow_due().is_some_and(|due| due <= now) {
            self.lose(lost("the shadow was not answered"));
        }
    }

    fn shadow_due(&self) -> Option<Instant> {
        let waiting = self.link.as_ref().filter(|connected| !connected.has_shadow)?;
        waiting.since.map(|since| since + SHADOW_WITHIN)
    }

    fn handle_event(&mut self, news: LinkEvent) {
        let moment = self.moment();
        let Some(connected) = &mut self.link else { return };
        match news {
            LinkEvent::Up => {
                connected.since = Some(Instant::now());
                self.set_connection(Connection::Connected { since: moment.now });
                (self.log)("connected");
            }
            LinkEvent::Shadow(document) => {
                // A response that is not JSON is ignored; the request stays open until its time limit.
                let Ok(document) = serde_json::from_slice::<Value>(&document) else { return };
                connected.has_shadow = true;
                let past = self.agent.take_shadow(&document, moment);
                self.remember(past.as_ref());
            }
            LinkEvent::NoShadow(error) => match code(&error) {
                Some(404) => {
                    connected.has_shadow = true;
                    let past = self.agent.take_no_shadow(moment);
                    self.remember(past.as_ref());
                }
                code => {
                    let why = format!("the shadow could not be read{}", with(code));
                    self.lose(Connection::Lost { why });
                }
            },
            LinkEvent::Delta(message) => {
                if let Ok(message) = serde_json::from_slice::<Value>(&message) {
                    self.agent.take_delta(&message, moment);
                }
            }
            LinkEvent::Updated(update) => {
                if let Ok(update) = serde_json::from_slice::<Value>(&update) {
                    self.agent.take_update(&update, moment);
                }
            }
            LinkEvent::ReportRefused(error) => {
                self.agent.was_refused(moment);
                (self.log)(&format!("a report was refused{}", with(code(&error))));
            }
            LinkEvent::Refused(why) => self.lose(Connection::Refused { why: why.to_owned() }),
            LinkEvent::Unverified(why) => self.lose(Connection::Unverified { why: why.to_owned() }),
            LinkEvent::Closed => {
                let is_cut_short = connected.since.is_some() && !self.is_proven();
                self.cut_short = self.cut_short.saturating_add(is_cut_short.into());
                let has_rival = is_cut_short && self.cut_short > EARLY_CLOSE_LIMIT;
                self.lose(lost(if has_rival { RIVAL } else { CLOSED }));
            }
            LinkEvent::Lost(why) => self.lose(lost(why)),
        }
    }

    fn remember(&mut self, past: Option<&Past>) {
        if let Some(past) = past {
            let goes_on = self.body.remember(past);
            self.agent.remembered(past, goes_on.as_deref(), self.moment());
        }
    }

    /// Whether the connection has lasted long enough to count as stable.
    fn is_proven(&self) -> bool {
        let since = self.link.as_ref().and_then(|connected| connected.since);
        since.is_some_and(|since| since.elapsed() >= self.pace.probation)
    }

    /// Drops the connection and schedules the next attempt.
    fn lose(&mut self, how: Connection) {
        if self.is_proven() {
            (self.failures, self.cut_short) = (0, 0);
        }
        self.link = None;
        self.agent.connection_lost();
        // Without randomness the pauses are the same for all devices, which is worse but works.
        let random = getrandom::u32().unwrap_or_default();
        self.connect_at = Some(Instant::now() + self.pace.wait(self.failures, random));
        self.failures = self.failures.saturating_add(1);
        if let Connection::Refused { why } | Connection::Unverified { why } | Connection::Lost { why } = &how {
            (self.log)(why);
        }
        self.set_connection(how);
    }

    /// Begins the next orders, writes final answers to the journal, and reports.
    fn act(&mut self) {
        for Interruption { id, by } in self.agent.interruptions() {
            self.body.interrupt(&id, &by);
        }
        while self.body.is_free() {
            let moment = self.moment();
            let Some(order) = self.agent.next(&self.body.properties(), moment) else { break };
            match self.write_to_journal(&order) {
                Ok(()) => self.body.begin(order),
                Err(refusal) => self.agent.hear(Event::Answered(refusal), moment),
            }
        }
        for end in self.agent.ends() {
            // A command whose end is not in the journal counts as aborted after a restart. It is not performed again.
            if let Some(Err(error)) = self.journal.as_mut().map(|journal| journal.end(&end)) {
                (self.log)(&error.to_string());
            }
        }
        self.report();
        for note in self.agent.notes() {
            (self.log)(&note);
        }
        let answer = self.agent.newest_answer();
        self.status.send_if_modified(|status| {
            let changed = status.command.as_ref() != answer;
            if changed {
                status.command = answer.cloned();
            }
            changed
        });
    }

    /// Writes a command to the journal before it begins. The write blocks the loop on purpose: nothing may happen before the
    /// entry is on the disk.
    fn write_to_journal(&mut self, order: &Order) -> Result<(), Answer> {
        let (Order::Do(command), Some(journal)) = (order, &mut self.journal) else { return Ok(()) };
        journal.begin(&command.id).map_err(|error| {
            (self.log)(&error.to_string());
            Answer { id: command.id.clone(), status: CommandStatus::Refused, detail: JOURNAL_UNAVAILABLE.to_owned() }
        })
    }

    fn report(&mut self) {
        let report = self.agent.report(self.body.properties(), self.moment());
        self.report_at = report.again_at.map(|uptime| self.began + uptime);
        if let (Some(update), Some(connected)) = (update(report), &self.link)
            && !connected.link.report(update)
        {
            self.lose(lost("the connection stalled"));
        }
    }

    fn set_connection(&self, connection: Connection) {
        self.status.send_if_modified(|status| {
            let changed = status.connection != connection;
            status.connection = connection;
            changed
        });
    }
}

fn lost(why: &str) -> Connection {
    Connection::Lost { why: why.to_owned() }
}

/// The payload of the shadow update for a report.
fn update(report: Report) -> Option<String> {
    let mut state = Map::from_iter([("reported".to_owned(), Value::Object(report.reported?))]);
    if report.desired.is_empty() {
        return Some(json!({"state": state}).to_string());
    }
    state.insert("desired".to_owned(), Value::Object(report.desired));
    state.retain(|_, section| section.as_object().is_some_and(|section| !section.is_empty()));
    Some(json!({"state": state, "clientToken": CLIENT_TOKEN}).to_string())
}

async fn news(link: &mut Option<Connected>) -> LinkEvent {
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

/// The error code in a response of the shadow
/// (<https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-error-messages.html>).
fn code(error: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Value>(error).ok()?.get("code")?.as_u64()
}

fn with(code: Option<u64>) -> String {
    code.map(|code| format!(" ({code})")).unwrap_or_default()
}

#[cfg(test)]
#[path = "event_loop_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "event_loop_queue_tests.rs"]
mod queue_tests;
