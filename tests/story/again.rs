//! The certificate is lost or compromised: the owner gets a new one, and the old one is revoked when the device uses the new one.

use serde_json::json;

use crate::harness::alexa::Echo;
use crate::harness::answer::Answer;
use crate::harness::aws::Conduct;
use crate::harness::device::{Device, Identity, connection};
use crate::stack::{Stack, check_no_stray_certificate_is_live, check_one_owner_one_thing};

const INTENT: &str = "SendCertificateIntent";

/// Asks for another certificate and confirms it.
pub async fn ask_and_agree(stack: &Stack, echo: &mut Echo) -> Answer {
    echo.start_over();
    let request = echo.intent_in("STARTED", "NONE", INTENT, &[]);
    let answer = stack.ask(echo, &request).await;
    assert_eq!(answer.directives(), ["Dialog.ConfirmIntent"], "{:#}", answer.json());
    let request = echo.intent_in("COMPLETED", "CONFIRMED", INTENT, &[]);
    stack.ask(echo, &request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_certificate_works_until_the_device_reports_the_new_one() {
    let stack = Stack::of_short_leases().await;
    let ada = stack.function.welcomes("Ada");
    let mut owner = stack.onboards(&ada, 0).await;

    ask_and_agree(&stack, &mut owner.echo).await.says(&["new certificate"]);
    let (_, bundle) = stack.ministack.open_last_mail(&ada).await;
    let identity = Identity::of_bundle(&bundle, &stack.ministack.root);
    assert_eq!(identity.client_id, owner.thing, "the thing is the same");
    let mailed = std::fs::read_to_string(&identity.certificate).expect("the certificate of the bundle");
    assert_ne!(mailed, owner.certificate());

    // The device still uses the old certificate, and commands reach the device.
    let mut device = Device::connect(&owner.identity).await;
    device.subscribe(&owner.topic("update/delta")).await;
    owner.echo.start_over();
    let request = owner.echo.intent("PauseIntent", &[]);
    stack.ask(&mut owner.echo, &request).await.says(&["Pausing"]);
    assert_eq!(device.receive(&owner.topic("update/delta")).await["state"]["command"]["name"], "pause");

    // The device connects with the new certificate and reports its id; the next request revokes the old one.
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
async fn an_owner_who_declines_keeps_the_old_certificate() {
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
async fn an_interrupted_replacement_is_finished_by_the_next_request() {
    let stack = Stack::of_short_leases().await;
    let ada = stack.function.welcomes("Ada");
    let mut owner = stack.onboards(&ada, 0).await;
    stack.function.aws.makes("SendRawEmail", Conduct::Hangs);
    ask_and_agree(&stack, &mut owner.echo).await.apologises();
    stack.function.aws.mends();

    // The owner just launches the skill, without a word about certificates.
    owner.echo.start_over();
    stack.serves(&mut owner.echo).await;
    let (_, bundle) = stack.ministack.open_last_mail(&ada).await;
    let identity = Identity::of_bundle(&bundle, &stack.ministack.root);
    check_no_stray_certificate_is_live(&stack.ministack.holds().await);
    // Both certificates work: that of the device, and that in the last mail.
    Device::connect(&owner.identity).await;
    Device::connect(&identity).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_replacement_changes_nothing() {
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
