//! AWS in memory, on the clock of the test: the thing, certificates, shadow and mailbox of one owner, and the faults of the
//! network between a function and the cloud.
//!
//! A call consists of a request, an effect and a response. Request and response can be late or lost. The effect happens even if
//! the caller no longer waits.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onething::identifiers::CertificateId;
use onething::registry::{Entry, Replaced};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

/// A certificate in the registry of the account.
#[derive(Clone, Debug, Default)]
pub struct Registration {
    pub active: bool,
    pub policy: bool,
    pub thing: bool,
    /// The end of a detachment that propagates. Until then DeleteCertificate is refused.
    pub detaching_until: Option<Instant>,
    pub made_at: u64,
    /// Whether the subject says that the skill or one of its devices requested the certificate.
    pub ours: bool,
    /// Whether the subject does not name the thing, as in the CSR of a device.
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

/// The content of the account and of the mailbox.
#[derive(Default)]
pub struct Account {
    pub thing: Option<Entry>,
    pub certificates: BTreeMap<CertificateId, Registration>,
    /// The `state` of the shadow.
    pub shadow: Option<Value>,
    /// The certificate in the mail that waits in the queue of the mailer.
    pub waiting: Option<CertificateId>,
    /// The certificate in each mail, in the order of sending.
    pub mails: Vec<CertificateId>,
    /// The certificates that were mailed, or returned to a device that registered itself, in order.
    pub handed: Vec<CertificateId>,
    /// The number of devices that have registered without a successful response and will register again.
    pub unanswered: u32,
    /// Whether the owner was told that the last mail was returned.
    pub told: bool,
    /// The certificates that a device has reported to use.
    pub reported: BTreeSet<CertificateId>,
    /// The certificates that a record has named as delivered.
    pub delivered: BTreeSet<CertificateId>,
    /// The violations of invariants so far.
    pub broken: Vec<&'static str>,
    pub created: u64,
}

impl Account {
    /// An account with certificates of other software, which are INACTIVE and unattached.
    pub fn with_foreign_certificates() -> Self {
        let mut account = Self::default();
        for number in 1..=FOREIGN_CERTIFICATES {
            let id = CertificateId::parse(&format!("{:064x}", u64::MAX - number)).unwrap();
            account.certificates.insert(id, Registration::default());
        }
        account
    }

    /// A report of the device with the newest working certificate, or, if `late`, an earlier report of a device with an older
    /// certificate that arrives now. Returns the reported certificate; None if no certificate works.
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

    /// Records that a mail has reached its recipient.
    pub fn mailed(&mut self, id: CertificateId) {
        self.mails.push(id.clone());
        self.handed.push(id);
        self.told = false;
    }

    /// Records a violation if the call cuts off a device although its owner has no other delivered certificate that works.
    pub fn check_cut_off(&mut self, id: &CertificateId) {
        let Some(entry) = &self.thing else { return };
        let wanted = entry.record.suspended.is_some() || entry.record.forget;
        let others =
            self.delivered.iter().filter(|other| *other != id).any(|other| self.certificates.get(other).is_some_and(Registration::works));
        let worked = self.certificates.get(id).is_some_and(Registration::works);
        // A certificate whose mail still waits belongs to no device yet.
        let had = self.delivered.contains(id) && self.handed.contains(id);
        if worked && had && !wanted && !others {
            self.broken.push("a delivered certificate was cut off, and there is no other");
        }
        // The clocks of two machines may differ by some seconds.
        let early = |replaced: &Replaced| replaced.certificate == *id && replaced.until > crate::now() + 10;
        let is_used = entry.record.certificate.as_ref().is_some_and(|newest| self.reported.contains(newest));
        if worked && had && !wanted && !is_used && entry.record.replaced.len() < 8 && entry.record.replaced.iter().any(early) {
            self.broken.push("a replaced certificate was cut off before its day was over, and the new one was not in use");
        }
    }
}

/// The number of certificates of other software.
pub const FOREIGN_CERTIFICATES: u64 = 3;

/// Merges as AWS IoT merges a shadow: `null` deletes a key.
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

/// A deviation of the simulated account from the documentation of AWS: a mutant of the world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flaw {
    #[default]
    None,
    /// CreateThing succeeds even if the thing exists.
    ClaimsAreShared,
    /// UpdateThing ignores the expected version.
    VersionsDoNotCount,
    /// New certificates are ACTIVE.
    CreatedActive,
    /// UpdateCertificate INACTIVE and DeleteCertificate succeed without an effect.
    NothingIsRevoked,
    /// Every certificate in the account looks like one of this project.
    AllSeemOurs,
    /// A waiting mail is sent even if it is no longer wanted.
    StaleMailGoes,
    /// A report of any certificate counts as a report of the newest one.
    AnyReportCounts,
}

/// The course of a call.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Fine,
    /// Refused without an effect.
    Refused,
    /// The request is lost, and the caller gets an error at once.
    LostOnTheWay,
    /// The effect happens, and the response is an error.
    FailsAfterwards,
    /// The request is lost, and the caller runs into its timeout.
    Silent,
    /// The effect happens, and the caller runs into its timeout.
    SilentAfterwards,
}

pub struct World {
    pub account: Mutex<Account>,
    pub flaw: Flaw,
    /// Whether the mailer queues mail until an event sends it.
    pub keeps_mail: bool,
    dice: Mutex<fastrand::Rng>,
    story: Mutex<String>,
    began: Instant,
}

/// The error of a call.
pub enum Failure {
    Refused,
    Unclear,
}

/// The timeout of a call in the AWS client.
const CALL_LIMIT: Duration = Duration::from_millis(2_000);

impl World {
    pub fn new(seed: u64, flaw: Flaw) -> Arc<Self> {
        Self::with(seed, flaw, false)
    }

    /// Like [`new`](Self::new); with `keeps_mail`, the mailer queues mail.
    pub fn with(seed: u64, flaw: Flaw, keeps_mail: bool) -> Arc<Self> {
        Arc::new(Self {
            account: Mutex::new(Account::with_foreign_certificates()),
            flaw,
            keeps_mail,
            dice: Mutex::new(fastrand::Rng::with_seed(seed)),
            story: Mutex::default(),
            began: Instant::now(),
        })
    }

    /// A random number below `limit`.
    pub fn roll(&self, limit: u64) -> u64 {
        self.dice.lock().unwrap().u64(0..limit)
    }

    /// Adds a line to the log that a failing schedule prints.
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

    /// One call of the process `who`, which fails in `chaos` percent of the cases.
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
        // Once sent, the call takes effect, even if the caller is killed before the response.
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

    /// The latency of one message: usually short, sometimes long.
    fn latency(&self) -> Duration {
        let slow = self.roll(20) == 0;
        Duration::from_millis(5 + self.roll(if slow { 900 } else { 60 }))
    }
}
