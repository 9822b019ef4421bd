//! The environment of the function: it starts on a valid one, and reports every fault of an invalid one before it ends.

use crate::harness::aws::Aws;
use crate::harness::deployment::{Deployment, SECRET_KEY};
use crate::harness::function::Function;
use crate::harness::lambda::Lambda;

const NOWHERE: &str = "http://127.0.0.1:9";

fn good() -> Deployment {
    Deployment::with(NOWHERE, NOWHERE)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_function_starts_and_waits_for_events() {
    let function = Function::with(Aws::out_of_order().await).await;
    assert!(function.lambda.is_running());
    println!("exec to first poll: {:?}", function.lambda.ready_after);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_function_starts_although_no_service_is_available() {
    Lambda::start(&good()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_the_configuration_is_reported_at_once() {
    let refusal = Lambda::refuses(
        &good()
            .without("SKILL_ID")
            .without("IOT_ENDPOINT")
            .set("MAIL_FROM", "nobody at all")
            .set("MAIL_REPLY_TO", "@")
            .set("LEASE_SECONDS", "0")
            .set("LWA_ENDPOINT", "api.amazon.com")
            .set("THING_PREFIX", "3D printer/")
            .set("SMTP_URL", "gopher://mail.example.com"),
    )
    .await;
    assert!(!refusal.status.success(), "{:?}", refusal.status);
    let text = refusal.text();
    for variable in ["SKILL_ID", "IOT_ENDPOINT", "MAIL_FROM", "MAIL_REPLY_TO", "LEASE_SECONDS", "LWA_ENDPOINT", "THING_PREFIX", "SMTP_URL"]
    {
        assert!(text.contains(variable), "{variable} is not in:\n{text}");
    }
    assert!(!text.contains(SECRET_KEY), "{text}");
    assert!(!text.contains("panicked"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_alone_is_enough() {
    for (variable, value) in [
        ("SKILL_ID", ""),
        ("SKILL_ID", ","),
        ("MAIL_FROM", ""),
        ("MAIL_FROM", "Printer <printer@example.com"),
        ("MAIL_FROM", "a@example.com\r\nBcc: b@example.com"),
        ("MAIL_REPLY_TO", "nobody"),
        ("IOT_ENDPOINT", ""),
        ("LEASE_SECONDS", "901"),
        ("LEASE_SECONDS", "-1"),
        ("LEASE_SECONDS", "soon"),
        ("THING_TYPE", "3d printer"),
        ("POLICY_NAME", "One/User"),
        ("DEVICE_MODEL", "/nowhere/device.toml"),
    ] {
        let refusal = Lambda::refuses(&good().set(variable, value)).await;
        let text = refusal.text();
        assert!(!refusal.status.success(), "{variable}={value:?}");
        assert!(text.contains(variable), "{variable}={value:?}:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn optional_variables_are_optional() {
    for variable in ["LEASE_SECONDS", "MAIL_REPLY_TO", "LWA_CLIENT_ID"] {
        Lambda::start(&good().without(variable)).await;
    }
    Lambda::start(&good().set("LEASE_SECONDS", "900").set("MAIL_FROM", "a@example.com")).await;
}
