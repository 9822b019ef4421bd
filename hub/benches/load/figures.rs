//! The presentation of results: percentiles and a table.

use std::time::Duration;

/// Measured durations in ascending order.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The duration that is not exceeded by `share` of a thousand measurements.
    pub(crate) fn per_mille(&self, share: usize) -> Duration {
        let place = (self.0.len() * share / 1_000).min(self.0.len().saturating_sub(1));
        self.0.get(place).copied().unwrap_or_default()
    }

    /// The median and the 99th percentile.
    pub(crate) fn shown(&self) -> String {
        let ms = |share| self.per_mille(share).as_secs_f64() * 1e3;
        format!("{:.1} / {:.1} ms", ms(500), ms(990))
    }
}

/// A table in Markdown.
#[derive(Default)]
pub(crate) struct Table(Vec<[String; 3]>);

impl Table {
    /// Adds a row with the results of the hub and of mosquitto.
    pub(crate) fn row(&mut self, what: &str, hub: impl Into<String>, mosquitto: Option<String>) {
        let row = [what.to_owned(), hub.into(), mosquitto.unwrap_or_else(|| "–".to_owned())];
        eprintln!("  {}: {} | {}", row[0], row[1], row[2]);
        self.0.push(row);
    }

    pub(crate) fn print(&self) {
        println!("| | hub | mosquitto |\n|---|---:|---:|");
        for [what, hub, mosquitto] in &self.0 {
            println!("| {what} | {hub} | {mosquitto} |");
        }
    }
}

/// A whole number with a comma as the thousands separator.
pub(crate) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut shown = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}
