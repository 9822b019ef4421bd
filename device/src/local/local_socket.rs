//! A Unix socket in the state folder, through which other processes send requests to the running agent. Only the owner of the
//! folder may use it.
//!
//! Each connection carries one line of JSON as the request, and one line of JSON as the answer.

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

/// How long a client may take to send its line.
pub(crate) const LINE_WITHIN: Duration = Duration::from_secs(5);
/// The longest line, in bytes.
const LINE_LIMIT: u64 = 64 * 1024;
/// The pause after a connection could not be accepted.
const PAUSE: Duration = Duration::from_secs(1);

/// The listening socket of a running agent. Its file is removed when this value is dropped.
pub(crate) struct LocalSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl LocalSocket {
    /// Listens at this path. The caller has to hold the lock of the state folder, so that no other agent uses the path.
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            // A socket file that exists was left by an agent that was killed.
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
                // The process may have too many open files, which is temporary.
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
        // A file that remains is replaced at the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Reads one line, or the bytes before the end of the stream.
pub(crate) async fn read_line(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    BufReader::new(stream).take(LINE_LIMIT).read_until(b'\n', &mut line).await?;
    Ok(line)
}

/// Sends a value as one line of JSON.
pub(crate) async fn write_line(stream: &mut UnixStream, content: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(content)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

/// Sends a request to the agent that listens at this path, and waits for the answer. If the agent closes the connection without
/// an answer, the kind of the error is `UnexpectedEof`.
pub(crate) async fn ask<A: DeserializeOwned>(path: &Path, request: &impl Serialize) -> io::Result<A> {
    let mut stream = UnixStream::connect(path).await?;
    write_line(&mut stream, request).await?;
    Ok(serde_json::from_slice(&read_line(&mut stream).await?)?)
}
