//! AWS in owner_cache, on a clock that the test turns: one owner's thing, certificates, shadow and mailbox, and
//! the faults that a network between a function and a cloud can have.
//!
//! A call is a message out, an effect, and a message back. Each can be late or lost, and the effect of a
//! call that nobody waits for any more happens all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onething::identifiers::CertificateId;
use onething::registry::{Entry, Replaced};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

/// A certificate as the account has it.
#[derive(Clone, Debug, Default)]
pub struct Registration {
    pub active: bool,
    pub policy: bool,
    pub thing: bool,
    /// Detaching takes its time: until then DeleteCertificate is refused.
    pub detaching_until: Option<Instant>,
    pub made_at: u64,
    /// Whether its subject says that the skill or a device of its asked for it.
    pub ours: bool,
    /// Whether that is all it says: it was a device's own request.
    pub nameless: bool,
}

impl Registration {
    pub fn works(&self) -> bool {
        self.active && self.policy && self.thing
    }

    pub fn is_detaching(&self) -> bool {
        self.detaching_until.is_some_and(|until| until > Instant::now())
    }
}

/// What the account and the mailbox hold.
#[derive(Default)]
pub struct Account {
    pub thing: Option<Entry>,
    pub certificates: BTreeMap<CertificateId, Registration>,
    /// The shadow's `state`.
    pub shadow: Option<Value>,
    /// The certificate in the mail that waits on the machine that is to send it, where mail waits.
    pub waiting: Option<CertificateId>,
    /// The certificate in each mail, in the order of sending.
    pub mails: Vec<CertificateId>,
    /// The certificates that were mailed or given to a device that registered itself, in order.
    pub handed: Vec<CertificateId>,
    /// So many devices have registered and had no good answer: they will register again.
    pub unanswered: u32,
    /// The owner has heard that the last mail came back.
    pub told: bool,
    /// The certificates that a device ever reported to use.
    pub reported: BTreeSet<CertificateId>,
    /// The certificates that a record ever called delivered.
    pub delivered: BTreeSet<CertificateId>,
    /// What must never happen, and did.
    pub broken: Vec<&'static str>,
    pub created: u64,
}

impl Account {
    /// What else lies in the account: certificates of other software, INACTIVE and unattached.
    pub fn with_strangers() -> Self {
        let mut account = Self::default();
        for number in 1..=STRANGERS {
            let id = CertificateId::parse(&format!("{:064x}", u64::MAX - number)).unwrap();
            account.certificates.insert(id, Registration::default());
        }
        account
    }

    /// What the device with the newest certificate would say, or, where it is `late`, one with an older certificate has said and is heard now.
    pub fn report(&mut self, late: bool) -> Option<CertificateId> {
        let works = |id: &&CertificateId| self.certificates.get(*id).is_some_and(Registration::works);
        let newest = self.handed.iter().rev().find(works)?;
        let older = self.handed.iter().find(|id| *id != newest).filter(|_| late);
        let id = older.unwrap_or(newest).clone();
        let reported = json!({"reported": {"certificateId": id.as_str(), "status": "idle"}});
        merge(self.shadow.get_or_insert_with(|| json!({})), &reported);
        self.reported.insert(id.clone());
        Some(id)
    }

    /// A mail has come to its recipient.
    pub fn mailed(&mut self, id: CertificateId) {
        self.mails.push(id.clone());
        self.handed.push(id);
        self.told = false;
    }

    /// Nobody whose device could connect is cut off for a certificate that was not delivered.
    pub fn check_cut_off(&mut self, id: &CertificateId) {
        let Some(entry) = &self.thing else { return };
        let wanted = entry.record.suspended.is_some() || entry.record.forget;
        let others =
            self.delivered.iter().filter(|other| *other != id).any(|other| self.certificates.get(other).is_some_and(Registration::works));
        let worked = self.certificates.get(id).is_some_and(Registration::works);
        // One whose mail still waits is nobody's.
        let had = self.delivered.contains(id) && self.handed.contains(id);
        if worked && had && !wanted && !others {
            self.broken.push("a delivered certificate was cut off, and there is no other");
        }
        // The clocks of two machines may be some seconds apart.
        let early = |replaced: &Replaced| replaced.certificate == *id && replaced.until > crate::now() + 10;
        let is_used = entry.record.certificate.as_ref().is_some_and(|newest| self.reported.contains(newest));
        if worked && had && !wanted && !is_used && entry.record.replaced.len() < 8 && entry.record.replaced.iter().any(early) {
            self.broken.push("a replaced certificate was cut off before its day was over, and the new one was not in use");
        }
    }
}

/// So many certificates of others.
pub const STRANGERS: u64 = 3;

/// Merges as a shadow does: `null` deletes.
pub fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                if value.is_null() {
                    into.remove(key);
                } else {
                    merge(into.entry(key.clone()).or_insert_with(|| json!({})), value);
                }
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// A way in which the account itself is not what AWS documents: a mutant of the world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flaw {
    #[default]
    None,
    /// CreateThing succeeds also on a thing that exists.
    ClaimsAreShared,
    /// UpdateThing does not look at the expected version.
    VersionsDoNotCount,
    /// Certificates are born ACTIVE.
    BornActive,
    /// UpdateCertificate INACTIVE and DeleteCertificate say yes and do nothing.
    NothingIsRevoked,
    /// Every certificate in the account seems to be ours.
    AllSeemOurs,
    /// A mail that waits is sent whether or not anybody wants it any more.
    StaleMailGoes,
    /// Whatever certificate a device reports is taken for the newest one.
    AnyReportCounts,
}

/// How a call goes.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Fine,
    /// A definite no.
    Refused,
    /// It never arrives, and that shows at once.
    LostOnTheWay,
    /// It happens, and the answer is an error.
    FailsAfterwards,
    /// It never arrives, and nothing shows.
    Silent,
    /// It happens, and nothing shows.
    SilentAfterwards,
}

pub struct World {
    pub account: Mutex<Account>,
    pub flaw: Flaw,
    /// Whether mail waits until somebody sends it.
    pub keeps_mail: bool,
    dice: Mutex<fastrand::Rng>,
    story: Mutex<String>,
    began: Instant,
}

/// Why a call has no answer that counts.
pub enum Failure {
    Refused,
    Unclear,
}

/// The client of AWS gives up on a call after this.
const CALL_LIMIT: Duration = Duration::from_millis(2_000);

impl World {
    pub fn new(seed: u64, flaw: Flaw) -> Arc<Self> {
        Self::with(seed, flaw, false)
    }

    /// The same, and where `keeps_mail`, mail waits until somebody sends it.
    pub fn with(seed: u64, flaw: Flaw, keeps_mail: bool) -> Arc<Self> {
        Arc::new(Self {
            account: Mutex::new(Account::with_strangers()),
            flaw,
            keeps_mail,
            dice: Mutex::new(fastrand::Rng::with_seed(seed)),
            story: Mutex::default(),
            began: Instant::now(),
        })
    }

    /// A number below `limit`.
    pub fn roll(&self, limit: u64) -> u64 {
        self.dice.lock().unwrap().u64(0..limit)
    }

    /// A line for whoever has to read a failing schedule.
    pub fn tell(&self, what: impl std::fmt::Display) {
        let at = self.began.elapsed().as_secs_f64();
        let _ = writeln!(self.story.lock().unwrap(), "{at:8.3}  {what}");
    }

    pub fn story(&self) -> String {
        self.story.lock().unwrap().clone()
    }

    fn fate(&self, chaos: u64) -> Fate {
        if self.roll(100) >= chaos {
            return Fate::Fine;
        }
        let fates = [Fate::Refused, Fate::LostOnTheWay, Fate::FailsAfterwards, Fate::Silent, Fate::SilentAfterwards];
        fates[self.roll(fates.len() as u64) as usize]
    }

    /// One call by `who`, which goes wrong in `chaos` of a hundred cases.
    pub async fn call<T: Send + 'static>(
        self: &Arc<Self>,
        who: usize,
        name: &'static str,
        chaos: u64,
        effect: impl FnOnce(&mut Account) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let fate = self.fate(chaos);
        let (out, back) = (self.latency(), self.latency());
        if !matches!(fate, Fate::Fine) {
            self.tell(format_args!("{who}: {name} will go wrong: {fate:?}"));
        }
        match fate {
            Fate::Refused => {
                sleep(out + back).await;
                return Err(Failure::Refused);
            }
            Fate::LostOnTheWay => {
                sleep(out).await;
                return Err(Failure::Unclear);
            }
            Fate::Silent => {
                sleep(CALL_LIMIT).await;
                return Err(Failure::Unclear);
            }
            Fate::Fine | Fate::FailsAfterwards | Fate::SilentAfterwards => {}
        }
        // Once sent, it happens, whether or not the caller lives to hear of it.
        let (done, heard) = oneshot::channel();
        let world = Arc::clone(self);
        tokio::spawn(async move {
            sleep(out).await;
            world.tell(format_args!("{who}: {name}"));
            let _ = done.send(effect(&mut world.account.lock().unwrap()));
        });
        let result = heard.await.map_err(|_| Failure::Unclear)?;
        match fate {
            Fate::Fine => {
                sleep(back).await;
                Ok(result)
            }
            Fate::SilentAfterwards => {
                sleep(CALL_LIMIT).await;
                Err(Failure::Unclear)
            }
            _ => Err(Failure::Unclear),
        }
    }

    /// Mostly quick, now and then slow.
    fn latency(&self) -> Duration {
        let slow = self.roll(20) == 0;
        Duration::from_millis(5 + self.roll(if slow { 900 } else { 60 }))
    }
}
