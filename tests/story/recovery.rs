//! What a definite no left unfinished is taken back at once, and does not
//! wait for the owner to speak again. That they are made ready then, whatever
//! it was, `every_call.rs` shows.

use crate::harness::aws::Conduct;
use crate::harness::device::{Device, Identity};
use crate::household::{Village, is_served};
use crate::town::{check_no_stray_certificate_is_live, list};

/// What is undone needs a lease that outlives the SDK's retries on a busy machine.
const LEASE: u64 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_throttled_half_way_is_taken_back_at_once() {
    let village = Village::built(LEASE).await;
    let mut first = village.settles("First").await;
    first.speaks().await.expect("a function that lives").welcomes();
    let mut writes = first.gate.operations();
    writes.retain(|operation| !operation.starts_with("GET ") && !operation.starts_with("Get") && !operation.starts_with("Describe"));

    for operation in writes {
        let mut home = village.settles(&format!("Owner of {operation}")).await;
        home.gate.makes(&operation, Conduct::Refuses(429, "ThrottlingException", "Rate exceeded"));
        let answer = home.speaks().await.expect("a function that lives");
        assert!(home.gate.mends(), "{operation} was not called");
        assert!(!is_served(answer.apologises()), "{:#}", answer.json());

        // A mail that is out cannot be taken back, and taking back needs UpdateCertificate itself.
        let address = home.user.email.clone().unwrap_or_default();
        if operation != "UpdateCertificate" && village.ministack.post_office.count_to(&address) == 0 {
            let account = village.ministack.holds().await;
            let made = home.gate.certificates_made();
            let left = list(&account, "certificates").iter().find(|certificate| made.iter().any(|id| certificate["id"] == id.as_str()));
            assert!(left.is_none(), "{operation}: {left:#?}");
        }

        // What was given free need not be waited for.
        let answer = home.speaks().await.expect("a function that lives");
        if !is_served(&answer) {
            home.speaks_until_served(&village).await.expect("an owner who is ready");
        }
        let wrong = village.judges(&[(home.user.clone(), home.gate.certificates_made())]).await;
        assert!(wrong.concat().is_empty(), "{operation}: {wrong:?}");
        let (_, bundle) = village.ministack.open_last_mail(&home.user).await;
        Device::connect(&Identity::of_bundle(&bundle, &village.ministack.root)).await;
    }
    check_no_stray_certificate_is_live(&village.ministack.holds().await);
}
