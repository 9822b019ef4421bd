//! A certificate gives access to one thing, however the device got it: the table in `tests/hub`, which tries all accesses of one
//! device to another, with certificates that the function has sent by mail and the endpoint has issued.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::deployment::{ACCESS_KEY, REGION, SECRET_KEY};
use crate::harness::device::Identity;
use crate::harness::foreign::{program, workspace};
use crate::harness::new_device::NewDevice;
use crate::harness::process::{Process, command};
use crate::harness::within;
use crate::register::{RegistrationStack, hashed};

const POLICY: &str = r#"
[registration]
per_source = 1000

[type.lamp]
prefix = "Lamp-"
policies = ["OneUserOneThing"]

[[token]]
name = "factory-1"
sha256 = "SHA256(a-token)"
types = ["lamp"]

[[serial]]
sha256 = "SHA256(0123456789-the-one-of-ada)"
type = "lamp"

[[serial]]
sha256 = "SHA256(0123456789-the-one-of-bob)"
type = "lamp"
"#;

/// The limit for a few hundred attempts on a busy machine.
const LIMIT: Duration = Duration::from_secs(400);

/// A stack with two devices, on which the table runs.
struct Stage {
    endpoint: RegistrationStack,
    /// Owns the folders with the files of the identities.
    devices: Vec<NewDevice>,
    identities: Vec<Identity>,
}

impl Stage {
    async fn built() -> Self {
        Self { endpoint: RegistrationStack::built(&hashed(POLICY)).await, devices: Vec::new(), identities: Vec::new() }
    }

    async fn registers(&mut self, authorization: Option<&str>, shown: Value) {
        let (device, told) = self.endpoint.registers(authorization, shown).await;
        self.identities.push(device.identity(&told.lets_in(), &self.endpoint.stack.ministack.root));
        self.devices.push(device);
    }

    /// Requires that every access with one certificate is refused, and is not visible to the other device.
    async fn holds(self) {
        let bundle = |identity: &Identity| {
            json!({
                "host": identity.host, "port": identity.port, "thing": identity.client_id,
                "certificate": identity.certificate, "key": identity.key, "root": identity.root,
            })
        };
        let [ada, bob] = self.identities.as_slice() else { panic!("{} devices", self.identities.len()) };
        assert_ne!(ada.client_id, bob.client_id);
        let stage = json!({
            "endpoint": self.endpoint.stack.ministack.url, "region": REGION, "access_key": ACCESS_KEY, "secret_key": SECRET_KEY,
            "ada": bundle(ada), "bob": bundle(bob),
        });
        let mut pytest = command(program("hub", "python"), workspace());
        pytest
            .env("PATH", "/usr/bin:/bin")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("ONETHING_STAGE", stage.to_string())
            .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "--maxfail=20"])
            .arg(Path::new("tests/hub/test_isolation.py"));
        let mut table = Process::start(pytest);
        let status = within(LIMIT, "the table ends", table.ended()).await;
        let said = table.output();
        assert!(status.success() && said.contains(" passed") && !said.contains("skipped"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailed_certificate_gives_no_access_to_another_thing() {
    let mut stage = Stage::built().await;
    for (number, name) in ["Ada", "Bob"].into_iter().enumerate() {
        let user = stage.endpoint.stack.function.welcomes(name);
        stage.identities.push(stage.endpoint.stack.onboards(&user, number).await.identity);
    }
    stage.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_a_code_gives_no_access_to_another_thing() {
    let mut stage = Stage::built().await;
    for name in ["Ada", "Bob"] {
        let code = stage.endpoint.code_for(&stage.endpoint.stack.function.welcomes(name)).await;
        stage.registers(None, json!({"code": code})).await;
    }
    stage.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_an_access_token_gives_no_access_to_another_thing() {
    let mut stage = Stage::built().await;
    for name in ["Ada", "Bob"] {
        let user = stage.endpoint.stack.function.welcomes(name);
        stage.registers(Some(&format!("Bearer {}", user.token)), json!({})).await;
    }
    stage.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_a_device_token_gives_no_access_to_another_thing() {
    let mut stage = Stage::built().await;
    for name in ["Ada", "Bob"] {
        let shown = json!({"thingName": format!("Lamp-Number-0123456789-in-the-Hall-of-{name}"), "version": "1"});
        stage.registers(Some("DeviceToken a-token"), shown).await;
    }
    stage.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_a_serial_number_gives_no_access_to_another_thing() {
    let mut stage = Stage::built().await;
    for name in ["ada", "bob"] {
        stage.registers(None, json!({"serial": format!("0123456789-the-one-of-{name}")})).await;
    }
    stage.holds().await;
}
