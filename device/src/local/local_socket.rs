//! A socket in the state folder, by which other commands speak to the agent while it runs. It is for the owner of the folder only.
//!
//! On a connection there is one line of JSON, and one line of JSON in answer.

use std::fs::Permissions;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::sleep;
use tracing::warn;

/// For a line, by whoever has connected.
pub(crate) const LINE_WITHIN: Duration = Duration::from_secs(5);
/// The longest line, in bytes.
const LINE_LIMIT: u64 = 64 * 1024;
/// Before the next connection is taken, where one could not be.
const PAUSE: Duration = Duration::from_secs(1);

/// The socket of a running agent, which is removed with this value.
pub(crate) struct LocalSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl LocalSocket {
    /// Listens; no other agent has this folder.
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            // An agent that was killed has left it there.
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> UnixStream {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => return stream,
                // Too many open files: it passes.
                Err(error) => {
                    warn!("another command was not heard: {error}");
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        // One that stays is replaced at the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The line that has come, or what there is of it where the other side says no more.
pub(crate) async fn read_line(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    BufReader::new(stream).take(LINE_LIMIT).read_until(b'\n', &mut line).await?;
    Ok(line)
}

/// Sends a line.
pub(crate) async fn write_line(stream: &mut UnixStream, content: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(content)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

/// Asks the agent that listens there, and waits for its answer. Where it hangs up, the error is of the kind `UnexpectedEof`.
pub(crate) async fn ask<A: DeserializeOwned>(path: &Path, request: &impl Serialize) -> io::Result<A> {
    let mut stream = UnixStream::connect(path).await?;
    write_line(&mut stream, request).await?;
    Ok(serde_json::from_slice(&read_line(&mut stream).await?)?)
}
