//! A program runs: without a shell, in a process group of its own, with the input on its standard input.
//!
//! It ends within its time: its group is killed when the time is up, when it says too much, and when nobody waits for it any more.
//! One that is stopped is first asked to end, by SIGTERM.
//! What it has left running when it ends by itself ends with it, also where that has left the group: everything that an action
//! starts has its mark in the environment.

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

use super::aside::took_longer;
use super::{ANSWER_LIMIT, Failed, answer, marked};

/// What a program needs to find others, its user's files and its language.
const KEPT: [&str; 3] = ["PATH", "HOME", "LANG"];
/// By this variable what an action has left behind is found.
const MARK: &str = "ONETHING_ACTION";
/// For what is still in the pipes of a program that has ended: whoever it has left behind may keep them open for good.
const REST: Duration = Duration::from_millis(200);
/// For a program to end that was asked to.
const GRACE: Duration = Duration::from_millis(500);
/// For the kernel to end what was killed.
const BURIAL: Duration = Duration::from_secs(2);
/// In bytes: the end of what it says about itself, enough for a last line.
const TAIL: usize = 4 * 1024;
const CHUNK: usize = 4 * 1024;

/// Runs a program to its end, or until it is `stopped`; what it printed comes back.
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
                // There is nothing to stop where everything has just ended.
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

/// A program and its group, which ends with this value.
pub(crate) struct Running {
    child: Child,
    /// The group has the number of its first process.
    group: Option<Pid>,
    /// What everything that it starts has in its environment.
    mark: String,
    /// What it says about itself, where somebody reads its output.
    complaint: Option<JoinHandle<String>>,
}

/// It printed more than it may.
struct TooMuch;

struct Ended {
    status: io::Result<ExitStatus>,
    printed: Vec<u8>,
    complained: Vec<u8>,
}

impl Running {
    /// Starts a program with its input in the pipe; what does not fit there is given to [`Self::finish`]. Also when the agent is killed
    /// right after the start, a program does not read half of its input.
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

    /// Gives it the rest of its input, and hears what it says until it has ended.
    async fn finish(&mut self, input: Input<'_>) -> Result<Ended, TooMuch> {
        let (group, child) = (self.group, &mut self.child);
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (mut printed, mut complained) = (Vec::new(), Vec::new());
        let status = {
            // All at once: whoever waits for the one while the program waits for the other waits for ever.
            let talk = async {
                tokio::try_join!(input.end(), hear(stdout, &mut printed, Capture::All), hear(stderr, &mut complained, Capture::Tail))
            };
            tokio::pin!(talk);
            tokio::select! {
                biased;
                said = &mut talk => {
                    said?;
                    child.wait().await
                }
                status = child.wait() => {
                    // Who is left behind would keep the pipes open.
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

    /// What it prints, for whoever goes on reading it.
    pub(crate) fn output(&mut self) -> Option<ChildStdout> {
        let stderr = self.child.stderr.take();
        self.complaint = Some(tokio::spawn(async move {
            let mut complained = Vec::new();
            // Of the tail there is never too much.
            let _ = hear(stderr, &mut complained, Capture::Tail).await;
            answer::last_line(&complained)
        }));
        self.child.stdout.take()
    }

    /// Ends it, where it has not ended by itself; how it has ended.
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

    /// Kills what still runs, and waits until it is no more.
    pub(super) async fn end(mut self) {
        self.kill();
        // What the kernel does not let go of now is reaped when it does.
        let _ = timeout(BURIAL, self.child.wait()).await;
    }

    fn kill(&mut self) {
        kill(self.group.take());
        marked::kill(MARK, &self.mark);
    }
}

/// Nobody else has the number of a group, as long as there is a process in it.
fn kill(group: Option<Pid>) {
    if let Some(group) = group {
        // There is nothing to kill where everything has just ended.
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

/// What does not fit into the pipe of a program's input yet.
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

    /// A program need not read its input to the end.
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

/// Reads to the end, and keeps all, of which there is a limit, or what came last.
async fn hear(from: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>, kept: Capture) -> Result<(), TooMuch> {
    let Some(mut from) = from else { return Ok(()) };
    let mut chunk = vec![0; CHUNK];
    // A pipe that cannot be read has nothing more to say.
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

/// Why it does not run.
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
