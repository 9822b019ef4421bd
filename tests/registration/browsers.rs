//! CORS headers, methods and sizes: the endpoint as browsers and other HTTP clients use it.

use bytes::Bytes;
use http::{Method, Request};
use serde_json::json;

use crate::{Answer, Device, Setup};

const ORIGIN: &str = "[registration]\norigin = \"https://setup.example.com\"";
const CORS: [&str; 5] = [
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-max-age",
    "access-control-expose-headers",
];

async fn asks_first(setup: &Setup, origin: &str) -> Answer {
    let request = Request::options("/register").header("origin", origin).header("access-control-request-method", "POST");
    setup.sends("192.0.2.1", request.body(Bytes::new()).unwrap()).await
}

async fn posts(setup: &Setup, origin: &str, body: &str) -> Answer {
    let request = Request::post("/register").header("origin", origin).header("content-type", "application/json");
    setup.sends("192.0.2.1", request.body(Bytes::from(body.to_owned())).unwrap()).await
}

fn allowed(answer: &Answer) -> usize {
    CORS.into_iter().filter(|name| answer.headers.contains_key(*name)).count()
}

#[tokio::test(start_paused = true)]
async fn without_an_origin_no_page_may_register() {
    let setup = Setup::new("");
    let answer = asks_first(&setup, "https://setup.example.com").await;
    assert_eq!((answer.outcome().as_str(), answer.header("allow"), allowed(&answer)), ("405 method_not_allowed", Some("POST"), 0));
    let answer = posts(&setup, "https://setup.example.com", "{}").await;
    assert_eq!((answer.status, allowed(&answer), answer.header("vary")), (401, 0, None));
}

#[tokio::test(start_paused = true)]
async fn the_pages_of_the_configured_origin_may_register_and_no_others() {
    let (setup, device) = (Setup::new(ORIGIN), Device::new());
    let answer = asks_first(&setup, "https://setup.example.com").await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some("https://setup.example.com")));
    assert_eq!(answer.header("access-control-allow-headers"), Some("authorization, content-type"));
    let body = device.with(json!({"serial": "unguessable-serial-0001"})).to_string();
    for (body, status) in [("{}", 401), (body.as_str(), 200)] {
        let answer = posts(&setup, "https://setup.example.com", body).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (status, Some("https://setup.example.com")));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    for other in ["https://example.com", "https://setup.example.com.evil.example", "null"] {
        for answer in [asks_first(&setup, other).await, posts(&setup, other, "{}").await] {
            assert_eq!((allowed(&answer), answer.header("vary")), (0, Some("Origin")), "{other}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn other_methods_are_refused_and_not_audited() {
    for (policy, allow) in [("", "POST"), (ORIGIN, "POST, OPTIONS")] {
        let setup = Setup::new(policy);
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::HEAD, Method::PATCH] {
            let request = Request::builder().method(method).uri("/register").body(Bytes::new()).unwrap();
            let answer = setup.sends("192.0.2.1", request).await;
            assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)));
        }
        assert!(setup.endpoint.audit.0.lock().unwrap().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_long_or_no_json_is_refused() {
    let setup = Setup::new("");
    let send = async |kind: &str, length: usize| {
        let request = Request::post("/register").header("content-type", kind).body(Bytes::from(vec![b' '; length])).unwrap();
        setup.sends("192.0.2.1", request).await.outcome()
    };
    assert_eq!(send("application/json", 16_384).await, "400 malformed body");
    assert_eq!(send("application/json", 16_385).await, "413 too_large");
    assert_eq!(send("application/x-www-form-urlencoded", 2).await, "415 not_json");
    assert_eq!(setup.endpoint.claims.calls(), ["count"; 3], "a malformed request is counted for its source only");
}

#[tokio::test(start_paused = true)]
async fn malformed_requests_of_a_source_are_limited_per_minute() {
    let (setup, device) = (Setup::new(""), Device::new());
    let sends = async |kind: &str, body: &str| {
        let request = Request::post("/register").header("content-type", kind).body(Bytes::from(body.to_owned())).unwrap();
        setup.sends("192.0.2.1", request).await
    };
    let long = " ".repeat(16_385);
    let nonsense = [("application/json", "["), ("text/plain", "{}"), ("application/json", long.as_str()), ("application/json", "{}")];
    let mut statuses = Vec::new();
    for number in 0..40 {
        let (kind, body) = nonsense[number % nonsense.len()];
        statuses.push(sends(kind, body).await.status);
    }
    assert_eq!((&statuses[..4], &statuses[20..]), (&[400, 415, 413, 401][..], &[429; 20][..]));
    let noted = || setup.endpoint.audit.0.lock().unwrap().iter().map(|event| event.status).collect::<Vec<_>>();
    assert_eq!(noted(), statuses[..20]);
    let registration = device.with(json!({"serial": "unguessable-serial-0001"})).to_string();
    assert_eq!(sends("application/json", &registration).await.status, 429);
    assert_eq!(noted()[20..], [429], "a request with credentials is audited");
    setup.endpoint.claims.unreachable.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(sends("application/json", "[").await.outcome(), "503 claims_unavailable");
}
