//! One invocation: a request of Alexa, news about a mail, the schedule, or what a device reports of its certificate; or a request at the endpoint.
//!
//! One binary serves functions with different rights; the kinds of event are told apart by their shape. The endpoint is open to
//! everybody, so the function that is the endpoint is told so and answers nothing else, and no other function answers a request.

mod gateway;
mod wrapped;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use thiserror::Error;
use tokio::time::Instant;

use self::gateway::Arrived;
pub use self::wrapped::{NotAnAlexaRequest, is_envelope};
use crate::fault::{ClassifiedError, Fault, chain};
use crate::identifiers::{CertificateId, ThingName};
use crate::lifecycle::{LifecycleError, Notice, Sweep, in_use, note, sweep};
use crate::metrics::Measure;
use crate::registration::{self, Endpoint, RegistrationPolicy, closed, register};
use crate::skill::{ANSWER_WITHIN, NotOurs, Ports, Skill, answer, apology};

/// What Lambda takes of its own time limit.
const WAY_BACK: Duration = Duration::from_millis(500);
/// For so long a device may wait for the answer to its registration; the gateway would give up after half a minute.
const KNOCK_WITHIN: Duration = Duration::from_secs(15);
/// An event that has just arrived and has no time left comes from a clock that is off.
const KNOCK_AT_LEAST: Duration = Duration::from_secs(5);

/// By which the rule in `infra/template.yaml` names its event.
const IN_USE: &str = "certificate_in_use";
/// For so long whoever holds a thing is waited for. No lease that a request takes is longer.
const WAIT_FOR_OTHERS: Duration = Duration::from_secs(60);

/// What set the function off.
enum Event {
    /// Alexa.
    Request,
    /// SES, by way of SNS (<https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html>).
    Mail,
    /// EventBridge (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html>).
    Schedule,
    /// A rule of AWS IoT: a device reports another certificate than before.
    InUse,
    /// API Gateway, which has a function of its own.
    RegistrationRequest,
}

impl Event {
    fn of(payload: &Value) -> Self {
        match (payload.get("Records"), payload.get("detail-type").and_then(Value::as_str)) {
            (Some(Value::Array(_)), _) => Event::Mail,
            (_, Some("Scheduled Event")) => Event::Schedule,
            _ if payload.get("event").and_then(Value::as_str) == Some(IN_USE) => Event::InUse,
            _ if gateway::is_one(payload) => Event::RegistrationRequest,
            _ => Event::Request,
        }
    }
}

/// An invocation that must fail: Lambda shows it to the maker, and repeats it where nobody waits.
#[derive(Debug, Error)]
pub enum Failure {
    /// A request for somebody else.
    #[error(transparent)]
    NotOurs(#[from] NotOurs),
    /// Something else than a request of Alexa, perhaps with one inside.
    #[error(transparent)]
    NotAnAlexaRequest(#[from] NotAnAlexaRequest),
    /// News about a mail or of a device that could not be noted.
    #[error("what became of a mail, or what a device has reported, could not be noted")]
    NotNoted(#[from] LifecycleError),
    /// Something else than a request, at the endpoint.
    #[error(
        "an HTTP request is expected, as an HTTP API of API Gateway passes it on in its payload format 2.0: this function is the registration endpoint, \
         where devices register by `POST /register`, and Alexa has a function of her own"
    )]
    NotARegistration,
    /// A panic at the endpoint, which the log has.
    #[error("the request could not be answered")]
    Broken,
}

impl Failure {
    /// A stable name for CloudWatch.
    pub fn name(&self) -> &'static str {
        match self {
            Failure::NotOurs(_) | Failure::NotAnAlexaRequest(_) | Failure::NotARegistration => "NotOurs",
            Failure::NotNoted(_) => "NotNoted",
            Failure::Broken => "Broken",
        }
    }
}

/// Does what the event asks for. `left` is the time that Lambda allows.
pub async fn invoke<P: Ports>(skill: Arc<Skill<P>>, payload: Value, left: Duration) -> Result<Value, Failure> {
    let left = left.saturating_sub(WAY_BACK);
    if let Some(other) = NotAnAlexaRequest::find(&payload) {
        tracing::warn!(step = "request", cause = "no_alexa_request", "{other}");
        return Err(other.into());
    }
    match Event::of(&payload) {
        Event::Request => request(skill, payload, left).await,
        Event::Mail => Ok(mail(&skill, &payload).await?),
        Event::Schedule => Ok(schedule(&skill, left).await),
        Event::InUse => Ok(certificate_in_use(&skill, &payload, left).await?),
        Event::RegistrationRequest => Err(NotAnAlexaRequest::HttpEvent.into()),
    }
}

/// Answers a device that registers, on policy that may not be there. `left` is the time that Lambda allows.
pub async fn registration_request<P: registration::Ports>(
    endpoint: Arc<Endpoint<P>>,
    policy: Option<Arc<RegistrationPolicy>>,
    event: &Value,
    left: Duration,
) -> Result<Value, Failure> {
    let Some(Arrived { request, source, id }) = gateway::read(event) else {
        tracing::warn!(step = "request", cause = "no_registration_request", "an event that is no request to the endpoint");
        return Err(Failure::NotARegistration);
    };
    let Some(policy) = policy else { return Ok(gateway::answer(&closed(&*endpoint, &source, &id).await)) };
    let answer_by = Instant::now() + left.saturating_sub(WAY_BACK).clamp(KNOCK_AT_LEAST, KNOCK_WITHIN);
    let turn = tokio::spawn(async move { register(&endpoint, &policy, request, &source, &id, answer_by).await });
    turn.await.map(|response| gateway::answer(&response)).map_err(|_| Failure::Broken)
}

/// It fails only when it is not for this skill; a panic is an apology and a log line.
async fn request<P: Ports>(skill: Arc<Skill<P>>, payload: Value, left: Duration) -> Result<Value, Failure> {
    // An event that has just arrived and has no time left comes from a clock that is off.
    let left = if left.is_zero() { ANSWER_WITHIN } else { left.min(ANSWER_WITHIN) };
    let answer_by = Instant::now() + left;
    let envelope = Arc::new(payload);
    let turn = tokio::spawn({
        let (skill, envelope) = (Arc::clone(&skill), Arc::clone(&envelope));
        async move { answer(&skill, &envelope, answer_by).await }
    });
    match turn.await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(not_ours)) => {
            tracing::warn!(step = "request", cause = "skill_id", "{not_ours}");
            Err(not_ours.into())
        }
        Err(_) => Ok(apology(&skill.model, &envelope)),
    }
}

async fn mail<P: Ports>(skill: &Skill<P>, payload: &Value) -> Result<Value, LifecycleError> {
    let notices = Notice::read(payload, &skill.model.thing_prefix);
    for notice in &notices {
        (skill.measure)(&Measure::MailBounced(notice.how));
        let noted = note(&skill.registry, &skill.shadows, notice, (skill.now)()).await.inspect_err(|error| {
            let (step, fault, cause) = (error.step(), error.fault(), error.cause());
            match fault {
                Fault::Maker => tracing::error!(thing = %notice.thing, %step, %fault, cause, "{}", chain(error)),
                _ => tracing::warn!(thing = %notice.thing, %step, %fault, cause, "{}", chain(error)),
            }
        })?;
        tracing::info!(thing = %notice.thing, how = ?notice.how, noted, "a mail came back");
    }
    Ok(json!({"notices": notices.len()}))
}

/// A device uses its newest certificate. What cannot be done now, the sweep does.
async fn certificate_in_use<P: Ports>(skill: &Skill<P>, event: &Value, left: Duration) -> Result<Value, LifecycleError> {
    let text = |field: &str| event.get(field).and_then(Value::as_str);
    let (thing, certificate) = (text("thing").and_then(ThingName::parse), text("certificateId").and_then(CertificateId::parse));
    // Whoever holds a certificate of a thing may report what they like.
    let (Some(thing), Some(certificate)) = (thing, certificate) else { return Ok(json!({"revoked": 0})) };
    let deadline = Instant::now() + left.min(WAIT_FOR_OTHERS);
    match in_use(&skill.registry, &skill.shadows, &skill.lease(), &thing, &certificate, deadline).await {
        Err(error) if error.is_busy() => {
            tracing::info!(%thing, "what was replaced is left to the sweep: somebody else works on the thing");
            Ok(json!({"revoked": 0}))
        }
        Err(error) => {
            tracing::warn!(%thing, step = %error.step(), fault = %error.fault(), cause = error.cause(), "{}", chain(&error));
            Err(error)
        }
        Ok(revoked) => Ok(json!({"revoked": revoked})),
    }
}

async fn schedule<P: Ports>(skill: &Skill<P>, left: Duration) -> Value {
    let means = Sweep {
        registry: &skill.registry,
        shadows: &skill.shadows,
        lease: skill.lease(),
        retention: skill.retention,
        deadline: Instant::now() + left,
        measure: skill.measure,
    };
    let report = sweep(&means).await;
    json!({
        "cleaned_up": report.cleaned_up,
        "forgotten": report.forgotten,
        "orphans": report.orphans,
        "failed": report.failed,
        "complete": report.complete,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a function that is not the endpoint makes of an event: it has to read as no kind of ours.
    #[test]
    fn a_request_is_no_event_of_the_other_functions() {
        let registration = json!({"version": "2.0", "requestContext": {"http": {"method": "POST"}}, "body": "{}"});
        assert!(matches!(Event::of(&registration), Event::RegistrationRequest));
    }
}
