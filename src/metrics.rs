//! What is measured, in words; and for CloudWatch, as its embedded metric format
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>):
//! a line of the log that is a metric too, so nothing is called and nothing waits.

use std::io::Write as _;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::registry::Bounce;

/// Something that happened and is counted or timed. It never names an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// An owner is about to get a certificate.
    OnboardingStarted,
    /// They have it.
    OnboardingDone,
    /// They have not.
    OnboardingFailed {
        /// The step that failed.
        step: &'static str,
    },
    /// A step of onboarding took so long.
    StepTime {
        /// Which one.
        step: &'static str,
        /// How long.
        took: Duration,
    },
    /// A mail was accepted.
    MailAccepted,
    /// A mail was not accepted.
    MailRefused,
    /// A mail was not accepted because of its recipient's address: nothing that the maker could mend.
    MailAddressRefused,
    /// A mail that was accepted came back.
    MailBounced(Bounce),
    /// A command or a setting went to a shadow.
    RelayTime(Duration),
    /// A sweep ended.
    Swept {
        /// The things it cleaned_up up or deleted.
        things: u64,
        /// The certificates it deleted.
        certificates: u64,
        /// What it could not do.
        failed: u64,
    },
}

/// Takes a measurement.
pub type Meter = fn(&Measure);

/// Under which CloudWatch finds all of them, where that has been said.
static NAMESPACE: OnceLock<String> = OnceLock::new();

/// Says under which name CloudWatch finds what is measured from now on. The first word counts.
pub fn name_space(name: &str) {
    NAMESPACE.get_or_init(|| name.to_owned());
}

/// Writes a measurement to standard output, which is the function's log.
pub fn embedded(measure: &Measure) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let line = embedded_line(measure, u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    // A log that takes nothing any more must not stop the story.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Measures nothing.
pub fn unmeasured(_: &Measure) {}

/// A metric's name, unit and value.
type Metric = (&'static str, &'static str, Value);

fn embedded_line(measure: &Measure, now_ms: u64) -> Value {
    let millis = |took: &Duration| json!(took.as_secs_f64() * 1_000.0);
    let one = json!(1);
    let (values, step, by): (Vec<Metric>, Option<&str>, Value) = match measure {
        Measure::OnboardingStarted => (vec![("OnboardingStarted", "Count", one)], None, json!([[]])),
        Measure::OnboardingDone => (vec![("OnboardingDone", "Count", one)], None, json!([[]])),
        Measure::OnboardingFailed { step } => (vec![("OnboardingFailed", "Count", one)], Some(step), json!([[], ["Step"]])),
        Measure::StepTime { step, took } => (vec![("StepTime", "Milliseconds", millis(took))], Some(step), json!([["Step"]])),
        Measure::MailAccepted => (vec![("MailAccepted", "Count", one)], None, json!([[]])),
        Measure::MailRefused => (vec![("MailRefused", "Count", one)], None, json!([[]])),
        Measure::MailAddressRefused => (vec![("MailAddressRefused", "Count", one)], None, json!([[]])),
        Measure::MailBounced(Bounce::Bounced) => (vec![("MailBounced", "Count", one)], None, json!([[]])),
        Measure::MailBounced(Bounce::Complained) => (vec![("MailComplained", "Count", one)], None, json!([[]])),
        Measure::MailBounced(Bounce::Unsent) => (vec![("MailUnsent", "Count", one)], None, json!([[]])),
        Measure::RelayTime(took) => (vec![("RelayTime", "Milliseconds", millis(took))], None, json!([[]])),
        Measure::Swept { things, certificates, failed } => {
            let count = |name, count: &u64| (name, "Count", json!(count));
            let counts = vec![count("SweepThings", things), count("SweepCertificates", certificates), count("SweepFailed", failed)];
            (counts, None, json!([[]]))
        }
    };
    let metrics: Vec<Value> = values.iter().map(|(name, unit, _)| json!({"Name": name, "Unit": unit})).collect();
    let mut line = json!({
        "_aws": {
            "Timestamp": now_ms,
            "CloudWatchMetrics": [{"Namespace": NAMESPACE.get().map_or("onething", String::as_str), "Dimensions": by, "Metrics": metrics}],
        },
    });
    for (name, _, value) in values {
        line[name] = value;
    }
    if let Some(step) = step {
        line["Step"] = json!(step);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_is_one_line_with_its_metric_declared() {
        let line = embedded_line(&Measure::StepTime { step: "mail", took: Duration::from_millis(250) }, 1_763_760_000_000);
        assert_eq!(
            line,
            json!({
                "_aws": {"Timestamp": 1_763_760_000_000_u64, "CloudWatchMetrics": [{
                    "Namespace": "onething", "Dimensions": [["Step"]],
                    "Metrics": [{"Name": "StepTime", "Unit": "Milliseconds"}]}]},
                "StepTime": 250.0, "Step": "mail",
            })
        );
    }

    #[test]
    fn every_declared_metric_and_dimension_has_its_value() {
        let swept = Measure::Swept { things: 1, certificates: 2, failed: 3 };
        let failed = Measure::OnboardingFailed { step: "attach_and_activate" };
        let bounce = [Measure::MailBounced(Bounce::Bounced), Measure::MailBounced(Bounce::Complained)];
        for measure in [swept, failed, Measure::MailAccepted, Measure::MailRefused, Measure::MailAddressRefused].into_iter().chain(bounce) {
            let line = embedded_line(&measure, 0);
            let declared = &line["_aws"]["CloudWatchMetrics"][0];
            for metric in declared["Metrics"].as_array().unwrap() {
                assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{line}");
            }
            for dimension in declared["Dimensions"].as_array().unwrap().iter().flat_map(|set| set.as_array().unwrap()) {
                assert!(line[dimension.as_str().unwrap()].is_string(), "{line}");
            }
        }
    }
}
