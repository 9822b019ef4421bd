//! The binary, run as Lambda runs it: with a clean environment, a Runtime API to poll, the log on standard output, and no
//! restart.

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

/// The timeout of the function in the template. Alexa stops waiting after about eight seconds.
pub const TIME_LIMIT: Duration = Duration::from_secs(8);
/// The documented limit: "Every request is answered within 7 seconds."
pub const ANSWER_LIMIT: Duration = Duration::from_secs(7);
/// The limit for the start of a debug build on a machine that is busy compiling.
const START_LIMIT: Duration = Duration::from_secs(30);

pub struct Lambda {
    api: RuntimeApi,
    process: Process,
    /// The time from exec to the first poll for an event.
    pub ready_after: Duration,
}

/// A function that ended before it polled for its first event.
#[derive(Debug)]
pub struct Refusal {
    pub status: ExitStatus,
    pub init_error: Option<Value>,
    pub log: String,
}

impl Refusal {
    /// The log and the init error: all text that the operator can read.
    pub fn text(&self) -> String {
        match &self.init_error {
            Some(error) => format!("{}\n{error}", self.log),
            None => self.log.clone(),
        }
    }
}

/// The binary at the path in ONETHING_BINARY, for a released one; otherwise the binary that cargo built for this test.
fn binary() -> PathBuf {
    std::env::var_os("ONETHING_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_onething").into(), PathBuf::from)
}

/// The result of one invocation.
#[derive(Debug)]
pub struct Invocation {
    pub outcome: Outcome,
    pub took: Duration,
}

impl Lambda {
    /// Starts the function; the test fails if the function does not poll for events.
    pub async fn start(deployment: &Deployment) -> Self {
        match Self::try_start(deployment).await {
            Ok(lambda) => lambda,
            Err(refusal) => panic!("the function refuses to start:\n{}", refusal.text()),
        }
    }

    /// Starts the function; the test fails if the function polls for events.
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

    /// Invokes the function with one event.
    pub async fn invoke(&self, request: &Value) -> Invocation {
        self.invoke_raw(request.to_string()).await
    }

    /// Invokes the function with any payload, which need not be JSON.
    pub async fn invoke_raw(&self, payload: impl Into<Bytes>) -> Invocation {
        self.invoke_by_a_clock_behind(payload, Duration::ZERO).await
    }

    /// Like [`invoke_raw`](Self::invoke_raw), with a deadline from a clock that is `behind` the clock of the function.
    pub async fn invoke_by_a_clock_behind(&self, payload: impl Into<Bytes>, behind: Duration) -> Invocation {
        let started = Instant::now();
        let outcome = tokio::select! {
            outcome = self.api.invoke(payload.into(), TIME_LIMIT, behind) => outcome,
            status = self.process.end() => Outcome::Died(status),
        };
        Invocation { outcome, took: started.elapsed() }
    }

    /// Invokes the function with one event and this time limit.
    pub async fn invoke_within(&self, event: &Value, limit: Duration) -> Outcome {
        tokio::select! {
            outcome = self.api.invoke(event.to_string().into(), limit, Duration::ZERO) => outcome,
            status = self.process.end() => Outcome::Died(status),
        }
    }

    /// Invokes the function as the schedule or SNS does, with this time limit, and returns its report.
    pub async fn reports(&self, event: &Value, limit: Duration) -> Value {
        match self.invoke_within(event, limit).await {
            Outcome::Answered(body) => serde_json::from_slice(&body).expect("a report in JSON"),
            other => panic!("no report but {other:?}; the log:\n{}", self.log()),
        }
    }

    /// Invokes the function and checks its response: in time, and valid by the rules of the response format. The Echo stores the
    /// session attributes of the response.
    pub async fn answer(&self, echo: &mut Echo, request: &Value) -> Answer {
        let answer = self.answer_to(request).await;
        echo.hear(&answer);
        answer
    }

    /// Like [`answer`](Self::answer), without an Echo.
    pub async fn answer_to(&self, request: &Value) -> Answer {
        let invocation = self.invoke(request).await;
        self.expect_answer(invocation)
    }

    /// The checked response of an invocation that must succeed.
    pub fn expect_answer(&self, invocation: Invocation) -> Answer {
        let took = invocation.took;
        assert!(took < ANSWER_LIMIT, "answered only after {took:?}");
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

    /// The log so far.
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// Waits until the log contains `text`.
    pub async fn logs(&self, text: &str) -> String {
        let what = format!("the log says {text:?}");
        self.process.writes(Duration::from_secs(5), &what, |log| log.contains(text)).await
    }

    /// Waits until the log contains `text` at least `times` times.
    pub async fn logs_times(&self, text: &str, times: usize) -> String {
        let what = format!("the log says {text:?} {times} times");
        self.process.writes(Duration::from_secs(5), &what, |log| log.matches(text).count() >= times).await
    }

    /// Kills the function and returns its complete log.
    pub async fn stop(self) -> String {
        self.process.stop().await
    }

    /// A handle that kills the function.
    pub fn reaper(&self) -> Reaper {
        self.process.reaper()
    }

    /// Whether the function is still running, so that it can take another event.
    pub fn is_running(&self) -> bool {
        self.process.is_running()
    }
}
