//! The Lambda Runtime API, version 2018-06-01: the four routes of the Lambda Developer Guide ("Using the Lambda runtime API").

use std::collections::HashMap;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};

use super::http::{self, Server};

pub const FUNCTION_ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:onething";

/// The end of an invocation, as the caller of the function sees it.
#[derive(Debug)]
pub enum Outcome {
    /// The response of the function, unparsed.
    Answered(Bytes),
    /// The error that the function reported.
    Failed(Value),
    /// The time limit of the function passed.
    TimedOut,
    /// The function ended during the invocation, with this status.
    Died(ExitStatus),
}

pub struct RuntimeApi {
    server: Server,
    desk: Arc<Desk>,
}

struct Desk {
    events: mpsc::UnboundedSender<Event>,
    /// A dropped long poll releases this lock, so that a client that disconnects loses no event.
    queue: tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>,
    waiting: Mutex<HashMap<String, oneshot::Sender<Outcome>>>,
    polls: watch::Sender<u64>,
    init_error: watch::Sender<Option<Value>>,
    numbers: AtomicU64,
}

struct Event {
    id: String,
    body: Bytes,
    deadline: SystemTime,
}

impl RuntimeApi {
    pub async fn open() -> Self {
        let (events, queue) = mpsc::unbounded_channel();
        let desk = Arc::new(Desk {
            events,
            queue: tokio::sync::Mutex::new(queue),
            waiting: Mutex::default(),
            polls: watch::Sender::new(0),
            init_error: watch::Sender::new(None),
            numbers: AtomicU64::new(1),
        });
        let invocation = "/2018-06-01/runtime/invocation";
        let routes = Router::new()
            .route(&format!("{invocation}/next"), get(next))
            .route(&format!("{invocation}/{{id}}/response"), post(response))
            .route(&format!("{invocation}/{{id}}/error"), post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .with_state(Arc::clone(&desk));
        let server = Server::open(routes).await;
        Self { server, desk }
    }

    /// `host:port`, the format of AWS_LAMBDA_RUNTIME_API.
    pub fn address(&self) -> String {
        self.server.address.to_string()
    }

    /// Waits until the function polls for its first event.
    pub async fn first_poll(&self) {
        let mut polls = self.desk.polls.subscribe();
        polls.wait_for(|polls| *polls > 0).await.expect("the number of polls");
    }

    /// The error that the function reported to `/init/error`, if any.
    pub fn init_error(&self) -> Option<Value> {
        self.desk.init_error.borrow().clone()
    }

    /// Passes one event to the function and waits for at most `time_limit`. The deadline in the event is from a clock that is
    /// `behind` the clock of the function.
    pub async fn invoke(&self, body: Bytes, time_limit: Duration, behind: Duration) -> Outcome {
        let number = self.desk.numbers.fetch_add(1, Ordering::Relaxed);
        let id = format!("00000000-0000-4000-8000-{number:012x}");
        let (answer, answered) = oneshot::channel();
        self.desk.waiting.lock().expect("the lock of the invocations").insert(id.clone(), answer);
        let event = Event { id: id.clone(), body, deadline: SystemTime::now() + time_limit - behind };
        assert!(self.desk.events.send(event).is_ok(), "the queue is open");
        match tokio::time::timeout(time_limit, answered).await {
            Ok(Ok(outcome)) => outcome,
            _ => {
                self.desk.waiting.lock().expect("the lock of the invocations").remove(&id);
                Outcome::TimedOut
            }
        }
    }
}

async fn next(State(desk): State<Arc<Desk>>) -> Response<Body> {
    desk.polls.send_modify(|polls| *polls += 1);
    let event = desk.queue.lock().await.recv().await.expect("an event");
    let deadline = event.deadline.duration_since(UNIX_EPOCH).expect("after 1970");
    Response::builder()
        .header("Content-Type", "application/json")
        .header("Lambda-Runtime-Aws-Request-Id", &event.id)
        .header("Lambda-Runtime-Deadline-Ms", deadline.as_millis().to_string())
        .header("Lambda-Runtime-Invoked-Function-Arn", FUNCTION_ARN)
        .header("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0")
        .body(Body::from(event.body))
        .expect("a well-formed event")
}

async fn response(State(desk): State<Arc<Desk>>, Path(id): Path<String>, body: Bytes) -> Response<Body> {
    complete(&desk, &id, Outcome::Answered(body))
}

async fn error(State(desk): State<Arc<Desk>>, Path(id): Path<String>, body: Bytes) -> Response<Body> {
    complete(&desk, &id, Outcome::Failed(read_error(&body)))
}

async fn init_error(State(desk): State<Arc<Desk>>, body: Bytes) -> Response<Body> {
    desk.init_error.send_replace(Some(read_error(&body)));
    http::json(202, &json!({"status": "OK"}))
}

fn complete(desk: &Desk, id: &str, outcome: Outcome) -> Response<Body> {
    let waiting = desk.waiting.lock().expect("the lock of the invocations").remove(id);
    match waiting {
        Some(waiting) => {
            // The caller may have stopped waiting in this moment.
            let _ = waiting.send(outcome);
            http::json(202, &json!({"status": "OK"}))
        }
        None => http::json(400, &json!({"errorType": "InvalidRequestID", "errorMessage": "Invalid request ID"})),
    }
}

fn read_error(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| json!({"unreadable": String::from_utf8_lossy(body)}))
}
