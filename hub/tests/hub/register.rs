//! Tests of every kind of registration, from a new device to a device that receives a delta.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::bundle::Bundle;
use crate::device::{
    Device, Endpoint, KEY, SECRET, SERIAL, TOKEN, check_hears_a_delta, check_hears_its_owner, check_refused, code, with_policy,
};
use crate::harness::{Running, Starting, hub, serve};

#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_a_code_is_bound_to_the_owner() {
    let place = tempfile::tempdir().unwrap();
    let hub = Running::start(place.path());
    let client = hub.client();
    let endpoint = Endpoint::of(&client);
    client.link("ana").await.unwrap();
    let mailed = Bundle::open(&client.bundles("ana").await.unwrap()[0]);
    let code = code(&client, "ana").await;

    let device = Device::new();
    let answer = device.registers(&endpoint, json!({"code": code})).await;
    let bundle = device.takes(&answer);
    assert_eq!((bundle.thing.as_str(), &answer.json()["thingName"]), (mailed.thing.as_str(), &json!(mailed.thing)));
    assert_ne!(bundle.certificate, mailed.certificate);
    check_hears_its_owner(&bundle, &hub, "ana").await;
    mailed.reads_its_shadow(hub.mqtt_port()).await;

    // After a lost response, the device may repeat its request. Another device cannot use the same code.
    let again = device.takes(&device.registers(&endpoint, json!({"code": code.to_lowercase()})).await);
    assert_eq!(again.thing, bundle.thing);
    let stranger = Device::new().registers(&endpoint, json!({"code": code})).await;
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
    let endpoint = Endpoint::of(&client).with(&format!("Bearer {token}"));
    let bundle = device.takes(&device.registers(&endpoint, json!({})).await);
    check_hears_its_owner(&bundle, &hub, "ana").await;
    let refused = Device::new().registers(&Endpoint::of(&client).with("Bearer Atza|somebody-elses"), json!({})).await;
    check_refused(&refused, 401);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fleet_devices_choose_their_names() {
    let place = tempfile::tempdir().unwrap();
    let hub = Starting::start(with_policy(place.path(), "")).ready();
    let client = hub.client();
    client.link("ana").await.unwrap();
    let endpoint = Endpoint::of(&client).with(&format!("DeviceToken {TOKEN}"));
    let device = Device::new();
    let answer = device.registers(&endpoint, json!({"thingName": "lamp-in-the-hall", "version": "1.2"})).await;
    let bundle = device.takes(&answer);
    assert_eq!((bundle.thing.as_str(), &answer.json()["thingType"]), ("lamp-in-the-hall", &json!("lamp")));
    check_hears_a_delta(&bundle, &hub).await;
    // The same name results in the same thing. A fleet device cannot use the name of an owner's thing.
    let again = device.takes(&device.registers(&endpoint, json!({"thingName": "lamp-in-the-hall", "version": "1.3"})).await);
    assert_eq!(again.thing, bundle.thing);
    let anas = Bundle::open(&client.bundles("ana").await.unwrap()[0]).thing;
    check_refused(&device.registers(&endpoint, json!({"thingName": anas, "version": "1"})).await, 409);
    let stranger = Endpoint::of(&client).with("DeviceToken another");
    check_refused(&device.registers(&stranger, json!({"thingName": "lamp-2", "version": "1"})).await, 401);
    let things = client.get("/api/things").await.unwrap().json();
    let lamp =
        things["things"].as_array().unwrap().iter().find(|thing| thing["thing"] == "lamp-in-the-hall").expect("the lamp is not listed");
    let replaced = |certificate: &&Value| certificate["replacedUntil"].is_u64();
    assert_eq!(lamp["certificates"].as_array().unwrap().iter().filter(replaced).count(), 1, "{lamp}");
    let (code, out) = shown(&hub, "things");
    assert!(code == Some(0) && out.contains(", replaced,"), "{out}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_a_serial_always_has_the_same_thing() {
    let place = tempfile::tempdir().unwrap();
    let hub = Starting::start(with_policy(place.path(), "")).ready();
    let client = hub.client();
    let endpoint = Endpoint::of(&client);
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, KEY);
    let computed = HEXLOWER.encode(aws_lc_rs::hmac::sign(&key, b"HM-7").as_ref());
    let mut names = Vec::new();
    for shown in [json!({"serial": SERIAL}), json!({"serial": "SN-0001", "secret": SECRET}), json!({"serial": "HM-7", "secret": computed})]
    {
        let device = Device::new();
        let bundle = device.takes(&device.registers(&endpoint, shown.clone()).await);
        assert!(bundle.thing.starts_with("Lamp-"), "{}", bundle.thing);
        check_hears_a_delta(&bundle, &hub).await;
        let other = Device::new();
        let again = other.takes(&other.registers(&endpoint, shown).await);
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
        check_refused(&Device::new().registers(&endpoint, shown).await, 401);
    }
    hub.stop().await;
}

/// Certificate requests made by OpenSSL (`tests/fixtures/requests/make`). `tests/registration/requests.rs` sends the same
/// requests to the endpoint on Lambda.
#[tokio::test(flavor = "multi_thread")]
async fn every_csr_that_aws_accepts_is_accepted_and_every_other_is_rejected_with_a_reason() {
    let place = tempfile::tempdir().unwrap();
    let mut command = with_policy(place.path(), "");
    command.arg("--behind-proxy");
    let hub = Starting::start(command).ready();
    let client = hub.client();
    let (mut accepted, mut refused) = (0, 0);
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/requests")).unwrap() {
        let file = file.unwrap().path();
        let Some(name) = file.to_str().and_then(|name| name.strip_suffix(".pem")?.rsplit('/').next()) else { continue };
        let body = json!({"thingName": name, "version": "1", "csr": std::fs::read_to_string(&file).unwrap()});
        // Each request has a source address of its own, so that no rate limit applies.
        let endpoint = Endpoint::of(&client).with(&format!("DeviceToken {TOKEN}")).from(&format!("198.51.100.{}", accepted + refused));
        let answer = endpoint.post(&body.to_string()).await;
        if name.starts_with("refused-") {
            let problem = check_refused(&answer, 400);
            let detail = problem["detail"].as_str().unwrap();
            assert!(
                problem["field"] == "csr" && detail.contains("it has to be RSA") && !detail.contains("its own key"),
                "{name}: {detail}"
            );
            refused += 1;
        } else {
            assert_eq!(answer.status, 200, "{name}: {answer:?}");
            accepted += 1;
        }
    }
    assert!(accepted > 20 && refused > 10, "{accepted} {refused}");
    hub.stop().await;
}

/// The output of a command for a running hub.
fn shown(running: &Running, what: &str) -> (Option<i32>, String) {
    let output = hub().args([what, "--hub", &running.http]).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// A renewal request, with a signature that proves the possession of the private key.
fn renewal(old: &Device, answer: &Value, csr: &str, at: u64) -> Value {
    let der = pem(csr);
    let statement = format!("onething-renew\n{}\n{at}", HEXLOWER.encode(&Sha256::digest(&der)));
    let pair =
        aws_lc_rs::signature::EcdsaKeyPair::from_pkcs8(&aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING, &old.key.serialize_der())
            .unwrap();
    let proof = pair.sign(&aws_lc_rs::rand::SystemRandom::new(), statement.as_bytes()).unwrap();
    json!({"csr": csr, "certificate": answer["certificatePem"], "thingName": answer["thingName"], "proof": BASE64_STANDARD.encode(proof.as_ref()), "at": at})
}

fn pem(text: &str) -> Vec<u8> {
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    BASE64_STANDARD.decode(body.as_bytes()).unwrap()
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
    let endpoint = Endpoint::of(&client);
    client.link("ana").await.unwrap();
    let (old, new) = (Device::new(), Device::new());
    let answer = old.registers(&endpoint, json!({"code": code(&client, "ana").await})).await;
    let first = old.takes(&answer);
    let expires = answer.json()["expiresAt"].as_u64().unwrap();
    assert!((now() + 29 * 86_400..now() + 31 * 86_400).contains(&expires), "{expires}");
    let answer = answer.json();
    let csr = new.csr();
    let renewed = new.takes(&endpoint.post(&renewal(&old, &answer, &csr, now()).to_string()).await);
    assert_eq!(renewed.thing, first.thing);
    assert_ne!(renewed.certificate, first.certificate);
    check_hears_its_owner(&renewed, &hub, "ana").await;
    assert!(first.is_admitted(hub.mqtt_port()).await, "the old one works until the new one is in use, and a day at most");

    // The signed statement is valid for one CSR and one time.
    let mut exchanged = renewal(&old, &answer, &csr, now());
    exchanged["csr"] = json!(Device::new().csr());
    check_refused(&endpoint.post(&exchanged.to_string()).await, 401);
    check_refused(&endpoint.post(&renewal(&old, &answer, &csr, now() - 3_600).to_string()).await, 401);
    check_refused(&endpoint.post(&renewal(&Device::new(), &answer, &csr, now()).to_string()).await, 401);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_and_registered_devices_survive_a_kill() {
    let place = tempfile::tempdir().unwrap();
    let hub = Running::start(place.path());
    let client = hub.client();
    client.link("ana").await.unwrap();
    let (first, second) = (code(&client, "ana").await, code(&client, "ana").await);
    let (device, other) = (Device::new(), Device::new());
    let bundle = device.takes(&device.registers(&Endpoint::of(&client), json!({"code": first})).await);
    hub.kill();

    let hub = Running::start(place.path());
    let client = hub.client();
    let endpoint = Endpoint::of(&client);
    check_hears_its_owner(&bundle, &hub, "ana").await;
    let later = other.takes(&other.registers(&endpoint, json!({"code": second})).await);
    check_hears_its_owner(&later, &hub, "ana").await;
    check_refused(&Device::new().registers(&endpoint, json!({"code": first})).await, 401);
    hub.stop().await;
}

/// After a kill at any moment, the same registration succeeds, and the owner has one thing.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_a_kill_interrupts_can_be_repeated() {
    let place = tempfile::tempdir().unwrap();
    let mut hub = Running::start(place.path());
    hub.client().link("ana").await.unwrap();
    let code = code(&hub.client(), "ana").await;
    let device = Device::new();
    for wait in 0..8_u64 {
        let client = hub.client();
        let endpoint = Endpoint::of(&client);
        let registration = device.registers_or_not(&endpoint, json!({"code": code}));
        // The sleep defines the moment of the kill.
        let cut = tokio::time::sleep(std::time::Duration::from_millis(wait * 3));
        tokio::select! {
            _ = registration => {}
            () = cut => {}
        }
        hub.kill();
        hub = Running::start(place.path());
    }
    let client = hub.client();
    let bundle = device.takes(&device.registers(&Endpoint::of(&client), json!({"code": code})).await);
    check_hears_its_owner(&bundle, &hub, "ana").await;
    assert_eq!(client.thing("ana").await.unwrap()["thing"], json!(bundle.thing));
    hub.stop().await;
}
