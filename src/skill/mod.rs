//! The spine: request, identify, onboard, deliver, relay, reply.
//!
//! Every request that is for this skill is answered within [`ANSWER_WITHIN`], whatever hangs behind it.

mod code;
mod identity;
pub mod memory;
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
use crate::fault::{Blame, Fault, chain};
use crate::https::Https;
use crate::login::Login;
use crate::mail::bundle::Broker;
use crate::mail::{Mailer, Sender};
use crate::metrics::Meter;
use crate::onboarding::Occasion;
use crate::onboarding::lease::{Lease, nonce};
use crate::registration::claims::Claims;
use crate::registry::{Registry, Returned};
use crate::shadow::{Patch, Presence, Shadows};
use crate::skill::memory::{Memory, Ready};
use crate::speech::intent::{Wish, can_fulfill, wish};
use crate::speech::locales::Locale;
use crate::speech::reply::{Trouble, Voice};
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
    pub memory: Memory,
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
    let voice = Voice { locale: Locale::of(request.locale.as_deref()), model: &skill.model };
    let mut turn =
        Turn { skill, request: &request, voice, known: None, returned: None, news: News::default(), asked: Map::new(), answer_by };
    let outcome = timeout_at(answer_by, turn.take()).await.unwrap_or(Err(Trouble::Late));
    let outcome = match outcome {
        Ok(answer) => Ok(turn.with_news(answer).await),
        Err(trouble) => Err(trouble),
    };
    let mut answer = match outcome {
        Ok(answer) => voice.told(answer, turn.returned),
        Err(trouble) => {
            let code = code(&request);
            log(&trouble, &code, request.id.as_deref());
            voice.coded(voice.told(voice.trouble(&trouble), turn.returned), &trouble, &code)
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
fn log(trouble: &Trouble, code: &str, request_id: Option<&str>) {
    let (step, fault, cause, request_id) = (trouble.step(), trouble.fault(), trouble.cause(), request_id.unwrap_or_default());
    let detail = chain(trouble);
    match fault {
        Fault::Speaker => tracing::info!(%step, %fault, cause, code, request_id, "{detail}"),
        Fault::Again => tracing::warn!(%step, %fault, cause, code, request_id, "{detail}"),
        Fault::Maker => tracing::error!(%step, %fault, cause, code, request_id, "{detail}"),
    }
}

/// The apology for a request on which the skill itself broke down, and the line of the log.
pub fn apology(model: &Model, envelope: &Value) -> Value {
    let request = Request::read(envelope);
    let (voice, code) = (Voice { locale: Locale::of(request.locale.as_deref()), model }, code(&request));
    tracing::error!(step = "request", fault = "maker", cause = "panic", code, "the skill broke down on a request");
    voice.coded(voice.trouble(&Trouble::Late), &Trouble::Late, &code).envelope(&request)
}

/// One request and what has become known on the way.
struct Turn<'a, P: Ports> {
    skill: &'a Skill<P>,
    request: &'a Request,
    voice: Voice<'a>,
    known: Option<(Ready, u64)>,
    /// What became of an earlier mail, to be said beside the answer.
    returned: Option<Returned>,
    /// What the device could not do, to be said beside the answer.
    news: News,
    /// A question that the next request of the session answers.
    asked: Map<String, Value>,
    answer_by: Instant,
}

impl<P: Ports> Turn<'_, P> {
    async fn take(&mut self) -> Result<Answer, Trouble> {
        match &self.request.kind {
            Kind::Launch | Kind::SessionResumed => {
                let owner = self.present(Occasion::Spoken, None).await?;
                if owner.new {
                    return Ok(self.welcome(None).await);
                }
                self.look_for_news(&owner).await;
                Ok(self.voice.greeting())
            }
            Kind::Intent(intent) => self.intent(intent).await,
            Kind::CanFulfill(intent) => Ok(Answer { can_fulfill: Some(can_fulfill(&self.skill.model, intent)), ..Answer::default() }),
            Kind::AccountLinked => {
                self.present(Occasion::Linked, None).await?;
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

    async fn intent(&mut self, intent: &Intent) -> Result<Answer, Trouble> {
        match intent.name.as_str() {
            "AMAZON.HelpIntent" => return Ok(self.voice.help()),
            "AMAZON.StopIntent" | "AMAZON.CancelIntent" | "AMAZON.NavigateHomeIntent" => return Ok(self.voice.goodbye()),
            "AMAZON.FallbackIntent" => return Ok(self.voice.not_understood()),
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
        match wish(model, intent, SlotReader { locale: self.voice.locale, now: (self.skill.now)() }) {
            Wish::Change { change, says } => self.relay(change, &says).await,
            Wish::Answer(sentences) => {
                let owner = self.present(Occasion::Spoken, None).await?;
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
                    return Ok(self.voice.status(sentences, &shadow, (self.skill.now)(), &news));
                }
                let presence = self.presence(&ready.thing).await;
                self.remember(Ready { online_before: presence == Presence::Present, ..ready });
                match self.mail_waits().await {
                    Some(fault) if presence != Presence::Present => Ok(self.voice.mail_waits(fault)),
                    _ => Ok(self.voice.reports_nothing(presence, (self.skill.now)())),
                }
            }
            Wish::Elicit { slot, question } => Ok(self.voice.elicit(intent, slot, question, self.request.dialog_open)),
            Wish::Confirm(question) => Ok(self.voice.confirm(intent, &question)),
            Wish::Declined => Ok(self.voice.not_done()),
            Wish::Misfit { slot, misfit } => Ok(self.voice.misfit(intent, slot, &misfit)),
            Wish::Unknown => {
                tracing::warn!(intent = intent.name, "an intent that the device model does not have");
                Ok(self.voice.not_understood())
            }
        }
    }

    /// What an owner hears who has just been made ready, with what became of a command they began with.
    async fn welcome(&self, wanted: Option<&Patch>) -> Answer {
        self.voice.welcome(wanted, self.mail_waits().await)
    }

    /// Who can change it, where the mail of the owner who is present has not gone out yet.
    async fn mail_waits(&self) -> Option<Fault> {
        let (ready, _) = self.known.as_ref()?;
        self.skill.mailer.waits(&ready.thing).await
    }
}
