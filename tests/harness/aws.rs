//! The place where AWS is, seen from the function: an address that answers
//! badly, or stands in front of an emulator, notes every call and breaks the
//! ones a test names.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::http::{self, Connections, Server};
use super::operations::operation;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// This status and this JSON, with nothing behind it.
    Answers(u16, &'static str),
    /// A definite no: nothing happened. Status, error code, message.
    Refuses(u16, &'static str, &'static str),
    /// Swallowed: nothing happened, and no answer comes.
    Hangs,
    /// It happened, and no answer comes.
    HangsAfterwards,
    /// It happened, and the answer says that AWS is out of order.
    FailsAfterwards,
}

/// One call that arrived.
#[derive(Clone, Debug)]
pub struct Call {
    pub operation: String,
    pub path: String,
    pub body: Bytes,
    /// What AWS made of it, whatever the caller got to hear of that.
    pub status: Option<StatusCode>,
}

impl Call {
    /// The body, where it is JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

struct Gate {
    upstream: Option<String>,
    connections: Connections,
    /// For every call that nothing else is named for.
    everywhere: Option<Conduct>,
    conducts: Mutex<Vec<(String, Conduct)>>,
    calls: Mutex<Vec<Call>>,
}

pub struct Aws {
    server: Server,
    gate: Arc<Gate>,
}

impl Aws {
    /// Every call gets 500.
    pub async fn out_of_order() -> Self {
        let conduct = Conduct::Refuses(500, "InternalFailureException", "out of order");
        Self::open(None, Some(conduct)).await
    }

    /// No call ever gets an answer.
    pub async fn silent() -> Self {
        Self::open(None, Some(Conduct::Hangs)).await
    }

    /// An owner who is ready: the shadow is there and takes what is written.
    pub async fn with_shadow(document: &'static str) -> Self {
        let aws = Self::out_of_order().await;
        aws.makes("GetThingShadow", Conduct::Answers(200, document));
        aws.makes("UpdateThingShadow", Conduct::Answers(200, r#"{"state":{},"version":8}"#));
        aws
    }

    /// Notes the calls to the AWS at `upstream` and hands them on unchanged;
    /// the signature covers the host they were sent to, and that stays.
    pub async fn in_front_of(upstream: &str) -> Self {
        Self::open(Some(upstream.to_owned()), None).await
    }

    async fn open(upstream: Option<String>, everywhere: Option<Conduct>) -> Self {
        let gate =
            Arc::new(Gate { upstream, connections: http::connections(), everywhere, conducts: Mutex::default(), calls: Mutex::default() });
        let routes = Router::new().fallback(pass).with_state(Arc::clone(&gate));
        Self { server: Server::open(routes).await, gate }
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    /// From now on `operation` goes this way.
    pub fn makes(&self, operation: &str, conduct: Conduct) {
        let mut conducts = self.gate.conducts.lock().expect("the gate");
        conducts.retain(|(name, _)| name != operation);
        conducts.push((operation.to_owned(), conduct));
    }

    /// Everything works again.
    pub fn mends(&self) {
        self.gate.conducts.lock().expect("the gate").clear();
    }

    pub fn calls(&self) -> Vec<Call> {
        self.gate.calls.lock().expect("the gate").clone()
    }

    /// The operations that were called, in the order of arrival.
    pub fn operations(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.operation).collect()
    }

    /// How often AWS has done `operation`.
    pub fn times(&self, operation: &str) -> usize {
        let done = |call: &&Call| call.status.is_some_and(|status| status.is_success());
        let calls = self.calls();
        let calls = calls.iter().filter(|call| call.operation == operation);
        calls.filter(done).count()
    }

    /// What has been called is no longer of interest.
    pub fn forgets(&self) {
        self.gate.calls.lock().expect("the gate").clear();
    }
}

async fn pass(State(gate): State<Arc<Gate>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    if head.method == Method::HEAD {
        // No operation of ours: a connection is made before it is needed.
        return http::respond(404, "text/plain", "");
    }
    let Ok(body) = body.collect().await else {
        return http::respond(400, "text/plain", "half a request");
    };
    let body = body.to_bytes();
    let path = head.uri.path().to_owned();
    let operation = operation(&head.method, &path, &body);
    let number = note(&gate, &operation, &path, &body);
    let conduct = gate
        .conducts
        .lock()
        .expect("the gate")
        .iter()
        .find_map(|(name, conduct)| (*name == operation).then_some(*conduct))
        .or(gate.everywhere);
    match conduct {
        Some(Conduct::Hangs) => std::future::pending().await,
        Some(Conduct::Answers(status, body)) => http::respond(status, "application/json", body),
        Some(Conduct::Refuses(status, code, message)) => refusal(&head.method, &path, status, code, message),
        Some(Conduct::HangsAfterwards) => {
            relay(&gate, number, head, body).await;
            std::future::pending().await
        }
        Some(Conduct::FailsAfterwards) => {
            let method = head.method.clone();
            relay(&gate, number, head, body).await;
            refusal(&method, &path, 500, "InternalFailureException", "try again")
        }
        None => relay(&gate, number, head, body).await,
    }
}

fn note(gate: &Gate, operation: &str, path: &str, body: &Bytes) -> usize {
    let mut calls = gate.calls.lock().expect("the gate");
    calls.push(Call { operation: operation.to_owned(), path: path.to_owned(), body: body.clone(), status: None });
    calls.len() - 1
}

async fn relay(gate: &Gate, number: usize, head: axum::http::request::Parts, body: Bytes) -> Response<Body> {
    let Some(upstream) = &gate.upstream else {
        return http::respond(404, "text/plain", "there is no AWS here");
    };
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder().method(head.method.clone()).uri(format!("{upstream}{path}"));
    for (name, value) in &head.headers {
        if name != "connection" && name != "transfer-encoding" && name != "content-length" {
            request = request.header(name, value);
        }
    }
    let request = request.body(http_body_util::Full::new(body)).expect("a request that was one before");
    match http::exchange(&gate.connections, request).await {
        Ok((mut head, body)) => {
            // A test may have told the gate to forget in the meantime.
            if let Some(call) = gate.calls.lock().expect("the gate").get_mut(number) {
                call.status = Some(head.status);
            }
            head.headers.remove("connection");
            head.headers.remove("transfer-encoding");
            head.headers.remove("content-length");
            Response::from_parts(head, Body::from(body))
        }
        Err(error) => http::respond(502, "text/plain", error),
    }
}

/// A refusal as the protocol of the service writes it: query (SES) or REST
/// with JSON (IoT).
fn refusal(method: &Method, path: &str, status: u16, code: &str, message: &str) -> Response<Body> {
    if method == Method::POST && path == "/" {
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
