//! The door, from a device that has nothing to one that hears what is wanted of it: each way in, and what is refused.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use futures_util::stream::{self, StreamExt};
use http::Request;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::bundle::Bundle;
use crate::harness::{Answer, Client, Running, Starting, hub, serve};

const TOKEN: &str = "fleet-token-of-the-first-factory";
const SERIAL: &str = "7f3e2a90-5bd4-4c1e-9a57-d0c2f1b8e644";
const SECRET: &str = "the secret of one device";
const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

/// A device with a key that it keeps.
struct Device {
    key: KeyPair,
}

impl Device {
    fn new() -> Self {
        Self { key: KeyPair::generate().unwrap() }
    }

    fn csr(&self) -> String {
        CertificateParams::default().serialize_request(&self.key).unwrap().pem().unwrap()
    }

    /// A knock, with what shows who knocks.
    async fn knocks(&self, door: &Door<'_>, with: Value) -> Answer {
        self.patiently(door, with).await.expect("an answer")
    }

    /// The same, where the hub may end in between. Who is mailed a certificate keeps others off their thing for eight
    /// seconds; a knock waits for six of them, and is told to come again.
    async fn patiently(&self, door: &Door<'_>, with: Value) -> Option<Answer> {
        let mut body = json!({"csr": self.csr()});
        body.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
        let first = door.send(&body.to_string()).await?;
        if first.status == 503 && first.json()["cause"] == "busy" { door.send(&body.to_string()).await } else { Some(first) }
    }

    /// What it has after a knock that was answered.
    fn takes(&self, answer: &Answer) -> Bundle {
        assert_eq!((answer.status, answer.kind.as_str()), (200, "application/json"), "{answer:?}");
        let answer = answer.json();
        assert!(answer.get("privateKey").is_none(), "the key never left the device");
        Bundle::registered(&answer, Some(&self.key.serialize_pem()))
    }
}

/// The door as one client meets it.
#[derive(Clone)]
struct Door<'a> {
    client: &'a Client,
    authorization: Option<String>,
    from: Option<String>,
}

impl<'a> Door<'a> {
    fn of(client: &'a Client) -> Self {
        Self { client, authorization: None, from: None }
    }

    fn with(&self, authorization: &str) -> Self {
        Self { authorization: Some(authorization.to_owned()), ..self.clone() }
    }

    fn from(&self, source: &str) -> Self {
        Self { from: Some(source.to_owned()), ..self.clone() }
    }

    async fn post(&self, body: &str) -> Answer {
        self.send(body).await.expect("an answer")
    }

    async fn send(&self, body: &str) -> Option<Answer> {
        let mut request = Request::post(format!("{}/register", self.client.http)).header("content-type", "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        if let Some(from) = &self.from {
            request = request.header("x-forwarded-for", from);
        }
        self.client.send(request, body.to_owned()).await
    }
}

/// A refusal by the door: problem JSON with a cause.
fn check_refused(answer: &Answer, status: u16) -> Value {
    assert_eq!((answer.status, answer.kind.as_str()), (status, "application/problem+json"), "{answer:?}");
    let problem = answer.json();
    assert_eq!(problem["status"], status, "{problem}");
    assert!(["title", "detail", "cause", "type"].iter().all(|member| problem[member].is_string()), "{problem}");
    problem
}

/// What the owner reads off the card.
async fn code(client: &Client, user: &str) -> String {
    let turn = client.say(user, "ask my printer to give me a code").await.unwrap();
    let card = turn["heard"]["card"]["text"].as_str().unwrap_or_else(|| panic!("no card: {turn}"));
    let code = card.lines().next().unwrap().to_owned();
    assert!(code.len() == 9 && turn["heard"]["speech"].as_str().unwrap().contains(&code.replace('-', " ")), "{turn}");
    assert!(!turn["response"]["sessionAttributes"].to_string().contains(&code[..4]), "{turn}");
    code
}

/// The owner's device hears what its owner says.
async fn check_hears_its_owner(bundle: &Bundle, hub: &Running, user: &str) {
    let client = hub.client();
    let wish = async {
        client.say(user, "ask my printer to print a vase").await.unwrap();
    };
    let delta = bundle.receives_a_delta(hub.mqtt_port(), wish).await;
    assert_eq!(delta["state"]["command"]["args"]["model"], "vase", "{delta}");
}

/// A device that nobody speaks to hears what it wants itself.
async fn check_hears_a_delta(bundle: &Bundle, hub: &Running) {
    use rumqttc::{AsyncClient, PublishOptions};
    let (client, mut events) = {
        let mut options = bundle.options(hub.mqtt_port());
        options.set_clean_session(true);
        AsyncClient::builder(options).capacity(4).build()
    };
    let filter = rumqttc::SubscribeFilterInput::new(bundle.shadow("update/delta"), rumqttc::QoS::AtLeastOnce);
    client.try_subscribe_many([filter]).unwrap();
    let heard = async {
        loop {
            match events.poll().await.expect("a connection") {
                rumqttc::Event::Incoming(rumqttc::Incoming::SubAck(_)) => {
                    let wish = json!({"state": {"desired": {"light": "ON"}}}).to_string();
                    client.try_publish(bundle.shadow("update"), wish, PublishOptions::at_least_once()).unwrap();
                }
                rumqttc::Event::Incoming(rumqttc::Incoming::Publish(delta)) => return delta.payload,
                _ => {}
            }
        }
    };
    let delta: Value = serde_json::from_slice(&crate::harness::within(crate::harness::PATIENCE, "a delta", heard).await).unwrap();
    assert_eq!(delta["state"]["light"], "ON");
}

fn sha256(text: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(text.as_bytes()))
}

/// A hub whose door is open to a fleet, and to devices with serials of each kind.
fn with_terms(place: &Path, door: &str) -> Command {
    let policies = place.join("policies");
    std::fs::create_dir_all(&policies).unwrap();
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/device-policy.json"), policies.join("Lamp.json")).unwrap();
    let terms = format!(
        "[door]\n{door}\n[type.lamp]\nprefix = \"Lamp-\"\npolicies = [\"Lamp\"]\nattributes = [\"version\", \"hardware\"]\n\
         [[token]]\nname = \"factory-1\"\nsha256 = \"{}\"\ntypes = [\"lamp\"]\n\
         [[serial]]\nsha256 = \"{}\"\ntype = \"lamp\"\n\
         [[serial]]\nserial = \"SN-0001\"\nsecret_sha256 = \"{}\"\ntype = \"lamp\"\n\
         [[serial_key]]\nkey = \"{}\"\nprefix = \"HM-\"\ntype = \"lamp\"\n",
        sha256(TOKEN),
        sha256(SERIAL),
        sha256(SECRET),
        BASE64.encode(KEY),
    );
    let file = place.join("register.toml");
    std::fs::write(&file, terms).unwrap();
    let mut command = serve(&place.join("data"));
    command.arg("--register").arg(file);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_a_code_becomes_its_owners() {
    let place = tempfile::tempdir().unwrap();
    let hub = Running::start(place.path());
    let client = hub.client();
    let door = Door::of(&client);
    client.link("ana").await.unwrap();
    let mailed = Bundle::open(&client.bundles("ana").await.unwrap()[0]);
    let code = code(&client, "ana").await;

    let device = Device::new();
    let answer = device.knocks(&door, json!({"code": code})).await;
    let bundle = device.takes(&answer);
    assert_eq!((bundle.thing.as_str(), &answer.json()["thingName"]), (mailed.thing.as_str(), &json!(mailed.thing)));
    assert_ne!(bundle.certificate, mailed.certificate);
    check_hears_its_owner(&bundle, &hub, "ana").await;
    mailed.reads_its_shadow(hub.mqtt_port()).await;

    // A lost answer costs another knock; another device gets nothing for the same code.
    let again = device.takes(&device.knocks(&door, json!({"code": code.to_lowercase()})).await);
    assert_eq!(again.thing, bundle.thing);
    let stranger = Device::new().knocks(&door, json!({"code": code})).await;
    check_refused(&stranger, 401);
    assert!(!String::from_utf8_lossy(&stranger.body).contains(&code));
    assert_eq!(client.bundles("ana").await.unwrap().len(), 1, "nobody was mailed for it");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owners_installer_registers_with_their_access_token() {
    let place = tempfile::tempdir().unwrap();
    let hub = Running::start(place.path());
    let client = hub.client();
    client.link("ana").await.unwrap();
    let token = client.post("/token", &json!({"user": "ana"})).await.unwrap().json()["accessToken"].as_str().unwrap().to_owned();
    assert_eq!(client.post("/token", &json!({"user": "ben"})).await.unwrap().status, 409, "who has not linked has no token");
    let device = Device::new();
    let door = Door::of(&client).with(&format!("Bearer {token}"));
    let bundle = device.takes(&device.knocks(&door, json!({})).await);
    check_hears_its_owner(&bundle, &hub, "ana").await;
    let refused = Device::new().knocks(&Door::of(&client).with("Bearer Atza|somebody-elses"), json!({})).await;
    check_refused(&refused, 401);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleets_devices_have_the_names_they_bring() {
    let place = tempfile::tempdir().unwrap();
    let hub = Starting::start(with_terms(place.path(), "")).ready();
    let client = hub.client();
    client.link("ana").await.unwrap();
    let door = Door::of(&client).with(&format!("DeviceToken {TOKEN}"));
    let device = Device::new();
    let answer = device.knocks(&door, json!({"thingName": "lamp-in-the-hall", "version": "1.2"})).await;
    let bundle = device.takes(&answer);
    assert_eq!((bundle.thing.as_str(), &answer.json()["thingType"]), ("lamp-in-the-hall", &json!("lamp")));
    check_hears_a_delta(&bundle, &hub).await;
    // The same name again is the same thing; a name of an owner's thing is nobody's to bring.
    let again = device.takes(&device.knocks(&door, json!({"thingName": "lamp-in-the-hall", "version": "1.3"})).await);
    assert_eq!(again.thing, bundle.thing);
    let anas = Bundle::open(&client.bundles("ana").await.unwrap()[0]).thing;
    check_refused(&device.knocks(&door, json!({"thingName": anas, "version": "1"})).await, 409);
    let stranger = Door::of(&client).with("DeviceToken another");
    check_refused(&device.knocks(&stranger, json!({"thingName": "lamp-2", "version": "1"})).await, 401);
    let things = client.get("/api/things").await.unwrap().json();
    assert!(things.to_string().contains("lamp-in-the-hall"), "{things}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_a_serial_has_always_the_same_thing() {
    let place = tempfile::tempdir().unwrap();
    let hub = Starting::start(with_terms(place.path(), "")).ready();
    let client = hub.client();
    let door = Door::of(&client);
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, KEY);
    let computed = HEXLOWER.encode(aws_lc_rs::hmac::sign(&key, b"HM-7").as_ref());
    let mut names = Vec::new();
    for shown in [json!({"serial": SERIAL}), json!({"serial": "SN-0001", "secret": SECRET}), json!({"serial": "HM-7", "secret": computed})]
    {
        let device = Device::new();
        let bundle = device.takes(&device.knocks(&door, shown.clone()).await);
        assert!(bundle.thing.starts_with("Lamp-"), "{}", bundle.thing);
        check_hears_a_delta(&bundle, &hub).await;
        let other = Device::new();
        let again = other.takes(&other.knocks(&door, shown).await);
        assert_eq!(again.thing, bundle.thing);
        check_hears_a_delta(&again, &hub).await;
        names.push(bundle.thing);
    }
    names.dedup();
    assert_eq!(names.len(), 3);
    for shown in [
        json!({"serial": "7f3e2a90-5bd4-4c1e-9a57-d0c2f1b8e645"}),
        json!({"serial": "SN-0001"}),
        json!({"serial": "SN-0001", "secret": "a guess"}),
        json!({"serial": "HM-8", "secret": computed}),
        json!({"serial": "SN-7", "secret": HEXLOWER.encode(aws_lc_rs::hmac::sign(&key, b"SN-7").as_ref())}),
    ] {
        check_refused(&Device::new().knocks(&door, shown).await, 401);
    }
    hub.stop().await;
}

/// What proves that a device has the key of its certificate.
fn renewal(old: &Device, answer: &Value, csr: &str, at: u64) -> Value {
    let der = pem(csr);
    let statement = format!("onething-renew\n{}\n{at}", HEXLOWER.encode(&Sha256::digest(&der)));
    let pair =
        aws_lc_rs::signature::EcdsaKeyPair::from_pkcs8(&aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING, &old.key.serialize_der())
            .unwrap();
    let proof = pair.sign(&aws_lc_rs::rand::SystemRandom::new(), statement.as_bytes()).unwrap();
    json!({"csr": csr, "certificate": answer["certificatePem"], "thingName": answer["thingName"], "proof": BASE64.encode(proof.as_ref()), "at": at})
}

fn pem(text: &str) -> Vec<u8> {
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    BASE64.decode(body.as_bytes()).unwrap()
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_renews_its_certificate_with_the_key_of_the_old_one() {
    let place = tempfile::tempdir().unwrap();
    let mut command = serve(place.path());
    command.args(["--certificate-days", "30"]);
    let hub = Starting::start(command).ready();
    let client = hub.client();
    let door = Door::of(&client);
    client.link("ana").await.unwrap();
    let (old, new) = (Device::new(), Device::new());
    let answer = old.knocks(&door, json!({"code": code(&client, "ana").await})).await;
    let first = old.takes(&answer);
    let expires = answer.json()["expiresAt"].as_u64().unwrap();
    assert!((now() + 29 * 86_400..now() + 31 * 86_400).contains(&expires), "{expires}");
    let answer = answer.json();
    let csr = new.csr();
    let renewed = new.takes(&door.post(&renewal(&old, &answer, &csr, now()).to_string()).await);
    assert_eq!(renewed.thing, first.thing);
    assert_ne!(renewed.certificate, first.certificate);
    check_hears_its_owner(&renewed, &hub, "ana").await;
    assert!(first.is_admitted(hub.mqtt_port()).await, "the old one works until the new one is in use, and a day at most");

    // The statement is about one request and one time, and only the key can make it.
    let mut exchanged = renewal(&old, &answer, &csr, now());
    exchanged["csr"] = json!(Device::new().csr());
    check_refused(&door.post(&exchanged.to_string()).await, 401);
    check_refused(&door.post(&renewal(&old, &answer, &csr, now() - 3_600).to_string()).await, 401);
    check_refused(&door.post(&renewal(&Device::new(), &answer, &csr, now()).to_string()).await, 401);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_and_registered_devices_outlive_a_power_cut() {
    let place = tempfile::tempdir().unwrap();
    let hub = Running::start(place.path());
    let client = hub.client();
    client.link("ana").await.unwrap();
    let (first, second) = (code(&client, "ana").await, code(&client, "ana").await);
    let (device, other) = (Device::new(), Device::new());
    let bundle = device.takes(&device.knocks(&Door::of(&client), json!({"code": first})).await);
    hub.kill();

    let hub = Running::start(place.path());
    let client = hub.client();
    let door = Door::of(&client);
    check_hears_its_owner(&bundle, &hub, "ana").await;
    let later = other.takes(&other.knocks(&door, json!({"code": second})).await);
    check_hears_its_owner(&later, &hub, "ana").await;
    check_refused(&Device::new().knocks(&door, json!({"code": first})).await, 401);
    hub.stop().await;
}

/// Whatever moment it is cut off at: the same knock gets through afterwards, and there is one thing.
#[tokio::test(flavor = "multi_thread")]
async fn a_knock_that_a_power_cut_swallows_is_made_good_by_the_next_one() {
    let place = tempfile::tempdir().unwrap();
    let mut hub = Running::start(place.path());
    hub.client().link("ana").await.unwrap();
    let code = code(&hub.client(), "ana").await;
    let device = Device::new();
    for wait in 0..8_u64 {
        let client = hub.client();
        let door = Door::of(&client);
        let knock = device.patiently(&door, json!({"code": code}));
        let cut = tokio::time::sleep(std::time::Duration::from_millis(wait * 3));
        tokio::select! {
            _ = knock => {}
            () = cut => {}
        }
        hub.kill();
        hub = Running::start(place.path());
    }
    let client = hub.client();
    let bundle = device.takes(&device.knocks(&Door::of(&client), json!({"code": code})).await);
    check_hears_its_owner(&bundle, &hub, "ana").await;
    assert_eq!(client.thing("ana").await.unwrap()["thing"], json!(bundle.thing));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_malformed_is_refused_by_its_name() {
    let place = tempfile::tempdir().unwrap();
    let hub = Starting::start(with_terms(place.path(), "keys = \"either\"\nper_source = 1000")).ready();
    let client = hub.client();
    let door = Door::of(&client);
    for (body, field) in [
        (json!([]), "body"),
        (json!({"code": 7}), "code"),
        (json!({"code": "K7QF"}), "code"),
        (json!({"code": "K7QF-93PD", "csr": "no PEM"}), "csr"),
        (json!({"code": "K7QF-93PD", "csr": 7}), "csr"),
        (json!({"code": "K7QF-93PD", "serial": SERIAL}), ""),
        (json!({"serial": ""}), "serial"),
        (json!({"serial": 7}), "serial"),
    ] {
        let problem = check_refused(&door.post(&body.to_string()).await, 400);
        assert!(field.is_empty() || problem["field"] == field, "{body} {problem}");
    }
    check_refused(&door.post("no JSON").await, 400);
    check_refused(&door.post("{}").await, 401);
    check_refused(&door.post(&format!("{{\"code\": \"{}\"}}", "A".repeat(16 * 1024))).await, 413);
    let no_json = Request::post(format!("{}/register", client.http)).header("content-type", "text/plain");
    check_refused(&client.send(no_json, "{}").await.unwrap(), 415);
    let read = client.get("/register").await.unwrap();
    check_refused(&read, 405);
    // Where keys are made at the door, the answer has the private key, once.
    client.link("ana").await.unwrap();
    let device = Device::new();
    device.takes(&device.knocks(&door, json!({"code": code(&client, "ana").await})).await);
    let answer = door.post(&json!({"code": code(&client, "ana").await}).to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let bundle = Bundle::registered(&answer.json(), None);
    check_hears_its_owner(&bundle, &hub, "ana").await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_the_key_is_the_devices_own() {
    let place = tempfile::tempdir().unwrap();
    let hub = Running::start(place.path());
    let client = hub.client();
    client.link("ana").await.unwrap();
    let answer = Door::of(&client).post(&json!({"code": code(&client, "ana").await}).to_string()).await;
    assert_eq!(check_refused(&answer, 400)["field"], "csr");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_dies_of_five_wrong_tries_and_a_source_is_slowed_down() {
    let place = tempfile::tempdir().unwrap();
    let mut command = serve(place.path());
    command.arg("--behind-proxy");
    let hub = Starting::start(command).ready();
    let client = hub.client();
    client.link("ana").await.unwrap();
    let (first, second) = (code(&client, "ana").await, code(&client, "ana").await);
    let device = Device::new();
    let wrong = |code: &str| format!("{}-{}", &code[..4], if code.ends_with("0000") { "1111" } else { "0000" });
    for number in 0..5 {
        let door = Door::of(&client).from(&format!("198.51.100.{number}"));
        check_refused(&device.knocks(&door, json!({"code": wrong(&first)})).await, 401);
    }
    check_refused(&device.knocks(&Door::of(&client).from("198.51.100.77"), json!({"code": first})).await, 401);

    let door = Door::of(&client).from("203.0.113.5");
    let mut last = None;
    for number in 0..60 {
        let answer = device.knocks(&door, json!({"code": format!("{number:04}-0000")})).await;
        if answer.status == 429 {
            last = Some(answer);
            break;
        }
        check_refused(&answer, 401);
    }
    check_refused(&last.expect("a limit"), 429);
    // Who comes from elsewhere is not kept waiting.
    let elsewhere = Door::of(&client).from("192.0.2.8");
    device.takes(&device.knocks(&elsewhere, json!({"code": second})).await);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_gets_five_codes_an_hour() {
    let place = tempfile::tempdir().unwrap();
    let hub = Running::start(place.path());
    let client = hub.client();
    client.link("ana").await.unwrap();
    let mut given = 0;
    // An hour of the clock may end in between, once.
    for _ in 0..11 {
        let turn = client.say("ana", "ask my printer to give me a code").await.unwrap();
        given += usize::from(turn["heard"]["card"].is_object());
    }
    assert!(given == 5 || given == 10, "{given}");
    assert!(client.speech("ana", "ask my printer for a code").await.unwrap().contains("five codes"));
    client.link("ben").await.unwrap();
    code(&client, "ben").await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_knock_leaves_an_event() {
    let place = tempfile::tempdir().unwrap();
    let running = Running::start(place.path());
    let client = running.client();
    client.link("ana").await.unwrap();
    let code = code(&client, "ana").await;
    let device = Device::new();
    let bundle = device.takes(&device.knocks(&Door::of(&client), json!({"code": code})).await);
    check_refused(&Door::of(&client).post("no JSON").await, 400);
    let listed = client.get("/api/registrations").await.unwrap().json();
    // Who had to come twice has left two.
    let [.., good, bad] = listed["events"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!((&good["by"], &good["status"], &good["source"]), (&json!("code"), &json!(200), &json!("127.0.0.1")), "{good}");
    assert_eq!((&good["thing"], &good["certificate"]), (&json!(bundle.thing), &json!(bundle.certificate)), "{good}");
    assert_eq!((&bad["status"], &bad["by"]), (&json!(400), &json!("unknown")), "{bad}");
    for secret in [code.as_str(), &code.replace('-', ""), "ana@example.com"] {
        assert!(!listed.to_string().contains(secret), "{listed}");
    }

    let ask = |arguments: &[&str]| {
        let output = hub().arg("events").args(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (status, out, _) = ask(&["--hub", &running.http]);
    assert!(status == Some(0) && ["code", "registered", "127.0.0.1", &bundle.thing].iter().all(|part| out.contains(part)), "{out}");
    let data = place.path().to_str().unwrap();
    let (status, _, complaint) = ask(&["--data", data]);
    assert!(status == Some(1) && complaint.contains("another hub is using the database"), "{complaint}");
    running.signal("TERM");
    let (_, log) = running.ended().await;
    assert!(!log.contains(&code) && !log.contains(&code[5..]) && log.contains("audit=true"), "{log}");
    let (status, out, complaint) = ask(&["--data", data, "--json"]);
    let kept: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out} {complaint}"));
    assert!(status == Some(0) && kept == listed, "{kept}");
}

#[test]
fn terms_are_judged_before_anything_begins() {
    let place = tempfile::tempdir().unwrap();
    let check = |terms: &str, policy: Option<&str>, words: &[&str]| {
        let (file, policies) = (place.path().join("register.toml"), place.path().join("policies"));
        std::fs::write(&file, terms).unwrap();
        std::fs::create_dir_all(&policies).unwrap();
        if let Some(policy) = policy {
            std::fs::write(policies.join("Lamp.json"), policy).unwrap();
        }
        let output =
            serve(&place.path().join("data")).arg("--register").arg(&file).args(["--register-url", "http://hub.example.com"]).output();
        let output = output.unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{complaint}");
        assert!(words.iter().all(|words| complaint.contains(words)), "{complaint}");
    };
    let lamp = "[type.lamp]\nprefix = \"Lamp-\"\npolicies = [\"Lamp\"]\n";
    check(lamp, None, &["policy Lamp: ", "Lamp.json cannot be read", "--register-url must be an https URL"]);
    check(lamp, Some("{}"), &["policy Lamp: ", "is no policy"]);
    check("[door]\nhook = \"lambda:ask\"\n", None, &["there are no Lambda functions here"]);
    check("[door]\nper_source = 0\n[[token]]\nname = \"a\"\nsha256 = \"b\"\ntypes = [\"c\"]\n", None, &["per_source", "token 1"]);
    check("nonsense", None, &["--register: "]);
    assert!(!place.path().join("data").exists(), "nothing was begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_say_where_the_door_is() {
    let place = tempfile::tempdir().unwrap();
    let register = |zip: &[u8]| crate::bundle::connection(zip)["register"].clone();
    let hub = Running::start(place.path());
    let client = hub.client();
    client.link("ana").await.unwrap();
    assert_eq!(register(&client.bundles("ana").await.unwrap()[0]), json!(format!("{}/register", hub.http)));
    hub.stop().await;
    let mut command = serve(place.path());
    command.env("ONETHING_REGISTER_URL", "https://hub.example.com/register");
    let hub = Starting::start(command).ready();
    let client = hub.client();
    client.link("ben").await.unwrap();
    assert_eq!(register(&client.bundles("ben").await.unwrap()[0]), json!("https://hub.example.com/register"));
    hub.stop().await;
}

/// A browser of another origin gets nothing but what the terms allow, and a page without terms no answer to read.
#[tokio::test(flavor = "multi_thread")]
async fn other_origins_are_told_nothing_unless_the_terms_name_them() {
    let place = tempfile::tempdir().unwrap();
    let hub = Starting::start(with_terms(place.path(), "origin = \"https://setup.example.com\"")).ready();
    let client = hub.client();
    for (origin, allowed) in [("https://setup.example.com", true), ("https://evil.example", false)] {
        let asked = Request::builder().method("OPTIONS").uri(format!("{}/register", hub.http)).header("origin", origin);
        let asked = asked.header("access-control-request-method", "POST").header("access-control-request-headers", "content-type");
        let answer = client.send(asked, Bytes::new()).await.unwrap();
        assert_eq!(answer.allowed_origin.as_deref() == Some("https://setup.example.com"), allowed, "{origin} {answer:?}");
    }
    hub.stop().await;
}

/// How many of many wrong codes are looked at; the others are told to wait.
async fn guesses_looked_at(client: &Client, sources: u32, guesses: u32) -> u32 {
    let guesses = (0..guesses).map(|number| async move {
        let door = Door::of(client).from(&format!("10.{}.{}.{}", sources / 251, number % sources / 251, number % sources % 251));
        let answer = Device::new().knocks(&door, json!({"code": format!("{:04}-{:04}", number % 10_000, number / 7)})).await;
        assert!([401, 429].contains(&answer.status), "{answer:?}");
        u32::from(answer.status == 401)
    });
    stream::iter(guesses).buffer_unordered(32).fold(0, |looked_at, one| async move { looked_at + one }).await
}

/// The minute of the clock may end in between, once.
#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_codes_has_twenty_guesses_a_minute_and_sixty_from_a_thousand_sources() {
    let place = tempfile::tempdir().unwrap();
    let mut command = serve(place.path());
    command.arg("--behind-proxy");
    let hub = Starting::start(command).ready();
    let client = hub.client();
    let one = guesses_looked_at(&client, 1, 300).await;
    assert!((20..=40).contains(&one), "{one} of 300 from one source");
    let many = guesses_looked_at(&client, 1_000, 2_000).await;
    assert!((40..=120).contains(&many), "{many} of 2,000 from a thousand sources");
    hub.stop().await;
}
