//! Requests to the registration endpoint: `POST /register` over the simulated cloud, with claims, login and hook in memory.
//!
//! The clock is simulated: calls take simulated milliseconds and no real time.

#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub, reason = "a panic is a failed test, and no crate imports these names")]

mod account;
mod browsers;
mod clients;
mod codes;
#[path = "../contract/mod.rs"]
mod contract;
mod lifecycle;
#[allow(dead_code, reason = "only the simulation uses the faults")]
#[path = "../simulation/port.rs"]
mod port;
mod ports;
mod requests;
mod secrets;
#[allow(dead_code, reason = "only the simulation uses the faults")]
#[path = "../simulation/world.rs"]
mod world;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Request};
use onething::identifiers::{CertificateId, OwnerId, ThingName, ThingPrefix};
use onething::mail::bundle::Broker;
use onething::metrics::unmeasured;
use onething::registration::claims::{Code, new_code};
use onething::registration::request::Renewal;
use onething::registration::{Endpoint, Limits, OwnerThings, Ports, RegistrationPolicy, register};
use onething::registry::signing_request::CertificateRequest;
use onething::registry::{Entry, Kind, Record};
use rcgen::SigningKey;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::account::Account;
use crate::contract::gaps;
use crate::ports::{Amazon, Book, CLIENT, Ledger, Maker};

/// The start of the simulated clock, which is the start of a minute.
const BEGINNING: u64 = 1_763_760_000;

thread_local! {
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Unix time in seconds on the simulated clock.
fn now() -> u64 {
    BEGINNING + BEGAN.get().map_or(0, |began| began.elapsed().as_secs())
}

fn thing() -> ThingName {
    thing_of("A")
}

fn owner(name: &str) -> OwnerId {
    OwnerId::parse(&format!("amzn1.account.{name}")).unwrap()
}

fn thing_of(name: &str) -> ThingName {
    ThingName::of(&ThingPrefix::parse("3D_Printer-").unwrap(), &owner(name))
}

const POLICY: &str = r#"
[type.lamp]
prefix = "Lamp-"
policies = ["LampPolicy", "Jobs"]
attributes = ["version", "hardware"]
[type.pump]
prefix = "Pump-"
policies = ["PumpPolicy"]
[[token]]
name = "factory-1"
sha256 = "@token-1@"
types = ["lamp"]
[[token]]
name = "factory-2"
sha256 = "@token-2@"
types = ["lamp", "pump"]
[[serial]]
sha256 = "@unguessable-serial-0001@"
type = "lamp"
[[serial]]
sha256 = "@nineteen-characters@"
type = "lamp"
[[serial]]
serial = "SN-0001"
secret_sha256 = "@secret-of-the-device@"
type = "pump"
"#;

/// The registration policy, with every text between two `@` replaced by its hash.
fn policy(more: &str) -> RegistrationPolicy {
    let toml = format!("{more}\n{POLICY}");
    let parts = toml.split('@').enumerate();
    let hashed = parts.map(|(place, part)| if place % 2 == 1 { onething::secrets::Fingerprint::of(part).hex() } else { part.to_owned() });
    RegistrationPolicy::parse(&hashed.collect::<String>()).unwrap()
}

struct TestPorts;

impl Ports for TestPorts {
    type Login = Amazon;
    type Registry = Account;
    type Claims = Book;
    type Hook = Maker;
    type Audit = Ledger;
}

/// The endpoint with its simulated ports.
struct Setup {
    endpoint: Endpoint<TestPorts>,
    policy: RegistrationPolicy,
    requests: AtomicU64,
}

impl Setup {
    fn new(more: &str) -> Self {
        secrets::listen();
        BEGAN.set(Some(Instant::now()));
        let own = Kind { thing_type: "3d-printer".into(), policies: vec!["OneUserOneThing".into()] };
        let endpoint = Endpoint {
            login: Amazon::default(),
            client_id: Some(CLIENT.to_owned()),
            registry: Account::new(own.clone()),
            claims: Book::default(),
            hook: Maker::default(),
            audit: Ledger::default(),
            own: OwnerThings { kind: own, prefix: ThingPrefix::parse("3D_Printer-").unwrap() },
            broker: Broker::aws("abc-ats.iot.eu-west-1.amazonaws.com", 8883),
            limits: Limits::default(),
            lease: 15,
            now,
            measure: unmeasured,
        };
        Self { endpoint, policy: policy(more), requests: AtomicU64::new(0) }
    }

    fn account(&self) -> &Account {
        &self.endpoint.registry
    }

    /// A new code for the owner A, who is onboarded.
    async fn code(&self) -> Code {
        self.code_of("A").await
    }

    async fn code_of(&self, name: &str) -> Code {
        if self.account().record(&thing_of(name)).is_none() {
            let (owner, thing_type) = (Some(owner(name)), Some("3d-printer".into()));
            self.account().put(&thing_of(name), Entry { version: 1, owner, thing_type, record: Record::default() });
        }
        new_code(&self.endpoint.claims, &owner(name), now()).await.unwrap()
    }

    /// Registers from an address that no other request uses, so that the limits per source do not apply.
    async fn registers(&self, authorization: Option<&str>, body: &Value) -> Answer {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        self.registers_from(&format!("198.51.{}.{}", number / 256, number % 256), authorization, body).await
    }

    async fn registers_from(&self, source: &str, authorization: Option<&str>, body: &Value) -> Answer {
        let mut request = Request::post("/register").header(CONTENT_TYPE, "application/json");
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        self.sends(source, request.body(Bytes::from(body.to_string())).unwrap()).await
    }

    async fn sends(&self, source: &str, request: Request<Bytes>) -> Answer {
        let answer_by = Instant::now() + Duration::from_secs(8);
        let answer = register(&self.endpoint, &self.policy, request, source, "request-1", answer_by).await;
        let (head, body) = answer.into_parts();
        let json = serde_json::from_slice(&body).unwrap_or_default();
        Answer { status: head.status.as_u16(), headers: head.headers, body: json }
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn thing(&self) -> ThingName {
        ThingName::parse(self.body["thingName"].as_str().unwrap_or_default()).unwrap_or_else(|| panic!("{} {}", self.status, self.body))
    }

    fn certificate(&self) -> CertificateId {
        CertificateId::parse(self.body["certificateId"].as_str().unwrap_or_default())
            .unwrap_or_else(|| panic!("{} {}", self.status, self.body))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The status with the cause and the field of the problem, if the response has them.
    fn outcome(&self) -> String {
        match (self.body["cause"].as_str(), self.body["field"].as_str()) {
            (Some(cause), Some(field)) => format!("{} {cause} {field}", self.status),
            (Some(cause), None) => format!("{} {cause}", self.status),
            _ => self.status.to_string(),
        }
    }
}

/// A device that makes its own key pair.
struct Device {
    key: rcgen::KeyPair,
}

impl Device {
    fn new() -> Self {
        Self { key: rcgen::KeyPair::generate().unwrap() }
    }

    fn csr(&self) -> String {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::OrganizationalUnitName, "onething");
        params.serialize_request(&self.key).unwrap().pem().unwrap()
    }

    fn with(&self, body: Value) -> Value {
        let mut body = body;
        body["csr"] = self.csr().into();
        body
    }

    /// A request to renew the certificate in `given`, signed at the Unix time `at`.
    fn renewal(&self, given: &Answer, csr: &str, at: u64) -> Value {
        let message = Renewal::message(&CertificateRequest::parse(csr).unwrap(), at);
        let proof = BASE64_STANDARD.encode(self.key.sign(message.as_bytes()).unwrap());
        let certificate = &given.body["certificatePem"];
        json!({"thingName": given.body["thingName"], "certificate": certificate, "proof": proof, "at": at, "csr": csr})
    }
}

#[tokio::test(start_paused = true)]
async fn the_claims_in_memory_keep_the_contract() {
    gaps::check(&contract::claims::judge(async || Arc::new(Book::default())).await, &[]);
}
