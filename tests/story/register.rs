//! The registration endpoint: a device without credentials sends a request over HTTP in each of the ways, gets a certificate for
//! its own key, and connects with the certificate.

use serde_json::{Value, json};

use crate::harness::alexa::{Echo, Slot};
use crate::harness::aws::Aws;
use crate::harness::deployment::{ACCESS_KEY, Deployment, SECRET_KEY};
use crate::harness::device::Device;
use crate::harness::gateway::Gateway;
use crate::harness::lambda::Lambda;
use crate::harness::login::{CLIENT_ID, User};
use crate::harness::ministack::{Account, calls, calls_as, tables};
use crate::harness::new_device::{NewDevice, Told, register};
use crate::harness::runtime_api::Outcome;
use crate::stack::{Stack, certificate, list, now, thing, topic};

/// The logical id of the table in the template, as the role names it.
pub const TABLE: &str = "ClaimsTable";

/// A policy with devices that belong to no owner: with device tokens that a fleet shares, and with serials.
const POLICY: &str = r#"
[registration]
origin = "https://setup.example.com"
per_source = 1000

[type.lamp]
prefix = "Lamp-"
policies = ["OneUserOneThing"]
attributes = ["version", "hardware"]

[[token]]
name = "factory-1"
sha256 = "SHA256(one token)"
types = ["lamp"]

[[token]]
name = "factory-2"
sha256 = "SHA256(another token)"
types = ["lamp"]

[[serial]]
sha256 = "SHA256(0123456789abcdefghij)"
type = "lamp"

[[serial]]
sha256 = "SHA256(yes-0123456789abcdefghij)"
type = "lamp"

[[serial]]
sha256 = "SHA256(no-0123456789abcdefghij)"
type = "lamp"

[[serial]]
sha256 = "SHA256(broken-0123456789abcdefghij)"
type = "lamp"

[[serial]]
serial = "SN-0001"
secret_sha256 = "SHA256(a secret)"
type = "lamp"
"#;

/// [`POLICY`] with computed hashes.
pub fn policy() -> String {
    hashed(POLICY)
}

/// Replaces every `SHA256(…)` in a policy by the hash.
pub fn hashed(policy: &str) -> String {
    let mut policy = policy.to_owned();
    while let Some((before, rest)) = policy.clone().split_once("SHA256(") {
        let (secret, after) = rest.split_once(')').expect("a closing bracket");
        policy = format!("{before}{}{after}", onething::secrets::Fingerprint::of(secret).hex());
    }
    policy
}

/// A stack with a registration endpoint.
pub struct RegistrationStack {
    pub stack: Stack,
    pub gateway: Gateway,
    /// The proxy between the endpoint and AWS.
    pub gate: Aws,
}

pub fn owners_keys() -> (String, String) {
    (ACCESS_KEY.to_owned(), SECRET_KEY.to_owned())
}

impl RegistrationStack {
    /// A stack with this policy in the environment of the endpoint.
    pub async fn built(policy: &str) -> Self {
        let policy = policy.to_owned();
        Self::with(move |deployment| deployment.set("REGISTER_TERMS", &policy)).await
    }

    pub async fn with(special: impl FnOnce(Deployment) -> Deployment) -> Self {
        let short_leases_and_codes = |deployment: Deployment| deployment.set("LEASE_SECONDS", "1").set("REGISTER_TABLE", TABLE);
        Self::on_stack(Stack::with(&Account::deployed(), short_leases_and_codes).await, special).await
    }

    pub async fn on_stack(stack: Stack, special: impl FnOnce(Deployment) -> Deployment) -> Self {
        let url = &stack.ministack.url;
        tables(url, &[TABLE.to_owned()]).await;
        assert_eq!(calls(url, "create_thing_type", json!({"thingTypeName": "lamp"})).await, Ok(()));
        let gate = stack.ministack.gate().await;
        let deployment = Deployment::with(&stack.function.login.url(), &gate.url())
            .set("IOT_ENDPOINT", &format!("localhost:{}", stack.ministack.mqtt_port))
            .set("LEASE_SECONDS", "1")
            .set("LWA_CLIENT_ID", CLIENT_ID)
            .set("REGISTER", "on")
            .set("REGISTER_TABLE", TABLE);
        let gateway = Gateway::open(Lambda::start(&special(deployment)).await).await;
        Self { stack, gateway, gate }
    }

    pub fn url(&self) -> String {
        self.gateway.url()
    }

    /// A code for this user, after the lease of the request has expired.
    pub async fn code_for(&self, user: &User) -> String {
        let code = self.code_on_card(&mut Echo::linked(&user.token)).await;
        self.stack.lease_passes().await;
        code
    }

    /// Asks the skill for a code and reads the code from the card.
    pub async fn code_on_card(&self, echo: &mut Echo) -> String {
        let request = echo.intent("GiveCodeIntent", &[]);
        let card = self.stack.ask(echo, &request).await.card_text();
        let is_code = |word: &&str| word.len() == 9 && word.as_bytes()[4] == b'-';
        card.split_whitespace().find(is_code).unwrap_or_else(|| panic!("no code on the card {card:?}")).to_owned()
    }

    /// A new device, and the response of the endpoint to its request.
    pub async fn registers(&self, authorization: Option<&str>, shown: Value) -> (NewDevice, Told) {
        let device = NewDevice::new().await;
        let told = device.registers(&self.url(), authorization, shown).await;
        (device, told)
    }

    /// Connects with the response of the endpoint and subscribes to the delta.
    async fn connects(&self, device: &NewDevice, told: &Told) -> Device {
        let mut connected = Device::connect(&device.identity(told, &self.stack.ministack.root)).await;
        connected.subscribe(&topic(told.text("thingName"), "update/delta")).await;
        connected
    }

    /// Requires that a command of the owner reaches the device.
    async fn obeys(&self, device: &mut Device, told: &Told, user: &User) {
        let mut echo = Echo::linked(&user.token);
        let request = echo.intent("PrintIntent", &[Slot::said("model", "vase")]);
        self.stack.ask(&mut echo, &request).await.says(&["vase"]);
        let delta = device.receive(&topic(told.text("thingName"), "update/delta")).await;
        assert_eq!(delta["state"]["command"]["args"]["model"], "vase", "{delta}");
    }

    /// Requires that a desired value reaches a device without an owner.
    async fn hears(&self, device: &mut Device, told: &Told) {
        let wanted = json!({"thingName": told.text("thingName"), "payload": json!({"state": {"desired": {"on": true}}}).to_string()});
        assert_eq!(calls_as(&self.stack.ministack.url, &owners_keys(), "iot-data", "update_thing_shadow", wanted).await, Ok(()));
        let delta = device.receive(&topic(told.text("thingName"), "update/delta")).await;
        assert_eq!(delta["state"]["on"], true, "{delta}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_registers_one_device_of_its_owner() {
    let endpoint = RegistrationStack::built("").await;
    let ada = endpoint.stack.function.welcomes("Ada");
    let code = endpoint.code_for(&ada).await;

    let (device, told) = endpoint.registers(None, json!({"code": code.to_lowercase()})).await;
    let told = told.lets_in();
    assert!(told.body["privateKey"].is_null(), "{told:?}");
    assert_eq!(told.headers["cache-control"], "no-store");
    let account = endpoint.stack.ministack.holds().await;
    let made = thing(&account, told.text("thingName"));
    assert_eq!((&made["attributes"]["UserId"], &made["type"]), (&json!(ada.user_id), &json!("3d-printer")));
    let issued = certificate(&account, told.text("certificateId"));
    assert_eq!((&issued["status"], list(issued, "policies")), (&json!("ACTIVE"), &[json!("OneUserOneThing")][..]));
    let mut connected = endpoint.connects(&device, &told).await;
    endpoint.obeys(&mut connected, &told, &ada).await;

    // A device may repeat its request, since the response may have been lost. Another device may not.
    device.registers(&endpoint.url(), None, json!({"code": code})).await.lets_in();
    endpoint.registers(None, json!({"code": code})).await.1.is_refused(401, "not_recognised");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_wrong_guesses_invalidate_a_code() {
    let endpoint = RegistrationStack::built("").await;
    let code = endpoint.code_for(&endpoint.stack.function.welcomes("Ada")).await;
    let (name, secret) = code.split_once('-').expect("a code of two halves");
    let wrong = format!("{name}-{}", if secret == "0000" { "1111" } else { "0000" });
    let device = NewDevice::new().await;
    for _ in 0..5 {
        device.registers(&endpoint.url(), None, json!({"code": wrong})).await.is_refused(401, "not_recognised");
    }
    device.registers(&endpoint.url(), None, json!({"code": code})).await.is_refused(401, "not_recognised");
    // No resource was created: the only certificate is that of the mail.
    assert_eq!(list(&endpoint.stack.ministack.holds().await, "certificates").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_access_token_of_an_owner_registers_a_device() {
    let endpoint = RegistrationStack::with(Deployment::logging_everything).await;
    let ada = endpoint.stack.function.welcomes("Ada");
    let (device, told) = endpoint.registers(Some(&format!("Bearer {}", ada.token)), json!({})).await;
    let told = told.lets_in();
    let mut connected = endpoint.connects(&device, &told).await;
    endpoint.obeys(&mut connected, &told, &ada).await;
    // The owner's first request sends no mail, since a device of the owner has already been registered.
    assert_eq!(endpoint.stack.ministack.smtp_server.count(), 0);

    // A token that was issued to another application, an invalid token, and none.
    let mut elsewhere = User::named("Bob");
    elsewhere.audience = "amzn1.application-oa2-client.other".into();
    endpoint.stack.function.login.knows(&elsewhere);
    for authorization in [Some(format!("Bearer {}", elsewhere.token)), Some("Bearer Atza|nobody".into()), None] {
        let (_, told) = endpoint.registers(authorization.as_deref(), json!({})).await;
        told.is_refused(401, "not_recognised");
        assert!(told.headers["www-authenticate"].is_string(), "{told:?}");
    }
    let code = endpoint.code_for(&ada).await;
    endpoint.registers(None, json!({"code": code})).await.1.lets_in();

    // No log level writes credentials into the log.
    let log = endpoint.gateway.function().logs_times("\"audit\":true", 5).await;
    for secret in [&ada.token, &elsewhere.token, "Atza|nobody", &code, &code.replace('-', ""), "BEGIN CERTIFICATE REQUEST"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_of_a_fleet_choose_their_names_once() {
    let endpoint = RegistrationStack::built(&policy()).await;
    let shown = json!({"thingName": "hall-lamp-1", "version": "1.2", "attributes": {"hardware": "b"}});
    let (device, told) = endpoint.registers(Some("DeviceToken one token"), shown.clone()).await;
    let told = told.lets_in();
    let account = endpoint.stack.ministack.holds().await;
    let made = thing(&account, "hall-lamp-1");
    assert_eq!((&made["type"], &made["attributes"]["UserId"]), (&json!("lamp"), &json!("fleet:factory-1")));
    assert_eq!((&made["attributes"]["version"], &made["attributes"]["hardware"]), (&json!("1.2"), &json!("b")));
    let mut connected = endpoint.connects(&device, &told).await;
    endpoint.hears(&mut connected, &told).await;

    endpoint.registers(Some("DeviceToken another token"), shown.clone()).await.1.is_refused(409, "not_theirs");
    endpoint.registers(Some("DeviceToken no token"), shown).await.1.is_refused(401, "not_recognised");
    let ada = endpoint.stack.function.welcomes("Ada");
    let theirs = endpoint.registers(None, json!({"code": endpoint.code_for(&ada).await})).await.1.lets_in();
    let shown = json!({"thingName": theirs.text("thingName"), "version": "1"});
    endpoint.registers(Some("DeviceToken one token"), shown).await.1.is_refused(409, "not_theirs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_serial_registers_a_device_that_renews_its_certificate() {
    let endpoint = RegistrationStack::built(&policy()).await;
    let (device, told) = endpoint.registers(None, json!({"serial": "0123456789abcdefghij"})).await;
    let told = told.lets_in();
    assert!(told.text("thingName").starts_with("Lamp-"), "{told:?}");
    let mut connected = endpoint.connects(&device, &told).await;
    endpoint.hears(&mut connected, &told).await;

    endpoint.registers(None, json!({"serial": "SN-0001"})).await.1.is_refused(401, "not_recognised");
    endpoint.registers(None, json!({"serial": "SN-0001", "secret": "a guess"})).await.1.is_refused(401, "not_recognised");
    endpoint.registers(None, json!({"serial": "SN-0001", "secret": "a secret"})).await.1.lets_in();

    // The device renews its certificate with another key.
    endpoint.stack.lease_passes().await;
    let (successor, at) = (NewDevice::new().await, now());
    let shown = json!({
        "thingName": told.text("thingName"), "certificate": told.text("certificatePem"),
        "proof": device.proof(&successor, at).await, "at": at,
    });
    let stranger = NewDevice::new().await;
    stranger.registers(&endpoint.url(), None, shown.clone()).await.is_refused(401, "not_recognised");
    let renewed = successor.registers(&endpoint.url(), None, shown).await.lets_in();
    assert_eq!(renewed.text("thingName"), told.text("thingName"));
    assert_ne!(renewed.text("certificateId"), told.text("certificateId"));
    endpoint.connects(&successor, &renewed).await;
    // The replaced certificate works for another day.
    endpoint.connects(&device, &told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_endpoint_answers_every_request_and_nothing_else() {
    let endpoint = RegistrationStack::built(&policy()).await;
    let url = endpoint.url();
    register(&url, "POST", None, Some("no JSON")).await.is_refused(400, "malformed");
    register(&url, "POST", None, None).await.is_refused(400, "malformed");
    let long = json!({"csr": "x".repeat(20_000)}).to_string();
    register(&url, "POST", None, Some(&long)).await.is_refused(413, "too_large");
    register(&url, "POST", None, Some(r#"{"code": "K7QF-93PD"}"#)).await.is_refused(400, "malformed");
    assert_eq!(register(&url, "GET", None, None).await.status, 404);
    assert_eq!(register(&url, "OPTIONS", None, None).await.status, 204);

    // An event that is no HTTP request, at the endpoint; and an HTTP request at the skill function.
    let echo = Echo::linked("token").launch();
    for (function, event) in [(endpoint.gateway.function(), echo), (&endpoint.stack.function.lambda, request_event())] {
        match function.invoke_within(&event, std::time::Duration::from_secs(8)).await {
            Outcome::Failed(error) => assert_eq!(error["errorType"], "NotOurs", "{error}"),
            other => panic!("{other:?}"),
        }
    }
}

fn request_event() -> Value {
    let request = axum::http::Request::post("/register").header("content-type", "application/json").body(()).expect("a request");
    crate::harness::gateway::event(&request.into_parts().0, &"{}".into(), 1)
}
