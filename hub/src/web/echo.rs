//! The simulated Echo: utterances and requests from the page and from the command line.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use onething::lambda::{NotAnAlexaRequest, is_envelope};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::problem::Problem;
use super::users::{of, refusal};
use crate::hub::Hub;
use crate::sign_in::UserName;
use crate::simulator::echo_sessions::{EchoError, Words};
use crate::simulator::turn::Turn;

/// The description of the body of `POST /echo`, for errors.
const EXPECTED: &str = r#"expected is {"user":"ana","say":"open my printer"}, or {"user":"ana","request":{"type":"LaunchRequest"}}: \
the hub itself puts the request into an envelope with version, session and context"#;

/// The body of `POST /echo`: an utterance, or a request without an envelope.
#[derive(Deserialize)]
struct EchoInput {
    user: String,
    say: Option<String>,
    request: Option<Value>,
}

/// The response of `POST /echo`. It borrows from the turn in the history, because envelopes are large.
#[derive(Serialize)]
struct Answered<'a> {
    request: &'a Option<Value>,
    response: &'a Option<Value>,
    #[serde(rename = "heard")]
    output: &'a Value,
}

impl EchoInput {
    /// Parses a body. A complete envelope is an error, because its session would not be the one of the Echo.
    fn read(body: &Value) -> Result<Self, Problem> {
        let envelope = match NotAnAlexaRequest::find(body) {
            _ if is_envelope(body) => Some("the body is a whole envelope".to_owned()),
            Some(NotAnAlexaRequest::Wrapped(place)) => Some(format!("there is a whole envelope inside `{place}`")),
            Some(NotAnAlexaRequest::WithoutEnvelope) => Some("the body is a request without the user who makes it".to_owned()),
            Some(NotAnAlexaRequest::HttpEvent) => Some("the body is the event of an HTTP request".to_owned()),
            None => body.pointer("/request/request").map(|_| "`request` holds a request again, as an envelope does".to_owned()),
        };
        let wrong = |what: String| Problem::request(format!("{what}; {EXPECTED}"));
        match envelope {
            Some(what) => Err(wrong(what)),
            None => Self::deserialize(body).map_err(|error| wrong(error.to_string())),
        }
    }
}

pub(super) async fn say(State(hub): State<Arc<Hub>>, body: Result<Json<Value>, JsonRejection>) -> Result<Response, Problem> {
    let EchoInput { user, say, request } = EchoInput::read(&of(body)?)?;
    let user = UserName::parse(&user).map_err(|error| refusal(&error))?;
    let words = match (say, request) {
        (Some(say), None) => Words::Said(say),
        (None, Some(Value::Object(request))) => Words::Request(Value::Object(request)),
        _ => return Err(Problem::request(format!("either `say`, a text, or `request`, an object, has to be there; {EXPECTED}"))),
    };
    let turn = hub.say(&user, words).await.map_err(|error| match error {
        EchoError::NotOurs(_) => Problem::request(error.to_string()),
        EchoError::User(error) => refusal(&error),
    })?;
    let Turn { request, response, output, .. } = &*turn;
    Ok(Json(Answered { request, response, output }).into_response())
}

pub(super) async fn utterances(State(hub): State<Arc<Hub>>) -> Json<Value> {
    Json(hub.suggestions())
}

#[derive(Deserialize)]
pub(super) struct Whose {
    user: String,
}

pub(super) async fn history(State(hub): State<Arc<Hub>>, Query(whose): Query<Whose>) -> Result<Json<Value>, Problem> {
    let user = UserName::parse(&whose.user).map_err(|error| refusal(&error))?;
    let (turns, cards, enabled) = hub.echo_sessions.history(&user).await;
    let turns: Vec<&Turn> = turns.iter().map(Arc::as_ref).collect();
    Ok(Json(json!({"turns": turns, "cards": cards, "enabled": enabled})))
}
