//! Sends requests to an HTTP server on the device itself: a POST performs an action, a GET reads a sensor.
//!
//! The device model accepts only loopback addresses given by number or as `localhost`, so that no resolver is involved. A
//! redirect is not followed: like every other status that is not 2xx, a redirect is a failure.

use std::time::Duration;

use bytes::Bytes;
use http::header;
use onething::device_model::LoopbackUrl;
use onething::https::{Https, HttpsError};
use serde_json::Value;
use tokio::time::timeout;

use super::run_blocking::took_longer;
use super::{ANSWER_LIMIT, Failed, answer};

/// Sends `input` by POST. Returns the body of a 2xx response.
pub(super) async fn post(client: &Https, url: &LoopbackUrl, input: &Value, limit: Duration) -> Result<Vec<u8>, Failed> {
    ask(client, url, Some(input), limit).await
}

/// Sends a POST with `input`, or a GET if there is no input. Returns the body of a 2xx response.
pub(super) async fn ask(client: &Https, url: &LoopbackUrl, input: Option<&Value>, limit: Duration) -> Result<Vec<u8>, Failed> {
    let name = url.as_str();
    let answer = timeout(limit, exchange(client, url, input)).await.map_err(|_| took_longer(limit))?;
    let answer = answer.map_err(|error| match error {
        HttpsError::BrokenAnswer => format!("the answer of {name} broke off"),
        HttpsError::TooLarge => format!("the answer of {name} has more than {ANSWER_LIMIT} bytes"),
        HttpsError::Unreachable(_) | HttpsError::InvalidRequest(_) | HttpsError::Silent => format!("{name} does not answer"),
    })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer.into_body().into());
    }
    let end = format!("status {}", status.as_u16());
    match answer::detail(answer.body()) {
        Some(why) => Err(Failed { why, end: Some(end) }),
        None => Err(format!("{name} answered {}", status.as_u16()).into()),
    }
}

async fn exchange(client: &Https, url: &LoopbackUrl, input: Option<&Value>) -> Result<http::Response<Bytes>, HttpsError> {
    let mut last = HttpsError::Silent;
    for address in url.by_address() {
        let request = match input {
            Some(_) => http::Request::post(address).header(header::CONTENT_TYPE, "application/json"),
            None => http::Request::get(address),
        };
        let body = input.map(Value::to_string).unwrap_or_default();
        let request = request
            .header(header::HOST, url.authority())
            // A server may close a kept-alive connection at the very moment when a command is sent on it.
            .header(header::CONNECTION, "close")
            .body(Bytes::from(body))?;
        match client.exchange(request, ANSWER_LIMIT).await {
            // The connection failed, so no request was sent: the next address can be tried.
            Err(HttpsError::Unreachable(error)) if error.is_connect() => last = HttpsError::Unreachable(error),
            answer => return answer,
        }
    }
    Err(last)
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
