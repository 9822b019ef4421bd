//! A supervised child process. All of its output is kept. A test can wait for output or for the end of the process, and kill it
//! from any task. The process is killed when this value is dropped.

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
    /// The task that owns the child. Aborting the task kills the child.
    keeper: JoinHandle<()>,
}

/// A handle that kills one process with SIGKILL, for code that does not own the [`Process`].
#[derive(Clone, Default)]
pub struct Reaper(Arc<Notify>);

impl Reaper {
    pub fn kills(&self) {
        self.0.notify_one();
    }
}

impl Process {
    /// Starts `command`, which inherits no environment if it comes from [`command`].
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
                    // The process may have ended by itself in the meantime.
                    let _ = child.start_kill();
                    child.wait().await
                }
            };
            notes_end.send_replace(Some(ended.expect("the exit status of the child")));
        });
        Self { stdin, output, readers, end, reaper, keeper }
    }

    pub fn stdin(&mut self) -> ChildStdin {
        self.stdin.take().expect("standard input, which can be taken once")
    }

    /// A handle that kills the process.
    pub fn reaper(&self) -> Reaper {
        self.reaper.clone()
    }

    /// The output so far, both streams in the order of arrival.
    pub fn output(&self) -> String {
        self.output.borrow().clone()
    }

    /// Waits until the output satisfies `wanted`, and returns the output.
    pub async fn writes(&self, limit: Duration, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut output = self.output.subscribe();
        let waiting = async { output.wait_for(|text| wanted(text)).await.map(|text| text.clone()) };
        match tokio::time::timeout(limit, waiting).await {
            Ok(Ok(text)) => text,
            _ => panic!("{what}: not within {limit:?}; it wrote:\n{}", self.output()),
        }
    }

    /// Waits for the end of the process and returns its exit status.
    pub async fn end(&self) -> ExitStatus {
        let mut end = self.end.clone();
        let status = end.wait_for(Option::is_some).await.expect("the task that owns the child");
        status.expect("the status that was waited for")
    }

    /// Like [`end`](Self::end), and waits until all output has been read.
    pub async fn ended(&mut self) -> ExitStatus {
        let status = self.end().await;
        self.read_to_the_end().await;
        status
    }

    /// Whether the process is still running.
    pub fn is_running(&self) -> bool {
        self.end.borrow().is_none()
    }

    /// Kills the process and returns all of its output.
    pub async fn stop(mut self) -> String {
        self.reaper.kills();
        self.ended().await;
        self.output()
    }

    async fn read_to_the_end(&mut self) {
        for reader in self.readers.drain(..) {
            within(Duration::from_secs(5), "the end of its output", reader).await.expect("a reader that does not panic");
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

/// A port that was free a moment ago, for servers that accept neither a listener nor port 0.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// A command that inherits no environment variables from the test.
pub fn command(program: impl AsRef<Path>, directory: &Path) -> Command {
    let mut command = Command::new(program.as_ref());
    command.env_clear().current_dir(directory);
    command
}
