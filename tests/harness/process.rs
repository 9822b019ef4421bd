//! A child process under supervision: everything it writes is kept, one can
//! wait for a line of it or for its end, kill it from anywhere, and it does
//! not outlive the test.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{ChildStdin, Command};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::within;

pub struct Process {
    stdin: Option<ChildStdin>,
    output: Arc<watch::Sender<String>>,
    readers: Vec<JoinHandle<()>>,
    end: watch::Receiver<Option<ExitStatus>>,
    reaper: Reaper,
    /// Owns the child, and takes it along when it is dropped.
    keeper: JoinHandle<()>,
}

/// Kills one process (SIGKILL), for those who do not hold it.
#[derive(Clone, Default)]
pub struct Reaper(Arc<Notify>);

impl Reaper {
    pub fn kills(&self) {
        self.0.notify_one();
    }
}

impl Process {
    /// Starts `command` with nothing but the environment it was given.
    pub fn start(mut command: Command) -> Self {
        let program = command.as_std().get_program().to_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        let stdin = child.stdin.take();
        let output = Arc::new(watch::Sender::new(String::new()));
        let readers = vec![
            collect(child.stdout.take().expect("piped"), Arc::clone(&output)),
            collect(child.stderr.take().expect("piped"), Arc::clone(&output)),
        ];
        let reaper = Reaper::default();
        let (notes_end, end) = watch::channel(None);
        let order = Arc::clone(&reaper.0);
        let keeper = tokio::spawn(async move {
            let ended = tokio::select! {
                ended = child.wait() => ended,
                () = order.notified() => {
                    // It may have ended by itself a moment ago.
                    let _ = child.start_kill();
                    child.wait().await
                }
            };
            notes_end.send_replace(Some(ended.expect("a child to wait for")));
        });
        Self { stdin, output, readers, end, reaper, keeper }
    }

    pub fn stdin(&mut self) -> ChildStdin {
        self.stdin.take().expect("taken once")
    }

    /// What kills it.
    pub fn reaper(&self) -> Reaper {
        self.reaper.clone()
    }

    /// What it has written so far, both streams in the order of arrival.
    pub fn output(&self) -> String {
        self.output.borrow().clone()
    }

    /// Waits until its output satisfies `wanted`, and hands that output over.
    pub async fn writes(&self, limit: Duration, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut output = self.output.subscribe();
        let waiting = async { output.wait_for(|text| wanted(text)).await.map(|text| text.clone()) };
        match tokio::time::timeout(limit, waiting).await {
            Ok(Ok(text)) => text,
            _ => panic!("{what}: not within {limit:?}; it wrote:\n{}", self.output()),
        }
    }

    /// The exit status, as soon as it has ended.
    pub async fn end(&self) -> ExitStatus {
        let mut end = self.end.clone();
        let status = end.wait_for(Option::is_some).await.expect("its keeper");
        status.expect("that was waited for")
    }

    /// The same, and nothing that it wrote is still on the way.
    pub async fn ended(&mut self) -> ExitStatus {
        let status = self.end().await;
        self.read_to_the_end().await;
        status
    }

    /// Whether it is still running.
    pub fn is_running(&self) -> bool {
        self.end.borrow().is_none()
    }

    /// Kills it and hands over everything it ever wrote.
    pub async fn stop(mut self) -> String {
        self.reaper.kills();
        self.ended().await;
        self.output()
    }

    async fn read_to_the_end(&mut self) {
        for reader in self.readers.drain(..) {
            within(Duration::from_secs(5), "the end of its output", reader).await.expect("a reader that ends");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

fn collect(stream: impl AsyncRead + Send + Unpin + 'static, output: Arc<watch::Sender<String>>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).split(b'\n');
        while let Ok(Some(line)) = lines.next_segment().await {
            output.send_modify(|text| {
                text.push_str(&String::from_utf8_lossy(&line));
                text.push('\n');
            });
        }
    })
}

/// A port that was free a moment ago, for servers that cannot be handed a
/// listener and do not say which port they took.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// A command that inherits nothing from the shell that runs the tests.
pub fn command(program: impl AsRef<Path>, directory: &Path) -> Command {
    let mut command = Command::new(program.as_ref());
    command.env_clear().current_dir(directory);
    command
}
