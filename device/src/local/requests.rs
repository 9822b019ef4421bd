//! The requests of other commands to the running agent, which has locked the state folder against changes by others.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::local::local_socket::{LINE_WITHIN, LocalSocket, read_line, write_line};

/// A request to the running agent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "request")]
pub(crate) enum Request {
    /// Replaces the stored certificate by a new one.
    Renew {
        /// The URL of the registration endpoint, or `None` for the one that the agent knows.
        #[serde(alias = "door")]
        endpoint: Option<String>,
    },
}

/// The answer to a request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "answer", rename_all_fields = "camelCase")]
pub(crate) enum Answer {
    /// The agent now connects with a new certificate.
    Renewed {
        /// The end of its validity, as Unix time in seconds.
        not_after: u64,
    },
    /// The request failed.
    Failed {
        /// The exit code for the requesting command.
        exit_code: u8,
        /// The sentence for the user.
        why: String,
    },
}

/// A request with the channel for its answer.
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// The requests to a running agent.
pub(crate) struct Requests {
    received: mpsc::Receiver<Asked>,
    task: JoinHandle<()>,
}

impl Requests {
    /// Listens at this path in the state folder, which this process has locked.
    pub(crate) fn listen(path: &Path) -> io::Result<Self> {
        let socket = LocalSocket::bind(path)?;
        let (tell, received) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            loop {
                drop(tokio::spawn(serve(socket.accept().await, tell.clone())));
            }
        });
        Ok(Self { received, task })
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
    }
}

/// Reads a request and writes its answer. A client that closes the connection gets no answer, and a client that sends nothing is
/// dropped after the time limit.
async fn serve(mut stream: UnixStream, tell: mpsc::Sender<Asked>) {
    let Ok(Ok(line)) = timeout(LINE_WITHIN, read_line(&mut stream)).await else { return };
    if !line.ends_with(b"\n") {
        return;
    }
    let answer = match serde_json::from_slice(&line) {
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

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::os::unix::fs::PermissionsExt;

    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::local::local_socket::ask;

    #[tokio::test]
    async fn a_request_gets_its_answer_and_an_unknown_request_fails() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("agent.sock");
        std::fs::write(&path, "left by an agent that was killed").unwrap();
        let mut requests = Requests::listen(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let asked = Request::Renew { endpoint: Some("https://endpoint.example".into()) };
        let served = async {
            let Asked { request: Request::Renew { endpoint }, answer } = requests.next().await;
            assert_eq!(endpoint.as_deref(), Some("https://endpoint.example"));
            answer.send(Answer::Renewed { not_after: 7 }).unwrap();
        };
        let (answer, ()) = tokio::join!(ask::<Answer>(&path, &asked), served);
        assert!(matches!(answer.unwrap(), Answer::Renewed { not_after: 7 }));

        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(b"{\"request\":\"dance\"}\n").await.unwrap();
        let answer: Answer = serde_json::from_slice(&read_line(&mut stream).await.unwrap()).unwrap();
        assert!(matches!(answer, Answer::Failed { exit_code: 2, why } if why.contains("dance")));
    }

    #[tokio::test]
    async fn a_request_that_is_dropped_and_an_agent_that_has_ended_are_errors() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("agent.sock");
        let mut requests = Requests::listen(&path).unwrap();
        let asked = Request::Renew { endpoint: None };
        let (answer, ()) = tokio::join!(ask::<Answer>(&path, &asked), async { drop(requests.next().await) });
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        drop(requests);
        while path.exists() {
            tokio::task::yield_now().await;
        }
        assert_eq!(ask::<Answer>(&path, &asked).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
}
