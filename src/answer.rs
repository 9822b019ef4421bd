//! The spine: request, identify, onboard, deliver, relay, reply.
//!
//! Every request that is for this skill is answered within [`ANSWER_WITHIN`], whatever hangs behind it.

use std::time::Duration;

use serde_json::Value;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use crate::alexa::request::{Confirmation, Intent, Kind, Request};
use crate::alexa::response::Answer;
use crate::alexa::{directive, progress};
use crate::bundle::Broker;
use crate::deliver::{self, Mailer, Parcel, Sender};
use crate::fault::{Blame, Fault, chain};
use crate::https::Https;
use crate::identify::{AccessToken, IdentifyError, Login, Profile, identify};
use crate::locales::{Locale, Phrase};
use crate::memory::{Memory, Ready, carried, carry};
use crate::model::Model;
use crate::onboard::{self, A_DAY, Applicant, Means, OnboardError, Onboarded, Registry, onboard, within_a_day};
use crate::relay::{Command, Patch, Shadow, Shadows};
use crate::reply::{Trouble, Voice};
use crate::thing::{Certificate, ThingName};
use crate::wish::{Change, Wish, can_fulfill, wish};

/// Alexa gives up after about eight seconds; the promise is seven, and the way back takes its share.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(6_500);

/// The skill: what it is for, and the four ports it works through.
pub struct Skill<L, R, S, M> {
    /// The skill ids that may call.
    pub skill_ids: Vec<String>,
    /// The client id that tokens must be made for.
    pub client_id: Option<String>,
    /// How long one attempt to onboard keeps others away, in seconds.
    pub lease: u64,
    /// What the device can do.
    pub model: Model,
    /// Where devices connect.
    pub broker: Broker,
    /// Who mail comes from.
    pub sender: Sender,
    /// Who signs owners in.
    pub login: L,
    /// Things and certificates.
    pub registry: R,
    /// Shadows.
    pub shadows: S,
    /// Mail.
    pub mailer: M,
    /// For progressive responses.
    pub https: Https,
    /// Seconds since the epoch.
    pub now: fn() -> u64,
    /// What this process knows about owners.
    pub memory: Memory,
}

/// The request is for another skill, or for none.
#[derive(Debug, Error)]
#[error("the request is not for this skill: its skill id is missing or not among SKILL_ID")]
pub struct NotOurs;

/// So many mails with a certificate an owner gets in a day.
const MAILS_A_DAY: usize = 3;

/// Answers a request of Alexa. `answer_by` is when the answer must be ready.
pub async fn answer<L: Login, R: Registry, S: Shadows, M: Mailer>(
    skill: &Skill<L, R, S, M>,
    envelope: &Value,
    answer_by: Instant,
) -> Result<Value, NotOurs> {
    if let Some(directive) = envelope.get("directive").filter(|directive| directive.is_object()) {
        tracing::warn!("a smart home directive, which this skill does not offer");
        return Ok(directive::refuse(directive, &nonce()));
    }
    let request = Request::read(envelope);
    if !request.is_for(&skill.skill_ids) {
        return Err(NotOurs);
    }
    let voice = Voice { locale: Locale::of(request.locale.as_deref()), model: &skill.model };
    let mut turn = Turn { skill, request: &request, voice, known: None, answer_by };
    let outcome = timeout_at(answer_by, turn.take()).await.unwrap_or(Err(Trouble::Late));
    let mut answer = outcome.unwrap_or_else(|trouble| {
        log(&trouble, request.id.as_deref());
        voice.trouble(&trouble)
    });
    answer.attributes = turn.attributes();
    Ok(answer.envelope(&request))
}

/// One line per failure, at the edge.
fn log(trouble: &Trouble, request_id: Option<&str>) {
    let (step, fault, cause, request_id) = (trouble.step(), trouble.fault(), trouble.cause(), request_id.unwrap_or_default());
    let detail = chain(trouble);
    match fault {
        Fault::Speaker => tracing::info!(%step, %fault, cause, request_id, "{detail}"),
        Fault::Again => tracing::warn!(%step, %fault, cause, request_id, "{detail}"),
        Fault::Maker => tracing::error!(%step, %fault, cause, request_id, "{detail}"),
    }
}

/// The apology for a request on which the skill itself broke down.
pub fn apology(model: &Model, envelope: &Value) -> Value {
    let request = Request::read(envelope);
    let voice = Voice { locale: Locale::of(request.locale.as_deref()), model };
    voice.trouble(&Trouble::Late).envelope(&request)
}

/// One request and what has become known on the way.
struct Turn<'a, L, R, S, M> {
    skill: &'a Skill<L, R, S, M>,
    request: &'a Request,
    voice: Voice<'a>,
    known: Option<(Ready, u64)>,
    answer_by: Instant,
}

/// An owner in front of the skill.
struct Present {
    ready: Ready,
    /// The shadow, where it was read on the way.
    shadow: Option<Shadow>,
    /// Whether this very request onboarded them, and with it delivered what they asked for.
    new: bool,
}

impl<L: Login, R: Registry, S: Shadows, M: Mailer> Turn<'_, L, R, S, M> {
    async fn take(&mut self) -> Result<Answer, Trouble> {
        match &self.request.kind {
            Kind::Launch | Kind::SessionResumed => {
                let owner = self.present(None).await?;
                Ok(if owner.new { self.voice.welcome(None) } else { self.voice.greeting() })
            }
            Kind::Intent(intent) => self.intent(intent).await,
            Kind::CanFulfill(intent) => Ok(Answer { can_fulfill: Some(can_fulfill(&self.skill.model, intent)), ..Answer::default() }),
            Kind::AccountLinked => {
                self.present(None).await?;
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
        if intent.name == "SendCertificateIntent" {
            return match intent.confirmation {
                Confirmation::None => Ok(self.voice.confirm(intent, &self.voice.words(&Phrase::ReallySendAgain))),
                Confirmation::Denied => Ok(self.voice.not_done()),
                Confirmation::Confirmed => self.send_again().await,
            };
        }
        let model = &self.skill.model;
        match wish(model, intent) {
            Wish::Change { change, says } => self.relay(&self.patch(change), &says).await,
            Wish::Answer(sentences) => {
                let owner = self.present(None).await?;
                if owner.new {
                    return Ok(self.voice.welcome(None));
                }
                let shadow = match owner.shadow {
                    Some(shadow) => shadow,
                    None => self.skill.shadows.read(&owner.ready.thing).await?.unwrap_or_default(),
                };
                self.remember(Ready { online_before: shadow.has_been_online(), ..owner.ready });
                Ok(self.voice.status(sentences, &shadow, (self.skill.now)()))
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

    async fn relay(&mut self, patch: &Patch, says: &str) -> Result<Answer, Trouble> {
        let owner = self.present(Some(patch)).await?;
        if owner.new {
            return Ok(self.voice.welcome(Some(patch)));
        }
        let (shadows, thing) = (&self.skill.shadows, &owner.ready.thing);
        // A device that was never online may have come online since: asked beside the update, it costs no time.
        let unsure = !owner.ready.online_before && owner.shadow.is_none();
        let look = async { if unsure { shadows.read(thing).await.ok().flatten() } else { None } };
        let (updated, shadow) = tokio::join!(shadows.update(thing, patch), look);
        updated?;
        let online_before = owner.ready.online_before || shadow.is_some_and(|shadow| shadow.has_been_online());
        self.remember(Ready { online_before, ..owner.ready });
        Ok(self.voice.relayed(says, online_before, patch))
    }

    /// A new certificate in place of one that is lost or in wrong hands. The mark in the shadow comes first:
    /// whatever stops this request, the next contact goes on with it.
    async fn send_again(&mut self) -> Result<Answer, Trouble> {
        let (skill, token) = (self.skill, self.token()?.clone());
        let identity = identify(&skill.login, skill.client_id.as_deref(), &token).await?;
        if identity.profile.email.is_none() {
            return Err(Trouble::NoEmail);
        }
        let thing = ThingName::of(&skill.model.thing_prefix, &identity.profile.owner);
        let (shadow, record) = tokio::join!(skill.shadows.read(&thing), skill.registry.look(&thing));
        let Some(shadow) = shadow? else {
            self.onboard(&identity.profile, &thing, None).await?;
            return Ok(self.voice.welcome(None));
        };
        let now = (skill.now)();
        let record = record.map_err(OnboardError::from)?;
        let today = record.map(|record| within_a_day(&record.sent, now)).unwrap_or_default();
        if let (false, MAILS_A_DAY.., Some(first)) = (shadow.again, today.len(), today.iter().min()) {
            return Ok(self.voice.sent_too_often(first + A_DAY - now));
        }
        skill.shadows.update(&thing, &Patch::again(now)).await?;
        skill.memory.forget(token.fingerprint());
        self.onboard(&identity.profile, &thing, None).await?;
        Ok(self.voice.sent_again())
    }

    fn patch(&self, change: Change) -> Patch {
        let (name, args) = match change {
            Change::Set(properties) => return Patch::set(properties),
            Change::Command { name, args } => (name, args),
        };
        let issued_at = (self.skill.now)();
        Patch::command(&Command {
            // Alexa's own id: a request that is delivered twice is one command.
            id: self.request.id.clone().unwrap_or_else(nonce),
            name,
            args,
            issued_at,
            expires_at: issued_at + self.skill.model.command_lifetime,
        })
    }

    fn token(&self) -> Result<&AccessToken, IdentifyError> {
        self.request.access_token.as_ref().ok_or(IdentifyError::NotLinked)
    }

    /// The owner, ready: recalled, found or made. `wanted` goes along with the first state of a new owner.
    async fn present(&mut self, wanted: Option<&Patch>) -> Result<Present, Trouble> {
        let token = self.token()?.clone();
        if let Some((ready, until)) = self.recall(&token) {
            self.known = Some((ready.clone(), until));
            return Ok(Present { ready, shadow: None, new: false });
        }
        let skill = self.skill;
        let identity = identify(&skill.login, skill.client_id.as_deref(), &token).await?;
        let until = (skill.now)() + identity.good_for;
        let thing = ThingName::of(&skill.model.thing_prefix, &identity.profile.owner);
        self.known = None;
        let (shadow, new) = match skill.shadows.read(&thing).await? {
            Some(shadow) if !shadow.again => (Some(shadow), false),
            _ => (None, self.onboard(&identity.profile, &thing, wanted).await? == Onboarded::Now),
        };
        let online_before = shadow.as_ref().is_some_and(Shadow::has_been_online);
        let ready = Ready { thing, online_before };
        self.known = Some((ready.clone(), until));
        self.remember(ready.clone());
        Ok(Present { ready, shadow, new })
    }

    async fn onboard(&self, profile: &Profile, thing: &ThingName, wanted: Option<&Patch>) -> Result<Onboarded, Trouble> {
        let skill = self.skill;
        let to = profile.email.as_ref().ok_or(Trouble::NoEmail)?;
        let now = (skill.now)();
        let first = match wanted {
            Some(wanted) => Patch::ready(now).and(wanted),
            None => Patch::ready(now),
        };
        let write = |certificate: &Certificate| {
            let parcel = Parcel {
                name: profile.name.as_deref(),
                to,
                thing,
                device: &skill.model.name,
                invocation: &skill.model.invocation,
                broker: &skill.broker,
                locale: self.voice.locale,
                now,
            };
            deliver::compose(&skill.sender, &parcel, certificate)
        };
        let means = Means {
            registry: &skill.registry,
            shadows: &skill.shadows,
            mailer: &skill.mailer,
            now: skill.now,
            lease: skill.lease,
            nonce: nonce(),
            deadline: self.answer_by,
            decide: onboard::next,
        };
        let applicant = Applicant { owner: &profile.owner, thing, first_state: &first, write };
        let speech = self.voice.speech(&Phrase::SettingUp);
        let onboarding = std::pin::pin!(onboard(&means, &applicant));
        let mut onboarding = onboarding;
        let onboarded = tokio::select! {
            biased;
            onboarded = &mut onboarding => onboarded,
            () = progress::speak(&skill.https, self.request, &speech) => onboarding.await,
        };
        let onboarded = onboarded?;
        tracing::info!(%thing, ?onboarded, "an owner is ready");
        Ok(onboarded)
    }

    /// What the process or the session knows about the holder of this token.
    fn recall(&self, token: &AccessToken) -> Option<(Ready, u64)> {
        let (fingerprint, now) = (token.fingerprint(), (self.skill.now)());
        if let Some(known) = self.skill.memory.recall(fingerprint, now) {
            return Some(known);
        }
        carried(&self.request.attributes, &self.skill.model.thing_prefix, fingerprint, now)
    }

    /// Keeps what is known, for as long as the token was good for.
    fn remember(&mut self, ready: Ready) {
        let (Some((_, until)), Ok(token)) = (&self.known, self.token()) else { return };
        let until = *until;
        self.skill.memory.keep(token.fingerprint(), ready.clone(), until, (self.skill.now)());
        self.known = Some((ready, until));
    }

    /// The session's attributes: ours anew, those of others as they came.
    fn attributes(&self) -> serde_json::Map<String, Value> {
        let mut attributes = self.request.attributes.clone();
        if let (Some((ready, until)), Ok(token)) = (&self.known, self.token()) {
            carry(&mut attributes, ready, *until, token.fingerprint());
        }
        attributes
    }
}

/// A word that nobody else uses: 128 random bits in hex.
fn nonce() -> String {
    let mut bits = [0_u8; 16];
    if getrandom::fill(&mut bits).is_err() {
        // Without the kernel's randomness there is no TLS either; the clock still tells attempts apart.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        bits = now.as_nanos().to_be_bytes();
    }
    data_encoding::HEXLOWER.encode(&bits)
}
