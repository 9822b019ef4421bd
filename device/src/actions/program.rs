//! Runs a program: without a shell, in a process group of its own, with the input on its standard input.
//!
//! The process group is killed when the time limit expires, when the program prints too much, and when the future is dropped. A
//! program that is stopped receives SIGTERM first. Processes that the program leaves behind are killed when it ends, even if they
//! have left the process group: every process that an action starts has a mark in its environment.

use std::io::{self, ErrorKind, Write as _};
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::run_blocking::took_longer;
use super::{ANSWER_LIMIT, Failed, answer, marked};

/// The environment variables that are passed on: programs need them to find other programs, the files of the user and the
/// language.
const KEPT: [&str; 3] = ["PATH", "HOME", "LANG"];
/// The environment variable that marks the processes of an action.
const MARK: &str = "ONETHING_ACTION";
/// How long the rest of the output is read after a program has ended: a process that it left behind may keep the pipes open for
/// ever.
const REST: Duration = Duration::from_millis(200);
/// How long a program may take to end after SIGTERM.
const GRACE: Duration = Duration::from_millis(500);
/// How long the agent waits until a killed process is gone.
const REAP_WITHIN: Duration = Duration::from_secs(2);
/// How much of the end of standard error is kept, in bytes: enough for a last line.
const TAIL: usize = 4 * 1024;
const CHUNK: usize = 4 * 1024;

/// Runs a program until it ends, until `stopped` completes, or until the time limit expires. Returns its standard output.
pub(super) async fn run(
    path: &str,
    args: &[String],
    input: &str,
    thing: &str,
    limit: Duration,
    stopped: impl Future<Output = ()>,
) -> Result<Vec<u8>, Failed> {
    let (mut program, input) = Running::start(path, args, input, thing).map_err(|error| fault(path, &error))?;
    let ended = {
        let group = program.group;
        let mut finish = pin!(timeout(limit, program.finish(input)));
        tokio::select! {
            ended = &mut finish => ended,
            () = stopped => {
                // There is nothing to stop if all processes have just ended.
                let _ = group.map(|group| kill_process_group(group, Signal::TERM));
                timeout(GRACE, finish).await.unwrap_or_else(Err)
            }
        }
    };
    let result = match ended {
        Ok(Ok(ended)) => ended.result(),
        Ok(Err(TooMuch)) => Err(format!("it printed more than {ANSWER_LIMIT} bytes").into()),
        Err(_) => Err(took_longer(limit).into()),
    };
    program.end().await;
    result
}

/// A running program and its process group, which is killed when this value is dropped.
pub(crate) struct Running {
    child: Child,
    /// The id of the process group, which is the id of its first process.
    group: Option<Pid>,
    /// The value of the mark in the environment of all its processes.
    mark: String,
    /// The task that reads standard error, if [`Self::output`] was called. Its result is the last line.
    complaint: Option<JoinHandle<String>>,
}

/// The program printed more than the limit.
struct TooMuch;

struct Ended {
    status: io::Result<ExitStatus>,
    printed: Vec<u8>,
    complained: Vec<u8>,
}

impl Running {
    /// Starts a program and writes as much of the input as fits into the pipe; the rest is passed to [`Self::finish`]. The input
    /// is written before the start, so that a program does not read half of its input if the agent is killed right after the
    /// start.
    pub(crate) fn start<'i>(path: &str, args: &[String], input: &'i str, thing: &str) -> io::Result<(Self, Input<'i>)> {
        let mark = format!("{:016x}", getrandom::u64().map_err(io::Error::other)?);
        let kept = KEPT.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let (stdin, writer) = io::pipe()?;
        let input = Input::begin(writer, input.as_bytes())?;
        let child = Command::new(path)
            .args(args)
            .env_clear()
            .envs(kept)
            .env("ONETHING_THING", thing)
            .env(MARK, &mark)
            .current_dir("/")
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok((Self { child, group, mark, complaint: None }, input))
    }

    /// Writes the rest of the input and reads the output until the program has ended.
    async fn finish(&mut self, input: Input<'_>) -> Result<Ended, TooMuch> {
        let (group, child) = (self.group, &mut self.child);
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (mut printed, mut complained) = (Vec::new(), Vec::new());
        let status = {
            // Reading and writing run concurrently. Otherwise the agent and the program could wait for each other for ever.
            let talk = async {
                tokio::try_join!(input.end(), read(stdout, &mut printed, Capture::All), read(stderr, &mut complained, Capture::Tail))
            };
            tokio::pin!(talk);
            tokio::select! {
                biased;
                said = &mut talk => {
                    said?;
                    child.wait().await
                }
                status = child.wait() => {
                    // Processes that the program left behind would keep the pipes open.
                    kill(group);
                    if let Ok(said) = timeout(REST, talk).await {
                        said?;
                    }
                    status
                }
            }
        };
        Ok(Ended { status, printed, complained })
    }

    /// Standard output, for a caller that reads it continuously. Standard error is read in a task.
    pub(crate) fn output(&mut self) -> Option<ChildStdout> {
        let stderr = self.child.stderr.take();
        self.complaint = Some(tokio::spawn(async move {
            let mut complained = Vec::new();
            // The tail has no limit that could be exceeded.
            let _ = read(stderr, &mut complained, Capture::Tail).await;
            answer::last_line(&complained)
        }));
        self.child.stdout.take()
    }

    /// Ends the program if it still runs. Returns a description of its end.
    pub(crate) async fn stop(mut self) -> String {
        let end = match timeout(REST, self.child.wait()).await {
            Ok(Ok(status)) => format!("it ended with {status}"),
            Ok(Err(error)) => format!("its end was not seen: {error}"),
            Err(_) => "it closed its output".to_owned(),
        };
        self.kill();
        let complaint = match self.complaint.take() {
            Some(complaint) => timeout(REST, complaint).await.ok().and_then(Result::ok).unwrap_or_default(),
            None => String::new(),
        };
        self.end().await;
        if complaint.is_empty() { end } else { format!("{complaint} ({end})") }
    }

    /// Kills the processes that still run, and waits until the program is gone.
    pub(super) async fn end(mut self) {
        self.kill();
        // A process that the kernel cannot end now is reaped later by the runtime.
        let _ = timeout(REAP_WITHIN, self.child.wait()).await;
    }

    fn kill(&mut self) {
        kill(self.group.take());
        marked::kill(MARK, &self.mark);
    }
}

/// Kills a process group. The id of a group is not reused as long as the group has a process.
fn kill(group: Option<Pid>) {
    if let Some(group) = group {
        // There is nothing to kill if all processes have just ended.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Ended {
    fn result(self) -> Result<Vec<u8>, Failed> {
        let status = self.status.map_err(|error| format!("its end was not seen: {error}"))?;
        if status.success() {
            return Ok(self.printed);
        }
        let complaint = answer::last_line(&self.complained);
        Err(match complaint.is_empty() {
            true => format!("it ended with {status}").into(),
            false => Failed { why: complaint, end: Some(status.to_string()) },
        })
    }
}

/// The part of the input that did not fit into the pipe.
pub(crate) struct Input<'i> {
    pipe: pipe::Sender,
    rest: &'i [u8],
}

impl<'i> Input<'i> {
    fn begin(mut writer: io::PipeWriter, input: &'i [u8]) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&writer, true)?;
        let written = match writer.write(input) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            written => written?,
        };
        Ok(Self { pipe: pipe::Sender::from_owned_fd(writer.into())?, rest: &input[written..] })
    }

    /// Errors are ignored: a program need not read its input to the end.
    async fn end(mut self) -> Result<(), TooMuch> {
        let _ = self.pipe.write_all(self.rest).await;
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Capture {
    All,
    Tail,
}

/// Reads to the end of the stream. Keeps the whole output, up to the limit, or only the last bytes.
async fn read(from: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>, kept: Capture) -> Result<(), TooMuch> {
    let Some(mut from) = from else { return Ok(()) };
    let mut chunk = vec![0; CHUNK];
    // A pipe that cannot be read is treated as closed.
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        into.extend(chunk.iter().take(length));
        if kept == Capture::Tail {
            into.drain(..into.len().saturating_sub(TAIL));
        } else if into.len() > ANSWER_LIMIT {
            return Err(TooMuch);
        }
    }
    Ok(())
}

/// Why the program could not be started.
pub(crate) fn fault(path: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("`{path}` is not there, or what interprets it is not"),
        io::ErrorKind::PermissionDenied => format!("`{path}` may not be run"),
        _ => format!("`{path}` could not be started: {error}"),
    }
}

#[cfg(test)]
#[path = "program_tests.rs"]
pub(super) mod tests;
