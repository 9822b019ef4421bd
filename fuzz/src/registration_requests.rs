//! A request to the registration endpoint, and its response while all services behind the endpoint are unavailable.
//!
//! The first four lines are the method and the headers `Authorization`, `Content-Type` and `Origin`; an empty line omits the
//! header. The rest is the body, in which `@request`, `@certificate` and `@root` stand for the credentials of a real device.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION, CONTENT_TYPE, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, Response};
use onething::identifiers::ThingPrefix;
use onething::mail::bundle::Broker;
use onething::metrics::unmeasured;
use onething::registration::request::RegistrationRequest;
use onething::registration::{Endpoint, Limits, OwnerThings, Ports, RegistrationPolicy, register};
use onething::registry::Kind;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use super::NOW;
use super::credentials::filled;
use super::unreachable::{LastAnswer, Unreachable};

/// The origin of the pages that may register.
const PAGE: &str = "https://setup.example.com";
/// The limit of the body of a refusal in bytes; a refusal quotes nothing of the request.
const LONGEST: usize = 512;

const POLICY: &str = r#"
[registration]
origin = "https://setup.example.com"
hook = "https://maker.example.com/devices"
keys = "either"
[type.lamp]
prefix = "Lamp-"
policies = ["LampPolicy"]
attributes = ["version", "hardware"]
[[token]]
name = "factory-1"
sha256 = "3f08aace122ee2368432c1ca23a049bc640bafbf00fdf33a52429f38ba12dbf9"
types = ["lamp"]
[[serial]]
serial = "SN-0001"
secret_sha256 = "3f08aace122ee2368432c1ca23a049bc640bafbf00fdf33a52429f38ba12dbf9"
type = "lamp"
"#;

struct FuzzPorts;

impl Ports for FuzzPorts {
    type Login = Unreachable;
    type Registry = Unreachable;
    type Claims = Unreachable;
    type Hook = Unreachable;
    type Audit = LastAnswer;
}

struct Setup {
    endpoint: Endpoint<FuzzPorts>,
    policy: RegistrationPolicy,
    runtime: Runtime,
}

thread_local! {
    static SETUP: Setup = match built() {
        Ok(setup) => setup,
        Err(error) => panic!("{error}"),
    };
}

fn built() -> Result<Setup, Box<dyn std::error::Error>> {
    let prefix = ThingPrefix::parse("Printer-").ok_or("no prefix")?;
    let own = OwnerThings { kind: Kind { thing_type: "printer".into(), policies: vec!["Policy".into()] }, prefix };
    let endpoint = Endpoint {
        login: Unreachable,
        client_id: Some("client".into()),
        registry: Unreachable,
        claims: Unreachable,
        hook: Unreachable,
        audit: LastAnswer::default(),
        own,
        broker: Broker::aws("broker.example", 8883),
        limits: Limits::default(),
        lease: 15,
        now: || NOW,
        measure: unmeasured,
    };
    Ok(Setup { endpoint, policy: RegistrationPolicy::parse(POLICY)?, runtime: Builder::new_current_thread().enable_time().build()? })
}

/// Sends the request and checks the response.
pub fn run(data: &[u8]) {
    let mut lines = data.splitn(5, |byte| *byte == b'\n');
    let (Some(method), Some(authorization), Some(kind), Some(origin)) = (lines.next(), lines.next(), lines.next(), lines.next()) else {
        return;
    };
    let Ok(method) = Method::from_bytes(method) else { return };
    let body = lines.next().unwrap_or_default();
    let body = std::str::from_utf8(body).map_or_else(|_| Bytes::copy_from_slice(body), |text| filled(text).into());
    let mut request = Request::new(body);
    *request.method_mut() = method;
    for (name, value) in [(AUTHORIZATION, authorization), (CONTENT_TYPE, kind), (ORIGIN, origin)] {
        if value.is_empty() {
            continue;
        }
        let Ok(value) = HeaderValue::from_bytes(value) else { return };
        request.headers_mut().append(name, value);
    }
    let refused = RegistrationRequest::read(&request).err();
    SETUP.with(|setup| {
        let answer_by = Instant::now() + Duration::from_secs(1);
        let answer = register(&setup.endpoint, &setup.policy, request.clone(), "192.0.2.1", "request", answer_by);
        let answer = setup.runtime.block_on(answer);
        let heard = setup.endpoint.audit.take();
        assert_eq!(heard, (request.method() == Method::POST).then(|| answer.status().as_u16()), "audit and response differ");
        if let Some(problem) = refused.filter(|_| request.method() == Method::POST) {
            assert_eq!(answer.status(), problem.status(), "{problem:?}");
        }
        check(&request, &answer);
    });
}

fn check(request: &Request<Bytes>, answer: &Response<Bytes>) {
    let (status, headers) = (answer.status().as_u16(), answer.headers());
    let allowed = headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN);
    assert_eq!(allowed, request.headers().get(ORIGIN).is_some_and(|origin| origin == PAGE));
    if *request.method() == Method::OPTIONS {
        assert_eq!((status, answer.body().len()), (204, 0));
        return;
    }
    assert!(matches!(status, 400 | 401 | 403 | 405 | 409 | 413 | 415 | 503), "{status}");
    assert_eq!((status == 503, status == 401), (headers.contains_key(RETRY_AFTER), headers.contains_key(WWW_AUTHENTICATE)));
    assert_eq!(headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes), Some(&b"application/problem+json"[..]));
    assert!(answer.body().len() <= LONGEST, "{:?}", answer.body());
    let problem: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    assert_eq!(problem["status"], status);
    assert!(problem["cause"].is_string() && problem["detail"].is_string() && problem["title"].is_string(), "{problem}");
}
