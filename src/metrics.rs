//! Metrics, for CloudWatch in the embedded metric format
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>): each
//! metric is a line of the log, so a measurement needs no call and causes no delay.

use std::io::Write as _;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::registry::Bounce;

/// An event that is counted or timed. It never identifies an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// A certificate is about to be created for an owner.
    OnboardingStarted,
    /// The certificate was delivered.
    OnboardingDone,
    /// The certificate was not delivered.
    OnboardingFailed {
        /// The name of the step that failed.
        step: &'static str,
    },
    /// The duration of an onboarding step.
    StepTime {
        /// The name of the step.
        step: &'static str,
        /// The duration.
        took: Duration,
    },
    /// The mail service accepted a mail.
    MailAccepted,
    /// The mail service did not accept a mail.
    MailRefused,
    /// The mail service did not accept a mail because of the recipient's address. The operator cannot correct this.
    MailAddressRefused,
    /// An accepted mail bounced or caused a complaint.
    MailBounced(Bounce),
    /// The duration of a shadow update with a command or a setting.
    RelayTime(Duration),
    /// A sweep has ended.
    Swept {
        /// The number of things that were cleaned up or deleted.
        things: u64,
        /// The number of certificates that were deleted because no record names them.
        certificates: u64,
        /// The number of operations that failed.
        failed: u64,
    },
}

/// A function that receives measurements.
pub type Meter = fn(&Measure);

/// The CloudWatch namespace of the metrics, if it was set.
static NAMESPACE: OnceLock<String> = OnceLock::new();

/// Sets the CloudWatch namespace of the metrics. Only the first call has an effect.
pub fn name_space(name: &str) {
    NAMESPACE.get_or_init(|| name.to_owned());
}

/// Writes a measurement to standard output, which is the log of the function.
pub fn embedded(measure: &Measure) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let line = embedded_line(measure, u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    // A failure to write the log must not stop the request.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Ignores a measurement.
pub fn unmeasured(_: &Measure) {}

/// The name, the unit and the value of a metric.
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
    fn a_measurement_is_one_line_that_declares_its_metric() {
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
    fn each_declared_metric_and_dimension_has_a_value() {
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
