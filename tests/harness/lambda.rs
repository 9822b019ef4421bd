//! The binary, run as Lambda runs it: a clean environment, a Runtime API to
//! poll, standard output as the log, and no second chance.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use serde_json::Value;

use super::alexa::Echo;
use super::answer::Answer;
use super::deployment::Deployment;
use super::process::{Process, Reaper, command};
use super::runtime_api::{Outcome, RuntimeApi};

/// Alexa hangs up after about eight seconds; the template says the same.
pub const TIME_LIMIT: Duration = Duration::from_secs(8);
/// "Every request is answered within 7 seconds."
pub const ANSWER_LIMIT: Duration = Duration::from_secs(7);
/// A debug build on a machine that is busy compiling.
const START_LIMIT: Duration = Duration::from_secs(30);

pub struct Lambda {
    api: RuntimeApi,
    process: Process,
    /// From exec to the first request for an event.
    pub ready_after: Duration,
}

/// A function that ended instead of asking for its first event.
#[derive(Debug)]
pub struct Refusal {
    pub status: ExitStatus,
    pub init_error: Option<Value>,
    pub log: String,
}

impl Refusal {
    /// Everything that the maker gets to read.
    pub fn text(&self) -> String {
        match &self.init_error {
            Some(error) => format!("{}\n{error}", self.log),
            None => self.log.clone(),
        }
    }
}

/// The binary that ships, where ONETHING_BINARY says where it is; else the one cargo built for this test.
fn binary() -> PathBuf {
    std::env::var_os("ONETHING_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_onething").into(), PathBuf::from)
}

/// How one invocation went.
#[derive(Debug)]
pub struct Invocation {
    pub outcome: Outcome,
    pub took: Duration,
}

impl Lambda {
    /// Starts the function; the test fails where it does not ask for events.
    pub async fn start(deployment: &Deployment) -> Self {
        match Self::try_start(deployment).await {
            Ok(lambda) => lambda,
            Err(refusal) => panic!("the function refuses to start:\n{}", refusal.text()),
        }
    }

    /// Starts the function; the test fails where it does ask for events.
    pub async fn refuses(deployment: &Deployment) -> Refusal {
        match Self::try_start(deployment).await {
            Ok(_) => panic!("the function starts on {deployment:?}"),
            Err(refusal) => refusal,
        }
    }

    pub async fn try_start(deployment: &Deployment) -> Result<Self, Refusal> {
        let api = RuntimeApi::open().await;
        let mut command = command(binary(), Path::new("/"));
        command.env("AWS_LAMBDA_RUNTIME_API", api.address()).envs(deployment.variables());
        let started = Instant::now();
        let mut process = Process::start(command);
        let ended = tokio::time::timeout(START_LIMIT, async {
            tokio::select! {
                () = api.first_poll() => None,
                status = process.ended() => Some(status),
            }
        })
        .await;
        match ended {
            Ok(None) => Ok(Self { api, process, ready_after: started.elapsed() }),
            Ok(Some(status)) => Err(Refusal { status, init_error: api.init_error(), log: process.output() }),
            Err(_) => panic!("the function neither polls nor ends; it wrote:\n{}", process.output()),
        }
    }

    /// One event, as JSON.
    pub async fn invoke(&self, request: &Value) -> Invocation {
        self.invoke_raw(request.to_string()).await
    }

    /// One event, whatever it is.
    pub async fn invoke_raw(&self, payload: impl Into<Bytes>) -> Invocation {
        self.invoke_by_a_clock_behind(payload, Duration::ZERO).await
    }

    /// One event, whose deadline comes from a clock that is so much behind the function's.
    pub async fn invoke_by_a_clock_behind(&self, payload: impl Into<Bytes>, behind: Duration) -> Invocation {
        let started = Instant::now();
        let outcome = tokio::select! {
            outcome = self.api.invoke(payload.into(), TIME_LIMIT, behind) => outcome,
            status = self.process.end() => Outcome::Died(status),
        };
        Invocation { outcome, took: started.elapsed() }
    }

    /// One event, with so much time.
    pub async fn invoke_within(&self, event: &Value, limit: Duration) -> Outcome {
        tokio::select! {
            outcome = self.api.invoke(event.to_string().into(), limit, Duration::ZERO) => outcome,
            status = self.process.end() => Outcome::Died(status),
        }
    }

    /// What an invocation by the schedule or by SNS reports, which may take so long.
    pub async fn reports(&self, event: &Value, limit: Duration) -> Value {
        match self.invoke_within(event, limit).await {
            Outcome::Answered(body) => serde_json::from_slice(&body).expect("a report in JSON"),
            other => panic!("no report but {other:?}; the log:\n{}", self.log()),
        }
    }

    /// What Alexa makes of the answer: checked against the rules of the
    /// response format, in time, and remembered by the device that asked.
    pub async fn answer(&self, echo: &mut Echo, request: &Value) -> Answer {
        let answer = self.answer_to(request).await;
        echo.hear(&answer);
        answer
    }

    /// The same, without a device that remembers.
    pub async fn answer_to(&self, request: &Value) -> Answer {
        let invocation = self.invoke(request).await;
        self.expect_answer(invocation)
    }

    /// The checked answer of an invocation that must have one.
    pub fn expect_answer(&self, invocation: Invocation) -> Answer {
        let took = invocation.took;
        assert!(took < ANSWER_LIMIT, "answered after {took:?} only");
        match invocation.outcome {
            Outcome::Answered(body) => Answer::check(&body),
            other => panic!("no answer but {other:?}; the log:\n{}", self.log()),
        }
    }

    /// The error of an invocation that must fail.
    pub fn expect_failure(&self, invocation: Invocation) -> Value {
        match invocation.outcome {
            Outcome::Failed(error) => error,
            Outcome::Answered(body) => {
                panic!("answered {} to a stranger", String::from_utf8_lossy(&body))
            }
            other => panic!("no answer but {other:?}; the log:\n{}", self.log()),
        }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// Waits for a line of the log.
    pub async fn logs(&self, text: &str) -> String {
        let what = format!("the log says {text:?}");
        self.process.writes(Duration::from_secs(5), &what, |log| log.contains(text)).await
    }

    /// Waits until the log says this so many times.
    pub async fn logs_times(&self, text: &str, times: usize) -> String {
        let what = format!("the log says {text:?} {times} times");
        self.process.writes(Duration::from_secs(5), &what, |log| log.matches(text).count() >= times).await
    }

    /// Ends it and hands over everything it ever logged.
    pub async fn stop(self) -> String {
        self.process.stop().await
    }

    /// What kills it.
    pub fn reaper(&self) -> Reaper {
        self.process.reaper()
    }

    /// Whether it is ready for a next event.
    pub fn is_running(&self) -> bool {
        self.process.is_running()
    }
}
