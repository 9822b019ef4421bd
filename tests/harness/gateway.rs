//! An HTTP API of Amazon API Gateway in front of the registration function: real HTTP on one side, events of payload format 2.0
//! on the other (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>). It
//! has the two routes of the stack. Throttling is a feature of the gateway itself and is not simulated.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{Method, Request, Response};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::http::{self, Server};
use super::lambda::Lambda;
use super::runtime_api::Outcome;

/// The timeout of the function in the template.
const TIME_LIMIT: Duration = Duration::from_secs(20);

pub struct Gateway {
    server: Server,
    desk: Arc<Desk>,
}

struct Desk {
    function: Lambda,
    requests: AtomicU64,
}

impl Gateway {
    /// A gateway in front of this function.
    pub async fn open(function: Lambda) -> Self {
        let desk = Arc::new(Desk { function, requests: AtomicU64::new(1) });
        let routes = Router::new().fallback(pass).with_state(Arc::clone(&desk));
        Self { server: Server::open(routes).await, desk }
    }

    /// The URL of the registration endpoint.
    pub fn url(&self) -> String {
        format!("{}/register", self.server.url())
    }

    pub fn function(&self) -> &Lambda {
        &self.desk.function
    }
}

async fn pass(State(desk): State<Arc<Desk>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let is_routed = head.uri.path() == "/register" && (head.method == Method::POST || head.method == Method::OPTIONS);
    if !is_routed {
        return http::json(404, &json!({"message": "Not Found"}));
    }
    let Ok(body) = body.collect().await else {
        return http::json(400, &json!({"message": "Bad Request"}));
    };
    let number = desk.requests.fetch_add(1, Ordering::Relaxed);
    let event = event(&head, &body.to_bytes(), number);
    match desk.function.invoke_within(&event, TIME_LIMIT).await {
        Outcome::Answered(answer) => respond(&answer),
        Outcome::Failed(_) | Outcome::Died(_) => http::json(500, &json!({"message": "Internal Server Error"})),
        Outcome::TimedOut => http::json(503, &json!({"message": "Service Unavailable"})),
    }
}

/// The event for a request. A repeated header is joined with commas; a body that may be binary is base64.
pub fn event(head: &Parts, body: &Bytes, number: u64) -> Value {
    let mut headers = BTreeMap::<&str, String>::new();
    for (name, value) in &head.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        headers.entry(name.as_str()).and_modify(|before| *before = format!("{before},{value}")).or_insert_with(|| value.into_owned());
    }
    let kind = headers.get("content-type").map(String::as_str).unwrap_or_default();
    let text = std::str::from_utf8(body).ok().filter(|_| kind.starts_with("text/") || kind.starts_with("application/json"));
    let (method, path) = (head.method.as_str(), head.uri.path());
    let mut event = json!({
        "version": "2.0",
        "routeKey": format!("{method} {path}"),
        "rawPath": path,
        "rawQueryString": head.uri.query().unwrap_or_default(),
        "headers": headers,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "abc123",
            "domainName": "abc123.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": "abc123",
            "http": {
                "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1",
                "userAgent": headers.get("user-agent"),
            },
            "requestId": format!("JKJaXmPLvHcESHA{number}="),
            "routeKey": format!("{method} {path}"),
            "stage": "$default",
            "time": "25/Nov/2026:12:00:00 +0000",
            "timeEpoch": 1_795_608_000_000_u64,
        },
        "isBase64Encoded": text.is_none() && !body.is_empty(),
    });
    match text {
        _ if body.is_empty() => {}
        Some(text) => event["body"] = json!(text),
        None => event["body"] = json!(BASE64_STANDARD.encode(body)),
    }
    event
}

fn respond(answer: &Bytes) -> Response<Body> {
    let answer: Value = serde_json::from_slice(answer).expect("a response in JSON");
    let status = answer["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok()).expect("a valid status");
    let mut response = Response::builder().status(status);
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        response = response.header(name, value.as_str().expect("a header as text"));
    }
    assert_eq!(answer["isBase64Encoded"], false, "{answer}");
    response.body(Body::from(answer["body"].as_str().expect("a body as text").to_owned())).expect("a well-formed response")
}
