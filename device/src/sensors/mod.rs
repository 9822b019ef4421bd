//! The measurements of the device, as `[report.…]` of `device.toml` defines them: a program, a server or a file that is read at
//! intervals, a program that runs continuously, and calls of `onething-device report`.
//!
//! Each sample has the time at which it was taken: when a program or a server was called, or a line was read. An older sample
//! never replaces a newer one, and a sample that could not be reported soon after it was taken is not reported any more, because
//! the shadow records the time of the report.

mod body;
mod periodic;
mod reading;
pub(crate) mod socket;
mod stream;

use std::collections::BTreeMap;
use std::time::Duration;

use onething::device_model::{Model, Property, ReportSource};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};

pub(crate) use self::body::Measuring;
use self::reading::Reading;
use crate::actions::InvalidReport;

/// The largest number of samples that wait for the event loop.
const WAITING: usize = 32;
/// How long a sample is current at least; longer for sensors with a longer interval.
const CURRENT: Duration = Duration::from_secs(60);

/// Values that were measured at the same time.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// The values by property, as the device model allows them.
    pub(crate) properties: Map<String, Value>,
    /// The time of the measurement.
    pub(crate) at: Instant,
    /// How long the values are current.
    pub(crate) current: Duration,
}

/// All sensors of the device. They stop when this value is dropped.
pub(crate) struct Sensors {
    samples: mpsc::Receiver<Sample>,
    _tasks: JoinSet<()>,
}

/// The common part of the sensors.
struct Sensor {
    property: String,
    properties: BTreeMap<String, Property>,
    thing: String,
    current: Duration,
    samples: mpsc::Sender<Sample>,
    /// The last logged error, so that the same error is not logged again.
    complaint: Option<String>,
}

impl Sensors {
    /// Starts the sensors of a device model. The sender is for samples from other sources.
    pub(crate) fn start(model: &Model, thing: &str) -> (Self, mpsc::Sender<Sample>) {
        let (sender, samples) = mpsc::channel(WAITING);
        let mut tasks = JoinSet::new();
        for (property, report) in &model.reports {
            let sensor = Sensor {
                property: property.clone(),
                properties: model.properties.clone(),
                thing: thing.to_owned(),
                current: report.every.map_or(CURRENT, |every| every.max(CURRENT)),
                samples: sender.clone(),
                complaint: None,
            };
            match &report.source {
                ReportSource::Stream { path, args } => drop(tasks.spawn(stream::follow(sensor, path.clone(), args.clone()))),
                ReportSource::Pushed => {}
                _ => drop(tasks.spawn(periodic::measure(sensor, report.clone()))),
            }
        }
        (Self { samples, _tasks: tasks }, sender)
    }

    /// The next sample. This future may be dropped at any time.
    async fn next(&mut self) -> Sample {
        match self.samples.recv().await {
            Some(sample) => sample,
            None => std::future::pending().await,
        }
    }
}

impl Sensor {
    /// Parses the output of a sensor, taken at this time.
    async fn take(&mut self, said: &[u8], at: Instant) {
        match reading::read(said, &self.property, &self.properties) {
            Ok(reading) => self.hand_over(reading, at).await,
            Err(why) => self.complain(&why),
        }
    }

    async fn hand_over(&mut self, Reading { properties, invalid_reports }: Reading, at: Instant) {
        match invalid_reports.first() {
            Some(InvalidReport { why, .. }) => self.complain(why),
            None if self.complaint.take().is_some() => info!(report = self.property, "is measured again"),
            None => {}
        }
        if !properties.is_empty() {
            // The receiver is gone when the agent has ended.
            let _ = self.samples.send(Sample { properties, at, current: self.current }).await;
        }
    }

    fn complain(&mut self, why: &str) {
        if self.complaint.as_deref() != Some(why) {
            warn!(report = self.property, "is not measured: {why}");
            self.complaint = Some(why.to_owned());
        }
    }
}
