//! The spine: request, identify, onboard, deliver, relay, reply.
//!
//! Every request that is for this skill is answered within [`ANSWER_WITHIN`], whatever hangs behind it.

pub mod cache;
mod code;
mod identity;
mod news;
mod owner;
mod relay;

use std::time::Duration;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use self::news::News;
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
use crate::skill::cache::{OwnerCache, Ready};
use crate::speech::intent::{ResolvedIntent, can_fulfill, resolve};
use crate::speech::locales::Locale;
use crate::speech::reply::{Responder, SkillError};
use crate::speech::slot_value::SlotReader;

/// Alexa gives up after about eight seconds; the promise is seven, and the way back takes its share.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(6_500);
/// For so long an answer waits for what is only good to know.
const LOOK_WITHIN: Duration = Duration::from_secs(2);

/// What an owner of any device can ask for, whatever its model says: intents that the skill answers itself.
pub const OWN_INTENTS: [&str; 4] = ["SendCertificateIntent", "ForgetMeIntent", "GiveCodeIntent", "ConnectionIntent"];

/// The ports that a skill works through: which implementation is behind each.
pub trait Ports: 'static {
    /// Who an owner is.
    type Login: Login;
    /// Things and certificates.
    type Registry: Registry;
    /// Shadows.
    type Shadows: Shadows;
    /// Mail.
    type Mailer: Mailer;
    /// Claim codes.
    type Claims: Claims;
}

/// The skill: what it is for, and the ports it works through.
pub struct Skill<P: Ports> {
    /// The skill ids that may call.
    pub skill_ids: Vec<String>,
    /// The client id that tokens must be made for.
    pub client_id: Option<String>,
    /// How long one attempt to onboard keeps others away, in seconds.
    pub lease: u64,
    /// How long the identity of a disabled skill is kept, in seconds.
    pub retention: u64,
    /// What the device can do.
    pub model: Model,
    /// Where devices connect.
    pub broker: Broker,
    /// Who mail comes from.
    pub sender: Sender,
    /// Who signs owners in.
    pub login: P::Login,
    /// Things and certificates.
    pub registry: P::Registry,
    /// Shadows.
    pub shadows: P::Shadows,
    /// Mail.
    pub mailer: P::Mailer,
    /// Claim codes, where this skill has an endpoint at which they count.
    pub claims: Option<P::Claims>,
    /// For progressive responses.
    pub https: Https,
    /// Seconds since the epoch.
    pub now: fn() -> u64,
    /// What this process knows about owners.
    pub owner_cache: OwnerCache,
    /// Counts and times what happens.
    pub measure: Meter,
}

impl<P: Ports> Skill<P> {
    /// A lease of its own for whoever is about to change a thing.
    pub fn lease(&self) -> Lease {
        Lease::new(self.lease, self.now)
    }
}

/// The request is for another skill, or for none.
#[derive(Debug, Error)]
#[error("the request is not for this skill: its skill id is missing or not among SKILL_ID")]
pub struct NotOurs;

/// Answers a request of Alexa. `answer_by` is when the answer must be ready.
pub async fn answer<P: Ports>(skill: &Skill<P>, envelope: &Value, answer_by: Instant) -> Result<Value, NotOurs> {
    if let Some(directive) = envelope.get("directive").filter(|directive| directive.is_object()) {
        tracing::warn!("a smart home directive, which this skill does not offer");
        return Ok(directive::refuse(directive, &nonce()));
    }
    let request = Request::read(envelope);
    if !request.is_for(&skill.skill_ids) {
        return Err(NotOurs);
    }
    let responder = Responder { locale: Locale::of(request.locale.as_deref()), model: &skill.model };
    let mut turn =
        Turn { skill, request: &request, responder, known: None, bounce: None, news: News::default(), asked: Map::new(), answer_by };
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

/// What an owner can read out to the maker to find the line of the log: five digits, by the request.
fn code(request: &Request) -> String {
    let id = request.id.clone().unwrap_or_else(nonce);
    let digest: [u8; 32] = Sha256::digest(id.as_bytes()).into();
    let number = digest.iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    format!("{:05}", number % 100_000)
}

/// One line per failure, at the edge.
fn log(error: &SkillError, code: &str, request_id: Option<&str>) {
    let (step, fault, cause, request_id) = (error.step(), error.fault(), error.cause(), request_id.unwrap_or_default());
    let detail = chain(error);
    match fault {
        Fault::Speaker => tracing::info!(%step, %fault, cause, code, request_id, "{detail}"),
        Fault::Again => tracing::warn!(%step, %fault, cause, code, request_id, "{detail}"),
        Fault::Maker => tracing::error!(%step, %fault, cause, code, request_id, "{detail}"),
    }
}

/// The apology for a request on which the skill itself broke down, and the line of the log.
pub fn apology(model: &Model, envelope: &Value) -> Value {
    let request = Request::read(envelope);
    let (responder, code) = (Responder { locale: Locale::of(request.locale.as_deref()), model }, code(&request));
    tracing::error!(step = "request", fault = "maker", cause = "panic", code, "the skill broke down on a request");
    responder.coded(responder.error(&SkillError::Late), &SkillError::Late, &code).envelope(&request)
}

/// One request and what has become known on the way.
struct Turn<'a, P: Ports> {
    skill: &'a Skill<P>,
    request: &'a Request,
    responder: Responder<'a>,
    known: Option<(Ready, u64)>,
    /// What became of an earlier mail, to be said beside the answer.
    bounce: Option<Bounce>,
    /// What the device could not do, to be said beside the answer.
    news: News,
    /// A question that the next request of the session answers.
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
                    // Only this one is about what we said; the others are an Echo that lost its network.
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
        // Everything below needs an account: no questions to somebody who will only hear "link first".
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
                self.remember(Ready { online_before: presence == Presence::Present, ..ready });
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

    /// What an owner hears who has just been made ready, with what became of a command they began with.
    async fn welcome(&self, wanted: Option<&Patch>) -> Answer {
        self.responder.welcome(wanted, self.mail_waits().await)
    }

    /// Who can change it, where the mail of the owner who is present has not gone out yet.
    async fn mail_waits(&self) -> Option<Fault> {
        let (ready, _) = self.known.as_ref()?;
        self.skill.mailer.waits(&ready.thing).await
    }
}
