//! One call to an AWS service: signed with Signature Version 4, bounded in time, and repeated only where a
//! repetition does no harm.
//!
//! A failure keeps the code of AWS's answer and never its message: messages quote mail addresses. Where the
//! code stands depends on the protocol: `x-amzn-errortype` or a JSON field
//! (<https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html#operation-error-serialization>), or
//! an XML element (<https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#operation-error-serialization>).

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::Full;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use crate::https::{Https, HttpsError};

/// The largest answer: a page of things, each with its attributes.
const ANSWER_LIMIT: usize = 1024 * 1024;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(800);

/// What RFC 3986 leaves as it is; Signature Version 4 wants all else encoded.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A service in the account's region.
#[derive(Clone)]
pub(super) struct Service {
    https: Https,
    base: String,
    region: String,
    /// By which it is known in signatures.
    name: &'static str,
    variable: Variable,
}

/// Reads the variables that hold the credentials. They are read anew for each attempt, because Lambda may
/// change them while the process lives.
pub type Variable = fn(&str) -> Option<String>;

/// A call, before it is signed.
pub(super) struct Call {
    method: Method,
    path_and_query: String,
    headers: HeaderMap,
    body: Bytes,
    patience: Patience,
}

/// How often a call is tried, and for how long.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    pub attempts: u32,
    pub each: Duration,
    pub in_all: Duration,
}

impl Patience {
    /// Of a call that may happen twice. An answer is due in seconds, so this is far below the SDKs' defaults.
    pub(super) const USUAL: Self = Self { attempts: 3, each: Duration::from_millis(2_000), in_all: Duration::from_millis(3_000) };
    /// Of a call that may not.
    pub(super) const ONCE: Self = Self { attempts: 1, ..Self::USUAL };
}

/// An answer that says yes.
pub(super) struct Reply(http::Response<Bytes>);

/// What it holds may be a secret.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({})", self.0.status().as_u16())
    }
}

/// A failed call.
#[derive(Debug)]
pub(super) enum Failure {
    /// Over a quota; nothing was done.
    Throttled(String),
    /// Refused for good; nothing was done.
    Refused(Refusal),
    /// There was nothing to send; why.
    Unsent(&'static str),
    /// No answer that says whether it was done.
    Unclear(String),
}

/// A definite no.
pub(super) struct Refusal {
    pub status: u16,
    pub code: String,
    /// May quote what it is about, so it is asked for words and never shown.
    body: Bytes,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &str, body: &Bytes) -> Self {
        Self { status, code: code.to_owned(), body: body.clone() }
    }

    /// Whether its text has these words.
    pub(super) fn says(&self, words: &str) -> bool {
        self.body.windows(words.len()).any(|text| text == words.as_bytes())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.code, self.status)
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Failure {
    /// Whether it was refused with this code.
    pub(super) fn is(&self, code: &str) -> bool {
        matches!(self, Failure::Refused(refusal) if refusal.code == code)
    }

    /// Whether another attempt may fare better.
    fn is_passing(&self) -> bool {
        matches!(self, Failure::Throttled(_) | Failure::Unclear(_))
    }
}

impl Call {
    /// A call of the path with these segments, which need not be encoded.
    pub(super) fn new(method: Method, segments: &[&str]) -> Self {
        let segments: Vec<String> = segments.iter().map(|segment| utf8_percent_encode(segment, RESERVED).to_string()).collect();
        let path_and_query = format!("/{}", segments.join("/"));
        Self { method, path_and_query, headers: HeaderMap::new(), body: Bytes::new(), patience: Patience::USUAL }
    }

    /// With a query parameter.
    pub(super) fn query(mut self, name: &str, value: &str) -> Self {
        let mark = if self.path_and_query.contains('?') { '&' } else { '?' };
        self.path_and_query.push(mark);
        self.path_and_query.push_str(&pair(name, value));
        self
    }

    /// With a header; a value that cannot be one is left out, and the service says what is missing.
    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (header::HeaderName::from_static(name), value)));
        self
    }

    /// With a JSON body.
    pub(super) fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into();
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self
    }

    /// As an action of the JSON protocols, which name it in a header
    /// (<https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html>).
    pub(super) fn action(mut self, version: &str, target: &str, body: &Value) -> Self {
        self = self.json(body).header("x-amz-target", target);
        if let Ok(content_type) = HeaderValue::try_from(format!("application/x-amz-json-{version}")) {
            self.headers.insert(header::CONTENT_TYPE, content_type);
        }
        self
    }

    /// With a form as its body.
    pub(super) fn form(mut self, fields: &[(&str, String)]) -> Self {
        let pairs: Vec<String> = fields.iter().map(|(name, value)| pair(name, value)).collect();
        self.body = pairs.join("&").into();
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        self
    }

    /// With other limits than usual.
    pub(super) fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }
}

fn pair(name: &str, value: &str) -> String {
    format!("{name}={}", utf8_percent_encode(value, RESERVED))
}

impl Reply {
    #[cfg(test)]
    pub(super) fn of(answer: http::Response<Bytes>) -> Self {
        Self(answer)
    }

    /// What it holds, as it came.
    pub(super) fn body(&self) -> &[u8] {
        self.0.body()
    }

    /// Whether it has a header of this name.
    pub(super) fn has(&self, header: &str) -> bool {
        self.0.headers().contains_key(header)
    }

    /// What it holds; an answer of another shape is no clear one.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(self.0.body()).map_err(|_| Failure::Unclear("an answer that cannot be read".into()))
    }
}

impl Service {
    pub(super) fn new(https: &Https, base: &str, region: &str, name: &'static str, variable: Variable) -> Self {
        Self { https: https.clone(), base: base.trim_end_matches('/').to_owned(), region: region.to_owned(), name, variable }
    }

    /// Makes the call, again where that is allowed and may help.
    pub(super) async fn send(&self, call: Call) -> Result<Reply, Failure> {
        let Patience { attempts, each, in_all } = call.patience;
        let give_up = Instant::now() + in_all;
        let mut was_unclear = false;
        let mut attempt = 1;
        loop {
            let patience = each.min(give_up - Instant::now());
            let outcome = timeout(patience, self.attempt(&call)).await;
            let failure = match outcome.unwrap_or_else(|_| Err(Failure::Unclear("no answer in time".into()))) {
                Err(failure) if failure.is_passing() => failure,
                settled => return settled,
            };
            was_unclear |= matches!(failure, Failure::Unclear(_));
            let pause = pause_after(attempt);
            if attempt == attempts || Instant::now() + pause >= give_up {
                return Err(match failure {
                    // That nothing was done is true of this attempt, not of one before it.
                    Failure::Throttled(code) if was_unclear => Failure::Unclear(code),
                    failure => failure,
                });
            }
            sleep(pause).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, call: &Call) -> Result<Reply, Failure> {
        let credentials = credentials(self.variable).ok_or(Failure::Unsent("no credentials in the environment"))?;
        let request = self.request(call, credentials, SystemTime::now()).ok_or(Failure::Unsent("a request that cannot be made"))?;
        let answer = self.https.exchange(request, ANSWER_LIMIT).await.map_err(|error| match error {
            HttpsError::BrokenAnswer | HttpsError::TooLarge => Failure::Unclear("the answer broke off".into()),
            HttpsError::Unsendable(_) | HttpsError::Unreachable(_) | HttpsError::Silent => Failure::Unclear("the connection failed".into()),
        })?;
        let status = answer.status();
        if status.is_success() { Ok(Reply(answer)) } else { Err(read(status.as_u16(), answer.headers(), answer.body())) }
    }

    /// The call, signed.
    fn request(&self, call: &Call, credentials: Credentials, now: SystemTime) -> Option<Request<Full<Bytes>>> {
        let uri = format!("{}{}", self.base, call.path_and_query);
        let identity = credentials.into();
        let params = SigningParams::builder().identity(&identity).region(&self.region).name(self.name);
        let params = params.time(now).settings(SigningSettings::default()).build().ok()?.into();
        let headers = call.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let signable = SignableRequest::new(call.method.as_str(), &uri, headers, SignableBody::Bytes(&call.body)).ok()?;
        let (signature, _) = sign(signable, &params).ok()?.into_parts();
        let mut request = Request::builder().method(&call.method).uri(uri).body(Full::new(call.body.clone())).ok()?;
        request.headers_mut().extend(call.headers.clone());
        signature.apply_to_request_http1x(&mut request);
        Some(request)
    }
}

/// Where Lambda puts them
/// (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>).
fn credentials(variable: Variable) -> Option<Credentials> {
    let (id, secret) = (variable("AWS_ACCESS_KEY_ID")?, variable("AWS_SECRET_ACCESS_KEY")?);
    Some(Credentials::new(id, secret, variable("AWS_SESSION_TOKEN"), None, "environment"))
}

/// Twice as long after each attempt, and at random below that, so that those who were refused together do
/// not come back together.
fn pause_after(attempt: u32) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(1 << (attempt - 1).min(8)).min(LONGEST_PAUSE);
    let chance = getrandom::u32().unwrap_or(u32::MAX);
    longest.mul_f64(f64::from(chance) / f64::from(u32::MAX))
}

fn read(status: u16, headers: &HeaderMap, body: &Bytes) -> Failure {
    let refusal = Refusal::new(status, code(headers, body).as_deref().unwrap_or("an unknown error"), body);
    let words = ["Throttling", "TooManyRequests", "ProvisionedThroughputExceeded", "RequestLimitExceeded"];
    let throttled = words.iter().any(|start| refusal.code.starts_with(start));
    match status {
        _ if throttled => Failure::Throttled(refusal.to_string()),
        429 => Failure::Throttled(refusal.to_string()),
        // 501: a service that does not know the call has not done it.
        400..=499 | 501 => Failure::Refused(refusal),
        _ => Failure::Unclear(refusal.to_string()),
    }
}

fn code(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let header = headers.get("x-amzn-errortype").and_then(|code| code.to_str().ok()).map(str::to_owned);
    let code = header.or_else(|| {
        let body: Value = serde_json::from_slice(body).ok()?;
        ["code", "__type"].iter().find_map(|name| body.get(name)?.as_str().map(str::to_owned))
    });
    let code = code.or_else(|| {
        let (_, rest) = std::str::from_utf8(body).ok()?.split_once("<Code>")?;
        rest.split_once("</Code>").map(|(code, _)| code.to_owned())
    })?;
    // `aws.protocoltests.restjson#FooError:http://…` is a `FooError`.
    let code = code.split(':').next().unwrap_or_default();
    Some(code.rsplit('#').next().unwrap_or_default().trim().to_owned())
}

#[cfg(test)]
#[path = "signed_tests.rs"]
mod tests;
