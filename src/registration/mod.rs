//! The endpoint where devices register: `POST /register`.
//!
//! [`register()`] takes a request and returns the response; it knows no socket. The steps: count the request (`limits`), read it
//! ([`request`]), authenticate the client (`authentication`), ask the maker's [`hook`], use up a claim code, and let
//! [`crate::onboarding`] make the certificate (`provision`) that the response carries.
//!
//! Invariants:
//! - A code is used up before anything is made with it: of two devices that send one code at the same time, one is registered. The
//!   same device may send its code once more while the code is valid, so a lost response costs one more request.
//! - A certificate is handed out only if the record of its thing names the certificate. The former certificate stays valid until then,
//!   and for a day after.
//! - A private key is in the response or nowhere. A refusal repeats nothing of the request.
//! - If a claim store, the registry or a hook cannot be asked, the request is refused.

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
pub use self::hook::{Hook, HookAddress, HookError, HttpHook, Question, Verdict};
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

/// The skill's own things: those of its owners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// Their type and the policies of their certificates.
    pub kind: Kind,
    /// What their names begin with.
    pub prefix: ThingPrefix,
}

/// The ports that the registration works through: which implementation is behind each.
pub trait Ports: 'static {
    /// Who an owner is.
    type Login: Login;
    /// Things and certificates.
    type Registry: Registry;
    /// Claim codes and counters.
    type Claims: Claims;
    /// The maker's decision.
    type Hook: Hook;
    /// What became of every request.
    type Audit: Audit;
}

/// The endpoint, and the ports it works through.
pub struct Endpoint<P: Ports> {
    /// Who signs owners in.
    pub login: P::Login,
    /// The client id that owners' tokens must be made for.
    pub client_id: Option<String>,
    /// Things and certificates.
    pub registry: P::Registry,
    /// Claim codes and counters.
    pub claims: P::Claims,
    /// The maker's word.
    pub hook: P::Hook,
    /// What became of every request.
    pub audit: P::Audit,
    /// The things of owners.
    pub own: Own,
    /// Where devices connect.
    pub broker: Broker,
    /// What this process knows to be closed for a while.
    pub limits: Limits,
    /// How long one request keeps others away from its thing, in seconds.
    pub lease: u64,
    /// Seconds since the epoch.
    pub now: fn() -> u64,
    /// Counts and times what happens.
    pub measure: Meter,
}

/// So much is left for the answer when an attempt has to end.
const TIME_TO_ANSWER: Duration = Duration::from_millis(200);

/// A note for the audit takes no longer.
const TIME_TO_NOTE: Duration = Duration::from_secs(1);

/// Answers a request to the endpoint. `source` is the address it came from, `request_id` what the log calls it, and `answer_by`
/// is when the answer must be ready.
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

/// The answer to whatever comes while there are no registration policy that can be read: nobody is let in.
pub async fn closed<P: Ports>(endpoint: &Endpoint<P>, source: &str, request_id: &str) -> Response<Bytes> {
    let problem = Problem::from(Cause::Closed);
    let event = event(endpoint, source, request_id);
    note(&endpoint.audit, &Event { outcome: problem.cause(), status: problem.status().as_u16(), ..event }).await;
    problem.response("POST")
}

/// What cannot be noted in time keeps nobody waiting.
async fn note(audit: &impl Audit, event: &Event) {
    if timeout(TIME_TO_NOTE, audit.note(event)).await.is_err() {
        let request_id = &event.request_id;
        tracing::error!(step = "register", fault = "again", cause = "audit", request_id, "an event was not noted in time");
    }
}

/// Another method than `POST`. Where pages of an origin may register, `OPTIONS` is one that is taken.
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

/// Whoever requests, and what becomes of it.
struct Handler<'a, P: Ports> {
    endpoint: &'a Endpoint<P>,
    policy: &'a RegistrationPolicy,
    source: &'a str,
    deadline: Instant,
    event: Event,
    /// More than a source may send, and not even a request: nothing to account for.
    is_spam: bool,
    /// The code is used up, by somebody who keeps no key to be known by again.
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

    /// The maker's word, where the registration policy names a hook.
    async fn ask(&self, client: &mut Client) -> Result<(), Problem> {
        let Some(address) = &self.policy.hook else { return Ok(()) };
        let thing_type = client.kind.thing_type.clone();
        let question = Question { serial: client.serial.clone(), thing_type, source: self.source.to_owned() };
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

    /// A code is its first device's from now on, or it was already this one's. Who keeps no key of their own cannot come again.
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

    /// Nobody is told to come again with a code that is used up.
    fn told(&self, problem: Problem) -> Problem {
        if self.has_spent && problem.status() == StatusCode::SERVICE_UNAVAILABLE { Cause::CodeSpent.into() } else { problem }
    }

    /// A refusal to the devices of a fleet counts against their token.
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
