//! Access control for the page and its API.
//!
//! Without a password only clients on this machine have access. Both the address of the peer and the requested host must be
//! loopback ones, so that web pages of other sites cannot reach the hub under a name of their own (DNS rebinding). A request with
//! headers of a proxy counts as one from another machine. With a password, every client that sends it has access (RFC 7617; the
//! user name is ignored). A request that changes something must not come from a page of another site.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::header::{AUTHORIZATION, FORWARDED, HOST, ORIGIN, VIA, WWW_AUTHENTICATE};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method};

use super::problem::Problem;
use crate::web::password::Password;

/// Passes a request on, or responds with the reason for the refusal.
pub(super) async fn guard(
    State(password): State<Option<Password>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    if let Err(refusal) = admit(password.as_ref(), peer.ip(), headers) {
        return refusal.into_response();
    }
    if request.method() != Method::GET && !is_of_this_site(headers) {
        return Problem::forbidden("another site's page may not do this").into_response();
    }
    next.run(request).await
}

/// Why a client has no access.
#[derive(Debug)]
enum Refusal {
    /// The client is on another machine, and the hub has no password.
    NotHere,
    /// The request contains no password or a wrong one.
    NoPassword,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Refusal::NotHere => {
                let how = "only this machine may see the page: open it at 127.0.0.1 or localhost, or start the hub with ONETHING_PASSWORD";
                Problem::forbidden(how).into_response()
            }
            Refusal::NoPassword => {
                let mut response = Problem::unauthorized("the password of this hub is needed").into_response();
                let challenge = HeaderValue::from_static("Basic realm=\"onething hub\", charset=\"UTF-8\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
                response
            }
        }
    }
}

fn admit(password: Option<&Password>, peer: IpAddr, headers: &HeaderMap) -> Result<(), Refusal> {
    match password {
        Some(password) => match given(headers) {
            Some(given) if password.is(&given) => Ok(()),
            _ => Err(Refusal::NoPassword),
        },
        None if is_local(peer) && asked_for_locally(headers) && !is_passed_on(headers) => Ok(()),
        None => Err(Refusal::NotHere),
    }
}

/// The password of `Authorization: Basic`, with any user name.
fn given(headers: &HeaderMap) -> Option<String> {
    let (scheme, credentials) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let credentials = String::from_utf8(BASE64_STANDARD.decode(credentials.trim().as_bytes()).ok()?).ok()?;
    let (_, password) = credentials.split_once(':')?;
    scheme.eq_ignore_ascii_case("basic").then(|| password.to_owned())
}

fn is_local(peer: IpAddr) -> bool {
    peer.to_canonical().is_loopback()
}

fn asked_for_locally(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).and_then(|host| host.parse::<Authority>().ok());
    host.is_some_and(|host| {
        let host = host.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        host == "localhost" || host.ends_with(".localhost") || host.parse().is_ok_and(is_local)
    })
}

fn is_passed_on(headers: &HeaderMap) -> bool {
    headers.contains_key(FORWARDED) || headers.contains_key(VIA) || headers.keys().any(|name| name.as_str().starts_with("x-forwarded-"))
}

/// Whether a request does not come from a page of another site. Browsers send the origin with every request that changes
/// something (<https://fetch.spec.whatwg.org/#origin-header>); other programs send none.
fn is_of_this_site(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    origin.is_some() && origin == headers.get(HOST).and_then(|host| host.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(named: &[(&'static str, &str)]) -> HeaderMap {
        named.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn check(password: Option<&str>, peer: &str, named: &[(&'static str, &str)], admitted: bool) {
        let password = password.map(Password::new);
        let outcome = admit(password.as_ref(), peer.parse().unwrap(), &headers(named));
        assert_eq!(outcome.is_ok(), admitted, "{peer} {named:?}");
    }

    #[test]
    fn without_a_password_only_local_clients_with_a_local_host_have_access() {
        for host in ["127.0.0.1:8080", "localhost:8080", "[::1]:8080", "LOCALHOST", "127.9.9.9"] {
            check(None, "127.0.0.1", &[("host", host)], true);
            check(None, "::1", &[("host", host)], true);
            check(None, "::ffff:127.0.0.1", &[("host", host)], true);
            check(None, "192.168.1.7", &[("host", host)], false);
        }
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.1.7", "evil.example:8080", "a b"] {
            check(None, "127.0.0.1", &[("host", host)], false);
        }
        check(None, "127.0.0.1", &[], false);
    }

    #[test]
    fn requests_through_a_proxy_are_not_local() {
        for passed in ["forwarded", "via", "x-forwarded-for", "x-forwarded-proto"] {
            check(None, "127.0.0.1", &[("host", "127.0.0.1"), (passed, "x")], false);
        }
    }

    #[test]
    fn with_a_password_every_client_that_sends_it_has_access() {
        let with = |credentials: &str| format!("Basic {}", BASE64_STANDARD.encode(credentials.as_bytes()));
        check(Some("secret"), "192.168.1.7", &[("host", "hub"), ("authorization", &with("me:secret"))], true);
        check(Some("secret"), "192.168.1.7", &[("host", "hub"), ("authorization", &with("me:wrong"))], false);
        check(Some("secret"), "127.0.0.1", &[("host", "127.0.0.1")], false);
        for odd in ["Basic", "Basic !", "Bearer c2VjcmV0", ""] {
            check(Some("secret"), "127.0.0.1", &[("authorization", odd)], false);
        }
    }

    #[test]
    fn requests_of_other_sites_are_detected() {
        let of = |origin: &str| is_of_this_site(&headers(&[("host", "127.0.0.1:8080"), ("origin", origin)]));
        assert!(of("http://127.0.0.1:8080") && of("https://127.0.0.1:8080"));
        assert!(!of("http://evil.example") && !of("null") && !of("http://127.0.0.1:9999"));
        assert!(is_of_this_site(&headers(&[("host", "127.0.0.1:8080")])));
    }
}
