//! What a device reports that it could not do.
//!
//! A device that knows how keeps `reported.failures`: by property what could not be set, and under `command` the newest command that came
//! to nothing. Of any other device, the answer to its last command is read.

use serde_json::{Map, Value};

use super::latest;

/// Something that the device could not do.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// What.
    pub what: Failed,
    /// Why, in the words of the device.
    pub detail: Option<Value>,
    /// When, in seconds since the epoch.
    pub at: u64,
}

/// What can fail.
#[derive(Clone, Debug, PartialEq)]
pub enum Failed {
    /// A property that could not be set.
    Setting {
        /// The property.
        property: String,
        /// The value that was wanted.
        value: Value,
    },
    /// A command that was not done.
    Command {
        /// Its name, where the device says it.
        name: Option<String>,
        /// Whether the device did not even begin.
        refused: bool,
    },
}

/// Reads what is reported, with its metadata. Where the device says when something failed, that counts, but never later than it said so:
/// its clock may be wrong.
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
    fn each_failure_is_untold_until_it_has_been_told() {
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
    fn of_a_device_that_keeps_no_failures_the_last_answer_is_read_with_the_time_of_the_shadow() {
        let reported =
            |status: &str, told: u64| json!({"command": {"id": "1", "status": status, "detail": "late"}, "onboarded": {"told": told}});
        let written = json!({"command": {"id": {"timestamp": 40}, "status": {"timestamp": 41}}});
        let failure = Failure { what: command(None, true), detail: Some(json!("late")), at: 41 };
        assert_eq!(untold(&reported("refused", 40), &written), [failure]);
        assert_eq!(untold(&reported("refused", 41), &written), []);
        assert_eq!(untold(&reported("done", 0), &written), []);
    }

    #[test]
    fn a_device_whose_clock_is_ahead_does_not_fail_in_the_future() {
        let reported = json!({"failures": {"power": {"value": "ON", "at": 900}}});
        let written = json!({"failures": {"power": {"value": {"timestamp": 50}, "at": {"timestamp": 50}}}});
        assert_eq!(untold(&reported, &written)[0].at, 50);
        let odd = json!({"failures": {"power": 7, "command": {"status": "done"}, "bed": {}}});
        assert_eq!(untold(&odd, &json!({})), []);
    }
}
