//! Who may see the page and use what stands behind it.
//!
//! Without a password only this machine may: the peer's address is a loopback one, and so is the host it
//! asked for, so that no web page elsewhere can reach the hub by a name of its own (DNS rebinding). What a
//! proxy on this machine passes on comes from somewhere else, and says so in a header. With a password,
//! everybody may who has it (RFC 7617, user name ignored). A request that changes something must not come
//! from another site's page.

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

/// Lets a request through, or says why not.
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

/// Why somebody is not let in.
#[derive(Debug)]
enum Refusal {
    /// They are not on this machine.
    NotHere,
    /// They have not said the password.
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

/// The password of `Authorization: Basic`, whatever the user name.
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

/// Browsers name the origin of every request that changes something
/// (<https://fetch.spec.whatwg.org/#origin-header>); other programs name none.
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
    fn without_a_password_only_this_machine_is_admitted_and_only_under_its_own_name() {
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
    fn what_a_proxy_passes_on_is_not_of_this_machine() {
        for passed in ["forwarded", "via", "x-forwarded-for", "x-forwarded-proto"] {
            check(None, "127.0.0.1", &[("host", "127.0.0.1"), (passed, "x")], false);
        }
    }

    #[test]
    fn with_a_password_everybody_is_admitted_who_has_it() {
        let with = |credentials: &str| format!("Basic {}", BASE64_STANDARD.encode(credentials.as_bytes()));
        check(Some("secret"), "192.168.1.7", &[("host", "hub"), ("authorization", &with("me:secret"))], true);
        check(Some("secret"), "192.168.1.7", &[("host", "hub"), ("authorization", &with("me:wrong"))], false);
        check(Some("secret"), "127.0.0.1", &[("host", "127.0.0.1")], false);
        for odd in ["Basic", "Basic !", "Bearer c2VjcmV0", ""] {
            check(Some("secret"), "127.0.0.1", &[("authorization", odd)], false);
        }
    }

    #[test]
    fn another_sites_page_changes_nothing() {
        let of = |origin: &str| is_of_this_site(&headers(&[("host", "127.0.0.1:8080"), ("origin", origin)]));
        assert!(of("http://127.0.0.1:8080") && of("https://127.0.0.1:8080"));
        assert!(!of("http://evil.example") && !of("null") && !of("http://127.0.0.1:9999"));
        assert!(is_of_this_site(&headers(&[("host", "127.0.0.1:8080")])));
    }
}
