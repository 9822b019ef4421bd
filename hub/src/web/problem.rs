//! Errors of HTTP requests as problem JSON (RFC 9457).

use axum::Json;
use axum::body::to_bytes;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde_json::json;

const PROBLEM: &str = "application/problem+json";
/// The largest size of an error text of the framework, in bytes.
const DETAIL_LIMIT: usize = 4 * 1024;

/// An error response with a text that names the fault and, where possible, the remedy.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    /// 400: the request is not valid.
    pub(super) fn request(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, detail: detail.into() }
    }

    /// An error of the framework with its status. The status 422, for JSON of a wrong form, becomes 400.
    pub(super) fn refused(status: StatusCode, detail: impl Into<String>) -> Self {
        let status = if status == StatusCode::UNPROCESSABLE_ENTITY { StatusCode::BAD_REQUEST } else { status };
        Self { status, detail: detail.into() }
    }

    /// 401: the request has no valid password.
    pub(super) fn unauthorized(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, detail: detail.into() }
    }

    /// 403: the client has no access.
    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::FORBIDDEN, detail: detail.into() }
    }

    /// 404: the resource does not exist.
    pub(super) fn missing(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, detail: detail.into() }
    }

    /// 405: the path does not support the method.
    pub(super) fn method() -> Self {
        Self { status: StatusCode::METHOD_NOT_ALLOWED, detail: "this address does not take this method".into() }
    }

    /// 409: the state of the hub does not allow the request.
    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::CONFLICT, detail: detail.into() }
    }

    /// 500: the hub failed. The error is logged, and the response does not contain it.
    pub(super) fn ours(error: &dyn std::error::Error) -> Self {
        tracing::error!(step = "request", fault = "maker", cause = "hub", "{}", onething::fault::chain(error));
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, detail: "the hub could not do it; its log says why".into() }
    }

    /// 503: a part of the hub is unavailable.
    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, detail: detail.into() }
    }
}

/// Converts error responses of the framework, which are plain text, to problem JSON.
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
