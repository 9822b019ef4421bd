//! What the device measures by itself, as `[report.…]` of `device.toml` says: a program, a server or a file that is asked at intervals, a
//! program that goes on, and whoever calls `onething-device report`.
//!
//! Each sample has the time at which it was taken: that at which a program or a server was asked, or a line was read. An older sample
//! never takes the place of a newer one, and what could not be reported soon after it was taken is not reported any more: the time in
//! the shadow is that of the report.

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

/// So many samples may wait for the agent's loop.
const WAITING: usize = 32;
/// What is older is not reported, where no longer interval is said.
const CURRENT: Duration = Duration::from_secs(60);

/// Values that were measured.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// By property, each as the device model has it.
    pub(crate) properties: Map<String, Value>,
    /// When they were so.
    pub(crate) at: Instant,
    /// For how long they are current.
    pub(crate) current: Duration,
}

/// Everything that measures. It ends with this value.
pub(crate) struct Sensors {
    samples: mpsc::Receiver<Sample>,
    _tasks: JoinSet<()>,
}

/// What measures, as one of them.
struct Sensor {
    property: String,
    properties: BTreeMap<String, Property>,
    thing: String,
    current: Duration,
    samples: mpsc::Sender<Sample>,
    /// The last complaint: the same one is not told again.
    complaint: Option<String>,
}

impl Sensors {
    /// Starts them. The sender is for samples from elsewhere.
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

    /// The next sample. May be dropped at any time.
    async fn next(&mut self) -> Sample {
        match self.samples.recv().await {
            Some(sample) => sample,
            None => std::future::pending().await,
        }
    }
}

impl Sensor {
    /// Takes what was said at a time.
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
            // Without a receiver the agent has ended.
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
