//! Onboarding under every fault there is, thousands of times: the real code in a world of its own.
//!
//! A seed makes a schedule: several requests of one owner, at once or one after the other, some of them for
//! another certificate, with calls that
//! are refused, lost, late or silent, and processes that are killed. Then the network is well again and the
//! owner speaks up to three times, one lease apart. Whatever happened before, the owner now has one thing,
//! one live certificate, and it is the one in the last mail.
//!
//! A failure prints its seed and its schedule; `SEED=17` plays one schedule, `SEEDS=1000000` more of them.

#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub, reason = "a test may fail loudly, and nobody depends on it")]

mod mutants;
mod port;
mod world;

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use onething::deliver::Letter;
use onething::identify::EmailAddress;
use onething::onboard::{Applicant, Known, Means, Onboarded, Step, next, onboard};
use onething::relay::{Patch, Shadows};
use onething::thing::{Certificate, OwnerId, ThingName, ThingPrefix};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::port::Port;
use crate::world::{Flaw, Registration, World};

const LEASE: u64 = 15;
const ANSWER_WITHIN: Duration = Duration::from_millis(6_500);

/// The part of onboarding that a mutant may replace.
type Decide = fn(&Known, u64) -> Step;

thread_local! {
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Seconds since the epoch on the simulated clock.
fn now() -> u64 {
    1_763_760_000 + BEGAN.get().map_or(0, |began| began.elapsed().as_secs())
}

/// The clock of a machine that is two seconds ahead.
fn ahead() -> u64 {
    now() + 2
}

/// The clock of a machine that is two seconds behind.
fn behind() -> u64 {
    now() - 2
}

/// One request of the owner: found ready, or onboarded. `again` asks for another certificate.
async fn contact(world: &Arc<World>, who: usize, chaos: u64, again: bool, clock: fn() -> u64, decide: Decide) -> bool {
    let port = Port { world: Arc::clone(world), who, chaos };
    let owner = OwnerId::parse("amzn1.account.A").unwrap();
    let thing = ThingName::of(&ThingPrefix::parse("3D_Printer-").unwrap(), &owner);
    let deadline = Instant::now() + ANSWER_WITHIN;
    let first_state = Patch::ready(clock());
    let write = |certificate: &Certificate| {
        let to = EmailAddress::parse("owner@example.com").expect("an address");
        Ok(Letter { from: "skill@example.com".into(), to, message: certificate.id.as_str().into() })
    };
    let means =
        Means { registry: &port, shadows: &port, mailer: &port, now: clock, lease: LEASE, nonce: format!("run-{who}"), deadline, decide };
    let applicant = Applicant { owner: &owner, thing: &thing, first_state: &first_state, write };
    let request = async {
        match port.read(&thing).await {
            Ok(Some(shadow)) if !shadow.again && !again => Ok(Onboarded::Meanwhile),
            Ok(None) => onboard(&means, &applicant).await.map_err(|error| error.to_string()),
            Ok(Some(_)) => match port.update(&thing, &Patch::again(clock())).await {
                Ok(()) => onboard(&means, &applicant).await.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            },
            Err(error) => Err(error.to_string()),
        }
    };
    let outcome = timeout_at(deadline, request).await.unwrap_or_else(|_| Err("no answer in time".into()));
    world.tell(format_args!("{who}: {outcome:?}"));
    outcome.is_ok()
}

/// A schedule with faults, then a quiet end. What is wrong with it, if anything.
async fn play(seed: u64, flaw: Flaw, decide: Decide) -> Result<(), String> {
    let world = World::new(seed, flaw);
    let contacts = 1 + world.roll(5);
    let together = world.roll(3) == 0;
    let mut requests = Vec::new();
    for who in 0..contacts as usize {
        let start = Duration::from_millis(if together { world.roll(20) } else { world.roll(40_000) });
        let chaos = [0, 5, 20, 40][world.roll(4) as usize];
        let again = world.roll(3) == 0;
        let killed = Duration::from_millis(if world.roll(3) == 0 { world.roll(5_000) } else { 60_000 });
        let clock: fn() -> u64 = [now, now, ahead, behind][world.roll(4) as usize];
        let world = Arc::clone(&world);
        requests.push(tokio::spawn(async move {
            sleep(start).await;
            world.tell(format_args!("{who}: speaks; {chaos} of 100 calls go wrong"));
            let life = contact(&world, who, chaos, again, clock, decide);
            if timeout(killed, life).await.is_err() {
                world.tell(format_args!("{who}: is killed"));
            }
        }));
    }
    for request in requests {
        request.await.expect("a request");
    }
    for who in 100..103 {
        sleep(Duration::from_secs(LEASE + 3)).await;
        world.tell(format_args!("{who}: speaks, and all is well"));
        if contact(&world, who, 0, false, now, decide).await {
            return verdict(&world);
        }
    }
    Err(format!("the owner is not ready after three quiet requests\n{}", world.story()))
}

/// The promise, as an observer of the account and the mailbox sees it.
fn verdict(world: &World) -> Result<(), String> {
    let account = world.account.lock().unwrap();
    let mut wrong: Vec<String> = account.broken.iter().map(ToString::to_string).collect();
    let mut check = |good: bool, what: &str| {
        if !good {
            wrong.push(what.to_owned());
        }
    };
    let live: Vec<_> = account.certificates.iter().filter(|(_, registration)| registration.active).collect();
    let tied = account.certificates.values().filter(|registration| registration.thing).count();
    check(account.thing.is_some(), "there is no thing");
    check(account.shadow.as_ref().is_some_and(|shadow| !shadow.again), "the shadow does not say ready");
    check(live.len() == 1, "not exactly one certificate is ACTIVE");
    check(tied == 1, "not exactly one certificate is attached");
    check(live.iter().all(|(_, registration)| registration.works()), "the ACTIVE certificate lacks policy or thing");
    let mailed = account.mails.last().and_then(|id| account.certificates.get(id));
    check(mailed.is_some_and(Registration::works), "the certificate in the last mail does not work");
    if wrong.is_empty() { Ok(()) } else { Err(format!("{}\n{}", wrong.join("\n"), world.story())) }
}

/// Plays a schedule on a clock that runs as fast as nothing happens.
fn simulate(seed: u64, flaw: Flaw, decide: Decide) -> Result<(), String> {
    in_simulated_time(play(seed, flaw, decide))
}

fn in_simulated_time<T>(what: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        BEGAN.set(Some(Instant::now()));
        what.await
    })
}

/// In peace, one request is enough for another certificate, although detaching the old one takes its time.
#[test]
fn a_certificate_is_replaced_by_one_request() {
    in_simulated_time(async {
        let world = World::new(0, Flaw::None);
        assert!(contact(&world, 0, 0, false, now, next).await, "{}", world.story());
        sleep(Duration::from_secs(LEASE + 3)).await;
        assert!(contact(&world, 1, 0, true, now, next).await, "{}", world.story());
        assert_eq!(world.account.lock().unwrap().mails.len(), 2);
        verdict(&world)
    })
    .unwrap();
}

#[test]
fn an_owner_is_never_lost() {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().expect("a number"));
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(10_000),
    };
    for seed in seeds {
        if let Err(what) = simulate(seed, Flaw::None, next) {
            panic!("SEED={seed}: {what}");
        }
    }
}
