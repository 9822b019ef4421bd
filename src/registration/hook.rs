//! The maker's word on who is let in; port [`Hook`], and the hook behind a URL.
//!
//! Whoever has shown who they are is told to the maker's own program, which may refuse them or say more about the device.
//! It has a time limit, and who does not answer has not allowed anything.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::https::Https;

/// Where the maker's program is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookAddress {
    /// `https://`, or `http://` on this machine: it is sent the question as JSON with `POST`.
    Url(String),
    /// The name or the ARN of a Lambda function, which is invoked with the question.
    Lambda(String),
}

impl HookAddress {
    /// Takes an address as it stands in the configuration: `https://…`, `http://` on loopback, or `lambda:NAME-OR-ARN`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(function) = text.strip_prefix("lambda:") {
            let legal = |c: u8| c.is_ascii_alphanumeric() || b"-_:".contains(&c);
            return ((1..=170).contains(&function.len()) && function.bytes().all(legal)).then(|| Self::Lambda(function.to_owned()));
        }
        let uri: http::Uri = text.parse().ok()?;
        let host = uri.host().filter(|host| !host.is_empty())?;
        let here = host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let safe = uri.scheme_str() == Some("https") || (uri.scheme_str() == Some("http") && here);
        // What stands before an `@` would be a secret in a file that is none.
        let plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        (safe && plain).then(|| Self::Url(text.to_owned()))
    }
}

/// Who registers, as the maker is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// The serial of a device that has one.
    pub serial: Option<String>,
    /// The type of the thing.
    pub thing_type: String,
    /// The address that the request came from.
    pub source: String,
}

/// What the maker says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Verdict {
    /// Whether the device is let in.
    pub allow: bool,
    /// More about the device, where its thing type has room for it.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

impl Verdict {
    /// Reads the answer of a hook, however it came.
    pub fn read(json: &[u8]) -> Result<Self, HookError> {
        // The text of a parse error could quote the answer, so only its kind is kept.
        serde_json::from_slice(json).map_err(|error| HookError::Unintelligible(format!("{:?}", error.classify())))
    }
}

/// The maker's program has not said anything that counts.
#[derive(Debug, Error)]
pub enum HookError {
    /// It cannot be asked from here.
    #[error("no hook of this kind can be asked from here")]
    Unsupported,
    /// Nothing in time.
    #[error("no answer in time")]
    Silent,
    /// It could not be reached, or failed.
    #[error("the hook failed: {0}")]
    Failed(String),
    /// Its answer is not one.
    #[error("an unintelligible answer ({0})")]
    Unintelligible(String),
}

/// Asks the maker.
pub trait Hook: Send + Sync {
    /// Puts the question, once, and waits no longer than `within`.
    fn ask(&self, address: &HookAddress, question: &Question, within: Duration) -> impl Future<Output = Result<Verdict, HookError>> + Send;
}

/// Asks hooks that have a URL.
#[derive(Clone)]
pub struct HttpHook(pub Https);

impl Hook for HttpHook {
    async fn ask(&self, address: &HookAddress, question: &Question, within: Duration) -> Result<Verdict, HookError> {
        let HookAddress::Url(url) = address else { return Err(HookError::Unsupported) };
        let call = self.0.post(url).json(question);
        let reply = self.0.send_within(call, within).await.map_err(|error| match error {
            crate::https::HttpsError::Silent => HookError::Silent,
            error => HookError::Failed(crate::fault::chain(&error)),
        })?;
        match reply.status {
            200 => Verdict::read(&reply.body),
            status => Err(HookError::Failed(format!("status {status}"))),
        }
    }
}

#[cfg(test)]
#[path = "hook_tests.rs"]
mod tests;
