use onething_hub::authority::Authority;
use serde_json::Value;

use super::super::scripted_endpoint::{NOW, answer};
use super::*;

fn judged(key: &DeviceKey, thing: Option<&str>, now: u64, answer: &Value) -> Result<Files, AnswerError> {
    let endpoint = Address::parse("https://endpoint.example").unwrap();
    judge(answer.to_string().as_bytes(), &Expected { key, thing: thing.map(str::to_owned), endpoint: &endpoint, now })
}

#[test]
fn a_valid_response_becomes_a_bundle_with_the_own_key_and_the_endpoint() {
    let key = DeviceKey::generate().unwrap();
    let answer = answer(&key.request("lamp-7").unwrap(), "lamp-7");
    let files = judged(&key, Some("lamp-7"), NOW, &answer).unwrap();
    let bundle = Bundle::from_files(&files).unwrap();
    assert_eq!(bundle.connection.register.as_deref(), Some("https://endpoint.example/register"));
    assert_eq!(bundle.connection.certificate_id.as_deref(), Some(bundle.certificate_id.as_str()));
    assert_eq!((bundle.connection.thing_name.as_str(), bundle.connection.endpoint.as_str()), ("lamp-7", "broker.example"));
    assert_eq!(files.content(PRIVATE_KEY).unwrap(), key.private_key().pem().as_bytes());
    let names: Vec<_> = files.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["RootCA-backup.pem", "RootCA-preferred.pem", "certificate.pem", "connection.json", "private.key.pem"]);
    // The clock of the device may be slightly slow, and the response may contain only one root.
    assert!(judged(&key, None, NOW - 3_600 * 24, &answer).is_ok());
    let mut one = answer.clone();
    one["rootCas"].as_object_mut().unwrap().remove("backup");
    assert!(judged(&key, None, NOW, &one).is_ok());
}

#[track_caller]
fn check(change: impl FnOnce(&mut Value), expected: &str) {
    let key = DeviceKey::generate().unwrap();
    let mut answer = answer(&key.request("lamp-7").unwrap(), "lamp-7");
    change(&mut answer);
    let error = judged(&key, Some("lamp-7"), NOW, &answer).unwrap_err();
    assert!(format!("{error:?}").starts_with(expected), "{error:?}");
}

#[test]
fn an_invalid_response_is_refused() {
    check(|answer| *answer = Value::Null, "Shape");
    check(|answer| answer["port"] = 70_000.into(), "Shape");
    check(|answer| drop(answer.as_object_mut().unwrap().remove("topics")), "Shape");
    check(|answer| answer["thingName"] = "lamp-8".into(), "Thing");
    check(|answer| answer["thingName"] = "../lamp".into(), "Thing");
    check(|answer| answer["clientId"] = "a b".into(), "ClientId");
    for host in ["", "https://broker.example", "broker.example:8883", "a/b", "user@broker", "two words", &"a".repeat(254)] {
        check(|answer| answer["endpoint"] = host.into(), "Endpoint");
    }
    check(|answer| answer["port"] = 0.into(), "Endpoint");
    check(|answer| answer["topics"]["update"] = "$aws/things/lamp-8/shadow/update".into(), "Topics");
    check(|answer| answer["topics"]["get"] = "$aws/things/lamp-7/shadow/#".into(), "Topics");
    check(|answer| answer["certificatePem"] = "-----BEGIN CERTIFICATE-----".into(), "Certificate");
    check(|answer| answer["certificatePem"] = Authority::new(NOW).unwrap().issue(NOW).unwrap().pem.into(), "Key");
    check(|answer| answer["rootCas"]["preferred"] = "none".into(), "Roots");
    check(|answer| answer["rootCas"]["backup"] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into(), "Roots");
}

#[test]
fn an_expired_certificate_is_refused() {
    let key = DeviceKey::generate().unwrap();
    let answer = answer(&key.request("lamp-7").unwrap(), "lamp-7");
    let error = judged(&key, None, 2_600_000_000, &answer).unwrap_err();
    assert!(matches!(error, AnswerError::NotValidNow(NotValidNow::Expired(_))), "{error:?}");
}
