//! Metrics of the hub in the text format of Prometheus (<https://prometheus.io/docs/instrumenting/exposition_formats/>). No label
//! names an owner, a thing or a topic.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use onething::metrics::Measure;

use crate::mail::outgoing::state::State;
use crate::mqtt::broker::counters::{Counter, Counters};
use crate::mqtt::broker::reason::Reason;

/// Counters of the skill since the start of the process.
#[derive(Debug, Default)]
struct Skill {
    onboardings_started: AtomicU64,
    onboardings_done: AtomicU64,
    onboardings_failed: AtomicU64,
    mails_accepted: AtomicU64,
    mails_refused: AtomicU64,
    addresses_refused: AtomicU64,
    relayed: AtomicU64,
    relayed_micros: AtomicU64,
}

/// The number of attempts to send a mail, by the state of the mail after the attempt, in the order of [`STATES`].
static MAILS: [AtomicU64; 4] = [AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)];
const STATES: [State; 4] = [State::Sent, State::Waiting, State::Failed, State::Dropped];

/// Counts an attempt to send a mail by the state that the mail has afterwards.
pub fn mail(state: State) {
    if let Some(at) = STATES.iter().position(|other| *other == state) {
        add(&MAILS[at], 1);
    }
}

/// A meter is a plain function pointer, so the counters are global to the process.
static SKILL: Skill = Skill {
    onboardings_started: AtomicU64::new(0),
    onboardings_done: AtomicU64::new(0),
    onboardings_failed: AtomicU64::new(0),
    mails_accepted: AtomicU64::new(0),
    mails_refused: AtomicU64::new(0),
    addresses_refused: AtomicU64::new(0),
    relayed: AtomicU64::new(0),
    relayed_micros: AtomicU64::new(0),
};

/// Counts a measurement of the skill. This function is the [`onething::metrics::Meter`] of the hub.
pub fn count(measure: &Measure) {
    match measure {
        Measure::OnboardingStarted => add(&SKILL.onboardings_started, 1),
        Measure::OnboardingDone => add(&SKILL.onboardings_done, 1),
        Measure::OnboardingFailed { .. } => add(&SKILL.onboardings_failed, 1),
        Measure::MailAccepted => add(&SKILL.mails_accepted, 1),
        Measure::MailRefused => add(&SKILL.mails_refused, 1),
        Measure::MailAddressRefused => add(&SKILL.addresses_refused, 1),
        Measure::RelayTime(took) => {
            add(&SKILL.relayed, 1);
            add(&SKILL.relayed_micros, u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        }
        // Step times and sweeps are in the log, and the hub receives no bounces.
        Measure::StepTime { .. } | Measure::MailBounced(_) | Measure::Swept { .. } => {}
    }
}

fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Relaxed);
}

/// A response of `/metrics` under construction.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

impl Page {
    /// Adds a counter, whose value never decreases.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.line(name, "counter", help, &[(String::new(), value)]);
    }

    /// Adds a gauge, whose value may decrease.
    pub fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.line(name, "gauge", help, &[(String::new(), value)]);
    }

    /// Adds a counter with one label. `values` are the values of the label with their counts.
    pub fn counters(&mut self, name: &str, help: &str, label: &str, values: &[(&str, u64)]) {
        let labelled: Vec<_> = values.iter().map(|(value, number)| (format!("{{{label}=\"{value}\"}}"), *number)).collect();
        self.line(name, "counter", help, &labelled);
    }

    fn line(&mut self, name: &str, kind: &str, help: &str, values: &[(String, u64)]) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(self.text, "{name}{labels} {value}");
        }
    }

    /// Adds the counters of the skill.
    pub fn skill(&mut self) {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        let onboardings = [
            ("started", read(&SKILL.onboardings_started)),
            ("done", read(&SKILL.onboardings_done)),
            ("failed", read(&SKILL.onboardings_failed)),
        ];
        self.counters(
            "onething_onboardings_total",
            "Owners who were about to get a certificate, and what came of it.",
            "outcome",
            &onboardings,
        );
        let mails = [
            ("accepted", read(&SKILL.mails_accepted)),
            ("refused", read(&SKILL.mails_refused)),
            ("address_refused", read(&SKILL.addresses_refused)),
        ];
        self.counters("onething_mails_total", "Mails with a certificate.", "outcome", &mails);
        self.counter("onething_relayed_total", "Commands and settings that went to a shadow.", read(&SKILL.relayed));
        self.counter("onething_relayed_microseconds_total", "The time that they took.", read(&SKILL.relayed_micros));
    }

    /// Adds the counters of mail. `waiting` is the number of mails that wait to be sent.
    pub fn mail(&mut self, waiting: usize) {
        let attempts: Vec<_> = STATES.iter().zip(&MAILS).map(|(state, count)| (state.as_str(), count.load(Relaxed))).collect();
        self.counters("onething_mail_attempts_total", "Attempts to send a mail, and what came of them.", "outcome", &attempts);
        self.gauge("onething_mails_waiting", "Mails that wait to be sent.", u64::try_from(waiting).unwrap_or(u64::MAX));
    }

    /// Adds the counters of a broker.
    pub fn broker(&mut self, counters: &Counters) {
        self.gauge("onething_mqtt_connected", "Devices that are connected.", counters.connected.read());
        self.gauge("onething_mqtt_sessions", "Sessions, with and without a connection.", counters.sessions.read());
        self.gauge("onething_mqtt_subscriptions", "Subscriptions.", counters.subscriptions.read());
        self.gauge("onething_mqtt_retained", "Retained messages.", counters.retained.read());
        self.counter("onething_mqtt_accepted_total", "Sockets that were accepted.", counters.accepted.read());
        self.counter("onething_mqtt_handshakes_failed_total", "Sockets that failed at TLS.", counters.handshakes_failed.read());
        self.counter("onething_mqtt_connects_total", "Connects that were granted.", counters.connects.read());
        let by_reason =
            |count: fn(&Counters, Reason) -> &Counter| Reason::ALL.map(|reason| (reason.name(), count(counters, reason).read()));
        let (refused, ended) = (by_reason(Counters::refused), by_reason(Counters::ended));
        self.counters("onething_mqtt_refused_total", "Connects that were refused.", "reason", &refused);
        self.counters("onething_mqtt_ended_total", "Connections that ended.", "reason", &ended);
        self.counter("onething_mqtt_published_total", "Messages taken from devices.", counters.published.read());
        self.counter("onething_mqtt_delivered_total", "Messages sent to devices.", counters.delivered.read());
        self.counter("onething_mqtt_dropped_total", "Messages that did not reach a device.", counters.dropped.read());
        self.counter("onething_mqtt_received_bytes_total", "Bytes of MQTT from devices.", counters.bytes_in.read());
        self.counter("onething_mqtt_sent_bytes_total", "Bytes of MQTT to devices.", counters.bytes_out.read());
    }

    /// The complete text.
    pub fn text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_the_text_format_of_prometheus() {
        let mut page = Page::default();
        page.gauge("a_now", "A number.", 7);
        page.counters("b_total", "Others.", "kind", &[("x", 1), ("y", 2)]);
        let expected = "# HELP a_now A number.\n# TYPE a_now gauge\na_now 7\n\
            # HELP b_total Others.\n# TYPE b_total counter\nb_total{kind=\"x\"} 1\nb_total{kind=\"y\"} 2\n";
        assert_eq!(page.text(), expected);
    }

    #[test]
    fn measurements_of_the_skill_are_counted() {
        count(&Measure::RelayTime(std::time::Duration::from_micros(5)));
        count(&Measure::OnboardingStarted);
        let mut page = Page::default();
        page.skill();
        let text = page.text();
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok()).unwrap();
        assert!(value("onething_relayed_total ") >= 1 && value("onething_relayed_microseconds_total ") >= 5);
        assert!(value("onething_onboardings_total{outcome=\"started\"} ") >= 1);
    }
}
