//! Writes a command or a setting to the shadow of the current owner.

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
use crate::skill::cache::OwnerState;
use crate::speech::intent::Change;
use crate::speech::reply::SkillError;

/// The change to write to the shadow.
enum Wanted {
    Settings(Patch),
    Command(Command),
}

impl Wanted {
    /// The patch for a device whose capabilities are unknown.
    fn patch(&self) -> Patch {
        match self {
            Wanted::Settings(patch) => patch.clone(),
            Wanted::Command(command) => Patch::command(command),
        }
    }

    /// The patch for a device that may keep a queue, and the position of the command in the queue. The position is after all
    /// known positions, and after all positions that other processes assigned in an earlier second.
    fn place(&self, ready: &OwnerState, shadow: Option<&Shadow>, now: u64) -> (Patch, Option<u64>) {
        match self {
            // The request was delivered twice, and the command is in the queue already.
            Wanted::Command(command)
                if shadow.is_some_and(|shadow| shadow.commands.queue.iter().any(|waiting| waiting.id == command.id)) =>
            {
                (Patch::command(command), None)
            }
            Wanted::Command(command) if ready.takes_queue => {
                // Position `last_place + 1` is reserved for a command that was sent before the queue was known.
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
        let may_wait = |ready: &OwnerState| ready.sent.as_ref().is_some_and(|sent| sent.expires_at > now);
        if matches!(wanted, Wanted::Command(_)) && !ready.report_read && owner.shadow.is_none() && may_wait(&ready) {
            // The command may replace a pending one, because it is unknown whether the device keeps a queue. Read the shadow.
            owner.shadow = self.look(&thing).await;
            if let Some(shadow) = &owner.shadow {
                ready = self.seen(ready, shadow);
            }
        }
        let (place, noted) = (wanted.place(&ready, owner.shadow.as_ref(), now), self.news.note());
        let patch = noted.iter().fold(place.0, |patch, note| patch.and(note));
        // The shadow and the connection state are read concurrently with the update, which costs no additional time.
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
                // Expired commands may fill the shadow. Read it, so that the next patch removes them.
                let Some(shadow) = shadows.read(&thing).await? else { return Err(ShadowError::TooLarge.into()) };
                let ready = OwnerState { last_place: ready.last_place.max(shadow.commands.last_place()), ..ready.clone() };
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
            // The shadow was not read, because the last command was sent only seconds ago.
            (false, None) if is_another && !ready.takes_queue && may_wait => ready.sent.clone().map(|sent| (sent.name, false)),
            _ => None,
        };
        let mut ready = match &looked {
            Some(shadow) => self.seen(ready, shadow),
            None => ready,
        };
        let is_there = presence == Some(Presence::Present);
        // A device that was online before executes the command when it connects again, so the response does not mention its
        // absence.
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

    /// Reads the shadow. `None` after a failure or if it takes too long.
    async fn look(&self, thing: &ThingName) -> Option<Shadow> {
        timeout(LOOK_WITHIN, self.skill.shadows.read(thing)).await.ok()?.ok()?
    }

    /// The connection state of the device. The call runs concurrently with others and has a time limit.
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
            // The request id of Alexa, so that a request that is delivered twice is one command.
            id: self.request.id.clone().unwrap_or_else(nonce),
            name,
            args,
            issued_at,
            expires_at: issued_at + self.skill.model.command_lifetime,
        })
    }
}

/// The command that a device without a queue loses because of this one: an earlier one, not executed and not expired. A shadow
/// that was read concurrently with the update may contain either of the two.
fn replaced(ready: &OwnerState, shadow: &Shadow, wanted: &Wanted, now: u64) -> Option<Waiting> {
    let Wanted::Command(command) = wanted else { return None };
    let before = shadow.commands.newest.as_ref().filter(|newest| newest.id != command.id).or(ready.sent.as_ref())?;
    let waits = before.id != command.id && before.expires_at > now && shadow.commands.answered.as_ref() != Some(&before.id);
    waits.then(|| before.clone())
}
