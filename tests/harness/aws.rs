//! A proxy at the address where the function expects AWS. It either answers every call with a fault, or stands in front of an
//! emulator, records every call and makes the calls fail that a test names. The proxy can also stand in front of Login with
//! Amazon. Then it records all calls of the function in one order.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use super::gaps::{Gaps, Passage};
use super::http::{self, Connections, Server};
use super::operations::operation;
use super::process::Reaper;
use super::within;

/// The response of DescribeThing for an owner whose certificate has been delivered.
const READY: &str = r#"{
    "thingName": "3D_Printer-a", "thingArn": "arn:aws:iot:us-east-1:000000000000:thing/3D_Printer-a", "version": 3,
    "attributes": {
        "Run": "0", "LeaseUntil": "0", "LinkedAt": "1", "DeliveredAt": "1",
        "CertificateId": "0000000000000000000000000000000000000000000000000000000000000000"
    }
}"#;

/// How the proxy treats a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// Responds with this status and this JSON; the call does not reach AWS.
    Answers(u16, &'static str),
    /// Responds with an error; the call does not reach AWS. Status, error code, message.
    Refuses(u16, &'static str, &'static str),
    /// The call does not reach AWS, and no response is sent.
    Hangs,
    /// The call takes effect, and no response is sent.
    HangsAfterwards,
    /// The call takes effect, and the response is a 500.
    FailsAfterwards,
    /// The calling process is killed; the call does not reach AWS.
    Kills,
    /// The call takes effect, and the calling process is killed before it receives the response.
    KillsAfterwards,
}

/// A conduct for some calls of one operation. `calls` counts from 1, starting when the rule is added.
struct Rule {
    operation: String,
    calls: RangeInclusive<usize>,
    conduct: Conduct,
    seen: usize,
}

/// One call that the proxy has recorded.
#[derive(Clone, Debug)]
pub struct Call {
    pub operation: String,
    pub path: String,
    pub query: String,
    /// The ARN of the certificate in the header `x-amzn-principal`, if the call has one.
    pub principal: Option<String>,
    pub body: Bytes,
    /// The status that AWS returned, even if the caller did not receive it. None if the call did not reach AWS.
    pub status: Option<StatusCode>,
    /// The body that AWS returned; empty if there was no response.
    pub answer: Bytes,
}

impl Call {
    /// The body as JSON; null if the body is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

struct Gate {
    upstream: Option<String>,
    /// The URL of Login with Amazon, if its calls pass through the proxy too.
    login: Mutex<Option<String>>,
    gaps: Option<Arc<Gaps>>,
    connections: Connections,
    /// The conduct for every call that no rule matches.
    everywhere: Option<Conduct>,
    rules: Mutex<Vec<Rule>>,
    calls: watch::Sender<Vec<Call>>,
    /// Kills the calling process.
    reaper: Mutex<Option<Reaper>>,
    silence: Notify,
}

pub struct Aws {
    server: Server,
    gate: Arc<Gate>,
}

impl Aws {
    /// An AWS that answers every call with status 500.
    pub async fn out_of_order() -> Self {
        let conduct = Conduct::Refuses(500, "InternalFailureException", "out of order");
        Self::open(None, None, Some(conduct)).await
    }

    /// An AWS that never answers a call.
    pub async fn silent() -> Self {
        Self::open(None, None, Some(Conduct::Hangs)).await
    }

    /// An AWS with one owner whose certificate has been delivered. The shadow is `document`, and every update of it succeeds.
    pub async fn with_shadow(document: &'static str) -> Self {
        let aws = Self::out_of_order().await;
        aws.makes("GetThingShadow", Conduct::Answers(200, document));
        aws.makes("UpdateThingShadow", Conduct::Answers(200, r#"{"state":{},"version":8}"#));
        aws.makes("DescribeThing", Conduct::Answers(200, READY));
        aws.makes("UpdateThing", Conduct::Answers(200, "{}"));
        aws.makes("ListThings", Conduct::Answers(200, r#"{"things":[]}"#));
        aws
    }

    /// Records the calls to the AWS at `upstream` and forwards them unchanged. The host header stays, because the signature
    /// covers it.
    pub async fn in_front_of(upstream: &str) -> Self {
        Self::open(Some(upstream), None, None).await
    }

    /// Like [`in_front_of`](Self::in_front_of), and adds the behaviour that the emulator lacks.
    pub async fn in_front_of_emulator(upstream: &str, gaps: &Arc<Gaps>) -> Self {
        Self::open(Some(upstream), Some(Arc::clone(gaps)), None).await
    }

    async fn open(upstream: Option<&str>, gaps: Option<Arc<Gaps>>, everywhere: Option<Conduct>) -> Self {
        let gate = Arc::new(Gate {
            upstream: upstream.map(str::to_owned),
            login: Mutex::default(),
            gaps,
            connections: http::connections(),
            everywhere,
            rules: Mutex::default(),
            calls: watch::Sender::default(),
            reaper: Mutex::default(),
            silence: Notify::default(),
        });
        let routes = Router::new().fallback(pass).with_state(Arc::clone(&gate));
        Self { server: Server::open(routes).await, gate }
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Forwards the calls to Login with Amazon too, to the URL `login`.
    pub fn stands_before_login(self, login: &str) -> Self {
        *self.gate.login.lock().expect("the lock of the login URL") = Some(login.to_owned());
        self
    }

    /// Sets the process that [`Conduct::Kills`] and [`Conduct::KillsAfterwards`] kill.
    pub fn aims_at(&self, reaper: Reaper) {
        *self.gate.reaper.lock().expect("the lock of the reaper") = Some(reaper);
    }

    /// From now on every call of `operation` is treated as `conduct` says, until [`mends`](Self::mends).
    pub fn makes(&self, operation: &str, conduct: Conduct) {
        self.makes_from(operation, 1, conduct);
    }

    /// Like [`makes`](Self::makes), from the call number `nth` on; the next call is number 1.
    pub fn makes_from(&self, operation: &str, nth: usize, conduct: Conduct) {
        self.rule(operation, nth..=usize::MAX, conduct);
    }

    /// Treats only the call number `nth` as `conduct` says; the next call is number 1.
    pub fn makes_once(&self, operation: &str, nth: usize, conduct: Conduct) {
        self.rule(operation, nth..=nth, conduct);
    }

    fn rule(&self, operation: &str, calls: RangeInclusive<usize>, conduct: Conduct) {
        let mut rules = self.gate.rules.lock().expect("the lock of the rules");
        rules.retain(|rule| rule.operation != operation);
        rules.push(Rule { operation: operation.to_owned(), calls, conduct, seen: 0 });
    }

    /// Removes all rules. Returns whether any call was treated as a rule said.
    pub fn mends(&self) -> bool {
        let rules = std::mem::take(&mut *self.gate.rules.lock().expect("the lock of the rules"));
        rules.iter().any(|rule| rule.seen >= *rule.calls.start())
    }

    pub fn calls(&self) -> Vec<Call> {
        self.gate.calls.borrow().clone()
    }

    /// The operations that were called, in the order of arrival.
    pub fn operations(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.operation).collect()
    }

    /// Waits until a call is left without a response.
    pub async fn falls_silent(&self) {
        self.gate.silence.notified().await;
    }

    /// Waits until `operation` has been called; returns at once if it was called before.
    pub async fn hears(&self, operation: &str) {
        let mut calls = self.gate.calls.subscribe();
        let called = calls.wait_for(|calls| calls.iter().any(|call| call.operation == operation));
        within(Duration::from_secs(10), operation, called).await.expect("the recorded calls");
    }

    /// The ids of all certificates that AWS has created for the callers, including those whose response was lost.
    pub fn certificates_made(&self) -> Vec<String> {
        let made = |call: &Call| {
            let answer: Value = serde_json::from_slice(&call.answer).ok()?;
            call.operation.starts_with("Create").then(|| answer["certificateId"].as_str().map(str::to_owned))?
        };
        self.calls().iter().filter_map(made).collect()
    }

    /// How many calls of `operation` AWS has answered with a success.
    pub fn times(&self, operation: &str) -> usize {
        let done = |call: &&Call| call.status.is_some_and(|status| status.is_success());
        let calls = self.calls();
        let calls = calls.iter().filter(|call| call.operation == operation);
        calls.filter(done).count()
    }

    /// Clears the recorded calls.
    pub fn forgets(&self) {
        self.gate.calls.send_modify(Vec::clear);
    }
}

/// The header that names the action, in protocols that use one.
fn target(head: &Parts) -> Option<&str> {
    head.headers.get("x-amz-target").and_then(|target| target.to_str().ok())
}

async fn pass(State(gate): State<Arc<Gate>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    if head.method == Method::HEAD {
        // No operation of AWS: the client opens a connection in advance with a HEAD request.
        return http::respond(404, "text/plain", "");
    }
    let Ok(body) = body.collect().await else {
        return http::respond(400, "text/plain", "half a request");
    };
    let body = body.to_bytes();
    let path = head.uri.path().to_owned();
    let target = target(&head);
    let operation = operation(&head.method, &path, target, &body);
    let number = gate.note(&operation, &head, &body);
    let arrived = Arrived { head, body, path, operation, number };
    match gate.conduct(&arrived.operation) {
        None => effect(&gate, arrived).await,
        Some(Conduct::Answers(status, body)) => http::respond(status, "application/json", body),
        Some(Conduct::Refuses(status, code, message)) => refusal(&arrived.path, status, code, message),
        Some(Conduct::Hangs) => gate.keep_silent().await,
        Some(Conduct::HangsAfterwards) => {
            effect(&gate, arrived).await;
            gate.keep_silent().await
        }
        Some(Conduct::FailsAfterwards) => {
            let path = arrived.path.clone();
            effect(&gate, arrived).await;
            refusal(&path, 500, "InternalFailureException", "try again")
        }
        Some(Conduct::Kills) => gate.kill().await,
        Some(Conduct::KillsAfterwards) => {
            effect(&gate, arrived).await;
            gate.kill().await
        }
    }
}

/// One call that passes through the proxy.
struct Arrived {
    head: Parts,
    body: Bytes,
    path: String,
    operation: String,
    /// The index of the call among the recorded calls.
    number: usize,
}

impl Gate {
    /// The conduct for this call of `operation`. Counts the call in the rule of the operation.
    fn conduct(&self, operation: &str) -> Option<Conduct> {
        let mut rules = self.rules.lock().expect("the lock of the rules");
        let named = rules.iter_mut().find(|rule| rule.operation == operation).and_then(|rule| {
            rule.seen += 1;
            rule.calls.contains(&rule.seen).then_some(rule.conduct)
        });
        named.or(self.everywhere)
    }

    /// Kills the caller and never responds.
    async fn kill(&self) -> Response<Body> {
        self.reaper.lock().expect("the lock of the reaper").as_ref().expect("a process to kill").kills();
        std::future::pending().await
    }

    async fn keep_silent(&self) -> Response<Body> {
        self.silence.notify_waiters();
        std::future::pending().await
    }

    fn note(&self, operation: &str, head: &Parts, body: &Bytes) -> usize {
        let call = Call {
            operation: operation.to_owned(),
            path: head.uri.path().to_owned(),
            principal: head.headers.get("x-amzn-principal").and_then(|arn| arn.to_str().ok()).map(str::to_owned),
            query: head.uri.query().unwrap_or_default().to_owned(),
            body: body.clone(),
            status: None,
            answer: Bytes::default(),
        };
        let mut number = 0;
        self.calls.send_modify(|calls| {
            number = calls.len();
            calls.push(call);
        });
        number
    }

    fn note_answer(&self, number: usize, status: StatusCode, answer: &Bytes) {
        self.calls.send_modify(|calls| {
            // A test may have cleared the recorded calls in the meantime.
            if let Some(call) = calls.get_mut(number) {
                call.status = Some(status);
                call.answer = answer.clone();
            }
        });
    }

    fn upstream(&self, path: &str) -> Option<String> {
        if is_login(path) { self.login.lock().expect("the lock of the login URL").clone() } else { self.upstream.clone() }
    }
}

/// Forwards the call in a task of its own, so that a call that has reached AWS completes even if the caller disconnects or is
/// killed.
async fn effect(gate: &Arc<Gate>, arrived: Arrived) -> Response<Body> {
    let gate = Arc::clone(gate);
    tokio::spawn(async move { relay(&gate, arrived).await }).await.expect("the task that forwards the call")
}

async fn relay(gate: &Gate, arrived: Arrived) -> Response<Body> {
    let Arrived { head, body, path, operation, number } = arrived;
    let Some(upstream) = gate.upstream(&path) else {
        return http::respond(404, "text/plain", "there is no AWS here");
    };
    let passage = match &gate.gaps {
        Some(gaps) => gaps.enter(&operation, &path, &body).await,
        None => Passage::Open,
    };
    match &passage {
        Passage::Refused(status, code, message) => {
            gate.note_answer(number, StatusCode::from_u16(*status).expect("a valid status"), &Bytes::default());
            return refusal(&path, *status, code, message);
        }
        Passage::Answered(body) => {
            gate.note_answer(number, StatusCode::OK, &body.to_string().into());
            return http::json(200, body);
        }
        Passage::Open | Passage::Thing { .. } | Passage::Mail { .. } => {}
    }
    let query = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder().method(head.method.clone()).uri(format!("{upstream}{query}"));
    for (name, value) in &head.headers {
        if name != "connection" && name != "transfer-encoding" && name != "content-length" {
            request = request.header(name, value);
        }
    }
    let request = request.body(http_body_util::Full::new(body)).expect("a valid request");
    match http::exchange(&gate.connections, request).await {
        Ok((mut head, body)) => {
            passage.leave(head.status).await;
            let body = gate.gaps.as_ref().map_or(body.clone(), |gaps| gaps.amend(&operation, body));
            gate.note_answer(number, head.status, &body);
            head.headers.remove("connection");
            head.headers.remove("transfer-encoding");
            head.headers.remove("content-length");
            Response::from_parts(head, Body::from(body))
        }
        Err(error) => http::respond(502, "text/plain", error),
    }
}

/// Whether the path belongs to Login with Amazon; otherwise it belongs to AWS.
fn is_login(path: &str) -> bool {
    path.starts_with("/user/") || path.starts_with("/auth/")
}

/// An error in the protocol of the service: query protocol (SES), OAuth (Login with Amazon) or REST with JSON (IoT).
fn refusal(path: &str, status: u16, code: &str, message: &str) -> Response<Body> {
    if is_login(path) {
        return http::json(status, &json!({"error": code, "error_description": message, "request_id": "1"}));
    }
    if path == "/" {
        let kind = if status < 500 { "Sender" } else { "Receiver" };
        let body = format!(
            "<ErrorResponse xmlns=\"http://ses.amazonaws.com/doc/2010-12-01/\"><Error>\
             <Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message></Error>\
             <RequestId>42d59b56-7407-4c4a-be0f-4c88daeea257</RequestId></ErrorResponse>"
        );
        return http::respond(status, "text/xml", body);
    }
    let mut answer = http::json(status, &json!({"message": message}));
    if let Ok(code) = code.parse() {
        answer.headers_mut().insert("x-amzn-errortype", code);
    }
    answer
}
