//! `GET /api/audit`: the stored events.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::problem::Problem;
use crate::audit::Kind;
use crate::hub::Hub;

/// The default number of events.
const SHOWN: u32 = 50;

#[derive(Deserialize)]
pub(super) struct Which {
    last: Option<u32>,
    kind: Option<Kind>,
}

/// The last events, of one kind or of all kinds.
pub(super) async fn events(State(hub): State<Arc<Hub>>, Query(Which { last, kind }): Query<Which>) -> Result<Json<Value>, Problem> {
    let events = hub.audit(kind, last.unwrap_or(SHOWN)).await.map_err(|error| Problem::ours(&error))?;
    Ok(Json(json!({"events": events})))
}

/// The last registrations, for `GET /api/registrations`.
pub(super) async fn registrations(hub: State<Arc<Hub>>, Query(which): Query<Which>) -> Result<Json<Value>, Problem> {
    events(hub, Query(Which { kind: Some(Kind::Registration), ..which })).await
}
