//! `GiveCodeIntent`: a claim code for a device that has no certificate yet.

use super::Turn;
use crate::alexa::response::Answer;
use crate::onboarding::Trigger;
use crate::registration::claims::{Claims, new_code};
use crate::secrets::Fingerprint;
use crate::skill::Ports;
use crate::speech::reply::SkillError;

/// The number of codes for one owner in each hour (a fixed window, not a sliding one).
const CODES_AN_HOUR: u64 = 5;
const HOUR: u64 = 3_600;

impl<P: Ports> Turn<'_, P> {
    /// Creates a code for the owner's thing. The code is only in the response.
    pub(super) async fn give_code(&mut self) -> Result<Answer, SkillError> {
        let Some(claims) = &self.skill.claims else { return Ok(self.responder.no_codes()) };
        let identity = self.identify().await?;
        let owner = self.present_as(&identity, Trigger::Speech, None).await?;
        let (now, id) = ((self.skill.now)(), &identity.profile.owner);
        let whose = format!("codes:{}", Fingerprint::of(id.as_str()).hex());
        if claims.count(&whose, HOUR, now).await? > CODES_AN_HOUR {
            return Ok(self.responder.codes_too_often(HOUR - now % HOUR));
        }
        let code = new_code(claims, id, now).await?;
        tracing::info!(thing = %owner.ready.thing, "an owner has a code");
        let welcome = if owner.new { Some(self.responder.new_owner(self.mail_waits().await)) } else { None };
        Ok(self.responder.code(&code, self.skill.broker.register.as_deref(), welcome))
    }
}
