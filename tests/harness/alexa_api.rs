//! The Alexa API that a skill may call while it processes a request: the progressive response, `POST
//! {apiEndpoint}/v1/directives`.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use axum::routing::post;
use serde_json::{Value, json};

use super::http::{self, Server};

/// How the API responds to a progressive response.
#[derive(Clone, Copy, Debug)]
pub enum Manner {
    /// 204, Alexa speaks the text.
    Speaks,
    /// 403, "skill is not allowed to send directives at the moment".
    Refuses,
    /// Never responds.
    Silent,
}

/// One directive that arrived.
#[derive(Clone, Debug)]
pub struct Directive {
    pub authorization: Option<String>,
    pub body: Value,
}

struct Ear {
    manner: Manner,
    heard: Mutex<Vec<Directive>>,
}

pub struct AlexaApi {
    server: Server,
    ear: Arc<Ear>,
}

impl AlexaApi {
    pub async fn open(manner: Manner) -> Self {
        let ear = Arc::new(Ear { manner, heard: Mutex::default() });
        let routes = Router::new().route("/v1/directives", post(directive)).with_state(Arc::clone(&ear));
        Self { server: Server::open(routes).await, ear }
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    pub fn heard(&self) -> Vec<Directive> {
        self.ear.heard.lock().expect("the lock of the directives").clone()
    }
}

async fn directive(State(ear): State<Arc<Ear>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let authorization = headers.get("authorization").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    ear.heard.lock().expect("the lock of the directives").push(Directive { authorization, body });
    match ear.manner {
        Manner::Speaks => http::respond(204, "application/json", ""),
        Manner::Refuses => http::json(403, &json!({"message": "Skill is not allowed to send directives at the moment"})),
        Manner::Silent => std::future::pending().await,
    }
}
