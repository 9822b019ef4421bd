//! What other commands ask of the agent while it runs, which holds the state folder, so that nobody else may change it.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::local::local_socket::{LINE_WITHIN, LocalSocket, read_line, write_line};

/// A request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "request")]
pub(crate) enum Request {
    /// A new certificate in place of the stored one.
    Renew {
        /// The URL where to register; else the one that the agent knows.
        #[serde(alias = "door")]
        endpoint: Option<String>,
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

/// The requests to a running agent.
pub(crate) struct Requests {
    received: mpsc::Receiver<Asked>,
    task: JoinHandle<()>,
}

impl Requests {
    /// Listens at this path in the state folder, which this process holds.
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

/// Whoever hangs up gets no answer, and whoever says nothing is not waited for.
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
    async fn a_request_gets_its_answer_and_what_is_none_is_said_to_be() {
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
