//! Health and metrics for an operator.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde_json::json;
use tokio::time::timeout;

use super::problem::Problem;
use crate::hub::Hub;
use crate::metrics::Page;

/// The time limit of a health check of the hub.
const PATIENCE: Duration = Duration::from_secs(2);

/// The number of HTTP responses: successful ones, client errors and server errors.
static ANSWERED: [AtomicU64; 3] = [AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)];

pub(super) async fn health(State(hub): State<Arc<Hub>>) -> Response {
    match timeout(PATIENCE, hub.faults()).await {
        Ok(faults) if faults.is_empty() => match timeout(PATIENCE, hub.limits()).await {
            Ok(limits) if limits.is_empty() => Json(json!({"status": "ok"})).into_response(),
            // The status code is a success, because Alexa and devices are served. A monitor that uses the status code must not
            // restart the hub.
            Ok(limits) => Json(json!({"status": "degraded", "reasons": limits})).into_response(),
            Err(_) => Problem::unavailable("the hub does not answer in time").into_response(),
        },
        Ok(faults) => Problem::unavailable(faults.join("; ")).into_response(),
        Err(_) => Problem::unavailable("the hub does not answer in time").into_response(),
    }
}

pub(super) async fn metrics(State(hub): State<Arc<Hub>>) -> Response {
    let mut page = Page::default();
    page.skill();
    // Values that cannot be read are omitted.
    if let Ok(waiting) = hub.skill.mailer.waiting().await {
        page.mail(waiting.len());
    }
    page.broker(hub.broker.counters());
    let [done, refused, failed] = [0, 1, 2].map(|at| ANSWERED[at].load(Relaxed));
    let outcomes = [("done", done), ("refused", refused), ("failed", failed)];
    page.counters("onething_http_requests_total", "Requests over HTTP.", "outcome", &outcomes);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], page.text()).into_response()
}

/// Counts a response, and logs it at the level DEBUG.
pub(super) async fn count(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let method = request.method().clone();
    let response = next.run(request).await;
    let status = response.status();
    let outcome = if status.is_server_error() { 2 } else { usize::from(status.is_client_error()) };
    ANSWERED[outcome].fetch_add(1, Relaxed);
    tracing::debug!(%method, path, status = status.as_u16(), "answered");
    response
}
