//! One owner, one thing, one live certificate: what a half-made thing still needs, and the loop that
//! does it.
//!
//! There is no database. The thing itself is the record: creating it is the lock, its attributes say
//! who works on it until when, and which certificate is meant to be its own. [`next`] is a pure decision
//! over what an attempt knows; [`onboard`] does that step and asks again.
//!
//! What keeps the promise, whatever dies when:
//! - A certificate is made INACTIVE and attached to nothing: one whose answer is lost opens nothing.
//! - Its id stands in the thing's attributes before anything is done with it, so the next attempt finds
//!   it in every state, also ACTIVE and not yet attached.
//! - The mail goes out only with a certificate that works, the shadow (*ready*) comes only after the mail.
//! - An attempt does nothing after its lease: another may have taken over.

mod decision;
mod registry;

use std::time::Duration;

use thiserror::Error;
use tokio::time::{Instant, sleep, timeout_at};

pub use self::decision::{Known, Place, Step, next};
pub use self::registry::{A_DAY, Hold, LONGEST_LEASE, Record, Registry, RegistryError, within_a_day};
use crate::deliver::{Letter, MailError, Mailer};
use crate::fault::{Blame, Fault, Step as StoryStep};
use crate::relay::{Patch, ShadowError, Shadows};
use crate::thing::{Certificate, CertificateId, OwnerId, ThingName};

/// With less time than this, minting a certificate would leave a half-made thing behind.
const TIME_TO_MINT: Duration = Duration::from_millis(2_500);
/// With less time than this, waiting for another attempt ends.
const TIME_TO_ANSWER: Duration = Duration::from_millis(800);
/// How often the shadow is asked whether another attempt has finished.
const WAIT: Duration = Duration::from_millis(300);

/// Why an owner is not ready.
#[derive(Debug, Error)]
pub enum OnboardError {
    /// Another request of the same owner is at work.
    #[error("another request is onboarding this owner")]
    Busy,
    /// Too little time is left to begin.
    #[error("too little time is left to make a certificate")]
    NoTime,
    /// The registry failed at a step.
    #[error("the registry failed")]
    Registry(#[from] RegistryError),
    /// The mail did not go out.
    #[error("the mail was not sent")]
    Mail(#[from] MailError),
    /// The shadow could not be read or made.
    #[error("the shadow failed")]
    Shadow(#[from] ShadowError),
}

impl OnboardError {
    /// Whether the step that failed certainly had no effect, so that all before it can be undone.
    fn is_definite(&self) -> bool {
        match self {
            OnboardError::Busy | OnboardError::NoTime => true,
            OnboardError::Registry(error) => error.is_definite(),
            OnboardError::Mail(error) => error.is_definite(),
            // The mail is out: a certificate that the owner holds is replaced, not pulled away.
            OnboardError::Shadow(_) => false,
        }
    }
}

impl Blame for OnboardError {
    fn step(&self) -> StoryStep {
        match self {
            OnboardError::Mail(_) => StoryStep::Deliver,
            _ => StoryStep::Onboard,
        }
    }

    fn fault(&self) -> Fault {
        match self {
            OnboardError::Busy | OnboardError::NoTime => Fault::Again,
            OnboardError::Mail(error) => error.fault(),
            OnboardError::Shadow(error) => error.fault(),
            OnboardError::Registry(error) => match error {
                RegistryError::ThingTypeMissing(_) | RegistryError::PolicyMissing(_) | RegistryError::Refused(_) => Fault::Maker,
                RegistryError::Taken | RegistryError::Throttled | RegistryError::Unclear(_) => Fault::Again,
            },
        }
    }

    fn cause(&self) -> &'static str {
        match self {
            OnboardError::Busy => "busy",
            OnboardError::NoTime => "no_time",
            OnboardError::Mail(error) => error.cause(),
            OnboardError::Shadow(error) => error.cause(),
            OnboardError::Registry(error) => match error {
                RegistryError::Taken => "thing_taken",
                RegistryError::ThingTypeMissing(_) => "thing_type_missing",
                RegistryError::PolicyMissing(_) => "policy_missing",
                RegistryError::Throttled => "registry_throttled",
                RegistryError::Refused(_) => "registry_refused",
                RegistryError::Unclear(_) => "registry_unclear",
            },
        }
    }
}

/// The owner to be onboarded, and what that takes.
pub struct Applicant<'a, F> {
    /// Who.
    pub owner: &'a OwnerId,
    /// Their thing.
    pub thing: &'a ThingName,
    /// The first state of the shadow.
    pub first_state: &'a Patch,
    /// Writes the mail for a certificate.
    pub write: F,
}

/// What an attempt may use.
pub struct Means<'a, R, S, M> {
    /// Things and certificates.
    pub registry: &'a R,
    /// Shadows.
    pub shadows: &'a S,
    /// Mail.
    pub mailer: &'a M,
    /// Seconds since the epoch.
    pub now: fn() -> u64,
    /// How long an attempt keeps others away, in seconds.
    pub lease: u64,
    /// A word that no other attempt uses.
    pub nonce: String,
    /// When the answer must be ready.
    pub deadline: Instant,
    /// [`next`]; a test may put a mistake here, to see that it is found.
    pub decide: fn(&Known, u64) -> Step,
}

/// How the owner became ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onboarded {
    /// By this attempt, whose mail is on its way.
    Now,
    /// By another request, while this one waited.
    Meanwhile,
}

struct Attempt<'a, R, S, M, F> {
    means: &'a Means<'a, R, S, M>,
    who: &'a Applicant<'a, F>,
    known: Known,
    certificate: Option<Certificate>,
    /// When certificates of this thing were sent.
    sent: Vec<u64>,
    /// Nothing is begun after this: the end of the lease, or the deadline where that comes first.
    end: Instant,
}

/// Makes an owner ready who has no shadow yet.
pub async fn onboard<R, S, M, F>(means: &Means<'_, R, S, M>, who: &Applicant<'_, F>) -> Result<Onboarded, OnboardError>
where
    R: Registry,
    S: Shadows,
    M: Mailer,
    F: Fn(&Certificate) -> Result<Letter, MailError> + Sync,
{
    let mut attempt = Attempt { means, who, known: Known::NOTHING, certificate: None, sent: Vec::new(), end: means.deadline };
    loop {
        let step = (means.decide)(&attempt.known, (means.now)());
        tracing::debug!(thing = %who.thing, ?step, "onboarding");
        if step == Step::Done {
            return Ok(Onboarded::Now);
        }
        let late = || OnboardError::Registry(RegistryError::Unclear("the lease ran out".into()));
        match timeout_at(attempt.end, attempt.take(&step)).await.unwrap_or_else(|_| Err(late())) {
            Ok(Some(onboarded)) => return Ok(onboarded),
            Ok(None) => {}
            Err(error) => {
                attempt.undo(&error).await;
                return Err(error);
            }
        }
    }
}

impl<R, S, M, F> Attempt<'_, R, S, M, F>
where
    R: Registry,
    S: Shadows,
    M: Mailer,
    F: Fn(&Certificate) -> Result<Letter, MailError> + Sync,
{
    async fn take(&mut self, step: &Step) -> Result<Option<Onboarded>, OnboardError> {
        let (registry, thing) = (self.means.registry, self.who.thing);
        match step {
            Step::Mint => {
                if self.means.deadline.saturating_duration_since(Instant::now()) < TIME_TO_MINT {
                    return Err(OnboardError::NoTime);
                }
                let certificate = registry.mint().await?;
                self.known.minted = Some(certificate.id.clone());
                self.certificate = Some(certificate);
            }
            Step::Claim => {
                let hold = self.hold(self.known.minted.clone());
                let claimed = registry.claim(thing, self.who.owner, &hold).await;
                if self.took(claimed, 1)? {
                    // The thing is new: nobody can have left anything on it.
                    self.known.leftovers = Some(Vec::new());
                    self.known.recorded = true;
                }
            }
            Step::Look => self.look().await?,
            Step::Wait => return self.wait().await,
            Step::Discard => {
                if let Some(mine) = self.known.minted.take() {
                    self.certificate = None;
                    registry.delete(&mine).await?;
                }
            }
            Step::TakeOver => {
                let Place::Theirs(record) = &self.known.place else { return Ok(None) };
                let version = record.version;
                self.known.leftovers = None;
                let taken = registry.hold(thing, version, &self.hold(None)).await;
                self.took(taken, version + 1)?;
            }
            Step::Survey => {
                let mut left = registry.attached(thing).await?;
                // The record may name a certificate that was never attached.
                let named = registry.look(thing).await?.and_then(|record| record.certificate);
                left.extend(named);
                left.retain(|id| Some(id) != self.known.minted.as_ref());
                left.sort();
                left.dedup();
                self.known.leftovers = Some(left);
            }
            Step::Retire(leftover) => {
                retire(registry, leftover, thing).await?;
                self.known.leftovers.iter_mut().for_each(|left| left.retain(|id| id != leftover));
            }
            Step::Record => {
                let Place::Ours(version) = self.known.place else { return Ok(None) };
                let recorded = registry.hold(thing, version, &self.hold(self.known.minted.clone())).await;
                self.known.recorded = self.took(recorded, version + 1)?;
            }
            Step::Wire => {
                if let Some(mine) = &self.known.minted {
                    // All three are awaited, so that nothing is in flight when a failure is undone.
                    let (policy, attachment, active) =
                        tokio::join!(registry.attach_policy(mine), registry.attach_thing(mine, thing), registry.activate(mine));
                    unclear_first([policy, attachment, active])?;
                    self.known.wired = true;
                }
            }
            Step::Mail => {
                if let Some(certificate) = self.certificate.take() {
                    self.means.mailer.send((self.who.write)(&certificate)?).await?;
                    self.known.mailed = true;
                }
            }
            Step::MakeReady => {
                self.means.shadows.update(thing, self.who.first_state).await?;
                self.known.ready = true;
            }
            Step::Done => {}
        }
        Ok(None)
    }

    /// Reads the record: this attempt's own, when only the answer to its write was lost.
    async fn look(&mut self) -> Result<(), OnboardError> {
        self.known.place = match self.means.registry.look(self.who.thing).await? {
            None => Place::Unknown,
            Some(record) if record.run == self.means.nonce => {
                self.known.recorded = record.certificate.is_some() && record.certificate == self.known.minted;
                self.sent = record.sent;
                Place::Ours(record.version)
            }
            Some(record) => {
                // What this attempt wanted to hold, it does not: only the answer's deadline bounds it now.
                self.end = self.means.deadline;
                self.sent.clone_from(&record.sent);
                Place::Theirs(record)
            }
        };
        Ok(())
    }

    async fn wait(&mut self) -> Result<Option<Onboarded>, OnboardError> {
        if self.time_left() < WAIT + TIME_TO_ANSWER {
            return Err(OnboardError::Busy);
        }
        sleep(WAIT).await;
        if self.means.shadows.read(self.who.thing).await?.is_some_and(|shadow| !shadow.again) {
            return Ok(Some(Onboarded::Meanwhile));
        }
        self.known.place = Place::Unread;
        Ok(None)
    }

    /// Notes the outcome of a write that takes or keeps the lock. Where it is not clear, the record tells.
    fn took(&mut self, outcome: Result<(), RegistryError>, version: i64) -> Result<bool, OnboardError> {
        match outcome {
            Ok(()) => self.known.place = Place::Ours(version),
            Err(RegistryError::Taken | RegistryError::Unclear(_)) => self.known.place = Place::Unread,
            Err(error) => return Err(error.into()),
        }
        Ok(matches!(self.known.place, Place::Ours(_)))
    }

    /// The hold of this attempt, from now on; the attempt ends with it.
    fn hold(&mut self, certificate: Option<CertificateId>) -> Hold {
        let lease_end = Instant::now() + Duration::from_secs(self.means.lease);
        self.end = self.means.deadline.min(lease_end);
        let now = (self.means.now)();
        let sent = certificate.is_some().then(|| [within_a_day(&self.sent, now), vec![now]].concat());
        // Rounded up: nobody may take over in the last part of a second in which this attempt still acts.
        Hold { run: self.means.nonce.clone(), until: now + self.means.lease + 1, certificate, sent }
    }

    fn time_left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// After a failure that certainly had no effect: leave nothing behind. What is unclear, or cannot be
    /// undone now, stays under the lease until the next attempt finds it by the record.
    async fn undo(&mut self, error: &OnboardError) {
        if !error.is_definite() {
            return;
        }
        let (registry, thing) = (self.means.registry, self.who.thing);
        let undone = async {
            match (&self.known.place, self.known.minted.take()) {
                (Place::Ours(_), Some(mine)) => retire(registry, &mine, thing).await?,
                (_, Some(mine)) => registry.delete(&mine).await?,
                (_, None) => {}
            }
            if let Place::Ours(version) = self.known.place {
                let free = Hold { run: self.means.nonce.clone(), until: 0, certificate: None, sent: None };
                registry.hold(thing, version, &free).await?;
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

/// Takes a certificate out of service and deletes it. Detaching spreads over some seconds, in which AWS
/// refuses to delete; what is INACTIVE and detached opens nothing, so that is no failure.
async fn retire(registry: &impl Registry, certificate: &CertificateId, thing: &ThingName) -> Result<(), RegistryError> {
    let (inactive, untied, stripped) =
        tokio::join!(registry.deactivate(certificate), registry.detach_thing(certificate, thing), registry.detach_policy(certificate));
    inactive?;
    untied?;
    stripped?;
    match registry.delete(certificate).await {
        Err(RegistryError::Refused(code)) => {
            tracing::info!(%certificate, code, "a certificate out of service is not deleted yet");
            Ok(())
        }
        outcome => outcome,
    }
}

/// Of several outcomes the unclear one counts first: it forbids to undo.
fn unclear_first(outcomes: [Result<(), RegistryError>; 3]) -> Result<(), RegistryError> {
    let mut errors: Vec<RegistryError> = outcomes.into_iter().filter_map(Result::err).collect();
    errors.sort_by_key(RegistryError::is_definite);
    errors.into_iter().next().map_or(Ok(()), Err)
}
