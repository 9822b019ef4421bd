//! Every way to register, and every reason for a refusal.

use std::sync::atomic::Ordering;

use onething::identifiers::{OwnerId, ThingName, ThingPrefix};
use onething::registry::signing_request::ShownCertificate;
use onething::registry::{Entry, Record, RegistryError};
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use crate::{Answer, Device, Setup, now, owner, thing_of};

const FLEET_1: Option<&str> = Some("DeviceToken token-1");
const FLEET_2: Option<&str> = Some("DeviceToken token-2");

fn lamp() -> Value {
    json!({"thingName": "lamp-7", "version": "1.2"})
}

/// Checks the response and the resources of a successful registration.
fn check(setup: &Setup, device: &Device, answer: &Answer, thing: &str, thing_type: &str, policies: &[&str]) {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let id = answer.certificate();
    let body = &answer.body;
    assert_eq!((body["thingName"].as_str(), body["clientId"].as_str()), (Some(thing), Some(thing)));
    assert_eq!((body["thingType"].as_str(), body["policy"].as_str()), (Some(thing_type), Some(policies[0])));
    assert_eq!((&body["endpoint"], &body["port"]), (&json!("abc-ats.iot.eu-west-1.amazonaws.com"), &json!(8883)));
    assert_eq!(body["topics"]["updateDelta"], format!("$aws/things/{thing}/shadow/update/delta"));
    for root in ["preferred", "backup"] {
        assert!(body["rootCas"][root].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    }
    assert_eq!(body.get("privateKey"), None);
    assert_eq!(answer.header("cache-control"), Some("no-store"));

    let pem = body["certificatePem"].as_str().unwrap();
    let shown = ShownCertificate::parse(pem).unwrap();
    assert_eq!((shown.id(), json!(shown.expires_at())), (&id, body["expiresAt"].clone()));
    let (_, parsed) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    let parsed = parsed.parse_x509().unwrap();
    assert_eq!(parsed.public_key().raw, rcgen::PublicKeyData::subject_public_key_info(&device.key), "the key of the certificate");

    let thing = answer.thing();
    assert_eq!(setup.account().working(&thing), std::slice::from_ref(&id), "this certificate is the only one that works");
    assert_eq!(setup.account().policies(&id), policies);
    let record = setup.account().record(&thing).unwrap();
    assert_eq!((record.certificate, record.coming, record.until), (Some(id), None, 0));
    assert_eq!(setup.account().world(&thing).account.lock().unwrap().broken, Vec::<&str>::new());
    assert_eq!(setup.account().things(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_device_of_an_owner_registers_with_a_code() {
    let (setup, device) = (Setup::new(""), Device::new());
    let code = setup.code().await.shown();
    let answer = setup.registers(None, &device.with(json!({"code": code.to_lowercase().replace('-', " ")}))).await;
    check(&setup, &device, &answer, thing_of("A").as_str(), "3d-printer", &["OneUserOneThing"]);
}

#[tokio::test(start_paused = true)]
async fn an_installer_registers_with_the_access_token_of_the_owner() {
    let (setup, device) = (Setup::new(""), Device::new());
    let answer = setup.registers(Some("Bearer Atza|A"), &device.with(json!({}))).await;
    check(&setup, &device, &answer, thing_of("A").as_str(), "3d-printer", &["OneUserOneThing"]);
}

#[tokio::test(start_paused = true)]
async fn a_device_of_a_fleet_registers_with_the_token_of_the_fleet() {
    let (setup, device) = (Setup::new(""), Device::new());
    let mut body = lamp();
    body["attributes"] = json!({"hardware": "rev-b"});
    let answer = setup.registers(FLEET_1, &device.with(body)).await;
    check(&setup, &device, &answer, "lamp-7", "lamp", &["LampPolicy", "Jobs"]);
    let said = setup.account().record(&answer.thing()).unwrap().said;
    assert_eq!(said, [("hardware".into(), "rev-b".into()), ("version".into(), "1.2".into())].into());
}

#[tokio::test(start_paused = true)]
async fn a_token_is_for_its_types_and_the_first_is_the_default() {
    let (setup, device) = (Setup::new(""), Device::new());
    let body = device.with(json!({"thingName": "pump-1", "version": "1", "thingType": "pump"}));
    let answer = setup.registers(FLEET_2, &body).await;
    check(&setup, &device, &answer, "pump-1", "pump", &["PumpPolicy"]);
    assert_eq!(setup.account().record(&answer.thing()).unwrap().said, [].into(), "pumps have no version");
}

#[tokio::test(start_paused = true)]
async fn a_device_registers_with_its_serial_and_always_has_the_same_thing() {
    let (setup, device) = (Setup::new(""), Device::new());
    let thing = ThingName::of_serial(&ThingPrefix::parse("Lamp-").unwrap(), "unguessable-serial-0001");
    let body = json!({"serial": "unguessable-serial-0001"});
    let answer = setup.registers(None, &device.with(body.clone())).await;
    check(&setup, &device, &answer, thing.as_str(), "lamp", &["LampPolicy", "Jobs"]);
    assert_eq!(setup.registers(None, &Device::new().with(body)).await.thing(), thing);
    assert_eq!(setup.account().things(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_serial_that_can_be_guessed_needs_its_secret() {
    let (setup, device) = (Setup::new(""), Device::new());
    let thing = ThingName::of_serial(&ThingPrefix::parse("Pump-").unwrap(), "SN-0001");
    let answer = setup.registers(None, &device.with(json!({"serial": "SN-0001", "secret": "secret-of-the-device"}))).await;
    check(&setup, &device, &answer, thing.as_str(), "pump", &["PumpPolicy"]);
}

#[tokio::test(start_paused = true)]
async fn a_device_renews_its_certificate_with_the_present_one() {
    for row in ["owner", "fleet"] {
        let (setup, device) = (Setup::new(""), Device::new());
        let first = match row {
            "owner" => setup.registers(Some("Bearer Atza|A"), &device.with(json!({}))).await,
            _ => setup.registers(FLEET_1, &device.with(lamp())).await,
        };
        let next = Device::new();
        let second = setup.registers(None, &device.renewal(&first, &next.csr(), now())).await;
        assert_eq!((second.status, second.thing()), (200, first.thing()), "{row}: {}", second.body);
        assert_eq!(second.body["policy"], first.body["policy"]);
        let mut working = setup.account().working(&first.thing());
        working.sort();
        let mut both = [first.certificate(), second.certificate()];
        both.sort();
        assert_eq!(working, both, "{row}: the old certificate works for another day");
        let third = setup.registers(None, &next.renewal(&second, &Device::new().csr(), now())).await;
        assert_eq!(third.status, 200, "{row}: with the renewed one: {}", third.body);
    }
}

/// The response was lost: the device still has the earlier certificate.
#[tokio::test(start_paused = true)]
async fn a_device_may_repeat_a_renewal_with_the_earlier_certificate() {
    let (setup, device) = (Setup::new(""), Device::new());
    let first = setup.registers(FLEET_1, &device.with(lamp())).await;
    let next = Device::new();
    let lost = setup.registers(None, &device.renewal(&first, &next.csr(), now())).await;
    let heard = setup.registers(None, &device.renewal(&first, &next.csr(), now())).await;
    assert_eq!((lost.status, heard.status), (200, 200));
    let third = setup.registers(None, &next.renewal(&heard, &Device::new().csr(), now())).await;
    assert_eq!(third.status, 200, "{}", third.body);
    let late = setup.registers(None, &device.renewal(&first, &next.csr(), now())).await;
    assert_eq!(late.outcome(), "401 not_recognised", "the successor has been used since");
}

/// A thief of a certificate cannot renew it after the owner has registered the next device.
#[tokio::test(start_paused = true)]
async fn a_certificate_that_the_owner_has_replaced_cannot_be_renewed() {
    let (setup, thief) = (Setup::new(""), Device::new());
    let stolen = setup.registers(Some("Bearer Atza|A"), &thief.with(json!({}))).await;
    let renewed = setup.registers(None, &thief.renewal(&stolen, &thief.csr(), now())).await;
    assert_eq!(renewed.status, 200, "the theft has had no consequence yet");
    let code = setup.code().await.shown();
    let owners = setup.registers(None, &Device::new().with(json!({"code": code}))).await;
    for old in [&stolen, &renewed] {
        let answer = setup.registers(None, &thief.renewal(old, &thief.csr(), now())).await;
        assert_eq!(answer.outcome(), "401 not_recognised");
    }
    let record = setup.account().record(&owners.thing()).unwrap();
    assert_eq!(record.certificate, Some(owners.certificate()));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_without_a_valid_proof_is_refused() {
    let (setup, device) = (Setup::new(""), Device::new());
    let first = setup.registers(FLEET_1, &device.with(lamp())).await;
    let csr = device.csr();
    let good = device.renewal(&first, &csr, now());
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    let stranger = Device::new();
    let foreign = rcgen::CertificateParams::default().self_signed(&stranger.key).unwrap().pem();
    let other = setup.registers(FLEET_1, &stranger.with(json!({"thingName": "lamp-8", "version": "1"}))).await;
    let mut of_another = stranger.renewal(&other, &csr, now());
    assert_eq!(setup.registers(None, &of_another).await.status, 200, "the proof is valid for its own thing");
    of_another["thingName"] = "lamp-7".into();
    let mut unknown = stranger.renewal(&first, &csr, now());
    unknown["certificate"] = foreign.into();
    for (what, body) in [
        ("another key's signature", stranger.renewal(&first, &csr, now())),
        ("another request", with("csr", stranger.csr().into())),
        ("another time", with("at", (now() + 1).into())),
        ("signed too long ago", device.renewal(&first, &csr, now() - 301)),
        ("signed too far ahead", device.renewal(&first, &csr, now() + 302)),
        ("another thing", with("thingName", "lamp-8".into())),
        ("no thing", with("thingName", "lamp-9".into())),
        ("a certificate that nobody issued", unknown),
        ("a certificate of another thing", of_another),
    ] {
        assert_eq!(setup.registers(None, &body).await.outcome(), "401 not_recognised", "{what}");
    }
    setup.account().set_active(&first.certificate(), false);
    assert_eq!(setup.registers(None, &good).await.outcome(), "401 not_recognised", "a certificate that the maker has deactivated");
    setup.account().set_active(&first.certificate(), true);
    assert_eq!(setup.registers(None, &good).await.outcome(), "200");
}

#[tokio::test(start_paused = true)]
async fn unknown_credentials_are_refused() {
    let (setup, device) = (Setup::new(""), Device::new());
    let long_ago = setup.code().await.shown();
    sleep(Duration::from_secs(600)).await;
    for (authorization, body, expected) in [
        (None, json!({}), "401 not_recognised"),
        (None, json!({"code": "K7QF-93PD"}), "401 not_recognised"),
        (None, json!({"code": long_ago}), "401 not_recognised"),
        (Some("Bearer nonsense"), json!({}), "401 not_recognised"),
        (Some("Bearer Atza|A-of-another-client"), json!({}), "401 not_recognised"),
        (Some("DeviceToken token-3"), lamp(), "401 not_recognised"),
        (None, json!({"serial": "unguessable-serial-0002"}), "401 not_recognised"),
        (None, json!({"serial": "nineteen-characters"}), "401 not_recognised"),
        (None, json!({"serial": "SN-0001"}), "401 not_recognised"),
        (None, json!({"serial": "SN-0001", "secret": "wrong"}), "401 not_recognised"),
        (None, json!({"serial": "SN-0002", "secret": "secret-of-the-device"}), "401 not_recognised"),
        (FLEET_1, json!({"thingName": "x", "version": "1", "thingType": "pump"}), "403 type_not_allowed"),
        (FLEET_1, json!({"thingName": "x", "version": "1", "thingType": "3d-printer"}), "403 type_not_allowed"),
        (FLEET_1, json!({"thingName": thing_of("B").as_str(), "version": "1"}), "409 not_theirs"),
        (FLEET_1, json!({"thingName": format!("Pump-{}", "a".repeat(26)), "version": "1"}), "409 not_theirs"),
        (FLEET_1, json!({"thingName": "x", "version": "1", "attributes": {"colour": "red"}}), "400 malformed attributes"),
        (FLEET_1, json!({"thingName": "x", "version": "1", "attributes": {"UserId": "x"}}), "400 malformed attributes"),
        (None, json!({"code": "K7QF-93PU"}), "400 malformed code"),
    ] {
        let answer = setup.registers(authorization, &device.with(body.clone())).await;
        assert_eq!(answer.outcome(), expected, "{authorization:?} {body}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.header("www-authenticate").is_some(), answer.status == 401);
        assert_eq!(answer.body["status"], answer.status);
    }
    assert_eq!(setup.account().things(), 1, "the thing of the owner who had a code");
}

#[tokio::test(start_paused = true)]
async fn the_endpoint_makes_a_key_only_if_the_policy_allows_it() {
    let setup = Setup::new("");
    assert_eq!(setup.registers(FLEET_1, &lamp()).await.outcome(), "400 malformed csr");
    let setup = Setup::new("[registration]\nkeys = \"either\"");
    let answer = setup.registers(FLEET_1, &lamp()).await;
    let key = rcgen::KeyPair::from_pem(answer.body["privateKey"].as_str().unwrap()).unwrap();
    let (_, pem) = x509_parser::pem::parse_x509_pem(answer.body["certificatePem"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(pem.parse_x509().unwrap().public_key().raw, rcgen::PublicKeyData::subject_public_key_info(&key));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test(start_paused = true)]
async fn a_name_of_another_owner_is_refused() {
    let (setup, device) = (Setup::new(""), Device::new());
    let put = |name: &str, owner: Option<OwnerId>, thing_type: Option<&str>| {
        let entry = Entry { version: 3, owner, thing_type: thing_type.map(str::to_owned), record: Record::default() };
        setup.account().put(&ThingName::parse(name).unwrap(), entry);
    };
    let mine = || OwnerId::of_fleet("factory-1");
    put("theirs", OwnerId::of_fleet("factory-2"), Some("lamp"));
    put("by-hand", None, Some("lamp"));
    put("by-hand-and-untyped", None, None);
    put("of-another-type", mine(), Some("pump"));
    put("mine", mine(), Some("lamp"));
    for (name, expected) in [("theirs", "409 not_theirs"), ("by-hand", "409 not_theirs"), ("by-hand-and-untyped", "409 not_theirs")] {
        let answer = setup.registers(FLEET_1, &device.with(json!({"thingName": name, "version": "1"}))).await;
        assert_eq!(answer.outcome(), expected, "{name}");
    }
    let answer = setup.registers(FLEET_1, &device.with(json!({"thingName": "of-another-type", "version": "1"}))).await;
    assert_eq!(answer.outcome(), "409 not_theirs");
    assert_eq!(setup.registers(FLEET_1, &device.with(json!({"thingName": "mine", "version": "1"}))).await.outcome(), "200");
}

#[tokio::test(start_paused = true)]
async fn devices_of_a_suspended_owner_are_refused() {
    for record in [Record { suspended: Some(1), ..Record::default() }, Record { forget: true, ..Record::default() }] {
        let (setup, device) = (Setup::new(""), Device::new());
        let entry = Entry { version: 1, owner: Some(owner("A")), thing_type: Some("3d-printer".into()), record };
        setup.account().put(&thing_of("A"), entry);
        let answer = setup.registers(Some("Bearer Atza|A"), &device.with(json!({}))).await;
        assert_eq!(answer.outcome(), "409 out_of_service");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unavailable_service_refuses_every_device() {
    let (mut setup, device) = (Setup::new(""), Device::new());
    let bearer = Some("Bearer Atza|A");
    let again = |answer: &Answer| answer.header("retry-after").map(str::to_owned);

    setup.endpoint.claims.unreachable.store(true, Ordering::SeqCst);
    for (authorization, body) in [(None, json!({"code": "K7QF-93PD"})), (bearer, json!({})), (FLEET_1, lamp())] {
        let answer = setup.registers(authorization, &device.with(body)).await;
        assert_eq!((answer.outcome(), again(&answer)), ("503 claims_unavailable".into(), Some("2".into())));
    }
    setup.endpoint.claims.unreachable.store(false, Ordering::SeqCst);

    setup.endpoint.login.down.store(true, Ordering::SeqCst);
    let answer = setup.registers(bearer, &device.with(json!({}))).await;
    assert_eq!((answer.outcome(), again(&answer)), ("503 login_unavailable".into(), Some("2".into())));
    setup.endpoint.login.down.store(false, Ordering::SeqCst);

    setup.endpoint.client_id = None;
    assert_eq!(setup.registers(bearer, &device.with(json!({}))).await.outcome(), "403 audience_unchecked");

    setup.account().chaos(100);
    let answer = setup.registers(FLEET_1, &device.with(lamp())).await;
    assert_eq!((answer.outcome(), again(&answer)), ("503 busy".into(), Some("2".into())));
    setup.account().chaos(0);

    for refusal in [
        (|| RegistryError::Refused("InvalidRequestException".into())) as fn() -> RegistryError,
        || RegistryError::ThingTypeMissing("lamp".into()),
        || RegistryError::PolicyMissing("LampPolicy".into()),
    ] {
        setup.account().refuses(Some(refusal));
        let answer = setup.registers(FLEET_1, &device.with(lamp())).await;
        assert_eq!((answer.outcome(), again(&answer)), ("500 registry_refused".into(), None));
        assert!(!answer.body.to_string().contains("Lamp") && !answer.body.to_string().contains("Exception"), "{}", answer.body);
    }
    setup.account().refuses(Some(|| RegistryError::Throttled));
    assert_eq!(setup.registers(FLEET_1, &device.with(lamp())).await.outcome(), "503 busy");
    setup.account().refuses(None);
    assert_eq!(setup.registers(FLEET_1, &device.with(lamp())).await.outcome(), "200");
}

#[tokio::test(start_paused = true)]
async fn requests_of_a_source_are_limited_per_minute() {
    let (setup, device) = (Setup::new("[registration]\nper_source = 3"), Device::new());
    let body = device.with(lamp());
    sleep(Duration::from_secs(10)).await;
    for number in 0..5 {
        let answer = setup.registers_from(&format!("2001:db8::{number}"), Some("DeviceToken wrong"), &body).await;
        assert_eq!(answer.status, if number < 3 { 401 } else { 429 }, "{number}");
        assert_eq!(answer.header("retry-after"), (number >= 3).then_some("50"), "the seconds to the end of the minute");
    }
    assert_eq!(setup.registers_from("2001:db8::9", FLEET_1, &body).await.outcome(), "429 too_many", "valid credentials, too");
    assert_eq!(setup.registers_from("2001:db8:1::1", FLEET_1, &body).await.outcome(), "200", "another network");
    sleep(Duration::from_secs(50)).await;
    assert_eq!(setup.registers_from("2001:db8::1", FLEET_1, &body).await.outcome(), "200");
}

#[tokio::test(start_paused = true)]
async fn guesses_of_a_secret_are_limited_per_minute() {
    let (setup, device) = (Setup::new(""), Device::new());
    let guess = |secret: &str| device.with(json!({"serial": "SN-0001", "secret": secret}));
    for number in 0..102 {
        let answer = setup.registers(None, &guess(&number.to_string())).await;
        assert_eq!(answer.outcome(), if number < 100 { "401 not_recognised" } else { "429 too_many" }, "{number}");
    }
    assert_eq!(setup.registers(None, &guess("secret-of-the-device")).await.outcome(), "429 too_many", "the right secret, too");
    let other = device.with(json!({"serial": "unguessable-serial-0001"}));
    assert_eq!(setup.registers(None, &other).await.outcome(), "200", "another serial");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(setup.registers(None, &guess("secret-of-the-device")).await.outcome(), "200");
}

#[tokio::test(start_paused = true)]
async fn guesses_of_one_network_do_not_block_a_device() {
    let (setup, device) = (Setup::new(""), Device::new());
    for number in 0..200 {
        let guess = device.with(json!({"serial": "SN-0001", "secret": number.to_string()}));
        setup.registers_from(&format!("2001:db8:0:{number:x}::1"), None, &guess).await;
    }
    let true_one = device.with(json!({"serial": "SN-0001", "secret": "secret-of-the-device"}));
    assert_eq!(setup.registers(None, &true_one).await.outcome(), "200");
}

#[tokio::test(start_paused = true)]
async fn refusals_of_a_token_are_limited_per_minute() {
    let (setup, device) = (Setup::new(""), Device::new());
    let wrong = device.with(json!({"thingName": "x", "version": "1", "thingType": "pump"}));
    for number in 0..62 {
        let answer = setup.registers(FLEET_1, &wrong).await;
        assert_eq!(answer.outcome(), if number < 60 { "403 type_not_allowed" } else { "429 too_many" }, "{number}");
    }
    assert_eq!(setup.registers(FLEET_1, &device.with(lamp())).await.outcome(), "429 too_many");
    assert_eq!(setup.registers(FLEET_2, &device.with(lamp())).await.outcome(), "200", "another token");
}

#[tokio::test(start_paused = true)]
async fn every_request_is_audited() {
    let (setup, device) = (Setup::new(""), Device::new());
    let answer = setup.registers(FLEET_1, &device.with(lamp())).await;
    setup.registers(None, &json!({"code": "K7QF-93PD"})).await;
    setup.registers(None, &device.with(json!({"code": "K7QF-93PD"}))).await;
    setup.registers(None, &json!([])).await;
    let events = std::mem::take(&mut *setup.endpoint.audit.0.lock().unwrap());
    let told: Vec<_> = events.iter().map(|event| (event.by, event.outcome, event.status)).collect();
    let expected =
        [("token", "registered", 200), ("code", "malformed", 400), ("code", "not_recognised", 401), ("unknown", "malformed", 400)];
    assert_eq!(told, expected);
    let first = &events[0];
    assert_eq!((first.thing.as_ref(), first.certificate.as_ref()), (Some(&answer.thing()), Some(&answer.certificate())));
    assert_eq!((first.label.as_deref(), first.source.as_str(), first.request_id.as_str()), (Some("factory-1"), "198.51.0.0", "request-1"));
}
