//! The HTTP request of a registration: one `POST`, repeated until there is a response or the time limit expires.
//!
//! The certificate of the server is verified before anything is sent, and redirects are not followed: the credential is for this
//! endpoint only. A `Retry-After` of the endpoint (RFC 9110 section 10.2.3) can only lengthen the pause, which is random for each
//! device, because an endpoint may send the same value to a fleet.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use onething::https::{Https, HttpsError};
use tokio::time::{Instant, sleep, timeout};

use super::RegisterError;
use super::address::Address;
use super::credential::{Credential, Shown};
use super::problem;
use crate::connection::link::tls_error;
use crate::connection::pause::{self, doubled, share};

/// The largest response, in bytes. A valid response has about 8 KB.
const ANSWER_LIMIT: usize = 64 * 1024;
/// The time limit of one request; an endpoint on AWS has 30 seconds.
const ATTEMPT: Duration = Duration::from_secs(30);
/// If an attempt had less time than this, a missing response says nothing about the server.
const CUT_SHORT: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The longest `Retry-After` that is obeyed.
const LONGEST_ASKED: Duration = Duration::from_secs(3_600);

/// The result of one request.
#[derive(Debug, PartialEq)]
enum Outcome {
    Given(Bytes),
    /// There is no success yet: the `Retry-After` of the endpoint, if any, and the reason.
    Later(Option<Duration>, String),
}

/// Sends the request until there is a response, for as long as `wait` allows, or for ever without it. Returns the body of the
/// response.
pub(crate) async fn register(
    https: &Https,
    endpoint: &Address,
    wait: Option<Duration>,
    credential: &Credential,
    mut show: impl FnMut() -> Result<Shown, RegisterError>,
) -> Result<Bytes, RegisterError> {
    let (begun, mut failures) = (Instant::now(), 0_u32);
    let mut before = None;
    loop {
        let left = wait.map_or(ATTEMPT, |wait| wait.saturating_sub(begun.elapsed()).min(ATTEMPT));
        let outcome = match timeout(left, https.exchange(request(endpoint, show()?)?, ANSWER_LIMIT)).await {
            Ok(Ok(answer)) => read(endpoint, credential, answer)?,
            Ok(Err(error)) => failed(endpoint, &error)?,
            // An attempt that was cut short by the time limit is less informative than the one before it.
            Err(_) if left < CUT_SHORT && before.is_some() => Outcome::Later(None, before.take().unwrap_or_default()),
            Err(_) => Outcome::Later(None, "there was no answer".to_owned()),
        };
        let (asked, why) = match outcome {
            Outcome::Given(answer) => return Ok(answer),
            Outcome::Later(asked, why) => (asked, why),
        };
        let (least, more) = pause_bounds(asked, failures);
        let left = wait.map(|wait| wait.saturating_sub(begun.elapsed()));
        if let Some(wait) = wait.filter(|_| left.is_some_and(|left| left <= least)) {
            let when = asked.map(|asked| format!("; come again in {} s", asked.as_secs())).unwrap_or_default();
            let (host, wait) = (endpoint.host(), wait.as_secs());
            return Err(RegisterError::Unreachable(format!("{host} has not answered a request within {wait} s: {why}{when}")));
        }
        // A pause until the end of the time limit would leave no time for another attempt.
        let more = left.map_or(more, |left| more.min(left.saturating_sub(least) / 2));
        // Without randomness the pauses are the same for all devices, which is worse but works.
        sleep(least + share(more, getrandom::u32().unwrap_or_default())).await;
        before = Some(why);
        failures = failures.saturating_add(1);
    }
}

fn request(endpoint: &Address, shown: Shown) -> Result<Request<Bytes>, RegisterError> {
    let mut request = Request::post(endpoint.uri().clone()).header(CONTENT_TYPE, "application/json");
    if let Some(authorization) = shown.authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    // The parts were created above or checked before, so this does not fail.
    request.body(shown.body).map_err(|_| RegisterError::Credential("there is no way to register at this endpoint"))
}

/// Interprets the response.
fn read(endpoint: &Address, credential: &Credential, answer: Response<Bytes>) -> Result<Outcome, RegisterError> {
    let (head, body) = answer.into_parts();
    let (host, status) = (endpoint.host(), head.status);
    let why = problem::sentence(&body).unwrap_or_else(|| format!("status {}", status.as_u16()));
    let asked = || head.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().map(Duration::from_secs).ok();
    match status {
        StatusCode::OK => Ok(Outcome::Given(body)),
        StatusCode::TOO_MANY_REQUESTS => Ok(Outcome::Later(asked().map(|asked| asked.min(LONGEST_ASKED)), why)),
        _ if status.is_server_error() => Ok(Outcome::Later(asked().map(|asked| asked.min(LONGEST_ASKED)), why)),
        StatusCode::UNAUTHORIZED => Err(unknown(&host, credential, &why)),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            Err(RegisterError::Refused(format!("there is no endpoint at {endpoint} ({why}): its URL ends with /register, most likely")))
        }
        _ if status.is_redirection() => Err(RegisterError::Refused(format!(
            "{host} sends devices somewhere else ({why}), where this one does not go: name the endpoint's own URL"
        ))),
        _ => Err(RegisterError::Refused(format!("{host} refused: {why}"))),
    }
}

fn unknown(host: &str, credential: &Credential, why: &str) -> RegisterError {
    RegisterError::Unknown(match credential {
        Credential::Code(_) => {
            format!("{host} does not take the code: {why}; ask for another one: open the skill and say \"give me a code\"")
        }
        Credential::Bearer(_) => format!("{host} does not take the access token: {why}; sign in again for another one"),
        Credential::Token(..) => format!("{host} does not take the token: {why}; ask the maker of the device for another one"),
        Credential::Serial(..) => format!("{host} does not take the serial number: {why}; ask the maker of the device to let it in"),
        Credential::Certificate(_) => {
            return RegisterError::Refused(format!("{host} does not renew the certificate: {why}; it may have been replaced"));
        }
    })
}

/// Interprets a failed exchange. A server with a certificate that cannot be verified is a final error; the other failures may be
/// temporary.
fn failed(endpoint: &Address, error: &HttpsError) -> Result<Outcome, RegisterError> {
    let later = |why: &str| Ok(Outcome::Later(None, why.to_owned()));
    let host = endpoint.host();
    match error {
        HttpsError::TooLarge => Err(RegisterError::Refused(format!("what {host} answered is too large for an endpoint's answer"))),
        HttpsError::BrokenAnswer => later("its answer broke off"),
        HttpsError::Silent => later("there was no answer"),
        HttpsError::InvalidRequest(_) => Err(RegisterError::Refused(format!("there is no way to register at {host}"))),
        HttpsError::Unreachable(broken) => match tls_error(broken) {
            Some(rustls::Error::InvalidCertificate(_)) => Err(RegisterError::Unreachable(format!(
                "what answers at {host} shows a certificate of somebody else, and was sent nothing; a root of your own is named by --ca FILE"
            ))),
            Some(_) => later("there is no secure connection"),
            None => later(lost_reason(broken)),
        },
    }
}

/// The reason why there is no connection.
fn lost_reason(error: &(dyn Error + 'static)) -> &'static str {
    let mut link = Some(error);
    while let Some(error) = link {
        // The resolver of the client has no public error type, so its error is recognised by its text.
        if error.to_string().starts_with("dns error") {
            return "its name is not known here";
        }
        match error.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(ErrorKind::ConnectionRefused) => return "nobody listens there",
            Some(ErrorKind::TimedOut) => return "there was no answer",
            Some(ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown) => return "there is no way to it",
            _ => link = error.source(),
        }
    }
    "the connection was lost"
}

/// The shortest pause, and the largest random addition to it: doubled with each failure.
fn pause_bounds(asked: Option<Duration>, failures: u32) -> (Duration, Duration) {
    let own = doubled(pause::FIRST, failures, LONGEST_PAUSE);
    match asked {
        Some(asked) => (asked.max(own), asked.max(own) / 2),
        None => (own / 2, own / 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_grows_and_is_never_shorter_than_retry_after() {
        let check = |asked: Option<u64>, failures, least, most| {
            let (short, more) = pause_bounds(asked.map(Duration::from_secs), failures);
            assert_eq!((short.as_millis(), (short + more).as_millis()), (least, most), "{asked:?} {failures}");
        };
        check(None, 0, 250, 500);
        check(None, 2, 1_000, 2_000);
        check(None, u32::MAX, 30_000, 60_000);
        check(Some(0), 0, 500, 750);
        check(Some(0), 3, 4_000, 6_000);
        check(Some(10), 0, 10_000, 15_000);
        check(Some(10), u32::MAX, 60_000, 90_000);
    }
}
