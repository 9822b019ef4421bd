//! The failures that a device reports.
//!
//! A device can maintain `reported.failures`. Its keys are the properties that could not be set, and `command` for the newest
//! command that failed. For a device without `reported.failures`, the answer to its last command is used.

use serde_json::{Map, Value};

use super::latest;

/// A setting or a command that failed on the device.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The setting or command.
    pub what: Failed,
    /// The reason, as reported by the device.
    pub detail: Option<Value>,
    /// The time of the failure, as Unix time in seconds.
    pub at: u64,
}

/// What failed.
#[derive(Clone, Debug, PartialEq)]
pub enum Failed {
    /// A property that could not be set.
    Setting {
        /// The name of the property.
        property: String,
        /// The desired value.
        value: Value,
    },
    /// A command that was not performed.
    Command {
        /// The name of the command, if the device reports it.
        name: Option<String>,
        /// Whether the device refused the command before it started.
        refused: bool,
    },
}

/// Parses the failures in the reported state and its metadata. If the device reports the time of a failure, that time is used. It
/// is limited to the time of the report, because the clock of the device may be wrong.
pub(super) fn read(reported: &Map<String, Value>, written: &Map<String, Value>) -> Vec<Failure> {
    let when = |said: &Value, written: Option<&Value>| {
        let (said, written) = (said.get("at").and_then(Value::as_u64), written.and_then(latest));
        said.map_or(written, |said| Some(written.map_or(said, |written| said.min(written)))).unwrap_or_default()
    };
    let failure = |key: &str, entry: &Value, written: Option<&Value>| {
        let what = match key {
            "command" => command(entry)?,
            property => Failed::Setting { property: property.to_owned(), value: entry.get("value")?.clone() },
        };
        Some(Failure { what, detail: entry.get("detail").cloned(), at: when(entry, written) })
    };
    match reported.get("failures").and_then(Value::as_object) {
        Some(kept) => {
            let written = |key: &String| written.get("failures").and_then(|failures| failures.get(key));
            kept.iter().filter_map(|(key, entry)| failure(key, entry, written(key))).collect()
        }
        None => {
            let answer = reported.get("command").and_then(|answer| failure("command", answer, written.get("command")));
            answer.into_iter().collect()
        }
    }
}

fn command(answer: &Value) -> Option<Failed> {
    let refused = match answer.get("status")?.as_str()? {
        "refused" => true,
        "failed" => false,
        _ => return None,
    };
    let name = answer.get("name").and_then(Value::as_str).map(str::to_owned);
    Some(Failed::Command { name, refused })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::shadow::Shadow;

    fn untold(reported: &Value, written: &Value) -> Vec<Failure> {
        Shadow::read(&json!({"state": {"reported": reported}, "metadata": {"reported": written}})).untold()
    }

    fn command(name: Option<&str>, refused: bool) -> Failed {
        Failed::Command { name: name.map(str::to_owned), refused }
    }

    #[test]
    fn a_failure_is_untold_until_the_owner_was_told() {
        let failures = json!({
            "command": {"id": "1", "name": "print", "status": "failed", "detail": "no filament", "at": 30},
            "nozzleTarget": {"value": 250, "detail": "the heater is off", "at": 20},
        });
        let setting = Failed::Setting { property: "nozzleTarget".into(), value: json!(250) };
        let both = [
            Failure { what: setting, detail: Some(json!("the heater is off")), at: 20 },
            Failure { what: command(Some("print"), false), detail: Some(json!("no filament")), at: 30 },
        ];
        let reported = |told: u64| json!({"failures": failures, "onboarded": {"at": 1, "told": told}});
        assert_eq!(untold(&reported(0), &json!({})), both);
        assert_eq!(untold(&reported(20), &json!({})), both[1..]);
        assert_eq!(untold(&reported(30), &json!({})), []);
    }

    #[test]
    fn without_reported_failures_the_last_answer_counts_with_the_time_of_the_shadow() {
        let reported =
            |status: &str, told: u64| json!({"command": {"id": "1", "status": status, "detail": "late"}, "onboarded": {"told": told}});
        let written = json!({"command": {"id": {"timestamp": 40}, "status": {"timestamp": 41}}});
        let failure = Failure { what: command(None, true), detail: Some(json!("late")), at: 41 };
        assert_eq!(untold(&reported("refused", 40), &written), [failure]);
        assert_eq!(untold(&reported("refused", 41), &written), []);
        assert_eq!(untold(&reported("done", 0), &written), []);
    }

    #[test]
    fn a_failure_is_never_later_than_its_report() {
        let reported = json!({"failures": {"power": {"value": "ON", "at": 900}}});
        let written = json!({"failures": {"power": {"value": {"timestamp": 50}, "at": {"timestamp": 50}}}});
        assert_eq!(untold(&reported, &written)[0].at, 50);
        let odd = json!({"failures": {"power": 7, "command": {"status": "done"}, "bed": {}}});
        assert_eq!(untold(&odd, &json!({})), []);
    }
}
