//! Tests of the hub with independent programs: MQTT clients, the AWS IoT device SDK, OpenSSL, an AWS emulator. The tests
//! themselves are in `tests/hub` of the workspace, in the languages of those clients, and receive the path of the hub that was
//! just built. `.ci/run` installs the programs.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code: a panic is a failed test")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs one file of tests, all of which must exist and pass.
fn passes(tests: &str) {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the manifest is not in a workspace");
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
    let output = command.output().expect("Python does not start");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && !said.contains("skipped"), "{tests}:\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_mosquitto_clients_see_the_behaviour_of_aws_iot() {
    passes("test_mosquitto.py");
}

#[test]
fn a_bridge_of_mosquitto_connects_with_default_options() {
    passes("test_bridge.py");
}

#[test]
fn paho_sees_the_behaviour_of_aws_iot() {
    passes("test_paho.py");
}

#[test]
fn the_aws_iot_device_sdk_sees_the_behaviour_of_aws_iot() {
    passes("test_device_sdk.py");
}

#[test]
fn a_refusal_is_in_the_log_in_the_events_and_at_the_thing() {
    passes("test_refusals.py");
}

#[test]
fn javascript_clients_see_the_behaviour_of_aws_iot() {
    passes("test_javascript.py");
}

#[test]
fn schemathesis_finds_the_endpoint_as_documented() {
    passes("test_openapi.py");
}

#[test]
fn openssl_accepts_the_certificates() {
    passes("test_certificates.py");
}

#[test]
fn a_device_cannot_reach_the_data_of_another_owner_here_or_on_an_aws_emulator() {
    passes("test_isolation.py");
}
