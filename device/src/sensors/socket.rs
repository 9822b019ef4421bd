//! The local socket by which `onething-device report` tells the running agent what was measured: in the state folder, for its owner only.
//!
//! One line with a JSON object of texts or values by property, and one line in answer. All of it is taken, or nothing.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use onething::device_model::{Model, Property};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use super::reading::{Reading, bare, fitting};
use super::{CURRENT, Sample};
use crate::event_loop::{Connection, Status};
use crate::local::local_socket::{LINE_WITHIN, LocalSocket, read_line, write_line};

/// What the agent answers.
#[derive(Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Taken {
    /// What it has taken, as the device model has it.
    #[serde(default)]
    pub(crate) reported: Map<String, Value>,
    /// Whether it is connected, so that the shadow has it now.
    #[serde(default)]
    pub(crate) connected: bool,
    /// Why it has taken nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// The socket of a running agent that takes reports.
pub(crate) struct Socket {
    socket: LocalSocket,
    properties: BTreeMap<String, Property>,
    samples: mpsc::Sender<Sample>,
}

impl Socket {
    /// Opens it; no other agent has this folder.
    pub(crate) fn open(path: &Path, model: &Model, samples: mpsc::Sender<Sample>) -> io::Result<Self> {
        Ok(Self { socket: LocalSocket::bind(path)?, properties: model.properties.clone(), samples })
    }

    /// Answers for ever, one caller after the other.
    pub(crate) async fn serve(self, status: watch::Receiver<Status>) {
        loop {
            let caller = self.socket.accept().await;
            // Who says nothing in time, or hangs up, has said nothing.
            drop(timeout(LINE_WITHIN, self.answer(caller, &status)).await);
        }
    }

    async fn answer(&self, mut caller: UnixStream, status: &watch::Receiver<Status>) -> io::Result<()> {
        let line = read_line(&mut caller).await?;
        let at = Instant::now();
        let mut taken = match read(&line, &self.properties) {
            Ok(reported) => Taken { reported, ..Taken::default() },
            Err(why) => Taken { error: Some(why), ..Taken::default() },
        };
        if taken.error.is_none() {
            let sample = Sample { properties: taken.reported.clone(), at, current: CURRENT };
            // Without a receiver the agent ends.
            self.samples.send(sample).await.map_err(io::Error::other)?;
            taken.connected = matches!(status.borrow().connection, Connection::Connected { .. });
        }
        write_line(&mut caller, &taken).await
    }
}

/// What a caller reports: a text is read like a line of a program, anything else is what it is.
fn read(line: &[u8], properties: &BTreeMap<String, Property>) -> Result<Map<String, Value>, String> {
    let values: Map<String, Value> = serde_json::from_slice(line).map_err(|error| format!("it is no JSON object: {error}"))?;
    let mut reported = Map::new();
    for (name, value) in values {
        let reading: Reading = match value {
            Value::String(text) => bare(text.trim(), &name, properties),
            value => fitting(&value, &name, properties),
        };
        if let Some(invalid_report) = reading.invalid_reports.first() {
            return Err(invalid_report.why.clone());
        }
        reported.extend(reading.properties);
    }
    if reported.is_empty() { Err("it names no property".to_owned()) } else { Ok(reported) }
}
