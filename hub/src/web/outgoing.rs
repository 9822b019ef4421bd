//! The state of outgoing mail, for the operator and for the page. The content of mail is never returned.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::problem::Problem;
use super::users::refusal;
use crate::hub::Hub;
use crate::sign_in::UserName;

/// The default number of mails.
const SHOWN: u32 = 50;

#[derive(Deserialize)]
pub(super) struct Which {
    user: Option<String>,
    last: Option<u32>,
}

/// The last mails of a local user or of all users, the oldest first.
pub(super) async fn list(State(hub): State<Arc<Hub>>, Query(which): Query<Which>) -> Result<Json<Value>, Problem> {
    let user = which.user.map(|user| UserName::parse(&user)).transpose().map_err(|error| refusal(&error))?;
    let thing = user.as_ref().and_then(|user| hub.thing_of(user));
    let mail = hub.skill.mailer.last(thing.as_ref(), which.last.unwrap_or(SHOWN)).await.map_err(|error| Problem::ours(&error))?;
    Ok(Json(json!({"trying": hub.trying(), "outgoing": mail})))
}
