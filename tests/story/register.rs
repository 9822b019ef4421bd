//! The door: a device that has nothing knocks over HTTP, in each of the ways, gets a certificate for a key of its own, and
//! connects with it.

use serde_json::{Value, json};

use crate::harness::alexa::{Echo, Slot};
use crate::harness::aws::Aws;
use crate::harness::deployment::{ACCESS_KEY, Deployment, SECRET_KEY};
use crate::harness::device::Device;
use crate::harness::gateway::Gateway;
use crate::harness::lambda::Lambda;
use crate::harness::login::{CLIENT_ID, User};
use crate::harness::ministack::{Account, calls, calls_as, tables};
use crate::harness::newcomer::{Newcomer, Told, knock};
use crate::harness::runtime_api::Outcome;
use crate::town::{Town, certificate, list, now, thing, topic};

/// The logical id, as the role has it.
pub const TABLE: &str = "ClaimsTable";

/// Devices that are no owner's: with a token that a fleet shares, and with serials.
const TERMS: &str = r#"
[door]
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

/// With the hashes in place.
pub fn terms() -> String {
    hashed(TERMS)
}

/// Terms in which `SHA256(…)` stands for a hash.
pub fn hashed(terms: &str) -> String {
    let mut terms = terms.to_owned();
    while let Some((before, rest)) = terms.clone().split_once("SHA256(") {
        let (secret, after) = rest.split_once(')').expect("a hash to be computed");
        terms = format!("{before}{}{after}", onething::thing::Fingerprint::of(secret).hex());
    }
    terms
}

/// A town with a door.
pub struct Entrance {
    pub town: Town,
    pub gateway: Gateway,
    /// Between the door and AWS.
    pub gate: Aws,
}

pub fn owners_keys() -> (String, String) {
    (ACCESS_KEY.to_owned(), SECRET_KEY.to_owned())
}

impl Entrance {
    /// With these terms in the door's own variables.
    pub async fn built(terms: &str) -> Self {
        let terms = terms.to_owned();
        Self::with(move |deployment| deployment.set("REGISTER_TERMS", &terms)).await
    }

    pub async fn with(special: impl FnOnce(Deployment) -> Deployment) -> Self {
        let short_leases_and_codes = |deployment: Deployment| deployment.set("LEASE_SECONDS", "1").set("REGISTER_TABLE", TABLE);
        Self::in_town(Town::with(&Account::deployed(), short_leases_and_codes).await, special).await
    }

    pub async fn in_town(town: Town, special: impl FnOnce(Deployment) -> Deployment) -> Self {
        let url = &town.ministack.url;
        tables(url, &[TABLE.to_owned()]).await;
        assert_eq!(calls(url, "create_thing_type", json!({"thingTypeName": "lamp"})).await, Ok(()));
        let gate = town.ministack.gate().await;
        let deployment = Deployment::with(&town.house.login.url(), &gate.url())
            .set("IOT_ENDPOINT", &format!("localhost:{}", town.ministack.mqtt_port))
            .set("LEASE_SECONDS", "1")
            .set("LWA_CLIENT_ID", CLIENT_ID)
            .set("REGISTER", "on")
            .set("REGISTER_TABLE", TABLE);
        let gateway = Gateway::open(Lambda::start(&special(deployment)).await).await;
        Self { town, gateway, gate }
    }

    pub fn url(&self) -> String {
        self.gateway.url()
    }

    /// The code of this user, who asks for one and takes their time to read it.
    pub async fn code_for(&self, user: &User) -> String {
        let code = self.code_on_card(&mut Echo::linked(&user.token)).await;
        self.town.lease_passes().await;
        code
    }

    /// Asks for a code.
    pub async fn code_on_card(&self, echo: &mut Echo) -> String {
        let request = echo.intent("GiveCodeIntent", &[]);
        let card = self.town.ask(echo, &request).await.card_text();
        let is_code = |word: &&str| word.len() == 9 && word.as_bytes()[4] == b'-';
        card.split_whitespace().find(is_code).unwrap_or_else(|| panic!("no code on the card {card:?}")).to_owned()
    }

    /// A device of this kind, and what it is told when it shows this.
    pub async fn knocks(&self, authorization: Option<&str>, shown: Value) -> (Newcomer, Told) {
        let device = Newcomer::new().await;
        let told = device.knocks(&self.url(), authorization, shown).await;
        (device, told)
    }

    /// Connects with what it was told and waits for orders.
    async fn connects(&self, device: &Newcomer, told: &Told) -> Device {
        let mut connected = Device::connect(&device.identity(told, &self.town.ministack.root)).await;
        connected.subscribe(&topic(told.text("thingName"), "update/delta")).await;
        connected
    }

    /// The device's owner says something, and it hears of it.
    async fn obeys(&self, device: &mut Device, told: &Told, user: &User) {
        let mut echo = Echo::linked(&user.token);
        let request = echo.intent("PrintIntent", &[Slot::said("model", "vase")]);
        self.town.ask(&mut echo, &request).await.says(&["vase"]);
        let delta = device.receive(&topic(told.text("thingName"), "update/delta")).await;
        assert_eq!(delta["state"]["command"]["args"]["model"], "vase", "{delta}");
    }

    /// The maker wants something of a device that has no owner, and it hears of it.
    async fn hears(&self, device: &mut Device, told: &Told) {
        let wanted = json!({"thingName": told.text("thingName"), "payload": json!({"state": {"desired": {"on": true}}}).to_string()});
        assert_eq!(calls_as(&self.town.ministack.url, &owners_keys(), "iot-data", "update_thing_shadow", wanted).await, Ok(()));
        let delta = device.receive(&topic(told.text("thingName"), "update/delta")).await;
        assert_eq!(delta["state"]["on"], true, "{delta}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_lets_one_device_of_its_owner_in() {
    let door = Entrance::built("").await;
    let ada = door.town.house.welcomes("Ada");
    let code = door.code_for(&ada).await;

    let (device, told) = door.knocks(None, json!({"code": code.to_lowercase()})).await;
    let told = told.lets_in();
    assert!(told.body["privateKey"].is_null(), "{told:?}");
    assert_eq!(told.headers["cache-control"], "no-store");
    let account = door.town.ministack.holds().await;
    let made = thing(&account, told.text("thingName"));
    assert_eq!((&made["attributes"]["UserId"], &made["type"]), (&json!(ada.user_id), &json!("3d-printer")));
    let issued = certificate(&account, told.text("certificateId"));
    assert_eq!((&issued["status"], list(issued, "policies")), (&json!("ACTIVE"), &[json!("OneUserOneThing")][..]));
    let mut connected = door.connects(&device, &told).await;
    door.obeys(&mut connected, &told, &ada).await;

    // Its answer may have been lost: it comes again. Nobody else does.
    device.knocks(&door.url(), None, json!({"code": code})).await.lets_in();
    door.knocks(None, json!({"code": code})).await.1.is_refused(401, "not_recognised");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_wrong_guesses_end_a_code() {
    let door = Entrance::built("").await;
    let code = door.code_for(&door.town.house.welcomes("Ada")).await;
    let (name, secret) = code.split_once('-').expect("two halves");
    let wrong = format!("{name}-{}", if secret == "0000" { "1111" } else { "0000" });
    let device = Newcomer::new().await;
    for _ in 0..5 {
        device.knocks(&door.url(), None, json!({"code": wrong})).await.is_refused(401, "not_recognised");
    }
    device.knocks(&door.url(), None, json!({"code": code})).await.is_refused(401, "not_recognised");
    // Nothing was made: there is the certificate of the mail, and no other.
    assert_eq!(list(&door.town.ministack.holds().await, "certificates").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owners_own_token_lets_a_device_in() {
    let door = Entrance::with(Deployment::logging_everything).await;
    let ada = door.town.house.welcomes("Ada");
    let (device, told) = door.knocks(Some(&format!("Bearer {}", ada.token)), json!({})).await;
    let told = told.lets_in();
    let mut connected = door.connects(&device, &told).await;
    door.obeys(&mut connected, &told, &ada).await;
    // The owner spoke for the first time, and needed no mail: a device of theirs was there before.
    assert_eq!(door.town.ministack.post_office.count(), 0);

    // A token that was made for another application, and none at all.
    let mut elsewhere = User::named("Bob");
    elsewhere.audience = "amzn1.application-oa2-client.other".into();
    door.town.house.login.knows(&elsewhere);
    for authorization in [Some(format!("Bearer {}", elsewhere.token)), Some("Bearer Atza|nobody".into()), None] {
        let (_, told) = door.knocks(authorization.as_deref(), json!({})).await;
        told.is_refused(401, "not_recognised");
        assert!(told.headers["www-authenticate"].is_string(), "{told:?}");
    }
    let code = door.code_for(&ada).await;
    door.knocks(None, json!({"code": code})).await.1.lets_in();

    // Whatever is logged, what opens the door is not.
    let log = door.gateway.function().logs_times("\"audit\":true", 5).await;
    for secret in [&ada.token, &elsewhere.token, "Atza|nobody", &code, &code.replace('-', ""), "BEGIN CERTIFICATE REQUEST"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_of_a_fleet_choose_their_names_once() {
    let door = Entrance::built(&terms()).await;
    let shown = json!({"thingName": "hall-lamp-1", "version": "1.2", "attributes": {"hardware": "b"}});
    let (device, told) = door.knocks(Some("DeviceToken one token"), shown.clone()).await;
    let told = told.lets_in();
    let account = door.town.ministack.holds().await;
    let made = thing(&account, "hall-lamp-1");
    assert_eq!((&made["type"], &made["attributes"]["UserId"]), (&json!("lamp"), &json!("fleet:factory-1")));
    assert_eq!((&made["attributes"]["version"], &made["attributes"]["hardware"]), (&json!("1.2"), &json!("b")));
    let mut connected = door.connects(&device, &told).await;
    door.hears(&mut connected, &told).await;

    door.knocks(Some("DeviceToken another token"), shown.clone()).await.1.is_refused(409, "not_theirs");
    door.knocks(Some("DeviceToken no token"), shown).await.1.is_refused(401, "not_recognised");
    let ada = door.town.house.welcomes("Ada");
    let theirs = door.knocks(None, json!({"code": door.code_for(&ada).await})).await.1.lets_in();
    let shown = json!({"thingName": theirs.text("thingName"), "version": "1"});
    door.knocks(Some("DeviceToken one token"), shown).await.1.is_refused(409, "not_theirs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_serial_lets_its_device_in_and_a_certificate_its_successor() {
    let door = Entrance::built(&terms()).await;
    let (device, told) = door.knocks(None, json!({"serial": "0123456789abcdefghij"})).await;
    let told = told.lets_in();
    assert!(told.text("thingName").starts_with("Lamp-"), "{told:?}");
    let mut connected = door.connects(&device, &told).await;
    door.hears(&mut connected, &told).await;

    door.knocks(None, json!({"serial": "SN-0001"})).await.1.is_refused(401, "not_recognised");
    door.knocks(None, json!({"serial": "SN-0001", "secret": "a guess"})).await.1.is_refused(401, "not_recognised");
    door.knocks(None, json!({"serial": "SN-0001", "secret": "a secret"})).await.1.lets_in();

    // A year later the device has another key.
    door.town.lease_passes().await;
    let (successor, at) = (Newcomer::new().await, now());
    let shown = json!({
        "thingName": told.text("thingName"), "certificate": told.text("certificatePem"),
        "proof": device.proof(&successor, at).await, "at": at,
    });
    let stranger = Newcomer::new().await;
    stranger.knocks(&door.url(), None, shown.clone()).await.is_refused(401, "not_recognised");
    let renewed = successor.knocks(&door.url(), None, shown).await.lets_in();
    assert_eq!(renewed.text("thingName"), told.text("thingName"));
    assert_ne!(renewed.text("certificateId"), told.text("certificateId"));
    door.connects(&successor, &renewed).await;
    // The one before goes on for a day.
    door.connects(&device, &told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_door_answers_every_request_and_nothing_else() {
    let door = Entrance::built(&terms()).await;
    let url = door.url();
    knock(&url, "POST", None, Some("no JSON")).await.is_refused(400, "malformed");
    knock(&url, "POST", None, None).await.is_refused(400, "malformed");
    let long = json!({"csr": "x".repeat(20_000)}).to_string();
    knock(&url, "POST", None, Some(&long)).await.is_refused(413, "too_large");
    knock(&url, "POST", None, Some(r#"{"code": "K7QF-93PD"}"#)).await.is_refused(400, "malformed");
    assert_eq!(knock(&url, "GET", None, None).await.status, 404);
    assert_eq!(knock(&url, "OPTIONS", None, None).await.status, 204);

    // What is no knock, at the door; and a knock where there is none.
    let echo = Echo::linked("token").launch();
    for (function, event) in [(door.gateway.function(), echo), (&door.town.house.lambda, knock_event())] {
        match function.invoke_within(&event, std::time::Duration::from_secs(8)).await {
            Outcome::Failed(error) => assert_eq!(error["errorType"], "NotOurs", "{error}"),
            other => panic!("{other:?}"),
        }
    }
}

fn knock_event() -> Value {
    let request = axum::http::Request::post("/register").header("content-type", "application/json").body(()).expect("a request");
    crate::harness::gateway::event(&request.into_parts().0, &"{}".into(), 1)
}
