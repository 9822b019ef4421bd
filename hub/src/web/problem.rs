//! What went wrong with a request, for a program: problem JSON (RFC 9457).

use axum::Json;
use axum::body::to_bytes;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde_json::json;

const PROBLEM: &str = "application/problem+json";
/// Of what the framework says.
const DETAIL_LIMIT: usize = 4 * 1024;

/// A refusal that says what was wrong and what to do.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    /// The request is wrong.
    pub(super) fn request(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, detail: detail.into() }
    }

    /// What the framework refuses, by its own status. A body that is JSON and not what is asked for is a wrong request.
    pub(super) fn refused(status: StatusCode, detail: impl Into<String>) -> Self {
        let status = if status == StatusCode::UNPROCESSABLE_ENTITY { StatusCode::BAD_REQUEST } else { status };
        Self { status, detail: detail.into() }
    }

    /// The caller has not shown that they may.
    pub(super) fn unauthorized(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, detail: detail.into() }
    }

    /// The caller may not.
    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::FORBIDDEN, detail: detail.into() }
    }

    /// There is no such thing.
    pub(super) fn missing(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, detail: detail.into() }
    }

    /// Not this method.
    pub(super) fn method() -> Self {
        Self { status: StatusCode::METHOD_NOT_ALLOWED, detail: "this address does not take this method".into() }
    }

    /// It cannot be done as things stand.
    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::CONFLICT, detail: detail.into() }
    }

    /// The hub failed, and its log says why.
    pub(super) fn ours(error: &dyn std::error::Error) -> Self {
        tracing::error!(step = "request", fault = "maker", cause = "hub", "{}", onething::fault::chain(error));
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, detail: "the hub could not do it; its log says why".into() }
    }

    /// Something behind does not work.
    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, detail: detail.into() }
    }
}

/// Makes a problem of every refusal that is none yet: those of the framework are plain text.
pub(super) async fn problems(response: Response) -> Response {
    let (status, headers) = (response.status(), response.headers());
    let refused = status.is_client_error() || status.is_server_error();
    if !refused || headers.get(CONTENT_TYPE).is_some_and(|kind| kind == PROBLEM) {
        return response;
    }
    let detail = to_bytes(response.into_body(), DETAIL_LIMIT).await.unwrap_or_default();
    let detail = String::from_utf8_lossy(&detail).into_owned();
    let detail = if detail.is_empty() { "the request was refused".to_owned() } else { detail };
    Problem::refused(status, detail).into_response()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Problem");
        let body = json!({"type": "about:blank", "title": title, "status": self.status.as_u16(), "detail": self.detail});
        let mut response = (self.status, Json(body)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        response
    }
}
