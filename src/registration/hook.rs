//! The hook: a program of the operator that decides whether an authenticated device may register. This module has the interface
//! [`Hook`] and the implementation for URLs.
//!
//! The hook may refuse a device or add attributes to its thing. There is a time limit. Without a response in time, the
//! registration is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::https::Https;

/// The address of the operator's program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookAddress {
    /// An `https://` URL, or `http://` on this machine. The query is sent as JSON with `POST`.
    Url(String),
    /// The name or the ARN of a Lambda function, which is invoked with the query.
    Lambda(String),
}

impl HookAddress {
    /// Parses an address of the registration policy: `https://…`, `http://` with a loopback host, or `lambda:NAME-OR-ARN`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(function) = text.strip_prefix("lambda:") {
            let legal = |c: u8| c.is_ascii_alphanumeric() || b"-_:".contains(&c);
            return ((1..=170).contains(&function.len()) && function.bytes().all(legal)).then(|| Self::Lambda(function.to_owned()));
        }
        let uri: http::Uri = text.parse().ok()?;
        let host = uri.host().filter(|host| !host.is_empty())?;
        let here = host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let safe = uri.scheme_str() == Some("https") || (uri.scheme_str() == Some("http") && here);
        // User information before an `@` would be a secret, but this file must not contain secrets.
        let plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        (safe && plain).then(|| Self::Url(text.to_owned()))
    }
}

/// The query to the hook: the device that wants to register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HookQuery {
    /// The serial number, if the device has one.
    pub serial: Option<String>,
    /// The thing type.
    pub thing_type: String,
    /// The IP address of the client.
    pub source: String,
}

/// The decision of the hook.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct HookDecision {
    /// Whether the device may register.
    pub allow: bool,
    /// Attributes for the thing. Only attributes that the thing type allows are used.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

impl HookDecision {
    /// Parses the response of a hook.
    pub fn read(json: &[u8]) -> Result<Self, HookError> {
        // The text of a parse error could quote the response, so only the kind of the error is kept.
        serde_json::from_slice(json).map_err(|error| HookError::InvalidResponse(format!("{:?}", error.classify())))
    }
}

/// Why a hook returned no valid decision.
#[derive(Debug, Error)]
pub enum HookError {
    /// This implementation does not support hooks of this kind.
    #[error("no hook of this kind can be asked from here")]
    Unsupported,
    /// The time limit has passed.
    #[error("no answer in time")]
    Silent,
    /// The hook is unreachable or returned an error.
    #[error("the hook failed: {0}")]
    Failed(String),
    /// The response is not a valid decision.
    #[error("an unintelligible answer ({0})")]
    InvalidResponse(String),
}

/// Asks the hook for a decision.
pub trait Hook: Send + Sync {
    /// Sends the query once and waits for at most `within`.
    fn ask(
        &self,
        address: &HookAddress,
        question: &HookQuery,
        within: Duration,
    ) -> impl Future<Output = Result<HookDecision, HookError>> + Send;
}

/// The implementation for hooks with a URL.
#[derive(Clone)]
pub struct HttpHook(pub Https);

impl Hook for HttpHook {
    async fn ask(&self, address: &HookAddress, question: &HookQuery, within: Duration) -> Result<HookDecision, HookError> {
        let HookAddress::Url(url) = address else { return Err(HookError::Unsupported) };
        let call = self.0.post(url).json(question);
        let reply = self.0.send_within(call, within).await.map_err(|error| match error {
            crate::https::HttpsError::Silent => HookError::Silent,
            error => HookError::Failed(crate::fault::chain(&error)),
        })?;
        match reply.status {
            200 => HookDecision::read(&reply.body),
            status => Err(HookError::Failed(format!("status {status}"))),
        }
    }
}

#[cfg(test)]
#[path = "hook_tests.rs"]
mod tests;
