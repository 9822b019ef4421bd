//! Whatever goes wrong in the middle, the next contact makes it good: one
//! owner, one thing, one live certificate.

use serde_json::Value;

use crate::harness::alexa::Echo;
use crate::harness::aws::Conduct;
use crate::harness::device::Device;
use crate::harness::ministack::Account;
use crate::town::{Town, check_no_stray_certificate_is_live, check_one_owner_one_thing, list};

/// The calls of an onboarding that change something.
const WRITES: &[&str] = &[
    "CreateKeysAndCertificate",
    "CreateThing",
    "AttachPolicy",
    "AttachThingPrincipal",
    "UpdateCertificate",
    "SendRawEmail",
    "UpdateThingShadow",
];

/// One write of an onboarding goes wrong for as long as the owner's first
/// sentence lasts; the next one must end well.
async fn check(conduct: Conduct) {
    // What is undone at once needs a lease that outlives the SDK's retries on a busy machine; what is not
    // needs one that has run out before the owner speaks again.
    let lease = if matches!(conduct, Conduct::Refuses(..)) { "5" } else { "1" };
    let town = Town::with(&Account::deployed(), |deployment| deployment.set("LEASE_SECONDS", lease)).await;
    for operation in WRITES {
        let user = town.house.welcomes(&format!("Owner of {operation}"));
        town.house.aws.makes(operation, conduct);
        let mut echo = Echo::linked(&user.token);
        let request = echo.launch();
        town.ask(&mut echo, &request).await.apologises();
        town.house.aws.mends();
        if let Conduct::Refuses(429, ..) = conduct {
            check_undone(&town.ministack.holds().await, operation);
        }

        town.serves(&mut echo).await;

        // The last mail holds the one certificate that works.
        let sent = town.house.aws.times("SendRawEmail");
        let (_, bundle) = town.ministack.open_newest_mail(&user, sent).await;
        let identity = crate::harness::device::Identity::of_bundle(&bundle, &town.ministack.root);
        let mailed = std::fs::read_to_string(&identity.certificate).expect("a certificate");
        let account = town.ministack.holds().await;
        check_one_owner_one_thing(&account, &user, &mailed);
        check_no_stray_certificate_is_live(&account);
        Device::connect(&identity).await;
    }
}

/// What a definite no left unfinished is taken back at once; only a mail that is out cannot be.
fn check_undone(account: &Value, operation: &str) {
    let live = list(account, "certificates").iter().any(|certificate| {
        let things = list(certificate, "things");
        // Owners of earlier rounds are ready, and have a shadow.
        let ready = |name: &Value| list(account, "things").iter().any(|thing| thing["name"] == *name && thing["shadow"].is_object());
        !things.iter().any(ready)
    });
    // Taking back needs UpdateCertificate itself.
    let excused = ["UpdateThingShadow", "UpdateCertificate"].contains(&operation);
    assert!(!live || excused, "{operation}: {account:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_refused_is_made_good() {
    check(Conduct::Refuses(500, "InternalFailureException", "try again")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_throttled_is_made_good() {
    check(Conduct::Refuses(429, "ThrottlingException", "Rate exceeded")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_answer_was_an_error_although_it_worked_is_made_good() {
    check(Conduct::FailsAfterwards).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_answer_was_lost_is_made_good() {
    check(Conduct::HangsAfterwards).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_never_arrived_is_made_good() {
    check(Conduct::Hangs).await;
}
