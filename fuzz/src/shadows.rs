//! Requests to a shadow, and the simulated printer that receives the responses.
//!
//! Each line begins with its kind: `u`, `g` and `d` are an update, a get and a delete request with the rest of the line as the
//! payload; `=` puts the rest into the database; `w` lets 49 hours pass; `s` and `m` are a shadow document and a delta that reach
//! the printer from another source. Any other line is an update of a named shadow that does not exist yet.

use std::time::Duration;

use onething_device::agent::{Agent, Moment, Past};
use onething_device::printer::machine::Machine;
use onething_hub::shadow::{Exchange, Operation, ShadowKey, Stored, exchange};
use serde_json::Value;

use super::NOW;

/// The limit of a message about a shadow of 8 KB with a timestamp for each value, in bytes.
const LONGEST: usize = 512 * 1024;

/// Runs all lines in order.
pub fn run(data: &[u8]) {
    let (Some(key), Some(named)) = (ShadowKey::new("thing", None), ShadowKey::new("thing", Some("named"))) else {
        panic!("there is no such shadow")
    };
    let (mut stored, mut ours, mut now, mut printer) = (None, true, NOW, Printer::new());
    for line in data.split(|byte| *byte == b'\n') {
        let Some((first, rest)) = line.split_first() else { continue };
        let operation = match first {
            b'u' => Operation::Update,
            b'g' => Operation::Get,
            b'd' => Operation::Delete,
            b'w' => {
                now += 49 * 3_600;
                continue;
            }
            b'=' => {
                if let Ok(kept) = Stored::restore(&String::from_utf8_lossy(rest)) {
                    (stored, ours) = (Some(kept), false);
                }
                continue;
            }
            b's' | b'm' => {
                if let Ok(said) = serde_json::from_slice::<Value>(rest) {
                    printer.moment.now = now;
                    if *first == b's' {
                        printer.reads(&said);
                    } else {
                        printer.agent.take_delta(&said, printer.moment);
                    }
                    printer.work();
                }
                continue;
            }
            _ => {
                checked(&exchange(None, &named, Operation::Update, line, now), None, true);
                continue;
            }
        };
        let done = exchange(stored.as_ref(), &key, operation, rest, now);
        checked(&done, stored.as_ref(), ours);
        heard(&mut printer, &key, &done, now);
        if done.change.is_some() {
            stored = done.change;
        }
    }
}

fn checked(done: &Exchange, before: Option<&Stored>, ours: bool) {
    assert!((1..=3).contains(&done.messages.len()));
    for message in &done.messages {
        assert!(message.payload.len() <= LONGEST, "{} has {} bytes", message.topic, message.payload.len());
        assert!(serde_json::from_slice::<Value>(&message.payload).is_ok_and(|said| said.is_object()), "{}", message.topic);
    }
    let Some(change) = &done.change else { return };
    let text = change.text();
    let again = Stored::restore(&text);
    assert!(again.as_ref().is_ok_and(|again| again == change), "the restored shadow differs: {text} {again:?}");
    let version = |stored: &Stored| match stored {
        Stored::Present(document) => document.version(),
        Stored::Deleted { version, .. } => *version,
    };
    if let Stored::Present(document) = change {
        if let Some(Stored::Present(before)) = before {
            assert_eq!(document.version(), before.version().saturating_add(1));
        }
        let size = |section: &serde_json::Map<String, Value>| Value::Object(section.clone()).to_string().len();
        let sizes = size(document.desired()) + size(document.reported());
        assert!(!ours || sizes <= 8 * 1024 + 4, "{sizes} bytes");
        if document.desired() == document.reported() {
            assert!(document.delta().is_empty());
        }
    } else {
        assert_eq!(before.map(version), Some(version(change)));
    }
}

/// A simulated printer with its agent.
struct Printer {
    agent: Agent,
    machine: Machine,
    moment: Moment,
}

impl Printer {
    fn new() -> Self {
        Self { agent: Agent::new(None, []), machine: Machine::default(), moment: Moment { now: NOW, uptime: Duration::ZERO } }
    }

    fn reads(&mut self, document: &Value) {
        let past = self.agent.take_shadow(document, self.moment);
        self.remember(past);
    }

    fn remember(&mut self, past: Option<Past>) {
        if let Some(past) = past {
            let goes_on = self.machine.remember(&past);
            self.agent.remembered(&past, goes_on.as_deref(), self.moment);
        }
    }

    fn work(&mut self) {
        while let Some(order) = self.agent.next(&self.machine.properties(), self.moment) {
            self.machine.begin(order);
        }
        for seconds in [0, 1, 10, 1_000] {
            self.machine.tick(Duration::from_secs(seconds));
            self.moment.uptime += Duration::from_secs(seconds);
            self.machine.events().into_iter().for_each(|event| self.agent.hear(event, self.moment));
            let _ = self.agent.report(self.machine.properties(), self.moment);
            assert!(self.machine.shown().progress <= 100);
        }
        let _ = (self.agent.notes(), self.agent.ends());
    }
}

/// Passes the published messages to the printer.
fn heard(printer: &mut Printer, key: &ShadowKey, done: &Exchange, now: u64) {
    printer.moment.now = now;
    for message in &done.messages {
        let said = serde_json::from_slice::<Value>(&message.payload).unwrap_or_default();
        if message.topic == key.accepted(Operation::Get) {
            printer.reads(&said);
        } else if message.topic == key.rejected(Operation::Get) {
            let past = printer.agent.take_no_shadow(printer.moment);
            printer.remember(past);
        } else if message.topic == key.rejected(Operation::Update) {
            printer.agent.was_refused(printer.moment);
        } else if message.topic == key.accepted(Operation::Delete) {
            printer.agent.connection_lost();
        } else if message.topic == key.delta() {
            printer.agent.take_delta(&said, printer.moment);
        }
    }
    printer.work();
}
