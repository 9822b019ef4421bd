//! What the shadow holds of this device, as far as is known here: which of its messages are news, and what it has to be told.
//!
//! What is reported is the difference between what the shadow holds and what is so: nothing that was lost on the way stays
//! lost. Messages carry the shadow's version and may overtake each other
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-data-flow.html>); what is older than what has been
//! seen is no news.

use std::time::Duration;

use serde_json::{Map, Value};

/// Between two reports, so that a moving print head does not become a storm of updates.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);
/// After which everything is said again that the shadow refused to take; twice as long each time in a row.
const SECOND_TRY: Duration = Duration::from_secs(5);
const LAST_DOUBLING: u32 = 6;

/// What has to be said, and when to look again.
#[derive(Debug, Default, PartialEq)]
pub struct Report {
    /// To be put into the shadow's `reported`, now.
    pub reported: Option<Map<String, Value>>,
    /// To be put into the shadow's `desired` by the same update.
    pub desired: Map<String, Value>,
    /// When there is something to be said that cannot be said yet: on the clock of [`super::Moment::uptime`].
    pub again_at: Option<Duration>,
}

#[derive(Debug, Default)]
pub(super) struct Mirror {
    /// `None` while nobody listens.
    reported: Option<Map<String, Value>>,
    /// Of the last document of this connection.
    version: Option<u64>,
    /// The newest delta that came before the shadow.
    early: Option<Value>,
    last_report: Option<Duration>,
    repeat_at: Option<Duration>,
    refusals: u32,
}

impl Mirror {
    /// Whether this shadow is news. What is reported in it is kept.
    pub(super) fn take_shadow(&mut self, document: &Value, reported: &Map<String, Value>) -> bool {
        let version = version(document);
        if version < self.version {
            return false;
        }
        self.version = version;
        self.reported = Some(reported.clone());
        true
    }

    /// There is no shadow: everything is news.
    pub(super) fn take_no_shadow(&mut self) {
        self.reported = Some(Map::new());
    }

    /// Whether this delta is news. One that has overtaken the shadow is kept for later: before the shadow is there nobody
    /// knows what has been answered.
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

    /// Whether an update of the shadow is as new as what has been seen of it. Its delta, if any, comes beside it.
    pub(super) fn is_new(&self, update: &Value) -> bool {
        self.reported.is_some() && version(update) >= self.version
    }

    /// The delta that came before the shadow.
    pub(super) fn early(&mut self) -> Option<Value> {
        self.early.take()
    }

    /// The shadow refused a report: everything is said again, a little later.
    pub(super) fn was_refused(&mut self, uptime: Duration) {
        let wait = |refusals: u32| SECOND_TRY.saturating_mul(2_u32.saturating_pow(refusals.min(LAST_DOUBLING)));
        let again = self.repeat_at.is_some_and(|last| uptime < last.saturating_add(wait(self.refusals)));
        self.refusals = if again { self.refusals.saturating_add(1) } else { 0 };
        self.repeat_at = Some(uptime.saturating_add(wait(self.refusals)));
        self.reported = self.reported.as_ref().map(|_| Map::new());
    }

    /// The connection is gone. Versions begin anew with the next one: the shadow may have been deleted meanwhile.
    pub(super) fn is_alone(&mut self) {
        *self = Self { last_report: self.last_report, ..Self::default() };
    }

    /// The next report need not keep its distance from the last one.
    pub(super) fn hurry(&mut self) {
        self.last_report = None;
    }

    /// What the shadow holds of these is to be said again: its time is that of the report.
    pub(super) fn forget(&mut self, names: &[String]) {
        if let Some(reported) = &mut self.reported {
            reported.retain(|name, _| !names.contains(name));
        }
    }

    /// What the shadow holds of a property.
    pub(super) fn reported(&self, name: &str) -> Option<&Value> {
        self.reported.as_ref()?.get(name)
    }

    /// What has to be said of what is so; what is said counts as held. Where there `is_more` to say, an empty report may come out.
    pub(super) fn report(&mut self, mut so: Map<String, Value>, is_more: bool, uptime: Duration) -> Report {
        let Some(reported) = &mut self.reported else { return Report::default() };
        so.retain(|name, value| reported.get(name) != Some(value));
        if so.is_empty() && !is_more {
            return Report::default();
        }
        // Somebody waits for the answer to a command.
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
