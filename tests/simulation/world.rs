//! AWS in memory, on a clock that the test turns: one owner's thing, certificates, shadow and mailbox, and
//! the faults that a network between a function and a cloud can have.
//!
//! A call is a message out, an effect, and a message back. Each can be late or lost, and the effect of a
//! call that nobody waits for any more happens all the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onething::onboard::Record;
use onething::relay::Shadow;
use onething::thing::CertificateId;
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
}

impl Registration {
    pub fn works(&self) -> bool {
        self.active && self.policy && self.thing
    }
}

/// What the account and the mailbox hold.
#[derive(Default)]
pub struct Account {
    pub thing: Option<Record>,
    pub certificates: BTreeMap<CertificateId, Registration>,
    pub shadow: Option<Shadow>,
    /// The certificate in each mail, in the order of sending.
    pub mails: Vec<CertificateId>,
    /// What must never happen, and did.
    pub broken: Vec<&'static str>,
    pub minted: u64,
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
    NothingIsRetired,
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
        Arc::new(Self {
            account: Mutex::default(),
            flaw,
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
