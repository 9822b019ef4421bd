//! `POST /register`: registration requests of devices.

use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use http::HeaderMap;
use http_body_util::LengthLimitError;
use onething::registration::register as answer;
use tokio::time::{Duration, Instant};

use super::announces_more_than;
use super::problem::Problem;
use crate::hub::Hub;

/// The header in which each proxy appends the address of its client.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// The largest size of a body that is read, in bytes. It is larger than the limit of the endpoint, so the endpoint itself refuses
/// and records large requests.
const BODY_LIMIT: usize = 64 * 1024;
/// The time limit of a registration. It is longer than a lease on the thing, so a registration can wait for a request that is
/// mailing a certificate.
const REGISTER_WITHIN: Duration = Duration::from_secs(15);

/// Handles a registration request of any method, because the endpoint checks the method itself.
pub(super) async fn register(
    State(hub): State<Arc<Hub>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Result<Response, Problem> {
    let source = source(peer.ip(), request.headers(), hub.behind_proxy).to_string();
    let (head, body) = request.into_parts();
    let too_long = || Bytes::from_static(&[b' '; BODY_LIMIT]);
    let body = if announces_more_than(BODY_LIMIT, &head.headers) {
        too_long()
    } else {
        match to_bytes(body, BODY_LIMIT).await {
            Ok(body) => body,
            Err(error) if is_too_long(&error) => too_long(),
            Err(_) => return Err(Problem::request("the body broke off")),
        }
    };
    let request = http::Request::from_parts(head, body);
    let answer_by = Instant::now() + REGISTER_WITHIN;
    // A separate task: a registration is finished even if the client disconnects.
    let answered = tokio::spawn(async move { answer(&hub.endpoint, &hub.policy, request, &source, &request_id(), answer_by).await });
    match answered.await {
        Ok(answer) => Ok(answer.map(Body::from)),
        Err(error) => Err(Problem::ours(&error)),
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    error.source().is_some_and(<dyn std::error::Error>::is::<LengthLimitError>)
}

/// The address of the client: the peer, or the last address that a proxy on this machine has appended, if the hub is behind a
/// proxy.
fn source(peer: IpAddr, headers: &HeaderMap, behind_proxy: bool) -> IpAddr {
    let peer = peer.to_canonical();
    if !behind_proxy || !peer.is_loopback() {
        return peer;
    }
    let last = headers.get_all(FORWARDED_FOR).iter().next_back().and_then(|hops| hops.to_str().ok()?.rsplit(',').next());
    last.and_then(|hop| address(hop.trim())).unwrap_or(peer)
}

/// Parses an address as proxies write it; some add a port.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = hop.parse().ok().or_else(|| hop.parse().ok().map(|at: SocketAddr| at.ip()));
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    bare.or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

/// A random id of a request, for the log and for the events.
fn request_id() -> String {
    let mut bits = [0_u8; 16];
    // An error is very improbable, because TLS also needs random bytes. The id is only used to find log lines.
    let _ = getrandom::fill(&mut bits);
    HEXLOWER.encode(&bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, hops: &[&str], behind_proxy: bool, expected: &str) {
        let headers = hops.iter().map(|hop| (http::HeaderName::from_static(FORWARDED_FOR), hop.parse().unwrap())).collect();
        let source = source(peer.parse().unwrap(), &headers, behind_proxy);
        assert_eq!(source.to_string(), expected, "{peer} {hops:?}");
    }

    #[test]
    fn without_a_proxy_the_header_is_ignored() {
        check("192.0.2.1", &["198.51.100.7"], false, "192.0.2.1");
        check("127.0.0.1", &["198.51.100.7"], false, "127.0.0.1");
        check("::ffff:192.0.2.1", &[], false, "192.0.2.1");
        check("192.0.2.1", &["198.51.100.7"], true, "192.0.2.1");
    }

    #[test]
    fn behind_a_proxy_the_last_address_in_the_header_counts() {
        check("127.0.0.1", &["198.51.100.7"], true, "198.51.100.7");
        check("::1", &["203.0.113.9, 198.51.100.7"], true, "198.51.100.7");
        check("127.0.0.1", &["203.0.113.9", "198.51.100.7"], true, "198.51.100.7");
        check("127.0.0.1", &["198.51.100.7:4711"], true, "198.51.100.7");
        check("127.0.0.1", &["[2001:db8::7]:4711"], true, "2001:db8::7");
        check("127.0.0.1", &["[2001:db8::7]"], true, "2001:db8::7");
        check("127.0.0.1", &["unknown"], true, "127.0.0.1");
        check("127.0.0.1", &[], true, "127.0.0.1");
    }
}
