//! What other commands ask of the agent while it runs, by a socket in the state folder.
//!
//! The agent holds the folder, so nobody else may change it. On a connection there is one request and one answer, each a line of
//! JSON. The socket is for the owner of the folder only.

use std::fs::Permissions;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::warn;

const SOCKET: &str = "agent.sock";
/// The longest line.
const LINE_LIMIT: u64 = 64 * 1024;
/// For a line, by whoever has connected.
const LINE_WITHIN: Duration = Duration::from_secs(5);
/// Before the next connection is taken, where one could not be.
const PAUSE: Duration = Duration::from_secs(1);

/// A request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "request")]
pub(crate) enum Request {
    /// A new certificate in place of the stored one.
    Renew {
        /// The URL where to register; else the one that the agent knows.
        door: Option<String>,
    },
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "answer", rename_all_fields = "camelCase")]
pub(crate) enum Answer {
    /// The agent connects with a new certificate now.
    Renewed {
        /// When its time ends, in seconds since the epoch.
        not_after: u64,
    },
    /// It was not done.
    Failed {
        /// The exit code for whoever asked.
        exit_code: u8,
        /// The sentence for them.
        why: String,
    },
}

/// A request of somebody who waits for the answer.
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// The socket of a running agent, which goes with this value.
pub(crate) struct Requests {
    path: PathBuf,
    received: mpsc::Receiver<Asked>,
    task: JoinHandle<()>,
}

impl Requests {
    /// Listens in the state folder, which this process holds.
    pub(crate) fn listen(folder: &Path) -> io::Result<Self> {
        let path = folder.join(SOCKET);
        match std::fs::remove_file(&path) {
            // An agent that was killed has left it there.
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        let (tell, received) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => drop(tokio::spawn(serve(stream, tell.clone()))),
                    Err(error) => {
                        warn!("a request of another command was not heard: {error}");
                        sleep(PAUSE).await;
                    }
                }
            }
        });
        Ok(Self { path, received, task })
    }

    /// The next request.
    pub(crate) async fn next(&mut self) -> Asked {
        match self.received.recv().await {
            Some(asked) => asked,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whoever hangs up gets no answer, and whoever says nothing is not waited for.
async fn serve(mut stream: UnixStream, tell: mpsc::Sender<Asked>) {
    let Ok(Ok(line)) = timeout(LINE_WITHIN, read_line(&mut stream)).await else { return };
    let answer = match serde_json::from_str(&line) {
        Ok(request) => {
            let (answer, answered) = oneshot::channel();
            if tell.send(Asked { request, answer }).await.is_err() {
                return;
            }
            let Ok(answer) = answered.await else { return };
            answer
        }
        Err(error) => Answer::Failed { exit_code: 2, why: format!("the running agent does not know this request: {error}") },
    };
    let _ = write_line(&mut stream, &answer).await;
}

/// Asks the agent that holds this state folder, and waits for its answer.
pub(crate) async fn ask(folder: &Path, request: &Request) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(folder.join(SOCKET)).await?;
    write_line(&mut stream, request).await?;
    Ok(serde_json::from_str(&read_line(&mut stream).await?)?)
}

async fn read_line(stream: &mut UnixStream) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(stream).take(LINE_LIMIT).read_line(&mut line).await?;
    if line.ends_with('\n') { Ok(line) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

async fn write_line(stream: &mut UnixStream, content: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(content)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_gets_its_answer_and_what_is_none_is_said_to_be() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join(SOCKET), "left by an agent that was killed").unwrap();
        let mut requests = Requests::listen(place.path()).unwrap();
        assert_eq!(place.path().join(SOCKET).metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let asked = Request::Renew { door: Some("https://door.example".into()) };
        let served = async {
            let Asked { request: Request::Renew { door }, answer } = requests.next().await;
            assert_eq!(door.as_deref(), Some("https://door.example"));
            answer.send(Answer::Renewed { not_after: 7 }).unwrap();
        };
        let (answer, ()) = tokio::join!(ask(place.path(), &asked), served);
        assert!(matches!(answer.unwrap(), Answer::Renewed { not_after: 7 }));

        let mut stream = UnixStream::connect(place.path().join(SOCKET)).await.unwrap();
        stream.write_all(b"{\"request\":\"dance\"}\n").await.unwrap();
        let answer: Answer = serde_json::from_str(&read_line(&mut stream).await.unwrap()).unwrap();
        assert!(matches!(answer, Answer::Failed { exit_code: 2, why } if why.contains("dance")));
    }

    #[tokio::test]
    async fn a_request_that_is_dropped_and_an_agent_that_has_ended_are_errors() {
        let place = tempfile::tempdir().unwrap();
        let mut requests = Requests::listen(place.path()).unwrap();
        let asked = Request::Renew { door: None };
        let (answer, ()) = tokio::join!(ask(place.path(), &asked), async { drop(requests.next().await) });
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        drop(requests);
        assert_eq!(ask(place.path(), &asked).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
}
