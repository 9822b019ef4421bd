//! The local socket through which `onething-device report` sends measured values to the running agent. It is in the state folder,
//! for its owner only.
//!
//! The request is one line with a JSON object of texts or values by property; the answer is one line. Either all values are
//! taken, or none.

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

/// The answer of the agent.
#[derive(Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Taken {
    /// The values that were taken, as the device model allows them.
    #[serde(default)]
    pub(crate) reported: Map<String, Value>,
    /// Whether the agent is connected, so that the values reach the shadow now.
    #[serde(default)]
    pub(crate) connected: bool,
    /// Why no value was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// The socket of a running agent that accepts reports.
pub(crate) struct Socket {
    socket: LocalSocket,
    properties: BTreeMap<String, Property>,
    samples: mpsc::Sender<Sample>,
}

impl Socket {
    /// Opens the socket. The caller has to hold the lock of the state folder, so that no other agent uses the path.
    pub(crate) fn open(path: &Path, model: &Model, samples: mpsc::Sender<Sample>) -> io::Result<Self> {
        Ok(Self { socket: LocalSocket::bind(path)?, properties: model.properties.clone(), samples })
    }

    /// Serves one client after the other, for ever.
    pub(crate) async fn serve(self, status: watch::Receiver<Status>) {
        loop {
            let caller = self.socket.accept().await;
            // A client that sends nothing in time or closes the connection is ignored.
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
            // The receiver is gone when the agent ends.
            self.samples.send(sample).await.map_err(io::Error::other)?;
            taken.connected = matches!(status.borrow().connection, Connection::Connected { .. });
        }
        write_line(&mut caller, &taken).await
    }
}

/// Parses a report: a text is parsed like a line of a program, any other value is checked as it is.
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
