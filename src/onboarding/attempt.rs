//! One onboarding attempt: executes the steps that the decision names.

mod record;

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::decision::{Known, Place, Step};
use super::{Context, OnboardError, Onboarded, OnboardingTarget};
use crate::certificate::NewCertificate;
use crate::fault::chain;
use crate::identifiers::CertificateId;
use crate::mail::Delivery;
use crate::metrics::Measure;
use crate::registry::revoke::revoke;
use crate::registry::{Bounce, Entry, Record, Registry, RegistryError, Replaced};
use crate::shadow::{Patch, Shadows};

/// The minimum time to start with a new certificate. With less time, the thing would remain incomplete.
const TIME_TO_CREATE_CERTIFICATE: Duration = Duration::from_millis(2_500);
/// The minimum time to keep waiting for another attempt.
const TIME_TO_ANSWER: Duration = Duration::from_millis(800);
/// The time reserved for the owner's own request when other work is completed first.
const TIME_TO_RELAY: Duration = Duration::from_millis(1_500);
/// The interval between two reads of a thing that another attempt holds.
const WAIT: Duration = Duration::from_millis(300);

/// The state of one attempt to onboard one owner.
pub(super) struct Attempt<'a, R, S, D> {
    means: &'a Context<'a, R, S>,
    who: &'a OnboardingTarget<'a, D>,
    known: Known,
    certificate: Option<NewCertificate>,
    /// The record before this attempt changed it, for the rollback.
    before: Record,
    /// The bounce of an earlier mail that the owner must be told about.
    bounce: Option<Bounce>,
    /// The time by which this attempt must end, so that the response is in time.
    limit: Instant,
    /// No step starts after this time: the end of the lease, or `limit` if that is earlier.
    end: Instant,
}

impl<'a, R, S, D> Attempt<'a, R, S, D>
where
    R: Registry,
    S: Shadows,
    D: Delivery,
{
    pub(super) fn new(means: &'a Context<'a, R, S>, who: &'a OnboardingTarget<'a, D>) -> Self {
        let (known, limit) = (Known::at_first(who.request.clone()), means.deadline);
        Self { means, who, known, certificate: None, before: Record::default(), bounce: None, limit, end: limit }
    }

    /// Executes steps until none is left or one fails.
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
                    // The thing is new, so no other certificates are attached to it.
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
                    // The shadow must not say that the owner is ready while the certificates are about to be deleted.
                    self.means.shadows.delete(thing).await?;
                    self.known.request.shadow = None;
                }
                let record = self.taken_over(&entry.record);
                self.before = entry.record.clone();
                let taken = registry.write(thing, entry.version, &record).await;
                self.took(taken, entry.after(record))?;
            }
            Step::MarkUnfinished => {
                self.means.shadows.update(thing, &Patch::look(self.known.request.at)).await?;
                if let Some(shadow) = &mut self.known.request.shadow {
                    shadow.look = true;
                }
            }
            Step::Resume => {
                let Place::Ours(entry) = &self.known.place else { return Ok(()) };
                // An undelivered certificate is replaced, not activated.
                if let (Some(certificate), Some(_)) = (&entry.record.certificate, entry.record.delivered) {
                    registry.activate(certificate).await?;
                }
                for Replaced { certificate: replaced, .. } in &entry.record.replaced {
                    match registry.activate(replaced).await {
                        // The certificate was already deleted when its time was over; only the update of the record was lost.
                        Err(error) if error.is_definite() && registry.describe(replaced).await?.is_none() => {
                            tracing::info!(%thing, %error, "a replaced certificate is gone")
                        }
                        outcome => outcome?,
                    }
                }
                self.known.resumed = true;
            }
            Step::ListCertificates => self.survey().await?,
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
                    // All three calls are awaited, so that none is in flight when a failure is rolled back.
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

    /// Reads the record. It is this attempt's own if the write succeeded but its response was lost.
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
                // Another attempt has the lease. Only the own limit bounds this attempt now. The other attempt is responsible for
                // everything that this attempt found and made before.
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

    /// Whether the thing belongs to the target's owner. A thing without a readable owner was created manually; its name proves
    /// the ownership, unless devices choose the names.
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

    /// Collects certificates that were not delivered: those attached to the thing and those that the record names.
    async fn survey(&mut self) -> Result<(), OnboardError> {
        let Place::Ours(Entry { record, .. }) = &self.known.place else { return Ok(()) };
        let mut left = self.means.registry.attached(self.who.thing).await?;
        left.extend(record.certificates().cloned());
        let delivered = record.certificate.as_ref().filter(|_| record.delivered.is_some());
        // All certificates are revoked if the owner asked for deletion.
        let kept = |id: &CertificateId| {
            !record.forget && (Some(id) == delivered || record.replaced.iter().any(|replaced| replaced.certificate == *id))
        };
        left.retain(|id| !kept(id) && Some(id) != self.known.created.as_ref());
        left.sort();
        left.dedup();
        self.known.leftovers = Some(left);
        Ok(())
    }

    /// Writes the completion to the record and the shadow. After a mail, both writes run concurrently, because each alone is
    /// sufficient for the next contact. Otherwise the shadow is written last, because it stops later contacts from reading the
    /// record. The lease is kept until it expires, except after a registration, so that no other write overtakes the mark.
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

    /// Applies the result of a write that takes or keeps the lease. If the result is unclear, the record is read next. Returns
    /// whether this attempt holds the lease.
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

    /// Ends a failed attempt. If the failed step certainly had no effect, the attempt is rolled back. If a device of the owner
    /// can connect anyway, the attempt counts as successful and the next contact completes the work.
    async fn fail(&mut self, step: &'static str, error: OnboardError) -> Result<Onboarded, OnboardError> {
        let thing = self.who.thing;
        // For a device, only the record counts: a certificate that the record does not name will be revoked.
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
        // If the owner has no shadow, or a new owner's command was part of it, the request itself has failed.
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

    /// Rolls the attempt back. Work whose result is unclear, or that cannot be undone now, stays under the lease. The next
    /// attempt finds it in the record.
    async fn undo(&mut self) {
        let (registry, thing) = (self.means.registry, self.who.thing);
        // The lease is free, but its expiry time is now and not 0. So the sweep neither treats older unfinished work as timed out,
        // nor a suspension as complete whose certificates this attempt may have activated.
        let before = Record { run: self.means.lease.run.clone(), until: (self.means.lease.now)(), ..self.before.clone() };
        // A user who asked for a certificate is told about the failure and can ask again, so the request is not kept.
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
        // The rollback changes only objects of this attempt, so it may outlast the lease.
        match timeout_at(self.means.deadline, undone).await {
            Ok(Ok(())) => tracing::info!(%thing, "a failed onboarding was undone"),
            Ok(Err(error)) => tracing::warn!(%thing, %error, "a failed onboarding is left to the next contact"),
            Err(_) => tracing::warn!(%thing, "no time to undo a failed onboarding: it is left to the next contact"),
        }
    }
}

/// The error to report: an unclear one if there is one, because it forbids a rollback.
fn unclear_first(outcomes: [Result<(), RegistryError>; 3]) -> Result<(), RegistryError> {
    let mut errors: Vec<RegistryError> = outcomes.into_iter().filter_map(Result::err).collect();
    errors.sort_by_key(RegistryError::is_definite);
    errors.into_iter().next().map_or(Ok(()), Err)
}
