//! The Alexa skill: validates a request, identifies and onboards the owner, executes the intent and composes the response.
//!
//! Each request for this skill gets a response within [`ANSWER_WITHIN`], however long the calls behind it take.

pub mod cache;
mod code;
mod identity;
mod owner;
mod relay;
mod unreported_failures;

use std::time::Duration;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use self::unreported_failures::UnreportedFailures;
use crate::alexa::directive;
use crate::alexa::request::{Intent, Kind, Request};
use crate::alexa::response::Answer;
use crate::device_model::Model;
use crate::fault::{ClassifiedError, Fault, chain};
use crate::https::Https;
use crate::login::Login;
use crate::mail::bundle::Broker;
use crate::mail::{Mailer, Sender};
use crate::metrics::Meter;
use crate::onboarding::Trigger;
use crate::onboarding::lease::{Lease, nonce};
use crate::registration::claims::Claims;
use crate::registry::{Bounce, Registry};
use crate::shadow::{Patch, Presence, Shadows};
use crate::skill::cache::{OwnerCache, OwnerState};
use crate::speech::intent::{ResolvedIntent, can_fulfill, resolve};
use crate::speech::locales::Locale;
use crate::speech::reply::{Responder, SkillError};
use crate::speech::slot_value::SlotReader;

/// The time limit for a response. Alexa gives up after about eight seconds. The limit of this project is seven, which includes
/// the transfer of the response.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(6_500);
/// The time limit for a call whose result is optional for the response.
const LOOK_WITHIN: Duration = Duration::from_secs(2);

/// The intents that the skill handles itself, independent of the device model.
pub const OWN_INTENTS: [&str; 4] = ["SendCertificateIntent", "ForgetMeIntent", "GiveCodeIntent", "ConnectionIntent"];

/// The implementations of the interfaces that the skill depends on.
pub trait Ports: 'static {
    /// Verifies the access tokens of owners.
    type Login: Login;
    /// Manages things and certificates.
    type Registry: Registry;
    /// Reads and updates shadows.
    type Shadows: Shadows;
    /// Sends mails.
    type Mailer: Mailer;
    /// Stores claim codes.
    type Claims: Claims;
}

/// The skill with its dependencies and settings.
pub struct Skill<P: Ports> {
    /// The ids of the skills that may call.
    pub skill_ids: Vec<String>,
    /// The client id for which access tokens must be issued. `None` disables the check.
    pub client_id: Option<String>,
    /// The duration of a lease in seconds.
    pub lease: u64,
    /// The time in seconds for which the identity of a disabled skill is kept.
    pub retention: u64,
    /// The device model: the intents, commands and properties of the device.
    pub model: Model,
    /// The MQTT broker that devices connect to.
    pub broker: Broker,
    /// The sender of the mails.
    pub sender: Sender,
    /// Verifies the access tokens of owners.
    pub login: P::Login,
    /// Manages things and certificates.
    pub registry: P::Registry,
    /// Reads and updates shadows.
    pub shadows: P::Shadows,
    /// Sends mails.
    pub mailer: P::Mailer,
    /// The store of claim codes. `None` if there is no registration endpoint.
    pub claims: Option<P::Claims>,
    /// The HTTP client for progressive responses.
    pub https: Https,
    /// The current Unix time in seconds.
    pub now: fn() -> u64,
    /// The cache of this process.
    pub owner_cache: OwnerCache,
    /// Receives counts and durations.
    pub measure: Meter,
}

impl<P: Ports> Skill<P> {
    /// A new lease with its own nonce.
    pub fn lease(&self) -> Lease {
        Lease::new(self.lease, self.now)
    }
}

/// The request is for another skill, or it has no skill id.
#[derive(Debug, Error)]
#[error("the request is not for this skill: its skill id is missing or not among SKILL_ID")]
pub struct OtherSkill;

/// Handles an Alexa request. `answer_by` is the time by which the response must be ready.
pub async fn answer<P: Ports>(skill: &Skill<P>, envelope: &Value, answer_by: Instant) -> Result<Value, OtherSkill> {
    if let Some(directive) = envelope.get("directive").filter(|directive| directive.is_object()) {
        tracing::warn!("a smart home directive, which this skill does not offer");
        return Ok(directive::refuse(directive, &nonce()));
    }
    let request = Request::read(envelope);
    if !request.is_for(&skill.skill_ids) {
        return Err(OtherSkill);
    }
    let responder = Responder { locale: Locale::of(request.locale.as_deref()), model: &skill.model };
    let mut turn = Turn {
        skill,
        request: &request,
        responder,
        known: None,
        bounce: None,
        news: UnreportedFailures::default(),
        asked: Map::new(),
        answer_by,
    };
    let outcome = timeout_at(answer_by, turn.take()).await.unwrap_or(Err(SkillError::Late));
    let outcome = match outcome {
        Ok(answer) => Ok(turn.with_news(answer).await),
        Err(error) => Err(error),
    };
    let mut answer = match outcome {
        Ok(answer) => responder.told(answer, turn.bounce),
        Err(error) => {
            let code = code(&request);
            log(&error, &code, request.id.as_deref());
            responder.coded(responder.told(responder.error(&error), turn.bounce), &error, &code)
        }
    };
    answer.attributes = turn.attributes();
    Ok(answer.envelope(&request))
}

/// An error code of five digits, derived from the request id. The user can read it out, so that the operator finds the log line.
fn code(request: &Request) -> String {
    let id = request.id.clone().unwrap_or_else(nonce);
    let digest: [u8; 32] = Sha256::digest(id.as_bytes()).into();
    let number = digest.iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    format!("{:05}", number % 100_000)
}

/// Writes one log line for a failed request.
fn log(error: &SkillError, code: &str, request_id: Option<&str>) {
    let (step, fault, cause, request_id) = (error.step(), error.fault(), error.cause(), request_id.unwrap_or_default());
    let detail = chain(error);
    match fault {
        Fault::Speaker => tracing::info!(%step, %fault, cause, code, request_id, "{detail}"),
        Fault::Again => tracing::warn!(%step, %fault, cause, code, request_id, "{detail}"),
        Fault::Maker => tracing::error!(%step, %fault, cause, code, request_id, "{detail}"),
    }
}

/// The response to a request that made the skill panic. Also writes the log line.
pub fn panic_response(model: &Model, envelope: &Value) -> Value {
    let request = Request::read(envelope);
    let (responder, code) = (Responder { locale: Locale::of(request.locale.as_deref()), model }, code(&request));
    tracing::error!(step = "request", fault = "maker", cause = "panic", code, "the skill broke down on a request");
    responder.coded(responder.error(&SkillError::Late), &SkillError::Late, &code).envelope(&request)
}

/// The state of the processing of one request.
struct Turn<'a, P: Ports> {
    skill: &'a Skill<P>,
    request: &'a Request,
    responder: Responder<'a>,
    known: Option<(OwnerState, u64)>,
    /// The bounce of an earlier mail. The response mentions it.
    bounce: Option<Bounce>,
    /// Failures of the device. The response mentions them.
    news: UnreportedFailures,
    /// Session attributes for a question that the next request of the session answers.
    asked: Map<String, Value>,
    answer_by: Instant,
}

impl<P: Ports> Turn<'_, P> {
    async fn take(&mut self) -> Result<Answer, SkillError> {
        match &self.request.kind {
            Kind::Launch | Kind::SessionResumed => {
                let owner = self.present(Trigger::Speech, None).await?;
                if owner.new {
                    return Ok(self.welcome(None).await);
                }
                self.look_for_news(&owner).await;
                Ok(self.responder.greeting())
            }
            Kind::Intent(intent) => self.intent(intent).await,
            Kind::CanFulfill(intent) => Ok(Answer { can_fulfill: Some(can_fulfill(&self.skill.model, intent)), ..Answer::default() }),
            Kind::AccountLinked => {
                self.present(Trigger::Linked, None).await?;
                Ok(Answer::default())
            }
            Kind::Disabled => {
                self.disabled().await?;
                Ok(Answer::default())
            }
            Kind::SessionEnded { reason, error } => {
                match error {
                    // Only this error is about a response of the skill. The other errors are network failures of the Echo device.
                    Some(error) if error.kind == "INVALID_RESPONSE" => {
                        tracing::error!(step = "request", fault = "maker", cause = "session_ended", kind = error.kind, "{}", error.message);
                    }
                    Some(error) => tracing::warn!(step = "request", cause = "session_ended", kind = error.kind, "{}", error.message),
                    None => tracing::info!(reason, "the session ended"),
                }
                Ok(Answer::default())
            }
            Kind::Exception(error) => {
                tracing::error!(step = "request", fault = "maker", cause = "exception_encountered", kind = error.kind, "{}", error.message);
                Ok(Answer::default())
            }
            Kind::Other(kind) => {
                tracing::info!(kind, "a request type that needs no answer");
                Ok(Answer::default())
            }
            Kind::Missing => {
                tracing::warn!("an envelope without a request");
                Ok(Answer::default())
            }
        }
    }

    async fn intent(&mut self, intent: &Intent) -> Result<Answer, SkillError> {
        match intent.name.as_str() {
            "AMAZON.HelpIntent" => return Ok(self.responder.help()),
            "AMAZON.StopIntent" | "AMAZON.CancelIntent" | "AMAZON.NavigateHomeIntent" => return Ok(self.responder.goodbye()),
            "AMAZON.FallbackIntent" => return Ok(self.responder.not_understood()),
            _ => {}
        }
        // All intents below need a linked account. Check it first, so that no user has to answer questions before being asked to
        // link.
        self.token()?;
        match intent.name.as_str() {
            "SendCertificateIntent" => return self.send_certificate(intent).await,
            "ForgetMeIntent" => return self.forget_me(intent).await,
            "AMAZON.YesIntent" | "AMAZON.NoIntent" => return self.answered(intent.name == "AMAZON.YesIntent").await,
            "GiveCodeIntent" => return self.give_code().await,
            "ConnectionIntent" => return self.connection().await,
            _ => {}
        }
        let model = &self.skill.model;
        match resolve(model, intent, SlotReader { locale: self.responder.locale, now: (self.skill.now)() }) {
            ResolvedIntent::Change { change, says } => self.relay(change, &says).await,
            ResolvedIntent::Answer(sentences) => {
                let owner = self.present(Trigger::Speech, None).await?;
                if owner.new {
                    return Ok(self.welcome(None).await);
                }
                let shadow = match owner.shadow {
                    Some(shadow) => shadow,
                    None => self.skill.shadows.read(&owner.ready.thing).await?.unwrap_or_default(),
                };
                let ready = self.seen(owner.ready, &shadow);
                if shadow.has_been_online() {
                    let news = self.news.take();
                    return Ok(self.responder.status(sentences, &shadow, (self.skill.now)(), &news));
                }
                let presence = self.presence(&ready.thing).await;
                self.remember(OwnerState { online_before: presence == Presence::Present, ..ready });
                match self.mail_waits().await {
                    Some(fault) if presence != Presence::Present => Ok(self.responder.mail_waits(fault)),
                    _ => Ok(self.responder.reports_nothing(presence, (self.skill.now)())),
                }
            }
            ResolvedIntent::Elicit { slot, question } => Ok(self.responder.elicit(intent, slot, question, self.request.dialog_open)),
            ResolvedIntent::Confirm(question) => Ok(self.responder.confirm(intent, &question)),
            ResolvedIntent::Denied => Ok(self.responder.not_done()),
            ResolvedIntent::InvalidSlot { slot, why } => Ok(self.responder.invalid_slot(intent, slot, &why)),
            ResolvedIntent::Unknown => {
                tracing::warn!(intent = intent.name, "an intent that the device model does not have");
                Ok(self.responder.not_understood())
            }
        }
    }

    /// The response to an owner who has just been onboarded, with the result of the command in the first utterance.
    async fn welcome(&self, wanted: Option<&Patch>) -> Answer {
        self.responder.welcome(wanted, self.mail_waits().await)
    }

    /// If the mail to the current owner is still waiting: who can correct the cause.
    async fn mail_waits(&self) -> Option<Fault> {
        let (ready, _) = self.known.as_ref()?;
        self.skill.mailer.waits(&ready.thing).await
    }
}
