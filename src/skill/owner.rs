//! Identification and onboarding of the owner who sent the request.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Skill, Turn};
use crate::alexa::progress;
use crate::certificate::Certificate;
use crate::identifiers::ThingName;
use crate::login::{AccessToken, EmailAddress, IdentifyError, Identity, Profile, ProfileEmail, identify};
use crate::mail::{self, ByMail, MailError, Mailer, Parcel};
use crate::onboarding::{self, Context, OnboardError, Onboarded, OnboardingRequest, OnboardingTarget, Trigger, onboard};
use crate::shadow::{Patch, Shadow, Shadows};
use crate::skill::Ports;
use crate::skill::cache::{OwnerState, carried, carry};
use crate::speech::locales::Phrase;
use crate::speech::reply::SkillError;

/// An onboarded owner.
pub(super) struct OnboardedOwner {
    pub(super) ready: OwnerState,
    /// The shadow, if it was read already.
    pub(super) shadow: Option<Shadow>,
    /// Whether this request sent a certificate to the owner. The command of the utterance is then part of the first shadow state.
    pub(super) new: bool,
}

impl<P: Ports> Turn<'_, P> {
    pub(super) fn token(&self) -> Result<&AccessToken, IdentifyError> {
        self.request.access_token.as_ref().ok_or(IdentifyError::NotLinked)
    }

    pub(super) async fn identify(&self) -> Result<Identity, IdentifyError> {
        identify(&self.skill.login, self.skill.client_id.as_deref(), self.token()?).await
    }

    pub(super) fn thing_of(&self, identity: &Identity) -> ThingName {
        ThingName::of(&self.skill.model.thing_prefix, &identity.profile.owner)
    }

    /// Identifies and onboards the owner. `wanted` is written with the first shadow state of a new owner.
    pub(super) async fn present(&mut self, trigger: Trigger, wanted: Option<&Patch>) -> Result<OnboardedOwner, SkillError> {
        // An account link changes the registry record, so the cache is not used.
        let recalled = if trigger == Trigger::Speech { self.recall() } else { None };
        if let Some((ready, until)) = recalled {
            self.known = Some((ready.clone(), until));
            let shadow = if P::Shadows::AT_HAND { self.skill.shadows.read(&ready.thing).await.ok().flatten() } else { None };
            let ready = match &shadow {
                Some(shadow) => self.seen(ready, shadow),
                None => ready,
            };
            return Ok(OnboardedOwner { ready, shadow, new: false });
        }
        let identity = self.identify().await?;
        self.present_as(&identity, trigger, wanted).await
    }

    /// Onboards an identified owner.
    pub(super) async fn present_as(
        &mut self,
        identity: &Identity,
        trigger: Trigger,
        wanted: Option<&Patch>,
    ) -> Result<OnboardedOwner, SkillError> {
        let until = (self.skill.now)() + identity.cache_seconds;
        let thing = self.thing_of(identity);
        self.known = None;
        let shadow = self.skill.shadows.read(&thing).await?;
        let is_ready = trigger == Trigger::Speech && shadow.as_ref().is_some_and(Shadow::is_ready);
        let new = !is_ready && self.onboard(identity, &thing, trigger, shadow.clone(), wanted).await?.mailed;
        if let Some(shadow) = shadow.as_ref().filter(|_| !new) {
            self.collect_failures(&thing, shadow);
        }
        let ready = OwnerState::of(thing, shadow.as_ref(), (self.skill.now)());
        self.known = Some((ready.clone(), until));
        self.remember(ready.clone());
        Ok(OnboardedOwner { ready, shadow, new })
    }

    pub(super) async fn onboard(
        &mut self,
        identity: &Identity,
        thing: &ThingName,
        trigger: Trigger,
        shadow: Option<Shadow>,
        wanted: Option<&Patch>,
    ) -> Result<Onboarded, SkillError> {
        let (skill, profile, now) = (self.skill, &identity.profile, (self.skill.now)());
        let to = self.recipient(profile);
        if !shadow.as_ref().is_some_and(|shadow| shadow.onboarded) {
            // A new owner needs a valid mail address.
            self.recipient(profile)?;
        }
        let at = self.request.event_at.filter(|_| trigger == Trigger::Linked).unwrap_or(now);
        let request = OnboardingRequest { at, trigger, alexa_user: self.request.alexa_user.clone(), shadow };
        let means = Context {
            registry: &skill.registry,
            shadows: &skill.shadows,
            lease: skill.lease(),
            deadline: self.answer_by,
            measure: skill.measure,
            decide: onboarding::next,
        };
        let write = |certificate: &Certificate| {
            let to = to.as_ref().map_err(|_| MailError::AddressRefused("the profile has none".into()))?;
            mail::compose(&skill.sender, &self.parcel(profile.name.as_deref(), to, thing), certificate)
        };
        let delivery = ByMail { mailer: &skill.mailer, write, measure: skill.measure };
        let said = BTreeMap::new();
        let target = OnboardingTarget {
            owner: &profile.owner,
            thing,
            request,
            wanted,
            thing_type: None,
            csr: None,
            predecessor: None,
            said: &said,
            delivery,
        };
        let onboarding = onboard(&means, &target);
        // Requests that create a certificate take the longest, so they send a progressive response.
        let waits = target.request.shadow.is_none() || trigger == Trigger::AsksForAnother;
        let onboarded = if waits {
            let speech = self.responder.speech(&Phrase::SettingUp);
            let mut onboarding = std::pin::pin!(onboarding);
            tokio::select! {
                biased;
                onboarded = &mut onboarding => onboarded,
                () = progress::speak(&skill.https, self.request, &speech) => onboarding.await,
            }
        } else {
            onboarding.await
        };
        let onboarded = match (onboarded, to) {
            // The address was valid when the thing was created.
            (Err(OnboardError::Mail(MailError::AddressRefused(_))), Err(error)) => return Err(error),
            (onboarded, _) => onboarded?,
        };
        tracing::info!(%thing, ?onboarded, "an owner is ready");
        self.bounce = onboarded.bounce;
        Ok(onboarded)
    }

    /// The recipient of mails about the thing.
    pub(super) fn recipient<'a>(&self, profile: &'a Profile) -> Result<&'a EmailAddress, SkillError> {
        let refused = |why: &str| SkillError::Onboard(OnboardError::Mail(MailError::AddressRefused(why.to_owned())));
        match &profile.email {
            ProfileEmail::Missing => Err(SkillError::NoEmail),
            ProfileEmail::Unusable => Err(refused("the one in the profile is none that mail can carry")),
            ProfileEmail::Address(to) if !self.skill.mailer.takes(to) => Err(refused("the mail service takes none of this form")),
            ProfileEmail::Address(to) => Ok(to),
        }
    }

    pub(super) fn parcel<'a>(&'a self, name: Option<&'a str>, to: &'a EmailAddress, thing: &'a ThingName) -> Parcel<'a> {
        let model = &self.skill.model;
        Parcel {
            name,
            to,
            thing,
            device: &model.name,
            invocation: &model.invocation,
            device_model: &model.device_part,
            broker: &self.skill.broker,
            locale: self.responder.locale,
            now: (self.skill.now)(),
        }
    }

    /// The cached state of the token holder, from the process or from the session.
    fn recall(&self) -> Option<(OwnerState, u64)> {
        let (fingerprint, now) = (self.token().ok()?.fingerprint(), (self.skill.now)());
        if let Some(known) = self.skill.owner_cache.recall(fingerprint, now) {
            return Some(known);
        }
        carried(&self.request.attributes, &self.skill.model.thing_prefix, fingerprint, now)
    }

    /// Caches the state until the known end of the token.
    pub(super) fn remember(&mut self, ready: OwnerState) {
        let (Some((_, until)), Ok(token)) = (&self.known, self.token()) else { return };
        let until = *until;
        self.skill.owner_cache.keep(token.fingerprint(), ready.clone(), until, (self.skill.now)());
        self.known = Some((ready, until));
    }

    /// Updates the cached state from a shadow that was just read. `online_before` stays true, even if only the broker reported
    /// the device as online.
    pub(super) fn seen(&mut self, known: OwnerState, shadow: &Shadow) -> OwnerState {
        self.collect_failures(&known.thing, shadow);
        let seen = OwnerState::of(known.thing, Some(shadow), (self.skill.now)());
        let (online_before, last_place) = (seen.online_before || known.online_before, seen.last_place.max(known.last_place));
        let ready = OwnerState { online_before, last_place, ..seen };
        self.remember(ready.clone());
        ready
    }

    /// Removes the cached state.
    pub(super) fn forget_state(&mut self) {
        self.known = None;
        self.news.is_not_noted();
        if let Ok(token) = self.token() {
            self.skill.owner_cache.forget(token.fingerprint());
        }
    }

    /// The session attributes of the response: the skill's own are replaced, all others are kept.
    pub(super) fn attributes(&self) -> Map<String, Value> {
        let mut attributes = self.request.attributes.clone();
        attributes.retain(|name, _| !name.starts_with(Skill::<P>::ATTRIBUTES));
        attributes.extend(self.asked.clone());
        if let (Some((ready, until)), Ok(token)) = (&self.known, self.token()) {
            carry(&mut attributes, ready, *until, token.fingerprint());
        }
        attributes
    }
}
