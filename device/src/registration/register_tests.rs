use std::path::Path;
use std::time::Instant;

use onething::registry::signing_request::CertificateRequest;
use onething::secrets::Fingerprint;
use serde_json::{Value, json};

use super::credential::{DeviceDescription, Secret};
use super::scripted_endpoint::{NOW, Reaction, ReceivedRequest, ScriptedEndpoint, answer, says};
use super::*;
use crate::bundle::files::Files;
use crate::failure::Failure;
use crate::state::State;

const CODE: &str = "K7QF-93PD";
const THING: &str = "3D_Printer-zsk4jrpq4wwphzubkwfqziuykk";
const LONG: Option<Duration> = Some(Duration::from_secs(20));

fn secret(text: &str) -> Secret {
    text.to_owned().into()
}

fn code() -> Credential {
    Credential::Code(secret(CODE))
}

fn token() -> Credential {
    Credential::Token(secret("s3cret"), DeviceDescription { version: "1.2".into(), ..DeviceDescription::default() })
}

fn hold(place: &Path) -> Held {
    State::at(place).hold().unwrap().0
}

fn known(endpoint: &ScriptedEndpoint) -> Endpoint {
    Endpoint::new(endpoint.address.clone(), Name::parse("lamp-7", "--name").unwrap(), Some(endpoint.root.clone())).unwrap()
}

fn good(registration: &ReceivedRequest) -> Reaction {
    says(200, "", &answer(registration.csr(), THING).to_string())
}

fn key_of(registration: &ReceivedRequest) -> Fingerprint {
    CertificateRequest::parse(registration.csr()).unwrap_or_else(|fault| panic!("{fault}")).key()
}

/// One registration with a new state folder: the result, the stored credentials, and whether a key is pending.
async fn outcome(
    credential: &Credential,
    endpoint: &ScriptedEndpoint,
    wait: Duration,
) -> (Result<Bundle, RegisterError>, Option<Files>, bool) {
    let place = tempfile::tempdir().unwrap();
    let held = hold(place.path());
    let outcome = register(credential, &known(endpoint), &held, Some(wait), || NOW).await;
    (outcome, held.credentials().unwrap(), held.pending_key().unwrap().is_some())
}

#[tokio::test]
async fn the_credentials_for_a_code_are_stored() {
    let endpoint = ScriptedEndpoint::open(|_, registration| good(registration)).await;
    let (bundle, stored, is_pending) = outcome(&code(), &endpoint, Duration::from_secs(20)).await;
    let bundle = bundle.unwrap();
    assert_eq!(Bundle::from_files(&stored.unwrap()).unwrap().certificate_id, bundle.certificate_id);
    assert_eq!(bundle.connection.register.as_deref(), Some(endpoint.address.to_string().as_str()));
    assert!(!is_pending);
    let received = endpoint.received();
    assert_eq!((received.len(), received[0].body["code"].as_str()), (1, Some(CODE)));
    assert!(received[0].head.starts_with("POST /register HTTP/1.1\r\n") && !received[0].head.contains(CODE), "{}", received[0].head);
}

#[tokio::test]
async fn a_lost_response_is_followed_by_a_request_with_the_same_key() {
    let endpoint = ScriptedEndpoint::open(|number, registration| match (number, good(registration)) {
        (0, Reaction::Says(answer)) => Reaction::Says(answer[..answer.len() - 100].to_vec()),
        (1, Reaction::Says(answer)) => Reaction::Says(answer[..20].to_vec()),
        (2, _) => Reaction::Says(Vec::new()),
        (_, whole) => whole,
    })
    .await;
    let (bundle, stored, _) = outcome(&code(), &endpoint, Duration::from_secs(20)).await;
    assert!(bundle.is_ok() && stored.is_some(), "{bundle:?}");
    let keys: Vec<_> = endpoint.received().iter().map(key_of).collect();
    assert_eq!((keys.len(), keys.iter().all(|key| key == &keys[0])), (4, true));
}

#[tokio::test]
async fn an_aborted_registration_is_repeated_with_the_same_key() {
    let endpoint = ScriptedEndpoint::open(|number, registration| if number == 0 { Reaction::Silence } else { good(registration) }).await;
    let place = tempfile::tempdir().unwrap();
    {
        let (credential, endpoint, held) = (code(), known(&endpoint), hold(place.path()));
        let lost = register(&credential, &endpoint, &held, Some(Duration::from_millis(300)), || NOW).await;
        assert!(matches!(lost, Err(RegisterError::Unreachable(_))), "{lost:?}");
    }
    register(&code(), &known(&endpoint), &hold(place.path()), LONG, || NOW).await.unwrap();
    let received = endpoint.received();
    assert_eq!((received.len(), key_of(&received[0])), (2, key_of(&received[1])));
    // A later registration uses another key.
    register(&code(), &known(&endpoint), &hold(place.path()), LONG, || NOW).await.unwrap();
    assert_ne!(key_of(&endpoint.received()[2]), key_of(&received[1]));
}

#[tokio::test]
async fn a_pending_key_that_is_in_use_is_replaced() {
    let endpoint = ScriptedEndpoint::open(|_, registration| good(registration)).await;
    let place = tempfile::tempdir().unwrap();
    let held = hold(place.path());
    register(&code(), &known(&endpoint), &held, LONG, || NOW).await.unwrap();
    // The state after a power failure between the last two steps.
    let stored = held.credentials().unwrap().unwrap();
    held.keep_pending_key(str::from_utf8(stored.content("private.key.pem").unwrap()).unwrap()).unwrap();
    register(&code(), &known(&endpoint), &held, LONG, || NOW).await.unwrap();
    let received = endpoint.received();
    assert_ne!(key_of(&received[0]), key_of(&received[1]));
}

#[tokio::test]
async fn a_busy_endpoint_is_tried_again_after_its_retry_after() {
    let busy = json!({"title": "the endpoint is busy", "status": 503}).to_string();
    let endpoint = ScriptedEndpoint::open(move |number, registration| match number {
        0 => says(503, "Retry-After: 1\r\n", &busy),
        1 => says(429, "Retry-After: 0\r\n", ""),
        _ => good(registration),
    })
    .await;
    let begun = Instant::now();
    let (bundle, ..) = outcome(&code(), &endpoint, Duration::from_secs(20)).await;
    assert!(bundle.is_ok() && begun.elapsed() >= Duration::from_secs(1), "{bundle:?}");
    assert_eq!(endpoint.received().len(), 3);
}

#[tokio::test]
async fn a_retry_after_of_zero_does_not_shorten_the_pauses() {
    let endpoint = ScriptedEndpoint::open(|_, _| says(429, "Retry-After: 0\r\n", "")).await;
    let (outcome, ..) = outcome(&code(), &endpoint, Duration::from_millis(2_500)).await;
    assert!(matches!(outcome, Err(RegisterError::Unreachable(_))), "{outcome:?}");
    // The pauses are at least 0.5 seconds and 1 second, so there are at most three requests.
    assert!((2..=3).contains(&endpoint.received().len()), "{}", endpoint.received().len());
}

#[tokio::test]
async fn a_retry_after_beyond_the_time_limit_fails_at_once() {
    let endpoint = ScriptedEndpoint::open(|_, _| says(429, "Retry-After: 3600\r\n", r#"{"title": "too many requests"}"#)).await;
    let (outcome, stored, is_pending) = outcome(&code(), &endpoint, Duration::from_secs(3_000)).await;
    let Err(RegisterError::Unreachable(why)) = outcome else { panic!("{outcome:?}") };
    assert!(why.ends_with("has not answered a request within 3000 s: too many requests; come again in 3600 s"), "{why}");
    assert!(stored.is_none() && is_pending);
}

#[tokio::test]
async fn a_missing_response_fails_after_the_time_limit() {
    let endpoint = ScriptedEndpoint::open(|_, _| Reaction::Silence).await;
    let (outcome, ..) = outcome(&code(), &endpoint, Duration::from_millis(300)).await;
    let Err(RegisterError::Unreachable(why)) = outcome else { panic!("{outcome:?}") };
    assert!(why.ends_with("there was no answer"), "{why}");
}

/// An endpoint that always sends this response: checks the failure, and that nothing is stored and the key stays pending.
async fn check(credential: &Credential, status: u16, body: &str, expected: fn(&Failure) -> bool, sentence: &str) {
    let body = body.to_owned();
    let endpoint = ScriptedEndpoint::open(move |_, _| says(status, "location: https://elsewhere.example/\r\n", &body)).await;
    let (outcome, stored, is_pending) = outcome(credential, &endpoint, Duration::from_secs(20)).await;
    let error = outcome.unwrap_err();
    let debug = format!("{error:?}");
    let failure = Failure::from(error);
    assert!(expected(&failure) && failure.to_string().contains(sentence), "{debug}: {failure}");
    assert!(!format!("{debug} {failure}").contains(CODE) && !failure.to_string().contains("s3cret"), "{failure}");
    assert!(stored.is_none() && is_pending && endpoint.received().len() == 1, "{failure}");
}

#[tokio::test]
async fn each_error_response_becomes_its_kind_of_failure() {
    let problem = r#"{"type": "about:blank", "title": "the code is not known", "status": 401}"#;
    let is_credential = |failure: &Failure| matches!(failure, Failure::NoCredentials(_));
    let is_refusal = |failure: &Failure| matches!(failure, Failure::Refused(_));
    let is_other = |failure: &Failure| matches!(failure, Failure::Other(_));
    check(&code(), 401, problem, is_credential, "does not take the code: the code is not known; ask for another one").await;
    check(&Credential::Bearer(secret("s3cret")), 401, "", is_credential, "does not take the access token: status 401").await;
    check(&token(), 401, "<html>", is_credential, "does not take the token: status 401").await;
    let serial = Credential::Serial(secret("s3cret"), None, DeviceDescription::default());
    check(&serial, 401, "{}", is_credential, "does not take the serial number").await;
    let field = r#"{"title": "it is not a certificate request in PEM", "field": "csr"}"#;
    check(&code(), 400, field, is_refusal, "refused: it is not a certificate request in PEM (csr)").await;
    check(&token(), 403, r#"{"title": "not for this token"}"#, is_refusal, "refused: not for this token").await;
    check(&token(), 409, r#"{"title": "owned by another"}"#, is_refusal, "refused: owned by another").await;
    check(&code(), 404, "<html>not here</html>", is_refusal, "there is no endpoint at https://localhost").await;
    for redirect in [301, 302, 303, 307, 308] {
        check(&code(), redirect, "", is_refusal, "sends devices somewhere else").await;
    }
    check(&code(), 200, "<html>It works!</html>", is_other, "it is no answer of a registration endpoint").await;
    check(&code(), 200, &format!("{{\"padding\": \"{}\"}}", "x".repeat(70_000)), is_refusal, "too large").await;
}

#[tokio::test]
async fn a_response_for_another_key_or_thing_is_not_stored() {
    let others = onething::registry::signing_request::DeviceKey::generate().unwrap().request("lamp-7").unwrap();
    let body = answer(&others, THING).to_string();
    check(&code(), 200, &body, |failure| matches!(failure, Failure::Other(_)), "for another key than this device's").await;
    let endpoint = ScriptedEndpoint::open(|_, registration| good(registration)).await;
    let (outcome, stored, _) = outcome(&token(), &endpoint, Duration::from_secs(20)).await;
    assert!(matches!(outcome, Err(RegisterError::Answer(_, AnswerError::Thing))) && stored.is_none(), "{outcome:?}");
}

#[tokio::test]
async fn a_man_in_the_middle_receives_nothing() {
    let (endpoint, another) =
        (ScriptedEndpoint::open(|_, registration| good(registration)).await, ScriptedEndpoint::open(|_, _| Reaction::Silence).await);
    for root in [None, Some(another.root.clone())] {
        let place = tempfile::tempdir().unwrap();
        let impostor = Endpoint::new(endpoint.address.clone(), Name::parse("lamp-7", "--name").unwrap(), root).unwrap();
        let outcome = register(&code(), &impostor, &hold(place.path()), LONG, || NOW).await;
        let Err(RegisterError::Unreachable(why)) = outcome else { panic!("{outcome:?}") };
        assert!(why.contains("a certificate of somebody else, and was sent nothing"), "{why}");
    }
    assert!(endpoint.received().is_empty());
}

#[tokio::test]
async fn a_refused_connection_is_distinguished_from_an_unknown_name() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    for (url, expected) in [
        (format!("http://127.0.0.1:{nobody}"), "nobody listens there"),
        ("https://nowhere.invalid".to_owned(), "its name is not known here"),
    ] {
        let place = tempfile::tempdir().unwrap();
        let endpoint = Endpoint::new(Address::parse(&url).unwrap(), Name::parse("lamp-7", "--name").unwrap(), None).unwrap();
        let outcome = register(&code(), &endpoint, &hold(place.path()), Some(Duration::from_millis(700)), || NOW).await;
        let Err(RegisterError::Unreachable(why)) = outcome else { panic!("{outcome:?}") };
        assert!(why.ends_with(expected), "{why}");
    }
}

#[test]
fn an_invalid_own_root_is_refused() {
    for garbage in ["", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\n"] {
        let address = Address::parse("https://endpoint.example").unwrap();
        let name = Name::parse("lamp-7", "--name").unwrap();
        assert!(Endpoint::new(address, name, Some(garbage.into())).is_err(), "{garbage}");
    }
}

#[tokio::test]
async fn a_renewal_is_proved_with_the_old_key_and_is_on_trial() {
    let endpoint = ScriptedEndpoint::open(|_, registration| good(registration)).await;
    let place = tempfile::tempdir().unwrap();
    let held = hold(place.path());
    let first = register(&code(), &known(&endpoint), &held, LONG, || NOW).await.unwrap();
    let old = held.credentials().unwrap().unwrap();
    // No root certificate is given: the one from the stored credentials is kept.
    let second = register(&Credential::Certificate(old.clone()), &known(&endpoint), &held, LONG, || NOW + 7).await.unwrap();
    assert_ne!(first.certificate_id, second.certificate_id);
    assert_eq!(held.former().unwrap(), Some(old.clone()));
    assert!(held.credentials().unwrap().unwrap().content(OWN_ROOT).is_ok() && held.pending_key().unwrap().is_none());

    let received = endpoint.received();
    let body = &received[1].body;
    assert_ne!(key_of(&received[0]), key_of(&received[1]));
    assert_eq!((&body["at"], &body["thingName"], &body["code"]), (&json!(NOW + 7), &json!(THING), &Value::Null));
    assert_eq!(body["certificate"].as_str().map(str::as_bytes), Some(old.content("certificate.pem").unwrap()));
    // The server refuses the new certificate, so the device returns to the old one.
    assert_eq!(held.fall_back().unwrap(), Some(old));
}

#[tokio::test]
async fn a_refused_renewal_changes_nothing() {
    let endpoint = ScriptedEndpoint::open(|number, registration| if number == 0 { good(registration) } else { says(401, "", "") }).await;
    let place = tempfile::tempdir().unwrap();
    let held = hold(place.path());
    register(&code(), &known(&endpoint), &held, LONG, || NOW).await.unwrap();
    let old = held.credentials().unwrap().unwrap();
    let refused = register(&Credential::Certificate(old.clone()), &known(&endpoint), &held, LONG, || NOW).await.unwrap_err();
    assert!(matches!(&refused, RegisterError::Refused(why) if why.contains("does not renew the certificate")), "{refused:?}");
    assert_eq!((held.credentials().unwrap(), held.former().unwrap()), (Some(old), None));
}
