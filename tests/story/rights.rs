//! The role of the stack gives the function what it needs.

use crate::harness::alexa::{Echo, Slot};
use crate::harness::aws::Conduct;
use crate::harness::house::House;
use crate::harness::ministack::{Ministack, rights_of_the_stack};
use crate::town::{Town, check_one_owner_one_thing, list};

#[tokio::test(flavor = "multi_thread")]
async fn the_role_of_the_stack_is_enough() {
    let ministack = Ministack::deployed().await;
    let (access_key, secret_key) = rights_of_the_stack(&ministack.url).await;
    let gate = ministack.gate().await;
    let house = House::deployed(gate, |deployment| {
        let deployment = deployment.set("LEASE_SECONDS", "1");
        deployment.set("AWS_ACCESS_KEY_ID", &access_key).set("AWS_SECRET_ACCESS_KEY", &secret_key)
    })
    .await;
    let town = Town { ministack, house };
    let (aws, lambda) = (&town.house.aws, &town.house.lambda);
    let ada = town.house.welcomes("Ada");
    let mut echo = Echo::linked(&ada.token);

    // A mail that is refused: everything before it is taken back.
    aws.makes("SendRawEmail", Conduct::Refuses(400, "MessageRejected", "no"));
    let request = echo.launch();
    town.ask(&mut echo, &request).await.apologises();
    assert!(list(&town.ministack.holds().await, "certificates").is_empty());

    // A mail that may be out: the next contact replaces the certificate.
    aws.makes("SendRawEmail", Conduct::FailsAfterwards);
    let request = echo.launch();
    town.ask(&mut echo, &request).await.apologises();
    aws.mends();
    town.serves(&mut echo).await;

    // And what everybody does every day.
    for request in [echo.intent("PrintIntent", &[Slot::said("model", "vase")]), echo.intent("StatusIntent", &[])] {
        town.ask(&mut echo, &request).await;
    }
    let (_, bundle) = town.ministack.open_mail(aws.times("SendRawEmail") - 1).await;
    let mailed = std::fs::read_to_string(bundle.join("certificate.pem")).expect("a certificate");
    check_one_owner_one_thing(&town.ministack.holds().await, &ada, &mailed);

    for call in aws.calls() {
        assert_ne!(call.status.map(|status| status.as_u16()), Some(403), "{call:?}");
    }
    let log = lambda.log();
    assert!(!log.contains("AccessDenied"), "{log}");
}
