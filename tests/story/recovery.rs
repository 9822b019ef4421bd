//! After a definite refusal the function deletes unfinished resources at once, and not with the next request of the owner.
//! `every_call.rs` shows that the next request makes the owner ready, whatever had failed.

use crate::harness::alexa::{Echo, Slot};
use crate::harness::aws::Conduct;
use crate::harness::device::{Device, Identity};
use crate::stack::{Stack, check_no_stray_certificate_is_live, check_one_owner_one_thing, list};
use crate::tenant::{SharedAccount, is_served};

/// The lease in seconds. The rollback needs a lease that is longer than the retries of the client on a busy machine.
const LEASE: u64 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_onboarding_is_rolled_back_at_once() {
    let shared_account = SharedAccount::built(LEASE).await;
    let mut first = shared_account.new_tenant("First").await;
    first.speaks().await.expect("a function that was not killed").welcomes();
    let mut writes = first.gate.operations();
    writes.retain(|operation| !operation.starts_with("GET ") && !operation.starts_with("Get") && !operation.starts_with("Describe"));

    for operation in writes {
        let mut home = shared_account.new_tenant(&format!("Owner of {operation}")).await;
        home.gate.makes(&operation, Conduct::Refuses(429, "ThrottlingException", "Rate exceeded"));
        let answer = home.speaks().await.expect("a function that was not killed");
        assert!(home.gate.mends(), "{operation} was not called");
        // After the mail and the update of the shadow, only the record is incomplete, which the shadow makes up for.
        assert!(operation == "UpdateThing" || !is_served(answer.apologises()), "{operation}: {:#}", answer.json());

        // A mail that was sent cannot be taken back, and the rollback itself needs UpdateCertificate.
        let address = home.user.email.clone().unwrap_or_default();
        if operation != "UpdateCertificate" && shared_account.ministack.smtp_server.count_to(&address) == 0 {
            let account = shared_account.ministack.holds().await;
            let made = home.gate.certificates_made();
            let left = list(&account, "certificates").iter().find(|certificate| made.iter().any(|id| certificate["id"] == id.as_str()));
            assert!(left.is_none(), "{operation}: {left:#?}");
        }

        // A lease that was released need not be waited for.
        let answer = home.speaks().await.expect("a function that was not killed");
        if !is_served(&answer) {
            home.speaks_until_served(&shared_account).await.expect("an owner who is ready");
        }
        let wrong = shared_account.judges(&[(home.user.clone(), home.gate.certificates_made())]).await;
        assert!(wrong.concat().is_empty(), "{operation}: {wrong:?}");
        let (_, bundle) = shared_account.ministack.open_last_mail(&home.user).await;
        Device::connect(&Identity::of_bundle(&bundle, &shared_account.ministack.root)).await;
    }
    check_no_stray_certificate_is_live(&shared_account.ministack.holds().await);
}

/// The mail is sent, but the shadow cannot be updated: the command of the new owner is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_command_that_was_not_written_is_not_reported_as_waiting() {
    let stack = Stack::of_short_leases().await;
    let ada = stack.function.welcomes("Ada");
    let mut echo = Echo::linked(&ada.token);
    stack.function.aws.makes("UpdateThingShadow", Conduct::Refuses(429, "ThrottlingException", "Rate exceeded"));
    let request = echo.intent("PrintIntent", &[Slot::said("model", "vase")]);
    let answer = stack.ask(&mut echo, &request).await;
    assert!(!answer.apologises().speech().contains("waits"), "{:#}", answer.json());
    stack.function.aws.mends();

    // The next command is written, and the certificate is the one that was mailed.
    stack.lease_passes().await;
    echo.start_over();
    let request = echo.intent("PrintIntent", &[Slot::said("model", "vase")]);
    stack.ask(&mut echo, &request).await.says(&["vase", "waits"]);
    assert_eq!(stack.ministack.smtp_server.count(), 1);
    let (_, bundle) = stack.ministack.open_mail(0).await;
    let mailed = std::fs::read_to_string(bundle.join("certificate.pem")).expect("the certificate of the bundle");
    let account = stack.ministack.holds().await;
    check_one_owner_one_thing(&account, &ada, &mailed);
    assert_eq!(list(&account, "things")[0]["shadow"]["state"]["desired"]["command"]["args"]["model"], "vase");
    drop(Device::connect(&Identity::of_bundle(&bundle, &stack.ministack.root)).await);
}
