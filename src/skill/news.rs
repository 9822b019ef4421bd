//! What the device could not do, told once, beside the next answer.

use tokio::time::{Duration, timeout};

use super::Turn;
use super::owner::Present;
use crate::alexa::response::Answer;
use crate::fault::chain;
use crate::identifiers::ThingName;
use crate::shadow::{Failure, Patch, Shadow, Shadows};
use crate::skill::Ports;

/// For so long an answer waits for the note that its news have been told.
const NOTE_WITHIN: Duration = Duration::from_secs(1);

/// What the device could not do.
#[derive(Default)]
pub(super) struct News {
    untold: Vec<Failure>,
    /// Up to which second it is told with this answer.
    up_to: Option<u64>,
    /// Of which thing.
    thing: Option<ThingName>,
    /// Whether that is noted already.
    noted: bool,
}

impl News {
    /// What there is to tell. It is told by whoever takes it.
    pub(super) fn take(&mut self) -> Vec<Failure> {
        std::mem::take(&mut self.untold)
    }

    /// The note for an update that is made anyway.
    pub(super) fn note(&self) -> Option<Patch> {
        self.up_to.map(Patch::told)
    }

    /// There is no shadow any more for a note: an update would make one.
    pub(super) fn is_not_noted(&mut self) {
        self.thing = None;
    }

    /// The note stands in the shadow.
    pub(super) fn noted(&mut self) {
        self.noted = true;
    }
}

impl<P: Ports> Turn<'_, P> {
    /// Reads from a shadow what is to be told.
    pub(super) fn hear(&mut self, thing: &ThingName, shadow: &Shadow) {
        if shadow.onboarded && self.news.up_to.is_none() {
            let untold = shadow.untold();
            let up_to = untold.last().map(|failure| failure.at);
            self.news = News { untold, up_to, thing: Some(thing.clone()), noted: false };
        }
    }

    /// Looks into the shadow of an owner who is present, where there may be news.
    pub(super) async fn look_for_news(&mut self, owner: &Present) {
        if owner.shadow.is_none()
            && owner.ready.look_from <= (self.skill.now)()
            && let Ok(Ok(Some(shadow))) = timeout(NOTE_WITHIN, self.skill.shadows.read(&owner.ready.thing)).await
        {
            self.seen(owner.ready.clone(), &shadow);
        }
    }

    /// The answer, and beside it what the device could not do. What is told is noted in the shadow; where that fails, it is told once more.
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
