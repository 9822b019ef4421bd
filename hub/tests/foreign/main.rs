//! The hub and other people's programs: MQTT clients, the device SDK, OpenSSL, an AWS emulator. The tests are in `tests/hub`, in the
//! language of those clients; here they get the hub that was just built. `.ci/run` installs what they need.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code: a panic is a failed test")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs one file of tests, all of which must be there and pass.
fn passes(tests: &str) {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    let environments = std::env::var_os("ONETHING_TEST_VENVS").map_or_else(|| workspace.join("target/test-venvs"), PathBuf::from);
    let python = environments.join("hub/bin/python");
    assert!(
        python.exists(),
        "{} is missing: run `.ci/run`, which installs the foreign tools, or say in ONETHING_TEST_VENVS where they are",
        python.display()
    );
    let mut command = Command::new(python);
    command
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "--maxfail=20"])
        .arg(workspace.join("tests/hub").join(tests));
    command.current_dir(workspace).env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("ONETHING_TEST_VENVS", environments).env("ONETHING_HUB_BINARY", env!("CARGO_BIN_EXE_onething-hub"));
    let output = command.output().expect("a Python that starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && !said.contains("skipped"), "{tests}:\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_clients_of_mosquitto_find_what_aws_iot_has() {
    passes("test_mosquitto.py");
}

#[test]
fn a_bridge_of_mosquitto_connects_with_default_options() {
    passes("test_bridge.py");
}

#[test]
fn paho_finds_what_aws_iot_has() {
    passes("test_paho.py");
}

#[test]
fn the_aws_iot_device_sdk_finds_what_aws_iot_has() {
    passes("test_device_sdk.py");
}

#[test]
fn what_is_refused_is_said_in_the_log_the_events_and_at_the_thing() {
    passes("test_refusals.py");
}

#[test]
fn clients_in_javascript_find_what_aws_iot_has() {
    passes("test_javascript.py");
}

#[test]
fn schemathesis_finds_the_endpoint_as_its_document_says() {
    passes("test_openapi.py");
}

#[test]
fn openssl_finds_no_fault_with_the_certificates() {
    passes("test_certificates.py");
}

#[test]
fn nothing_of_anothers_can_be_reached_here_or_on_an_emulator_of_aws() {
    passes("test_isolation.py");
}
