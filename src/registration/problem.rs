//! Refusals of the endpoint as problem JSON (RFC 9457), with a stable name for the cause.
//!
//! A refusal repeats neither a part of the request nor an error of the registry. Those are logged.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

/// The causes of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Malformed,
    Ambiguous,
    NotRecognised,
    RefusedByHook,
    TypeNotAllowed,
    AudienceUnchecked,
    MethodNotAllowed,
    NotTheirs,
    OutOfService,
    CodeSpent,
    TooLarge,
    NotJson,
    TooMany,
    RegistryRefused,
    Busy,
    LoginUnavailable,
    ClaimsUnavailable,
    HookUnavailable,
    Closed,
}

impl Cause {
    /// All causes, in the order of their HTTP status.
    #[cfg(test)]
    pub(super) const ALL: [Cause; 19] = [
        Cause::Malformed,
        Cause::Ambiguous,
        Cause::NotRecognised,
        Cause::RefusedByHook,
        Cause::TypeNotAllowed,
        Cause::AudienceUnchecked,
        Cause::MethodNotAllowed,
        Cause::NotTheirs,
        Cause::OutOfService,
        Cause::CodeSpent,
        Cause::TooLarge,
        Cause::NotJson,
        Cause::TooMany,
        Cause::RegistryRefused,
        Cause::Busy,
        Cause::LoginUnavailable,
        Cause::ClaimsUnavailable,
        Cause::HookUnavailable,
        Cause::Closed,
    ];

    /// The stable name for clients, the log and the audit log.
    pub(super) fn name(self) -> &'static str {
        match self {
            Cause::Malformed => "malformed",
            Cause::Ambiguous => "ambiguous",
            Cause::NotRecognised => "not_recognised",
            Cause::RefusedByHook => "refused_by_hook",
            Cause::TypeNotAllowed => "type_not_allowed",
            Cause::AudienceUnchecked => "audience_unchecked",
            Cause::MethodNotAllowed => "method_not_allowed",
            Cause::NotTheirs => "not_theirs",
            Cause::OutOfService => "out_of_service",
            Cause::CodeSpent => "code_spent",
            Cause::TooLarge => "too_large",
            Cause::NotJson => "not_json",
            Cause::TooMany => "too_many",
            Cause::RegistryRefused => "registry_refused",
            Cause::Busy => "busy",
            Cause::LoginUnavailable => "login_unavailable",
            Cause::ClaimsUnavailable => "claims_unavailable",
            Cause::HookUnavailable => "hook_unavailable",
            Cause::Closed => "closed",
        }
    }

    pub(super) fn status(self) -> StatusCode {
        match self {
            Cause::Malformed | Cause::Ambiguous => StatusCode::BAD_REQUEST,
            Cause::NotRecognised => StatusCode::UNAUTHORIZED,
            Cause::RefusedByHook | Cause::TypeNotAllowed | Cause::AudienceUnchecked => StatusCode::FORBIDDEN,
            Cause::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Cause::NotTheirs | Cause::OutOfService | Cause::CodeSpent => StatusCode::CONFLICT,
            Cause::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Cause::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Cause::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Cause::RegistryRefused => StatusCode::INTERNAL_SERVER_ERROR,
            Cause::Busy | Cause::LoginUnavailable | Cause::ClaimsUnavailable | Cause::HookUnavailable | Cause::Closed => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    fn detail(self) -> &'static str {
        match self {
            Cause::Malformed => "the request is malformed",
            Cause::Ambiguous => "a request has one kind of credentials: a code, a bearer token, a device token, a serial or a certificate",
            Cause::NotRecognised => "the credentials are not known here",
            Cause::RefusedByHook => "the maker does not let this device in",
            Cause::TypeNotAllowed => "this token is not for things of this type",
            Cause::AudienceUnchecked => "owners' tokens are not taken here: their audience cannot be checked",
            Cause::MethodNotAllowed => "devices register with POST",
            Cause::NotTheirs => "a thing of this name belongs to somebody else, or is of another type",
            Cause::OutOfService => "the owner's identity is out of service",
            Cause::CodeSpent => "the device is not registered and its code is used up; it takes another code",
            Cause::TooLarge => "the request is longer than 16 KB",
            Cause::NotJson => "the request has to be application/json",
            Cause::TooMany => "too many requests",
            Cause::RegistryRefused => "the device could not be registered; the maker has to see to it",
            Cause::Busy => "the device is not registered yet; the same request works in a moment",
            Cause::LoginUnavailable => "Login with Amazon does not answer; try again",
            Cause::ClaimsUnavailable => "codes and limits cannot be looked at; try again",
            Cause::HookUnavailable => "the maker's program does not answer; try again",
            Cause::Closed => "the registration policy cannot be read; the maker has to see to it",
        }
    }

    /// The number of seconds after which the same request may succeed. `None` if a repetition does not help.
    fn retry_after(self) -> Option<u64> {
        (self.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(2)
    }
}

/// A refusal: its cause, and details for the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    cause: Cause,
    field: Option<&'static str>,
    detail: String,
    retry_after: Option<u64>,
}

impl From<Cause> for Problem {
    fn from(cause: Cause) -> Self {
        Self { cause, field: None, detail: cause.detail().to_owned(), retry_after: cause.retry_after() }
    }
}

impl Problem {
    /// The refusal of a request without credentials.
    pub(super) fn unsaid() -> Self {
        let detail = "there are no credentials: the request needs `code`, `serial` or `certificate`, or the header `Authorization`";
        Self { detail: detail.to_owned(), ..Cause::NotRecognised.into() }
    }

    /// Replaces the detail if the client was not recognised.
    pub(super) fn where_unknown(self, detail: &str) -> Self {
        if self.cause == Cause::NotRecognised { Self { detail: detail.to_owned(), ..self } } else { self }
    }

    /// The refusal of a field with an invalid value. `fault` must not quote the value.
    pub(super) fn field(field: &'static str, fault: &str) -> Self {
        Self { field: Some(field), detail: format!("`{field}` {fault}"), ..Cause::Malformed.into() }
    }

    /// The refusal of a request over a limit, with the number of seconds until the end of the time window.
    pub(super) fn too_many(seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..Cause::TooMany.into() }
    }

    /// The name of the cause.
    pub fn cause(&self) -> &'static str {
        self.cause.name()
    }

    /// The HTTP status of the response.
    pub fn status(&self) -> StatusCode {
        self.cause.status()
    }

    pub(super) fn response(&self, allow: &'static str) -> Response<Bytes> {
        let (status, cause) = (self.cause.status(), self.cause.name());
        let title = status.canonical_reason().unwrap_or("Problem");
        let mut body = json!({"type": "about:blank", "title": title, "status": status.as_u16(), "detail": self.detail, "cause": cause});
        if let Some(field) = self.field {
            body["field"] = field.into();
        }
        let mut response = Response::new(Bytes::from(body.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self.cause {
            Cause::NotRecognised => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="register", DeviceToken realm="register""#));
            }
            Cause::MethodNotAllowed => {
                headers.insert(ALLOW, HeaderValue::from_static(allow));
            }
            _ => {}
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}
