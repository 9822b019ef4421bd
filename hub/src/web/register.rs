//! `POST /register`: devices that register themselves.

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

/// Who last passed a request on writes here whom it came from.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// Of a body, so much is read: more than the endpoint takes, so that it is the endpoint that refuses it.
const BODY_LIMIT: usize = 64 * 1024;
/// For so long a device may wait for the answer to its registration: longer than whoever has just mailed its owner a certificate keeps
/// others off the thing.
const KNOCK_WITHIN: Duration = Duration::from_secs(15);

/// All of a request: which methods there are is the endpoint's to say.
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
    let answer_by = Instant::now() + KNOCK_WITHIN;
    // What has begun is done to its end, also when who registered goes away.
    let answered = tokio::spawn(async move { answer(&hub.endpoint, &hub.policy, request, &source, &request_id(), answer_by).await });
    match answered.await {
        Ok(answer) => Ok(answer.map(Body::from)),
        Err(error) => Err(Problem::ours(&error)),
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    error.source().is_some_and(<dyn std::error::Error>::is::<LengthLimitError>)
}

/// Where a request comes from: the peer, or whom a proxy on this machine names last, if the hub was told of one.
fn source(peer: IpAddr, headers: &HeaderMap, behind_proxy: bool) -> IpAddr {
    let peer = peer.to_canonical();
    if !behind_proxy || !peer.is_loopback() {
        return peer;
    }
    let last = headers.get_all(FORWARDED_FOR).iter().next_back().and_then(|hops| hops.to_str().ok()?.rsplit(',').next());
    last.and_then(|hop| address(hop.trim())).unwrap_or(peer)
}

/// An address as proxies write it: some add the port.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = hop.parse().ok().or_else(|| hop.parse().ok().map(|at: SocketAddr| at.ip()));
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    bare.or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

/// What the log and the events call a request.
fn request_id() -> String {
    let mut bits = [0_u8; 16];
    // Without the kernel's randomness no connection would have come this far; the name only helps to find a line.
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
    fn a_request_comes_from_its_peer_whatever_it_says() {
        check("192.0.2.1", &["198.51.100.7"], false, "192.0.2.1");
        check("127.0.0.1", &["198.51.100.7"], false, "127.0.0.1");
        check("::ffff:192.0.2.1", &[], false, "192.0.2.1");
        check("192.0.2.1", &["198.51.100.7"], true, "192.0.2.1");
    }

    #[test]
    fn behind_a_proxy_it_comes_from_whom_the_proxy_names_last() {
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
