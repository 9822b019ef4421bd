//! The contract of the ports, kept by the model of AWS in the simulation. The simulation proves as much about AWS as this model
//! resembles AWS. The model stores only the certificate of a mail, so it is not tested as a mailer.

#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub, reason = "a panic is a failed test, and no crate imports these names")]

#[path = "mod.rs"]
mod contract;
#[allow(dead_code, reason = "only the simulation uses the faults")]
#[path = "../simulation/port.rs"]
mod port;
#[allow(dead_code, reason = "only the simulation uses the faults")]
#[path = "../simulation/world.rs"]
mod world;

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use onething::identifiers::{OwnerId, ThingName, ThingPrefix};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::contract::gaps::Gap;
use crate::contract::{Account, Broken, Kept, NewUser, Verdict, gaps};
use crate::port::Port;
use crate::world::{Flaw, World, merge};

thread_local! {
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Unix time in seconds on the simulated clock.
fn now() -> u64 {
    1_763_760_000 + BEGAN.get().map_or(0, |began| began.elapsed().as_secs())
}

fn new_user(number: usize) -> NewUser {
    let owner = OwnerId::parse(&format!("amzn1.account.OWNER{number}")).unwrap();
    let thing = ThingName::of(&ThingPrefix::parse("3D_Printer-").unwrap(), &owner);
    NewUser { owner, thing }
}

/// The only thing that the model has: that of the first user.
fn thing() -> ThingName {
    new_user(0).thing
}

/// A world without faults.
struct Model {
    port: Port,
    new_users: RefCell<std::ops::RangeFrom<usize>>,
}

impl Model {
    fn new(flaw: Flaw) -> Self {
        let port = Port { world: World::new(1, flaw), who: 0, chaos: 0 };
        Self { port, new_users: RefCell::new(0..) }
    }
}

impl Account for Model {
    type Registry = Port;
    type Shadows = Port;

    fn registry(&self) -> Arc<Port> {
        Arc::new(self.port.clone())
    }

    fn shadows(&self) -> &Port {
        &self.port
    }

    fn registry_without_its_stack(&self) -> Arc<Port> {
        self.registry()
    }

    fn new_user(&self) -> NewUser {
        new_user(self.new_users.borrow_mut().next().unwrap())
    }

    fn now(&self) -> u64 {
        now()
    }

    async fn waits(&self) {
        sleep(Duration::from_secs(60)).await;
    }

    async fn reports(&self, _: &ThingName, reported: Value) {
        let mut account = self.port.world.account.lock().unwrap();
        merge(account.shadow.get_or_insert_with(|| json!({})), &json!({"reported": reported}));
    }

    async fn desired(&self, _: &ThingName) -> Value {
        self.port.world.account.lock().unwrap().shadow.as_ref().map(|state| state["desired"].clone()).unwrap_or_default()
    }
}

async fn judge(flaw: Flaw) -> Vec<Verdict> {
    BEGAN.set(Some(Instant::now()));
    let fresh = async || Model::new(flaw);
    let mut verdicts = contract::registry::judge(fresh).await;
    verdicts.extend(contract::certificates::judge(fresh).await);
    verdicts.extend(contract::shadows::judge(fresh).await);
    verdicts
}

#[tokio::test(start_paused = true)]
async fn the_model_keeps_the_contract() {
    gaps::check(&judge(Flaw::None).await, gaps::MODEL);
}

/// The contract finds the flaws that the simulation has to find, too: a flaw breaks exactly these clauses, in this order, besides
/// those that the model never keeps.
async fn check_flaw(flaw: Flaw, expected: &[&str]) {
    let known = |clause: &str| gaps::MODEL.iter().any(|gap| gap.clauses.contains(&clause));
    let verdicts = judge(flaw).await;
    let broken = verdicts.iter().filter(|verdict| verdict.kept.is_err()).map(|verdict| verdict.clause);
    assert_eq!(broken.filter(|clause| !known(clause)).collect::<Vec<_>>(), expected, "{flaw:?}");
}

#[tokio::test(start_paused = true)]
async fn every_flaw_of_the_account_breaks_the_contract() {
    check_flaw(Flaw::None, &[]).await;
    check_flaw(
        Flaw::ClaimsAreShared,
        &["a_claim_is_exclusive", "a_claim_that_is_repeated_later_changes_nothing", "one_of_many_concurrent_claims_succeeds"],
    )
    .await;
    check_flaw(Flaw::VersionsDoNotCount, &["a_write_needs_the_present_version", "one_of_many_concurrent_writes_succeeds"]).await;
    let born_active = &["a_new_certificate_is_inactive_and_not_attached", "a_device_gets_certificates_for_its_own_key"];
    check_flaw(Flaw::CreatedActive, born_active).await;
    check_flaw(
        Flaw::NothingIsRevoked,
        &[
            "a_certificate_is_activated_and_deactivated",
            "an_active_certificate_is_not_deleted",
            "an_attached_certificate_is_not_deleted",
            "a_certificate_with_a_policy_is_deleted",
            "a_detached_certificate_is_deleted",
            "undoing_succeeds_for_a_deleted_certificate",
            "a_list_of_certificates_has_their_status",
        ],
    )
    .await;
}

fn is_noticed(kept: Kept, gaps: &'static [Gap]) -> bool {
    let verdicts = [Verdict { clause: "a_clause", kept }];
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| gaps::check(&verdicts, gaps))).is_err()
}

#[test]
fn a_wrong_list_of_gaps_fails() {
    const LISTED: &[Gap] = &[Gap { why: "it is a test", clauses: &["a_clause"] }];
    const ELSEWHERE: &[Gap] = &[Gap { why: "it is a test", clauses: &["a_clause_of_nothing"] }];
    let broken = || Err(Broken("broken".to_owned()));
    assert!(!is_noticed(Ok(()), &[]) && !is_noticed(broken(), LISTED), "a correct list");
    assert!(is_noticed(Ok(()), LISTED), "a gap that has closed");
    assert!(is_noticed(broken(), &[]), "a gap that has opened");
    assert!(is_noticed(Ok(()), ELSEWHERE), "a gap in a clause that does not exist");
}
