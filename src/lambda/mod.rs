//! The handlers of Lambda events: an Alexa request, a mail notification, the schedule, a certificate in use, or a registration
//! request.
//!
//! One binary serves functions with different permissions. The kinds of event are distinguished by their structure. The
//! registration endpoint is public, so the function for it is configured as such: it accepts nothing else, and no other function
//! accepts a registration request.

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
use crate::skill::{ANSWER_WITHIN, OtherSkill, Ports, Skill, answer, panic_response};

/// The time reserved for Lambda to return the response.
const TIME_TO_RETURN: Duration = Duration::from_millis(500);
/// The time limit for the response to a registration request. API Gateway would give up after half a minute.
const REGISTRATION_WITHIN: Duration = Duration::from_secs(15);
/// The minimum time for a registration request. A shorter remaining time is the result of a wrong clock.
const REGISTRATION_AT_LEAST: Duration = Duration::from_secs(5);

/// The event name that the IoT rule in `infra/template.yaml` sets.
const IN_USE: &str = "certificate_in_use";
/// The longest time to wait for another holder of a lease. No request takes a longer lease.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The source of a Lambda event.
enum Event {
    /// An Alexa request.
    Request,
    /// A mail notification of SES, through SNS (<https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html>).
    Mail,
    /// The schedule of EventBridge (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html>).
    Schedule,
    /// An AWS IoT rule: a device reports that it uses another certificate than before.
    InUse,
    /// A registration request through API Gateway, for which there is a separate function.
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

/// An invocation that fails. Lambda reports the error to the operator, and repeats an asynchronous invocation.
#[derive(Debug, Error)]
pub enum Failure {
    /// An Alexa request for another skill.
    #[error(transparent)]
    OtherSkill(#[from] OtherSkill),
    /// An event that is not an Alexa request, but may contain one.
    #[error(transparent)]
    NotAnAlexaRequest(#[from] NotAnAlexaRequest),
    /// A mail notification or a device report could not be processed.
    #[error("what became of a mail, or what a device has reported, could not be noted")]
    NotNoted(#[from] LifecycleError),
    /// An event at the registration function that is not an HTTP request.
    #[error(
        "an HTTP request is expected, as an HTTP API of API Gateway passes it on in its payload format 2.0: this function is the registration endpoint, \
         where devices register by `POST /register`, and Alexa has a function of her own"
    )]
    NotARegistration,
    /// The endpoint panicked. The log has the details.
    #[error("the request could not be answered")]
    Broken,
}

impl Failure {
    /// A stable error name for CloudWatch.
    pub fn name(&self) -> &'static str {
        match self {
            Failure::OtherSkill(_) | Failure::NotAnAlexaRequest(_) | Failure::NotARegistration => "NotOurs",
            Failure::NotNoted(_) => "NotNoted",
            Failure::Broken => "Broken",
        }
    }
}

/// Handles an event. `left` is the remaining time of the Lambda invocation.
pub async fn invoke<P: Ports>(skill: Arc<Skill<P>>, payload: Value, left: Duration) -> Result<Value, Failure> {
    let left = left.saturating_sub(TIME_TO_RETURN);
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

/// Handles a registration request. Without a policy, the request is refused. `left` is the remaining time of the Lambda
/// invocation.
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
    let answer_by = Instant::now() + left.saturating_sub(TIME_TO_RETURN).clamp(REGISTRATION_AT_LEAST, REGISTRATION_WITHIN);
    let turn = tokio::spawn(async move { register(&endpoint, &policy, request, &source, &id, answer_by).await });
    turn.await.map(|response| gateway::answer(&response)).map_err(|_| Failure::Broken)
}

/// Handles an Alexa request. It fails only if the request is for another skill. After a panic, the response is an panic_response.
async fn request<P: Ports>(skill: Arc<Skill<P>>, payload: Value, left: Duration) -> Result<Value, Failure> {
    // A remaining time of zero at the start is the result of a wrong clock.
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
        Err(_) => Ok(panic_response(&skill.model, &envelope)),
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

/// Handles the report that a device uses its newest certificate. If another attempt holds the thing, the sweep does the work
/// later.
async fn certificate_in_use<P: Ports>(skill: &Skill<P>, event: &Value, left: Duration) -> Result<Value, LifecycleError> {
    let text = |field: &str| event.get(field).and_then(Value::as_str);
    let (thing, certificate) = (text("thing").and_then(ThingName::parse), text("certificateId").and_then(CertificateId::parse));
    // Any device with a certificate of a thing can send arbitrary values.
    let (Some(thing), Some(certificate)) = (thing, certificate) else { return Ok(json!({"revoked": 0})) };
    let deadline = Instant::now() + left.min(LONGEST_WAIT);
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

    /// A function that is not the endpoint must not treat a registration request as one of its own events.
    #[test]
    fn a_registration_request_is_no_event_of_the_other_functions() {
        let registration = json!({"version": "2.0", "requestContext": {"http": {"method": "POST"}}, "body": "{}"});
        assert!(matches!(Event::of(&registration), Event::RegistrationRequest));
    }
}
