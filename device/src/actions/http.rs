//! A server on the device itself is asked, by POST to do something and by GET what it measures.
//!
//! The address was judged with the device model: it is on loopback, by number, so that no resolver has a say in it. A redirect is
//! an answer like any other that is not 2xx: it is not followed.

use std::time::Duration;

use bytes::Bytes;
use http::header;
use onething::device_model::LoopbackUrl;
use onething::https::{Https, HttpsError};
use serde_json::Value;
use tokio::time::timeout;

use super::aside::took_longer;
use super::{ANSWER_LIMIT, Failed, answer};

/// Sends the input; the body of a good answer comes back.
pub(super) async fn post(client: &Https, url: &LoopbackUrl, input: &Value, limit: Duration) -> Result<Vec<u8>, Failed> {
    ask(client, url, Some(input), limit).await
}

/// Asks by GET where there is no input.
pub(super) async fn ask(client: &Https, url: &LoopbackUrl, input: Option<&Value>, limit: Duration) -> Result<Vec<u8>, Failed> {
    let name = url.as_str();
    let answer = timeout(limit, exchange(client, url, input)).await.map_err(|_| took_longer(limit))?;
    let answer = answer.map_err(|error| match error {
        HttpsError::BrokenAnswer => format!("the answer of {name} broke off"),
        HttpsError::TooLarge => format!("the answer of {name} has more than {ANSWER_LIMIT} bytes"),
        HttpsError::Unreachable(_) | HttpsError::Unsendable(_) | HttpsError::Silent => format!("{name} does not answer"),
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
            // A connection that is kept may be closed at the very moment when a command goes out on it.
            .header(header::CONNECTION, "close")
            .body(Bytes::from(body))?;
        match client.exchange(request, ANSWER_LIMIT).await {
            // Nothing was sent yet: the next address may be asked.
            Err(HttpsError::Unreachable(error)) if error.is_connect() => last = HttpsError::Unreachable(error),
            answer => return answer,
        }
    }
    Err(last)
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
