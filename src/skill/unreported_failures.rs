//! Failures of the device, which are reported to the owner once, with the next response.

use tokio::time::{Duration, timeout};

use super::Turn;
use super::owner::OnboardedOwner;
use crate::alexa::response::Answer;
use crate::fault::chain;
use crate::identifiers::ThingName;
use crate::shadow::{Failure, Patch, Shadow, Shadows};
use crate::skill::Ports;

/// The time limit for reading the failures and for marking them as reported.
const NOTE_WITHIN: Duration = Duration::from_secs(1);

/// The failures of the device that are not yet reported.
#[derive(Default)]
pub(super) struct UnreportedFailures {
    untold: Vec<Failure>,
    /// The time of the last failure that this response reports.
    up_to: Option<u64>,
    /// The thing of the device.
    thing: Option<ThingName>,
    /// Whether the shadow already marks the failures as reported.
    noted: bool,
}

impl UnreportedFailures {
    /// Returns the failures for the response and removes them.
    pub(super) fn take(&mut self) -> Vec<Failure> {
        std::mem::take(&mut self.untold)
    }

    /// The mark for the shadow, to be combined with another update.
    pub(super) fn note(&self) -> Option<Patch> {
        self.up_to.map(Patch::told)
    }

    /// Prevents an update with the mark. The shadow is about to be deleted, and an update would create it again.
    pub(super) fn is_not_noted(&mut self) {
        self.thing = None;
    }

    /// Remembers that the shadow has the mark.
    pub(super) fn noted(&mut self) {
        self.noted = true;
    }
}

impl<P: Ports> Turn<'_, P> {
    /// Collects the unreported failures from a shadow.
    pub(super) fn collect_failures(&mut self, thing: &ThingName, shadow: &Shadow) {
        if shadow.onboarded && self.news.up_to.is_none() {
            let untold = shadow.untold();
            let up_to = untold.last().map(|failure| failure.at);
            self.news = UnreportedFailures { untold, up_to, thing: Some(thing.clone()), noted: false };
        }
    }

    /// Reads the shadow of the current owner if it may contain new failures.
    pub(super) async fn look_for_news(&mut self, owner: &OnboardedOwner) {
        if owner.shadow.is_none()
            && owner.ready.look_from <= (self.skill.now)()
            && let Ok(Ok(Some(shadow))) = timeout(NOTE_WITHIN, self.skill.shadows.read(&owner.ready.thing)).await
        {
            self.seen(owner.ready.clone(), &shadow);
        }
    }

    /// Adds the failures to the response and marks them as reported in the shadow. If the update fails, they are reported again.
    pub(super) async fn with_news(&mut self, answer: Answer) -> Answer {
        let Some(at) = self.news.up_to.filter(|_| answer.speech.is_some()) else { return answer };
        let untold = self.news.take();
        if let (false, Some(thing)) = (self.news.noted, &self.news.thing) {
            let left = self.answer_by.saturating_duration_since(tokio::time::Instant::now()).min(NOTE_WITHIN);
            match timeout(left, self.skill.shadows.update(thing, &Patch::told(at))).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%thing, step = "relay", error = chain(&error), "what was told is not noted"),
                Err(_) => tracing::warn!(%thing, step = "relay", "what was told is not noted in time"),
            }
        }
        self.responder.with_failures(answer, &untold, (self.skill.now)())
    }
}
