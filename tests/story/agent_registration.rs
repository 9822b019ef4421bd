//! The real agent registers at the endpoint in each of the ways: from an empty state folder to a device that obeys commands.

use aws_lc_rs::hmac;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use data_encoding::HEXLOWER;
use serde_json::json;

use crate::harness::agent::{Agent, Machine};
use crate::harness::alexa::{Echo, Slot};
use crate::harness::ministack::calls_as;
use crate::register::{RegistrationStack, hashed, owners_keys};
use crate::stack::{certificate, check_no_stray_certificate_is_live, list, thing};

const POLICY: &str = r#"
[registration]
per_source = 1000

[type.lamp]
prefix = "Lamp-"
policies = ["OneUserOneThing"]
attributes = ["version", "hardware"]

[[token]]
name = "factory-1"
sha256 = "SHA256(token-of-the-first-factory)"
types = ["lamp"]

[[serial]]
sha256 = "SHA256(7f3e2a90-5bd4-4c1e-9a57-d0c2f1b8e644)"
type = "lamp"

[[serial]]
serial = "SN-0001"
secret_sha256 = "SHA256(a-secret)"
type = "lamp"

[[serial_key]]
key = "KEY"
prefix = "HMAC-"
type = "lamp"
"#;

/// The name of the thing and the id of the certificate that the agent of a machine has stored.
async fn stored(machine: &Machine) -> (String, String) {
    let status = machine.status().await;
    let text = |field: &str| status[field].as_str().unwrap_or_else(|| panic!("the status has no {field}: {status:#}")).to_owned();
    (text("thing"), text("certificateId"))
}

/// Starts the agent and requires that it obeys a command of its owner.
async fn obeys(endpoint: &RegistrationStack, machine: &Machine, echo: &mut Echo, model: &str) -> Agent {
    let agent = machine.runs(&[]).await;
    echo.start_over();
    let request = echo.intent("PrintIntent", &[Slot::said("model", model)]);
    endpoint.stack.ask(echo, &request).await.says(&[model]);
    let (thing, certificate) = stored(machine).await;
    let done = json!({"id": request["request"]["requestId"], "status": "done"});
    endpoint.stack.ministack.is_told(&thing, json!({"command": done, "model": model, "certificateId": certificate})).await;
    agent
}

/// Starts the agent of a device without an owner and requires that it applies a setting of its maker.
async fn heeds(endpoint: &RegistrationStack, machine: &Machine) {
    let agent = machine.runs(&[]).await;
    let (thing, certificate) = stored(machine).await;
    let wanted = json!({"thingName": thing, "payload": json!({"state": {"desired": {"power": "ON"}}}).to_string()});
    assert_eq!(calls_as(&endpoint.stack.ministack.url, &owners_keys(), "iot-data", "update_thing_shadow", wanted).await, Ok(()));
    endpoint.stack.ministack.is_told(&thing, json!({"power": "ON", "certificateId": certificate})).await;
    agent.loses_power().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_claims_a_code_obeys_and_renews_its_certificate() {
    let endpoint = RegistrationStack::built(&hashed(POLICY).replace("KEY", &BASE64_STANDARD.encode([0; 32]))).await;
    let ada = endpoint.stack.function.welcomes("Ada");
    let (mut echo, url) = (Echo::linked(&ada.token), endpoint.url());
    let code = endpoint.code_on_card(&mut echo).await;
    let machine = Machine::new(&endpoint.stack.ministack.root);
    let wrong = format!("{}{}", &code[..8], if code.ends_with('0') { '1' } else { '0' });
    machine.tries_to_get(&["claim", &wrong, "--register-url", &url]).await.failed(3, "does not take the code");
    machine.gets(&["claim", &code.to_lowercase(), "--register-url", &url]).await;
    let (name, first) = stored(&machine).await;
    let account = endpoint.stack.ministack.holds().await;
    assert_eq!(thing(&account, &name)["attributes"]["UserId"], ada.user_id, "{account:#}");
    obeys(&endpoint, &machine, &mut echo, "vase").await.loses_power().await;
    let stranger = Machine::new(&endpoint.stack.ministack.root);
    stranger.tries_to_get(&["claim", &code, "--register-url", &url]).await.failed(3, "does not take the code");

    // The agent renews the certificate at the endpoint where it has claimed the code.
    endpoint.stack.lease_passes().await;
    machine.gets(&["renew"]).await;
    let (same, second) = stored(&machine).await;
    assert_eq!(same, name);
    assert_ne!(second, first);
    let status = async |id: &str| certificate(&endpoint.stack.ministack.holds().await, id)["status"].clone();
    assert_eq!((status(&first).await, status(&second).await), (json!("ACTIVE"), json!("ACTIVE")));
    let agent = obeys(&endpoint, &machine, &mut echo, "bowl").await;
    // The endpoint cannot read shadows, so the sweep revokes the old certificate: it finds the new one in use.
    endpoint.stack.lease_passes().await;
    endpoint.stack.sweeps().await;
    assert_ne!(status(&first).await, "ACTIVE");
    assert_eq!(status(&second).await, "ACTIVE");
    check_no_stray_certificate_is_live(&endpoint.stack.ministack.holds().await);
    agent.loses_power().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_registers_with_an_owners_token_a_fleets_token_and_a_serial_number() {
    let mut key = [0; 32];
    getrandom::fill(&mut key).expect("random bytes");
    let endpoint = RegistrationStack::built(&hashed(POLICY).replace("KEY", &BASE64_STANDARD.encode(key))).await;
    let ada = endpoint.stack.function.welcomes("Ada");
    let url = endpoint.url();
    let machine = || Machine::new(&endpoint.stack.ministack.root);

    let owners = machine();
    let bearer = owners.note("bearer", &ada.token);
    owners.gets(&["register", "--register-url", &url, "--bearer-file", &bearer]).await;
    obeys(&endpoint, &owners, &mut Echo::linked(&ada.token), "vase").await.loses_power().await;

    let fleets = machine();
    let token = fleets.note("token", "token-of-the-first-factory");
    let with = ["--token-file", &token, "--name", "hall-lamp-1", "--software", "1.2", "--attribute", "hardware=b"];
    fleets.gets(&[&["register", "--register-url", &url][..], &with].concat()).await;
    heeds(&endpoint, &fleets).await;
    let account = endpoint.stack.ministack.holds().await;
    let made = thing(&account, "hall-lamp-1");
    assert_eq!((&made["type"], &made["attributes"]["hardware"]), (&json!("lamp"), &json!("b")), "{made:#}");
    assert_eq!(made["attributes"]["version"], "1.2", "{made:#}");

    // With a serial number alone, and, if serial numbers are easily guessed, with its secret.
    let (numbered, guessable) = (machine(), machine());
    let serial = numbered.note("serial", "7f3e2a90-5bd4-4c1e-9a57-d0c2f1b8e644");
    numbered.gets(&["register", "--register-url", &url, "--serial-file", &serial]).await;
    heeds(&endpoint, &numbered).await;
    let (number, secret) = (guessable.note("serial", "SN-0001"), guessable.note("secret", "a-secret"));
    let alone = ["register", "--register-url", url.as_str(), "--serial-file", number.as_str()];
    guessable.tries_to_get(&alone).await.failed(3, "does not take the serial number");
    guessable.gets(&[&alone[..], &["--secret-file", &secret]].concat()).await;
    heeds(&endpoint, &guessable).await;
    // Or with a secret that is derived from a key at production.
    let computed = machine();
    let secret = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), b"HMAC-0001");
    let (number, secret) = (computed.note("serial", "HMAC-0001"), computed.note("secret", &HEXLOWER.encode(secret.as_ref())));
    computed.gets(&["register", "--register-url", &url, "--serial-file", &number, "--secret-file", &secret]).await;
    heeds(&endpoint, &computed).await;
    for machine in [&numbered, &guessable, &computed] {
        assert!(stored(machine).await.0.starts_with("Lamp-"));
    }
    assert_eq!(list(&endpoint.stack.ministack.holds().await, "things").len(), 5);

    let nobody = machine();
    for (option, name) in [("--bearer-file", "access token"), ("--token-file", "token"), ("--serial-file", "serial number")] {
        let wrong = nobody.note("wrong", "not-one-that-anybody-has");
        let refused = nobody.tries_to_get(&["register", "--register-url", &url, option, &wrong]).await;
        refused.failed(3, &format!("does not take the {name}"));
    }
    // No credential of a request is in the log of the endpoint.
    let log = endpoint.gateway.function().log();
    for secret in [&ada.token, "token-of-the-first-factory", "7f3e2a90", "a-secret", "BEGIN CERTIFICATE REQUEST"] {
        assert!(!log.contains(secret), "{log}");
    }
}
