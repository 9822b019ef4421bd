//! A command or setting to the shadow of the owner who is present.

use tokio::time::{Instant, timeout};

use super::{LOOK_WITHIN, Turn};
use crate::alexa::response::Answer;
use crate::fault::chain;
use crate::identifiers::ThingName;
use crate::metrics::Measure;
use crate::onboarding::Trigger;
use crate::onboarding::lease::nonce;
use crate::shadow::{Command, Commands, Patch, Presence, Shadow, ShadowError, Shadows, Waiting};
use crate::skill::Ports;
use crate::skill::cache::Ready;
use crate::speech::intent::Change;
use crate::speech::reply::SkillError;

/// What goes into the shadow.
enum Wanted {
    Settings(Patch),
    Command(Command),
}

impl Wanted {
    /// For a device of which nothing is known.
    fn patch(&self) -> Patch {
        match self {
            Wanted::Settings(patch) => patch.clone(),
            Wanted::Command(command) => Patch::command(command),
        }
    }

    /// For a device that may keep a queue, and the place there. A place is later than every one that is known, and than every one that was
    /// given in an earlier second by somebody who is not known here.
    fn place(&self, ready: &Ready, shadow: Option<&Shadow>, now: u64) -> (Patch, Option<u64>) {
        match self {
            // A request that is delivered twice finds its command there.
            Wanted::Command(command)
                if shadow.is_some_and(|shadow| shadow.commands.queue.iter().any(|waiting| waiting.id == command.id)) =>
            {
                (Patch::command(command), None)
            }
            Wanted::Command(command) if ready.takes_queue => {
                // A command from before the queue was known takes the place before.
                let place = (ready.last_place + 2).max(command.issued_at);
                let nothing = Commands::default();
                let known = shadow.map_or(&nothing, |shadow| &shadow.commands);
                (Patch::queued(command, place, known, now), Some(place))
            }
            other => (other.patch(), None),
        }
    }
}

impl<P: Ports> Turn<'_, P> {
    pub(super) async fn relay(&mut self, change: Change, says: &str) -> Result<Answer, SkillError> {
        let wanted = self.wanted(change);
        let alone = wanted.patch();
        let mut owner = self.present(Trigger::Speech, Some(&alone)).await?;
        if owner.new {
            return Ok(self.welcome(Some(&alone)).await);
        }
        let (skill, now, mut ready) = (self.skill, (self.skill.now)(), owner.ready);
        let (shadows, thing) = (&skill.shadows, ready.thing.clone());
        let may_wait = |ready: &Ready| ready.sent.as_ref().is_some_and(|sent| sent.expires_at > now);
        if matches!(wanted, Wanted::Command(_)) && !ready.report_read && owner.shadow.is_none() && may_wait(&ready) {
            // A command may wait that this one would replace, and nothing is known of the device: perhaps it keeps a queue.
            owner.shadow = self.look(&thing).await;
            if let Some(shadow) = &owner.shadow {
                ready = self.seen(ready, shadow);
            }
        }
        let (place, noted) = (wanted.place(&ready, owner.shadow.as_ref(), now), self.news.note());
        let patch = noted.iter().fold(place.0, |patch, note| patch.and(note));
        // What may have changed since the shadow was read, and who is connected, is asked beside the update: it costs no time.
        let unsure = !ready.online_before;
        let looks = owner.shadow.is_none() && (unsure || ready.look_from <= now);
        let look = async { if looks { self.look(&thing).await } else { None } };
        let may_wait = may_wait(&ready);
        let is_another = matches!(&wanted, Wanted::Command(command) if ready.sent.as_ref().is_none_or(|sent| sent.id != command.id));
        let replaces = is_another && !ready.takes_queue && may_wait && (looks || owner.shadow.is_some());
        let presence = async { if unsure || replaces { Some(self.presence(&thing).await) } else { None } };
        let began = Instant::now();
        let update = async { shadows.update(&thing, &patch).await.inspect(|()| (skill.measure)(&Measure::RelayTime(began.elapsed()))) };
        let (updated, looked, presence) = tokio::join!(update, look, presence);
        let shadow = owner.shadow.as_ref().or(looked.as_ref());
        let mut sent_at = place.1;
        match (updated, &wanted) {
            (Ok(()), _) => noted.iter().for_each(|_| self.news.noted()),
            (Err(ShadowError::TooLarge), Wanted::Command(command)) if ready.takes_queue => {
                // Perhaps what has expired is in the way.
                let Some(shadow) = shadows.read(&thing).await? else { return Err(ShadowError::TooLarge.into()) };
                let ready = Ready { last_place: ready.last_place.max(shadow.commands.last_place()), ..ready.clone() };
                let (patch, place) = wanted.place(&ready, Some(&shadow), now);
                sent_at = place;
                match shadows.update(&thing, &patch).await {
                    Err(ShadowError::TooLarge) if shadow.commands.queue.iter().any(|waiting| waiting.expires_at > now) => {
                        tracing::info!(%thing, command = command.name, "the queue of commands is full");
                        return Ok(self.responder.queue_is_full());
                    }
                    updated => updated?,
                }
            }
            (Err(error), _) => return Err(error.into()),
        }
        let replaced = match (replaces, shadow) {
            (true, Some(shadow)) => replaced(&ready, shadow, &wanted, now).map(|waiting| (waiting.name, true)),
            // Nobody has looked, so soon after the command before.
            (false, None) if is_another && !ready.takes_queue && may_wait => ready.sent.clone().map(|sent| (sent.name, false)),
            _ => None,
        };
        let mut ready = match &looked {
            Some(shadow) => self.seen(ready, shadow),
            None => ready,
        };
        let is_there = presence == Some(Presence::Present);
        // A device that has been online takes the command when it is there again, so its absence is not said.
        let presence = presence.filter(|_| !ready.online_before).unwrap_or(Presence::Present);
        ready.online_before = presence == Presence::Present;
        if let Wanted::Command(command) = &wanted {
            let (id, name, expires_at) = (command.id.clone(), command.name.clone(), command.expires_at);
            ready.last_place = sent_at.unwrap_or(ready.last_place).max(ready.last_place);
            ready.sent = Some(Waiting { id, name, order: sent_at.unwrap_or_default(), expires_at });
        }
        self.remember(ready.after_asking(now));
        let answer = self.responder.relayed(says, presence, &alone);
        Ok(match replaced.filter(|_| !is_there) {
            Some((command, surely)) => self.responder.replaces(answer, &command, surely),
            None => answer,
        })
    }

    /// The shadow, where it can be read in time.
    async fn look(&self, thing: &ThingName) -> Option<Shadow> {
        timeout(LOOK_WITHIN, self.skill.shadows.read(thing)).await.ok()?.ok()?
    }

    /// What the broker knows about a device. It is asked beside other calls, and does not keep the answer waiting.
    pub(super) async fn presence(&self, thing: &ThingName) -> Presence {
        let asked = timeout(LOOK_WITHIN, self.skill.shadows.connection(thing)).await;
        let connection = asked.unwrap_or_else(|_| Err(ShadowError::Unclear("no answer in time".into())));
        if let Err(error) = &connection {
            tracing::warn!(%thing, step = "relay", error = chain(error), "nobody can tell whether the device is connected");
        }
        Presence::of(&connection)
    }

    fn wanted(&self, change: Change) -> Wanted {
        let (name, args) = match change {
            Change::Set(properties) => return Wanted::Settings(Patch::set(properties)),
            Change::Command { name, args } => (name, args),
        };
        let issued_at = (self.skill.now)();
        Wanted::Command(Command {
            // Alexa's own id: a request that is delivered twice is one command.
            id: self.request.id.clone().unwrap_or_else(nonce),
            name,
            args,
            issued_at,
            expires_at: issued_at + self.skill.model.command_lifetime,
        })
    }
}

/// The command that a device without a queue loses by this one: sent before it, unanswered and not expired. A shadow that was read beside the
/// update may hold either of the two.
fn replaced(ready: &Ready, shadow: &Shadow, wanted: &Wanted, now: u64) -> Option<Waiting> {
    let Wanted::Command(command) = wanted else { return None };
    let before = shadow.commands.newest.as_ref().filter(|newest| newest.id != command.id).or(ready.sent.as_ref())?;
    let waits = before.id != command.id && before.expires_at > now && shadow.commands.answered.as_ref() != Some(&before.id);
    waits.then(|| before.clone())
}
