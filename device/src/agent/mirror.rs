//! The agent's copy of the shadow of this device. It decides which messages are new and what has to be reported.
//!
//! A report is the difference between the copy and the current properties, so a lost update is made up for by the next report.
//! Messages carry the version of the shadow and may arrive in another order
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-data-flow.html>); a message that is older than the
//! newest one seen is ignored.

use std::time::Duration;

use serde_json::{Map, Value};

/// The least time between two reports, so that a moving print head does not cause an update for every step.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);
/// The delay before everything is reported again after the shadow rejected an update. It doubles with each consecutive rejection.
const SECOND_TRY: Duration = Duration::from_secs(5);
const LAST_DOUBLING: u32 = 6;

/// The next update of the shadow, and the time of the next check.
#[derive(Debug, Default, PartialEq)]
pub struct Report {
    /// The values for `reported`, to be published now.
    pub reported: Option<Map<String, Value>>,
    /// The values for `desired`, in the same update.
    pub desired: Map<String, Value>,
    /// The time at which the next report is due, on the clock of [`super::Moment::uptime`], if something cannot be reported yet.
    pub again_at: Option<Duration>,
}

#[derive(Debug, Default)]
pub(super) struct Mirror {
    /// `None` while there is no shadow of this connection.
    reported: Option<Map<String, Value>>,
    /// The version of the newest document of this connection.
    version: Option<u64>,
    /// The newest delta that arrived before the shadow.
    early: Option<Value>,
    last_report: Option<Duration>,
    repeat_at: Option<Duration>,
    refusals: u32,
}

impl Mirror {
    /// Takes a shadow with its `reported` section. Returns whether the shadow is new.
    pub(super) fn take_shadow(&mut self, document: &Value, reported: &Map<String, Value>) -> bool {
        let version = version(document);
        if version < self.version {
            return false;
        }
        self.version = version;
        self.reported = Some(reported.clone());
        true
    }

    /// Takes the response that there is no shadow: every property has to be reported.
    pub(super) fn take_no_shadow(&mut self) {
        self.reported = Some(Map::new());
    }

    /// Returns whether a delta is new. A delta that arrives before the shadow is kept for later: without the shadow, the agent
    /// does not know which commands were answered.
    pub(super) fn take_delta(&mut self, message: &Value) -> bool {
        let version = version(message);
        if version.is_none() || version <= self.version {
            return false;
        }
        if self.reported.is_some() {
            self.version = version;
            return true;
        }
        if self.early.as_ref().and_then(self::version) < version {
            self.early = Some(message.clone());
        }
        false
    }

    /// Whether an accepted update is at least as new as the newest message seen. Its delta, if any, arrives as a message of its
    /// own.
    pub(super) fn is_new(&self, update: &Value) -> bool {
        self.reported.is_some() && version(update) >= self.version
    }

    /// The delta that arrived before the shadow.
    pub(super) fn early(&mut self) -> Option<Value> {
        self.early.take()
    }

    /// The shadow has rejected an update: everything is reported again after a delay.
    pub(super) fn was_refused(&mut self, uptime: Duration) {
        let wait = |refusals: u32| SECOND_TRY.saturating_mul(2_u32.saturating_pow(refusals.min(LAST_DOUBLING)));
        let again = self.repeat_at.is_some_and(|last| uptime < last.saturating_add(wait(self.refusals)));
        self.refusals = if again { self.refusals.saturating_add(1) } else { 0 };
        self.repeat_at = Some(uptime.saturating_add(wait(self.refusals)));
        self.reported = self.reported.as_ref().map(|_| Map::new());
    }

    /// The connection was lost. Versions start again with the next connection: the shadow may have been deleted in the meantime.
    pub(super) fn connection_lost(&mut self) {
        *self = Self { last_report: self.last_report, ..Self::default() };
    }

    /// The next report may follow the last one without a delay.
    pub(super) fn hurry(&mut self) {
        self.last_report = None;
    }

    /// The reported values of these properties are to be reported again, because their time is the time of the report.
    pub(super) fn forget(&mut self, names: &[String]) {
        if let Some(reported) = &mut self.reported {
            reported.retain(|name, _| !names.contains(name));
        }
    }

    /// The value of a property in the `reported` section of the shadow.
    pub(super) fn reported(&self, name: &str) -> Option<&Value> {
        self.reported.as_ref()?.get(name)
    }

    /// The report for the current properties `so`; reported values count as held by the shadow. If `is_more`, there is more to
    /// write than `reported`, and the report may be empty.
    pub(super) fn report(&mut self, mut so: Map<String, Value>, is_more: bool, uptime: Duration) -> Report {
        let Some(reported) = &mut self.reported else { return Report::default() };
        so.retain(|name, value| reported.get(name) != Some(value));
        if so.is_empty() && !is_more {
            return Report::default();
        }
        // The answer to a command is reported without a delay, because the owner waits for it.
        let is_answer = so.contains_key("command");
        let rested = self.last_report.filter(|_| !is_answer).map(|last| last.saturating_add(REPORT_INTERVAL));
        if let Some(due) = rested.max(self.repeat_at).filter(|due| uptime < *due) {
            return Report { again_at: Some(due), ..Report::default() };
        }
        self.last_report = Some(uptime);
        reported.extend(so.clone());
        Report { reported: Some(so), ..Report::default() }
    }
}

fn version(document: &Value) -> Option<u64> {
    document.get("version").and_then(Value::as_u64)
}
