//! Requests about the identity itself: another certificate, deletion, the connection state, and the event that the skill was
//! disabled.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{Skill, Turn};
use crate::alexa::request::{Confirmation, Intent};
use crate::alexa::response::Answer;
use crate::fault::chain;
use crate::lifecycle::{Forgotten, LifecycleError, forget, suspend};
use crate::mail::{self, Mailer};
use crate::onboarding::{OnboardError, Trigger};
use crate::registry::Registry;
use crate::shadow::{Connection, Shadow, Shadows};
use crate::skill::Ports;
use crate::speech::locales::Phrase;
use crate::speech::reply::{Diagnosis, SkillError};

/// The session attribute for the open question about deletion.
const FORGET: &str = "onething.forget";
/// The time in seconds within which the user must answer.
const TO_ANSWER: u64 = 120;
/// The pause between two attempts of an operation that must succeed.
const PAUSE: Duration = Duration::from_secs(1);

impl<P: Ports> Skill<P> {
    /// The prefix of the skill's session attributes.
    pub(super) const ATTRIBUTES: &str = "onething";
}

impl<P: Ports> Turn<'_, P> {
    /// `SendCertificateIntent`: a new certificate, because the old one is lost or compromised.
    pub(super) async fn send_certificate(&mut self, intent: &Intent) -> Result<Answer, SkillError> {
        match intent.confirmation {
            Confirmation::None => return Ok(self.responder.confirm(intent, &self.responder.words(&Phrase::ReallySendAgain))),
            Confirmation::Denied => return Ok(self.responder.not_done()),
            Confirmation::Confirmed => {}
        }
        let identity = self.identify().await?;
        self.recipient(&identity.profile)?;
        let thing = self.thing_of(&identity);
        let shadow = self.skill.shadows.read(&thing).await?;
        let known = shadow.is_some();
        self.forget_state();
        match self.onboard(&identity, &thing, Trigger::AsksForAnother, shadow, None).await {
            Ok(_) if known => Ok(self.responder.sent_again(self.skill.mailer.waits(&thing).await)),
            Ok(_) => Ok(self.responder.welcome(None, self.skill.mailer.waits(&thing).await)),
            Err(SkillError::Onboard(OnboardError::TooOften(seconds))) => Ok(self.responder.sent_too_often(seconds)),
            Err(error) => Err(error),
        }
    }

    /// `ForgetMeIntent`: deletes the identity. The user must confirm it twice: in the dialog of the intent and in a second
    /// question.
    pub(super) async fn forget_me(&mut self, intent: &Intent) -> Result<Answer, SkillError> {
        match intent.confirmation {
            Confirmation::None => Ok(self.responder.confirm(intent, &self.responder.words(&Phrase::ReallyForget))),
            Confirmation::Denied => Ok(self.responder.not_done()),
            Confirmation::Confirmed => {
                let question = json!({"token": self.token()?.fingerprint().hex(), "at": (self.skill.now)()});
                self.asked.insert(FORGET.to_owned(), question);
                Ok(self.responder.question(&Phrase::ReallyReallyForget))
            }
        }
    }

    /// `AMAZON.YesIntent` and `AMAZON.NoIntent`: the answer to the open question of the session.
    pub(super) async fn answered(&mut self, yes: bool) -> Result<Answer, SkillError> {
        let (token, now) = (self.token()?.fingerprint().hex(), (self.skill.now)());
        let open = self.request.attributes.get(FORGET).filter(|question| {
            let asked = question["at"].as_u64().unwrap_or_default();
            question["token"] == token.as_str() && (asked..=asked + TO_ANSWER).contains(&now)
        });
        match (open, yes) {
            (None, _) => Ok(self.responder.not_understood()),
            (Some(_), false) => Ok(self.responder.not_done()),
            (Some(_), true) => self.forget().await,
        }
    }

    async fn forget(&mut self) -> Result<Answer, SkillError> {
        let identity = self.identify().await?;
        let (skill, thing) = (self.skill, self.thing_of(&identity));
        self.forget_state();
        let lease = skill.lease();
        let forgotten = loop {
            match forget(&skill.registry, &skill.shadows, &lease, &thing).await {
                Ok(forgotten) => break forgotten,
                Err(error) => self.again(error).await?,
            }
        };
        tracing::info!(%thing, ?forgotten, "an owner was forgotten");
        // The last mail. Its failure does not change the result.
        if let Some(to) = identity.profile.email.address() {
            let parcel = self.parcel(identity.profile.name.as_deref(), to, &thing);
            let sent = match mail::farewell(&skill.sender, &parcel) {
                Ok(letter) => skill.mailer.send(letter).await,
                Err(error) => Err(error),
            };
            if let Err(error) = sent {
                tracing::warn!(%thing, step = "deliver", error = chain(&error), "the last mail did not go out");
            }
        }
        Ok(self.responder.forgotten(forgotten == Forgotten::Completely))
    }

    /// `ConnectionIntent`: whether the device is connected, from all available sources.
    pub(super) async fn connection(&mut self) -> Result<Answer, SkillError> {
        let identity = self.identify().await?;
        let (skill, thing) = (self.skill, self.thing_of(&identity));
        let (shadow, entry, connection) =
            tokio::join!(skill.shadows.read(&thing), skill.registry.look(&thing), skill.shadows.connection(&thing));
        let (shadow, entry) = (shadow?, entry.map_err(OnboardError::from)?);
        if entry.is_none() || !shadow.as_ref().is_some_and(Shadow::is_ready) {
            // The owner is new, or the onboarding is incomplete.
            let owner = self.present(Trigger::Speech, None).await?;
            if owner.new {
                return Ok(self.welcome(None).await);
            }
        }
        if let Some(shadow) = &shadow {
            self.collect_failures(&thing, shadow);
        }
        let connection = connection.unwrap_or_else(|error| {
            tracing::warn!(%thing, step = "relay", error = chain(&error), "nobody can tell whether the device is connected");
            Connection::Unknown
        });
        let record = entry.map(|entry| entry.record).unwrap_or_default();
        let diagnosis = Diagnosis {
            address: identity.profile.email.address().map(crate::login::EmailAddress::masked),
            mailed_at: record.sent.last().copied().or(record.delivered),
            waits: skill.mailer.waits(&thing).await,
            // A bounce that was read by the onboarding is already part of the response.
            bounce: record.bounce.filter(|_| self.bounce.is_none()),
            connection,
            shadow: shadow.unwrap_or_default(),
            now: (skill.now)(),
        };
        Ok(self.responder.diagnosis(&diagnosis))
    }

    /// `AlexaSkillEvent.SkillDisabled`: suspends all identities of the Alexa user.
    pub(super) async fn disabled(&mut self) -> Result<(), SkillError> {
        let skill = self.skill;
        let Some(user) = &self.request.alexa_user else {
            tracing::warn!(step = "lifecycle", "the skill was disabled by nobody");
            return Ok(());
        };
        let at = self.request.event_at.unwrap_or_else(skill.now);
        let lease = skill.lease();
        let things = loop {
            match suspend(&skill.registry, &skill.shadows, &lease, user, at).await {
                Ok(things) => break things,
                Err(error) => self.again(error).await?,
            }
        };
        tracing::info!(things, "the skill was disabled");
        Ok(())
    }

    /// Waits before the next attempt. Returns the error if there is no time for another one. Another process may hold the lease,
    /// and the operations are idempotent.
    async fn again(&self, error: LifecycleError) -> Result<(), LifecycleError> {
        if self.answer_by.saturating_duration_since(Instant::now()) < 2 * PAUSE {
            return Err(error);
        }
        tracing::info!(error = chain(&error), "tried again in a moment");
        sleep(PAUSE).await;
        Ok(())
    }
}
