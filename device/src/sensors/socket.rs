//! The local socket by which `onething-device report` tells the running agent what was measured: in the state folder, for its owner only.
//!
//! One line with a JSON object of texts or values by property, and one line in answer. All of it is taken, or nothing.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use onething::model::{Model, Property};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream as Caller};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use super::reading::{Reading, bare, fitting};
use super::{CURRENT, Sample};
use crate::life::{Connection, Status};

/// In bytes.
const LINE_LIMIT: u64 = 64 * 1024;
/// For a caller to say it, and for the agent to answer.
const WITHIN: Duration = Duration::from_secs(5);

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

/// The socket of a running agent, which is removed with this value.
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    properties: BTreeMap<String, Property>,
    samples: mpsc::Sender<Sample>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        // One that stays is replaced at the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Socket {
    /// Opens it; no other agent has this folder.
    pub(crate) fn open(path: &Path, model: &Model, samples: mpsc::Sender<Sample>) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600))?;
        Ok(Self { listener, path: path.to_owned(), properties: model.properties.clone(), samples })
    }

    /// Answers for ever, one caller after the other.
    pub(crate) async fn serve(self, status: watch::Receiver<Status>) {
        loop {
            match self.listener.accept().await {
                // Who says nothing in time, or hangs up, has said nothing.
                Ok((caller, _)) => drop(timeout(WITHIN, self.answer(caller, &status)).await),
                // Too many open files: it passes.
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
    }

    async fn answer(&self, caller: Caller, status: &watch::Receiver<Status>) -> io::Result<()> {
        let (from, mut to) = caller.into_split();
        let mut line = Vec::new();
        tokio::io::BufReader::new(from.take(LINE_LIMIT)).read_until(b'\n', &mut line).await?;
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
        let mut answer = serde_json::to_vec(&taken)?;
        answer.push(b'\n');
        to.write_all(&answer).await
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
        if let Some(misfit) = reading.misfits.first() {
            return Err(misfit.why.clone());
        }
        reported.extend(reading.properties);
    }
    if reported.is_empty() { Err("it names no property".to_owned()) } else { Ok(reported) }
}

/// Tells the agent; its answer.
pub(crate) fn tell(path: &Path, values: &Map<String, Value>) -> io::Result<Taken> {
    let mut agent = UnixStream::connect(path)?;
    agent.set_read_timeout(Some(2 * WITHIN))?;
    agent.set_write_timeout(Some(WITHIN))?;
    let mut line = serde_json::to_vec(values)?;
    line.push(b'\n');
    agent.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(agent.take(LINE_LIMIT)).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}
