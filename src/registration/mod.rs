//! The endpoint where devices register: `POST /register`.
//!
//! [`register()`] takes a request and returns the response, independent of the transport. The steps: count the request (`limits`),
//! parse it ([`request`]), authenticate the client (`authentication`), call the operator's [`hook`], mark a claim code as used, and
//! issue the certificate for the response with [`crate::onboarding`] (`provision`).
//!
//! Invariants:
//! - A code is marked as used before a certificate is created. If two devices send the same code at the same time, only one is
//!   registered. The same device may send its code again while the code is valid, for example after a lost response.
//! - The response contains a certificate only if the record of its thing names the certificate. The former certificate stays valid
//!   until then, and for a day after.
//! - A private key is in the response and nowhere else. A refusal repeats no part of the request.
//! - If the claim store, the registry or a hook is unavailable, the request is refused.

mod answer;
pub mod audit;
mod authentication;
pub mod claims;
mod cors;
mod file;
pub mod hook;
mod limits;
pub mod policy;
mod problem;
mod provision;
pub mod request;

use std::time::Duration;

use bytes::Bytes;
use http::header::ALLOW;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use tokio::time::{Instant, timeout, timeout_at};

use self::authentication::Client;
use self::limits::Lock;
use self::problem::Cause;
use self::request::RegistrationRequest;

pub use self::audit::{Audit, Event, LogAudit};
pub use self::claims::Claims;
pub use self::hook::{Hook, HookAddress, HookDecision, HookError, HookQuery, HttpHook};
pub use self::limits::Limits;
pub use self::policy::{PolicyError, RegistrationPolicy};
pub use self::problem::Problem;
use crate::certificate::NewCertificate;
use crate::fault::chain;
use crate::identifiers::ThingPrefix;
use crate::login::Login;
use crate::mail::bundle::Broker;
use crate::metrics::Meter;
use crate::registry::{Kind, Registry};
use crate::secrets::Fingerprint;

/// The thing type, the policies and the name prefix of the things that belong to owners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerThings {
    /// The thing type and the policies of the certificates.
    pub kind: Kind,
    /// The prefix of the thing names.
    pub prefix: ThingPrefix,
}

/// The implementations of the interfaces that the endpoint depends on.
pub trait Ports: 'static {
    /// Verifies the access tokens of owners.
    type Login: Login;
    /// Manages things and certificates.
    type Registry: Registry;
    /// Stores claim codes and counters.
    type Claims: Claims;
    /// Asks the operator's program whether a device may register.
    type Hook: Hook;
    /// Records the outcome of each request.
    type Audit: Audit;
}

/// The registration endpoint with its dependencies and settings.
pub struct Endpoint<P: Ports> {
    /// Verifies the access tokens of owners.
    pub login: P::Login,
    /// The client id for which the owners' access tokens must be issued. `None` refuses all access tokens.
    pub client_id: Option<String>,
    /// Manages things and certificates.
    pub registry: P::Registry,
    /// Stores claim codes and counters.
    pub claims: P::Claims,
    /// Asks the operator's program whether a device may register.
    pub hook: P::Hook,
    /// Records the outcome of each request.
    pub audit: P::Audit,
    /// The settings for the things that belong to owners.
    pub own: OwnerThings,
    /// The MQTT broker that registered devices connect to.
    pub broker: Broker,
    /// The limits that this process knows to be exceeded at present.
    pub limits: Limits,
    /// The duration of the lease of one request, in seconds.
    pub lease: u64,
    /// The current Unix time in seconds.
    pub now: fn() -> u64,
    /// Receives counts and durations.
    pub measure: Meter,
}

/// The time reserved for the response after an attempt has ended.
const TIME_TO_ANSWER: Duration = Duration::from_millis(200);

/// The time limit for an entry in the audit log.
const TIME_TO_NOTE: Duration = Duration::from_secs(1);

/// Handles a request to the endpoint. `source` is the IP address of the client, `request_id` the id for the log, and `answer_by`
/// the time by which the response must be ready.
pub async fn register<P: Ports>(
    endpoint: &Endpoint<P>,
    policy: &RegistrationPolicy,
    request: Request<Bytes>,
    source: &str,
    request_id: &str,
    answer_by: Instant,
) -> Response<Bytes> {
    let origin = policy.origin.as_ref();
    let allowed = if origin.is_some() { "POST, OPTIONS" } else { "POST" };
    let mut response = match cors::preflight(&request, origin) {
        Some(response) => response,
        None if request.method() != Method::POST => options_or_problem(request.method(), allowed),
        None => {
            let event = event(endpoint, source, request_id);
            let mut handler = Handler { endpoint, policy, source, deadline: answer_by, event, is_spam: false, has_spent: false };
            let outcome = timeout_at(answer_by, handler.registers(&request)).await.unwrap_or_else(|_| Err(Cause::Busy.into()));
            let response = outcome.unwrap_or_else(|problem| {
                let problem = handler.told(problem);
                handler.event.outcome = problem.cause();
                problem.response(allowed)
            });
            handler.event.status = response.status().as_u16();
            if !handler.is_spam {
                note(&endpoint.audit, &handler.event).await;
            }
            response
        }
    };
    cors::allow(&mut response, request.headers(), origin);
    response
}

/// The response to every request while no registration policy can be read: a refusal.
pub async fn closed<P: Ports>(endpoint: &Endpoint<P>, source: &str, request_id: &str) -> Response<Bytes> {
    let problem = Problem::from(Cause::Closed);
    let event = event(endpoint, source, request_id);
    note(&endpoint.audit, &Event { outcome: problem.cause(), status: problem.status().as_u16(), ..event }).await;
    problem.response("POST")
}

/// Records an event. A failure to record it in time does not delay the response.
async fn note(audit: &impl Audit, event: &Event) {
    if timeout(TIME_TO_NOTE, audit.note(event)).await.is_err() {
        let request_id = &event.request_id;
        tracing::error!(step = "register", fault = "again", cause = "audit", request_id, "an event was not noted in time");
    }
}

/// The response to another method than `POST`. `OPTIONS` is allowed if the policy names a web origin.
fn options_or_problem(method: &Method, allowed: &'static str) -> Response<Bytes> {
    if method != Method::OPTIONS || !allowed.contains("OPTIONS") {
        return Problem::from(Cause::MethodNotAllowed).response(allowed);
    }
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

fn event<P: Ports>(endpoint: &Endpoint<P>, source: &str, request_id: &str) -> Event {
    Event {
        at: (endpoint.now)(),
        request_id: request_id.to_owned(),
        source: source.to_owned(),
        by: "unknown",
        outcome: "registered",
        status: 0,
        thing: None,
        certificate: None,
        label: None,
    }
}

/// One request and the state of its processing.
struct Handler<'a, P: Ports> {
    endpoint: &'a Endpoint<P>,
    policy: &'a RegistrationPolicy,
    source: &'a str,
    deadline: Instant,
    event: Event,
    /// The source has exceeded its limit and the request is malformed. Such a request is not audited.
    is_spam: bool,
    /// The code was used without a signing request. Without a key, the device cannot use the code a second time.
    has_spent: bool,
}

impl<P: Ports> Handler<'_, P> {
    async fn registers(&mut self, request: &Request<Bytes>) -> Result<Response<Bytes>, Problem> {
        let (endpoint, policy, now) = (self.endpoint, self.policy, self.event.at);
        let counted = Limits::registered(&endpoint.claims, self.source, policy.per_source, now).await;
        let registration = RegistrationRequest::read(request);
        self.is_spam = counted.is_err() && registration.is_err();
        self.event.by = registration.as_ref().map_or(self.event.by, |registration| registration.by.name());
        counted?;
        let registration = registration?;
        if registration.csr.is_none() && policy.keys == policy::Keys::Device {
            return Err(Problem::field("csr", "is missing: the private key has to be the device's own"));
        }
        let where_unknown = |problem: Problem| problem.where_unknown(registration.by.unknown());
        let mut client = authentication::authenticate(endpoint, policy, &registration, now).await.map_err(where_unknown)?;
        self.event.thing = Some(client.thing.clone());
        self.event.label.clone_from(&client.label);
        self.ask(&mut client).await?;
        self.use_up(&client, &registration).await.map_err(where_unknown)?;
        let deadline = self.deadline.checked_sub(TIME_TO_ANSWER).unwrap_or(self.deadline);
        let fresh = match provision::provision(endpoint, &client, registration.csr.as_ref(), deadline).await {
            Err(problem) if problem.status() == StatusCode::CONFLICT => Err(self.refused(&client, problem).await),
            outcome => outcome,
        }?;
        Ok(self.hand_out(&client, &fresh))
    }

    /// Asks the hook, if the registration policy names one.
    async fn ask(&self, client: &mut Client) -> Result<(), Problem> {
        let Some(address) = &self.policy.hook else { return Ok(()) };
        let thing_type = client.kind.thing_type.clone();
        let question = HookQuery { serial: client.serial.clone(), thing_type, source: self.source.to_owned() };
        let within = self.policy.hook_within;
        let verdict = timeout(within, self.endpoint.hook.ask(address, &question, within)).await;
        let verdict = verdict.unwrap_or(Err(HookError::Silent)).map_err(|error| {
            tracing::error!(step = "register", fault = "maker", cause = "hook_unavailable", "{}", chain(&error));
            Cause::HookUnavailable
        })?;
        if !verdict.allow {
            return Err(self.refused(client, Cause::RefusedByHook.into()).await);
        }
        for (name, value) in verdict.attributes {
            if client.attributes.contains(&name) && request::is_attribute(&value) {
                client.said.insert(name, value);
            } else {
                tracing::warn!(step = "register", fault = "maker", cause = "hook_attribute", "the hook says what a thing cannot have");
            }
        }
        Ok(())
    }

    /// Marks the code as used by the key of this device. The same device may use it again. A request without a signing request is
    /// bound to a random value and cannot be repeated.
    async fn use_up(&mut self, client: &Client, registration: &RegistrationRequest) -> Result<(), Problem> {
        let (endpoint, now) = (self.endpoint, self.event.at);
        let Some(code) = &client.code else { return Ok(()) };
        let device = match &registration.csr {
            Some(request) => request.key(),
            None => {
                let mut nobody = [0_u8; 32];
                getrandom::fill(&mut nobody).map_err(|_| Cause::Busy)?;
                Fingerprint::of_bytes(&nobody)
            }
        };
        match endpoint.claims.redeem(code, &device, now).await {
            Ok(true) => {
                self.has_spent = registration.csr.is_none();
                Ok(())
            }
            Ok(false) => Err(endpoint.limits.failed(&endpoint.claims, Lock::Codes, Cause::NotRecognised.into(), now).await),
            Err(error) => Err(limits::unavailable(&error)),
        }
    }

    /// A used code cannot be retried, so the response does not ask for a retry.
    fn told(&self, problem: Problem) -> Problem {
        if self.has_spent && problem.status() == StatusCode::SERVICE_UNAVAILABLE { Cause::CodeSpent.into() } else { problem }
    }

    /// Counts a refusal of a fleet device against its token.
    async fn refused(&self, client: &Client, problem: Problem) -> Problem {
        match &client.label {
            Some(label) => self.endpoint.limits.failed(&self.endpoint.claims, Lock::Token(label.clone()), problem, self.event.at).await,
            None => problem,
        }
    }

    fn hand_out(&mut self, client: &Client, fresh: &NewCertificate) -> Response<Bytes> {
        self.event.certificate = Some(fresh.id().clone());
        answer::write(client, fresh, &self.endpoint.broker, self.policy.roots.as_ref())
    }
}

#[cfg(test)]
#[path = "openapi_tests.rs"]
mod openapi_tests;
