//! One attempt: does the step that the decision names, and asks again.

mod record;

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::decision::{Known, Place, Step};
use super::{Means, OnboardError, Onboarded, OnboardingTarget};
use crate::certificate::NewCertificate;
use crate::fault::chain;
use crate::identifiers::CertificateId;
use crate::mail::Delivery;
use crate::metrics::Measure;
use crate::registry::revoke::revoke;
use crate::registry::{Bounce, Entry, Record, Registry, RegistryError, Replaced};
use crate::shadow::{Patch, Shadows};

/// With less time than this, creating a certificate would leave a half-made thing behind.
const TIME_TO_CREATE_CERTIFICATE: Duration = Duration::from_millis(2_500);
/// With less time than this, waiting for another attempt ends.
const TIME_TO_ANSWER: Duration = Duration::from_millis(800);
/// So much is left to an owner's own request when something else is finished on the way.
const TIME_TO_RELAY: Duration = Duration::from_millis(1_500);
/// How often a thing that another attempt holds is looked at.
const WAIT: Duration = Duration::from_millis(300);

/// What one request does about one owner.
pub(super) struct Attempt<'a, R, S, D> {
    means: &'a Means<'a, R, S>,
    who: &'a OnboardingTarget<'a, D>,
    known: Known,
    certificate: Option<NewCertificate>,
    /// The record as it was before this attempt changed it, to go back to.
    before: Record,
    /// What the owner has to hear.
    bounce: Option<Bounce>,
    /// When this attempt has to be over: in time for the answer.
    limit: Instant,
    /// Nothing is begun after this: the end of the lease, or the limit where that comes first.
    end: Instant,
}

impl<'a, R, S, D> Attempt<'a, R, S, D>
where
    R: Registry,
    S: Shadows,
    D: Delivery,
{
    pub(super) fn new(means: &'a Means<'a, R, S>, who: &'a OnboardingTarget<'a, D>) -> Self {
        let (known, limit) = (Known::at_first(who.request.clone()), means.deadline);
        Self { means, who, known, certificate: None, before: Record::default(), bounce: None, limit, end: limit }
    }

    /// Step by step, until nothing is left to do or a step fails.
    pub(super) async fn run(mut self) -> Result<Onboarded, OnboardError> {
        loop {
            let step = (self.means.decide)(&self.known, (self.means.lease.now)());
            tracing::debug!(thing = %self.who.thing, ?step, "onboarding");
            if step == Step::Done {
                return Ok(self.done());
            }
            let began = Instant::now();
            let late = || OnboardError::Registry(RegistryError::Unclear("the lease ran out".into()));
            let outcome = timeout_at(self.end, self.take(&step)).await.unwrap_or_else(|_| Err(late()));
            (self.means.measure)(&Measure::StepTime { step: step.name(), took: began.elapsed() });
            if let Err(error) = outcome {
                return self.fail(step.name(), error).await;
            }
        }
    }

    async fn take(&mut self, step: &Step) -> Result<(), OnboardError> {
        let (registry, thing) = (self.means.registry, self.who.thing);
        match step {
            Step::CreateCertificate => {
                if self.limit.saturating_duration_since(Instant::now()) < TIME_TO_CREATE_CERTIFICATE {
                    return Err(OnboardError::NoTime);
                }
                (self.means.measure)(&Measure::OnboardingStarted);
                let fresh = match self.who.csr {
                    Some(csr) => NewCertificate::ForRequest(registry.certify(thing, csr).await?),
                    None => NewCertificate::WithKey(registry.create_certificate(thing).await?),
                };
                self.known.created = Some(fresh.id().clone());
                self.certificate = Some(fresh);
            }
            Step::Claim => {
                let request = &self.known.request;
                let linked = if request.registers() { 0 } else { request.at };
                self.before = Record { alexa_user: request.alexa_user.clone(), linked, ..Record::default() };
                let record = self.naming(self.before.clone());
                let claimed = registry.claim(thing, self.who.owner, &record).await;
                let owner = Some(self.who.owner.clone());
                if self.took(claimed, Entry { version: 1, owner, thing_type: None, record })? {
                    // The thing is new: nobody can have left anything on it.
                    self.known.leftovers = Some(Vec::new());
                }
            }
            Step::Look => self.look().await?,
            Step::Wait => self.wait().await?,
            Step::Discard => {
                if let Some(mine) = self.known.created.take() {
                    self.certificate = None;
                    registry.delete(&mine).await?;
                }
            }
            Step::TakeOver => {
                let Place::Theirs(entry) = self.known.place.clone() else { return Ok(()) };
                if entry.record.forget {
                    // Nobody may be taken for ready whose certificates are about to go.
                    self.means.shadows.delete(thing).await?;
                    self.known.request.shadow = None;
                }
                let record = self.taken_over(&entry.record);
                self.before = entry.record.clone();
                let taken = registry.write(thing, entry.version, &record).await;
                self.took(taken, entry.after(record))?;
            }
            Step::Warn => {
                self.means.shadows.update(thing, &Patch::look(self.known.request.at)).await?;
                if let Some(shadow) = &mut self.known.request.shadow {
                    shadow.look = true;
                }
            }
            Step::Resume => {
                let Place::Ours(entry) = &self.known.place else { return Ok(()) };
                // One that was never delivered is replaced, not activated.
                if let (Some(certificate), Some(_)) = (&entry.record.certificate, entry.record.delivered) {
                    registry.activate(certificate).await?;
                }
                for Replaced { certificate: replaced, .. } in &entry.record.replaced {
                    match registry.activate(replaced).await {
                        // It had its time, and only the note of that was lost.
                        Err(error) if error.is_definite() && registry.describe(replaced).await?.is_none() => {
                            tracing::info!(%thing, %error, "a replaced certificate is gone")
                        }
                        outcome => outcome?,
                    }
                }
                self.known.resumed = true;
            }
            Step::Survey => self.survey().await?,
            Step::Revoke(certificate) => {
                revoke(registry, certificate, thing).await?;
                self.known.leftovers.iter_mut().for_each(|left| left.retain(|id| id != certificate));
                self.known.revoked.push(certificate.clone());
            }
            Step::Record => {
                let Place::Ours(entry) = self.known.place.clone() else { return Ok(()) };
                let record = self.naming(entry.record.clone());
                let recorded = registry.write(thing, entry.version, &record).await;
                self.took(recorded, entry.after(record))?;
            }
            Step::AttachAndActivate => {
                if let Some(mine) = &self.known.created {
                    // All three are awaited, so that nothing is in flight when a failure is undone.
                    let (policy, attachment, active) =
                        tokio::join!(registry.attach_policy(mine), registry.attach_thing(mine, thing), registry.activate(mine));
                    unclear_first([policy, attachment, active])?;
                    self.known.attached = true;
                }
            }
            Step::Mail => {
                if let Some(certificate) = self.certificate.take() {
                    self.who.delivery.deliver(certificate).await?;
                    self.known.mailed = true;
                }
            }
            Step::Complete => self.complete().await?,
            Step::Tell(how) => {
                if let Place::Ours(entry) = self.known.place.clone() {
                    let record = Record { bounce: None, again: false, until: 0, ..entry.record.clone() };
                    let told = registry.write(thing, entry.version, &record).await;
                    self.took(told, entry.after(record))?;
                }
                return Err(OnboardError::Bounced(*how));
            }
            Step::Refuse(seconds) => return Err(OnboardError::TooOften(*seconds)),
            Step::Close => return Err(OnboardError::OutOfService),
            Step::Done => {}
        }
        Ok(())
    }

    /// Reads the record: this attempt's own, when only the answer to its write was lost.
    async fn look(&mut self) -> Result<(), OnboardError> {
        self.known.place = match self.means.registry.look(self.who.thing).await? {
            None => Place::Unknown,
            Some(entry) if !self.is_theirs(&entry) => {
                self.known.place = Place::Theirs(entry);
                return Err(OnboardError::NotTheirs);
            }
            Some(entry) if entry.record.run == self.means.lease.run => Place::Ours(entry),
            Some(entry) => {
                if self.known.mailed {
                    return Err(OnboardError::Busy);
                }
                // What this attempt wanted to hold, it does not: only its own limit bounds it now,
                // and whatever it found and made before is for the other one to see to.
                self.end = self.limit;
                self.known.leftovers = None;
                self.known.resumed = false;
                self.known.revoked.clear();
                if std::mem::take(&mut self.known.attached) {
                    self.known.created = None;
                }
                let record = self.known.request.complete(entry.record);
                Place::Theirs(Entry { record, ..entry })
            }
        };
        Ok(())
    }

    /// Whether a thing is the target's own. One without a legible owner was made by hand, and by its name is theirs,
    /// unless devices choose their names: then it may be anybody's.
    fn is_theirs(&self, entry: &Entry) -> bool {
        match self.who.thing_type {
            Some(thing_type) => entry.owner.as_ref() == Some(self.who.owner) && entry.thing_type.as_deref() == Some(thing_type),
            None => entry.owner.as_ref().is_none_or(|owner| owner == self.who.owner),
        }
    }

    async fn wait(&mut self) -> Result<(), OnboardError> {
        if self.time_left() < WAIT + TIME_TO_ANSWER {
            return Err(OnboardError::Busy);
        }
        sleep(WAIT).await;
        self.known.request.shadow = self.means.shadows.read(self.who.thing).await?;
        self.known.place = Place::Unread;
        Ok(())
    }

    /// Certificates that nobody was sent: attached ones, and those that the record names, attached or not.
    async fn survey(&mut self) -> Result<(), OnboardError> {
        let Place::Ours(Entry { record, .. }) = &self.known.place else { return Ok(()) };
        let mut left = self.means.registry.attached(self.who.thing).await?;
        left.extend(record.certificates().cloned());
        let delivered = record.certificate.as_ref().filter(|_| record.delivered.is_some());
        // Of an owner who wanted to be forgotten, nothing is kept.
        let kept = |id: &CertificateId| {
            !record.forget && (Some(id) == delivered || record.replaced.iter().any(|replaced| replaced.certificate == *id))
        };
        left.retain(|id| !kept(id) && Some(id) != self.known.created.as_ref());
        left.sort();
        left.dedup();
        self.known.leftovers = Some(left);
        Ok(())
    }

    /// Says that all is done, in the record and in the shadow. After a mail they go out side by side, because
    /// either is enough for the next contact; else the shadow, which keeps contacts from looking, is last.
    /// The thing stays held until the lease is over, so that nothing overtakes the mark.
    async fn complete(&mut self) -> Result<(), OnboardError> {
        let Place::Ours(entry) = self.known.place.clone() else { return Ok(()) };
        let (registry, shadows, thing) = (self.means.registry, self.means.shadows, self.who.thing);
        let record = self.completed(&entry.record);
        let told = entry.record.bounce.filter(|_| record.bounce.is_none());
        let mark = self.mark(&record);
        let marked = if self.known.mailed {
            let (marked, written) = tokio::join!(shadows.update(thing, &mark), registry.write(thing, entry.version, &record));
            self.known.ready |= marked.is_ok();
            self.known.completed = self.took(written, entry.after(record))?;
            marked
        } else {
            let written = registry.write(thing, entry.version, &record).await;
            self.known.completed = self.took(written, entry.after(record))?;
            if !self.known.completed {
                return Ok(());
            }
            let marked = shadows.update(thing, &mark).await;
            self.known.ready = marked.is_ok();
            marked
        };
        self.bounce = self.bounce.or(told);
        Ok(marked?)
    }

    /// Notes the outcome of a write that takes or keeps the lock. Where it is not clear, the record tells.
    fn took(&mut self, outcome: Result<(), RegistryError>, written: Entry) -> Result<bool, OnboardError> {
        match outcome {
            Ok(()) => self.known.place = Place::Ours(written),
            Err(RegistryError::Taken | RegistryError::Unclear(_)) => self.known.place = Place::Unread,
            Err(error) => return Err(error.into()),
        }
        Ok(matches!(self.known.place, Place::Ours(_)))
    }

    fn time_left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    fn done(&self) -> Onboarded {
        if self.known.mailed {
            (self.means.measure)(&Measure::OnboardingDone);
        }
        Onboarded { mailed: self.known.mailed, bounce: self.bounce }
    }

    /// Nothing is left behind after a failure that certainly had no effect. An owner whose device can
    /// connect all the same is not kept from using it: what is unfinished waits for the next contact.
    async fn fail(&mut self, step: &'static str, error: OnboardError) -> Result<Onboarded, OnboardError> {
        let thing = self.who.thing;
        // A device goes by the record alone: what that does not name as its own will be taken out of service.
        if self.known.mailed && self.known.ready && !self.who.request.registers() {
            tracing::warn!(%thing, step, error = chain(&error), "the owner is ready, but their record does not say so");
            return Ok(self.done());
        }
        if self.known.created.is_some() || step == Step::CreateCertificate.name() {
            (self.means.measure)(&Measure::OnboardingFailed { step });
        }
        if error.is_definite() && !self.known.mailed {
            self.undo().await;
        }
        let serves = match &self.known.place {
            Place::Theirs(entry) | Place::Ours(entry) => entry.record.serves() || (self.known.resumed && self.before.delivered.is_some()),
            Place::Unread => self.who.request.is_onboarded(),
            Place::Unknown => false,
        };
        // Where the shadow is missing, or what a new owner said in it, that is what failed.
        let has_shadow = !self.known.mailed && self.known.request.is_onboarded();
        if serves && has_shadow && !self.who.request.asks() && !self.who.request.registers() {
            if let OnboardError::Bounced(how) = error {
                self.bounce = Some(how);
            }
            tracing::warn!(%thing, step, error = chain(&error), "left to the next contact");
            return Ok(self.done());
        }
        Err(error)
    }

    /// What is unclear, or cannot be undone now, stays under the lease until the next attempt finds it by
    /// the record.
    async fn undo(&mut self) {
        let (registry, thing) = (self.means.registry, self.who.thing);
        // It is free, and somebody was here a moment ago: nothing of it is over, neither what nobody finished before, nor a
        // suspension that the owner has come back from.
        let before = Record { run: self.means.lease.run.clone(), until: (self.means.lease.now)(), ..self.before.clone() };
        // Who asked hears that it failed, and asks again; nobody else hears of it.
        let certificate = before.certificate.clone().filter(|id| !self.known.revoked.contains(id));
        let mut before = Record { again: before.again && !self.who.request.asks(), certificate, ..before };
        before.let_go(&self.known.revoked);
        let undone = async {
            match (&self.known.place, self.known.created.take()) {
                (Place::Ours(_), Some(mine)) => revoke(registry, &mine, thing).await?,
                (_, Some(mine)) => registry.delete(&mine).await?,
                (_, None) => {}
            }
            if let Place::Ours(entry) = &self.known.place {
                registry.write(thing, entry.version, &before).await?;
                self.known.place = Place::Theirs(entry.after(before));
            }
            Ok::<(), RegistryError>(())
        };
        // It touches nothing but what is this attempt's own, so it may outlast the lease.
        match timeout_at(self.means.deadline, undone).await {
            Ok(Ok(())) => tracing::info!(%thing, "a failed onboarding was undone"),
            Ok(Err(error)) => tracing::warn!(%thing, %error, "a failed onboarding is left to the next contact"),
            Err(_) => tracing::warn!(%thing, "no time to undo a failed onboarding: it is left to the next contact"),
        }
    }
}

/// Of several outcomes the unclear one counts first: it forbids to undo.
fn unclear_first(outcomes: [Result<(), RegistryError>; 3]) -> Result<(), RegistryError> {
    let mut errors: Vec<RegistryError> = outcomes.into_iter().filter_map(Result::err).collect();
    errors.sort_by_key(RegistryError::is_definite);
    errors.into_iter().next().map_or(Ok(()), Err)
}
