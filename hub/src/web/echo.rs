//! The simulated Echo.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::problem::Problem;
use super::users::{of, refusal};
use crate::households::{EchoError, Turn, Words};
use crate::hub::Hub;
use crate::sign_in::UserName;

/// What reaches the Echo: words, or a request that somebody has written.
#[derive(Deserialize)]
pub(super) struct Spoken {
    user: String,
    say: Option<String>,
    request: Option<Value>,
}

/// What came of it. The turn is shared with the history: envelopes are long, and are not copied to be shown.
#[derive(Serialize)]
struct Answered<'a> {
    request: &'a Option<Value>,
    response: &'a Option<Value>,
    heard: &'a Value,
}

pub(super) async fn say(State(hub): State<Arc<Hub>>, body: Result<Json<Spoken>, JsonRejection>) -> Result<Response, Problem> {
    let Spoken { user, say, request } = of(body)?;
    let user = UserName::parse(&user).map_err(|error| refusal(&error))?;
    let words = match (say, request) {
        (Some(say), None) => Words::Said(say),
        (None, Some(Value::Object(request))) => Words::Request(Value::Object(request)),
        _ => return Err(Problem::request("either `say`, a text, or `request`, an object, has to be there")),
    };
    let turn = hub.say(&user, words).await.map_err(|error| match error {
        EchoError::NotOurs(_) => Problem::request(error.to_string()),
        EchoError::User(error) => refusal(&error),
    })?;
    let Turn { request, response, heard, .. } = &*turn;
    Ok(Json(Answered { request, response, heard }).into_response())
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
    let (turns, cards) = hub.households.history(&user).await;
    let turns: Vec<&Turn> = turns.iter().map(Arc::as_ref).collect();
    Ok(Json(json!({"turns": turns, "cards": cards})))
}
