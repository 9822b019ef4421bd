//! The certificate is lost or in wrong hands: a new one comes, and the old one goes when it is not needed any more.

use serde_json::json;

use crate::harness::alexa::Echo;
use crate::harness::answer::Answer;
use crate::harness::aws::Conduct;
use crate::harness::device::{Device, Identity, connection};
use crate::stack::{Stack, check_no_stray_certificate_is_live, check_one_owner_one_thing};

const INTENT: &str = "SendCertificateIntent";

/// Says it, and says yes where it is asked back. A lease of a second may still have to run out.
pub async fn ask_and_agree(stack: &Stack, echo: &mut Echo) -> Answer {
    echo.start_over();
    let request = echo.intent_in("STARTED", "NONE", INTENT, &[]);
    let answer = stack.ask(echo, &request).await;
    assert_eq!(answer.directives(), ["Dialog.ConfirmIntent"], "{:#}", answer.json());
    let request = echo.intent_in("COMPLETED", "CONFIRMED", INTENT, &[]);
    stack.ask(echo, &request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_certificate_works_until_the_device_says_that_it_uses_the_new_one() {
    let stack = Stack::of_short_leases().await;
    let ada = stack.function.welcomes("Ada");
    let mut owner = stack.onboards(&ada, 0).await;

    ask_and_agree(&stack, &mut owner.echo).await.says(&["new certificate"]);
    let (_, bundle) = stack.ministack.open_last_mail(&ada).await;
    let identity = Identity::of_bundle(&bundle, &stack.ministack.root);
    assert_eq!(identity.client_id, owner.thing, "the thing stays");
    let mailed = std::fs::read_to_string(&identity.certificate).expect("a certificate");
    assert_ne!(mailed, owner.certificate());

    // The device has not been given the new one yet, and goes on; commands reach it.
    let mut device = Device::connect(&owner.identity).await;
    device.subscribe(&owner.topic("update/delta")).await;
    owner.echo.start_over();
    let request = owner.echo.intent("PauseIntent", &[]);
    stack.ask(&mut owner.echo, &request).await.says(&["Pausing"]);
    assert_eq!(device.receive(&owner.topic("update/delta")).await["state"]["command"]["name"], "pause");

    // It gets the new one and says so; the next contact takes the old one out of service.
    let mut device = Device::connect(&identity).await;
    device.subscribe(&owner.topic("update/accepted")).await;
    let reported = json!({"status": "idle", "certificateId": connection(&bundle)["certificateId"]});
    device.publish(&owner.topic("update"), &json!({"state": {"reported": reported}})).await;
    device.receive(&owner.topic("update/accepted")).await;
    stack.lease_passes().await;
    let other = stack.another_function().await;
    let mut echo = Echo::linked(&ada.token);
    let request = echo.intent("PauseIntent", &[]);
    other.answer(&mut echo, &request).await.says(&["Pausing"]);
    let account = stack.ministack.holds().await;
    check_one_owner_one_thing(&account, &ada, &mailed);
    check_no_stray_certificate_is_live(&account);
    Device::connect(&identity).await;
    Device::dial(&owner.identity).await.is_refused().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_no_keeps_the_old_one() {
    let stack = Stack::of_short_leases().await;
    let mut owner = stack.onboards(&stack.function.welcomes("Ada"), 0).await;
    stack.function.aws.forgets();
    let request = owner.echo.intent_in("COMPLETED", "DENIED", INTENT, &[]);
    stack.ask(&mut owner.echo, &request).await.says(&["leave it"]);
    assert!(stack.function.aws.calls().is_empty());
    Device::connect(&owner.identity).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_mails_a_day_are_enough() {
    let stack = Stack::of_short_leases().await;
    let ada = stack.function.welcomes("Ada");
    let mut owner = stack.onboards(&ada, 0).await;
    ask_and_agree(&stack, &mut owner.echo).await.says(&["new certificate"]);
    ask_and_agree(&stack, &mut owner.echo).await.says(&["new certificate"]);
    ask_and_agree(&stack, &mut owner.echo).await.says(&["three certificates", "hours"]);
    assert_eq!(stack.function.aws.times("SendRawEmail"), 3);
    let (_, bundle) = stack.ministack.open_last_mail(&ada).await;
    Device::connect(&Identity::of_bundle(&bundle, &stack.ministack.root)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stops_half_way_is_finished_by_the_next_contact() {
    let stack = Stack::of_short_leases().await;
    let ada = stack.function.welcomes("Ada");
    let mut owner = stack.onboards(&ada, 0).await;
    stack.function.aws.makes("SendRawEmail", Conduct::Hangs);
    ask_and_agree(&stack, &mut owner.echo).await.apologises();
    stack.function.aws.mends();

    // No word about certificates: just the next time the owner speaks.
    owner.echo.start_over();
    stack.serves(&mut owner.echo).await;
    let (_, bundle) = stack.ministack.open_last_mail(&ada).await;
    let identity = Identity::of_bundle(&bundle, &stack.ministack.root);
    check_no_stray_certificate_is_live(&stack.ministack.holds().await);
    // Both work: what the owner has, and what is in the last mail.
    Device::connect(&owner.identity).await;
    Device::connect(&identity).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_certainly_failed_leaves_everything_as_it_was() {
    let stack = Stack::of_short_leases().await;
    let ada = stack.function.welcomes("Ada");
    let mut owner = stack.onboards(&ada, 0).await;
    stack.function.aws.makes("SendRawEmail", Conduct::Refuses(400, "Throttling", "Maximum sending rate exceeded."));
    ask_and_agree(&stack, &mut owner.echo).await.apologises();
    stack.function.aws.mends();

    owner.echo.start_over();
    stack.serves(&mut owner.echo).await;
    let account = stack.ministack.holds().await;
    check_one_owner_one_thing(&account, &ada, &owner.certificate());
    check_no_stray_certificate_is_live(&account);
    assert_eq!(stack.function.aws.times("SendRawEmail"), 1);
}
