use std::sync::atomic::{AtomicU64, Ordering};

use onething_hub::authority::Authority;
use serde_json::json;

use super::*;
use crate::bundle::CONNECTION;

const NOW: u64 = 1_795_305_600;

/// A state folder with credentials that are valid from some minutes before `NOW`.
fn stored(place: &Path) -> Held {
    let authority = Authority::new(NOW).unwrap();
    let certificate = authority.issue(NOW).unwrap();
    let topics = ["get", "getAccepted", "getRejected", "update", "updateAccepted", "updateRejected", "updateDelta"];
    let connection = json!({
        "version": 1, "thingName": "x", "clientId": "x", "endpoint": "localhost", "port": 1, "certificate": "c.pem",
        "privateKey": "k.pem", "rootCas": ["r.pem"], "topics": topics.map(|topic| (topic, topic)).into_iter().collect::<std::collections::BTreeMap<_, _>>(),
    });
    let mut files = Files::new();
    let content = [(CONNECTION, connection.to_string()), ("c.pem", certificate.pem.clone()), ("r.pem", authority.root_pem().to_owned())];
    for (name, content) in content {
        files.insert(name, content.into_bytes()).unwrap();
    }
    files.insert("k.pem", certificate.private_key.pem().as_bytes().to_vec()).unwrap();
    let held = empty(place);
    held.store(&files).unwrap();
    held
}

fn empty(place: &Path) -> Held {
    State::at(&place.join("state")).hold().unwrap().0
}

fn endpoint() -> Endpoint {
    let address = crate::registration::address::Address::parse("https://localhost:1").unwrap();
    Endpoint::new(address, crate::cli::name::Name::parse("x", "--name").unwrap(), None).unwrap()
}

fn gone() -> Result<Option<Credential>, Failure> {
    Err(Failure::Usage("/etc/token cannot be read: entity not found".to_owned()))
}

#[allow(clippy::unnecessary_wraps, reason = "the type of the closure requires a result")]
fn none() -> Result<Option<Credential>, Failure> {
    Ok(None)
}

#[allow(clippy::unnecessary_wraps, reason = "the type of the closure requires a result")]
fn code() -> Result<Option<Credential>, Failure> {
    Ok(Some(Credential::Code("K7QF-93PD".to_owned().into())))
}

#[tokio::test]
async fn stored_credentials_need_no_credential_for_a_registration() {
    let place = tempfile::tempdir().unwrap();
    let held = stored(place.path());
    let bundle = obtain(Asked::default(), gone, &held, || NOW + 60).await.unwrap();
    assert_eq!(bundle.connection.thing_name, "x");
    let folder = place.path().join("state/credentials-1");
    let nobody = tempfile::tempdir().unwrap();
    obtain(Asked { bundle: Some(folder), ..Asked::default() }, gone, &empty(nobody.path()), || NOW + 60).await.unwrap();
}

#[tokio::test]
async fn the_failure_names_what_is_missing() {
    let place = tempfile::tempdir().unwrap();
    let held = empty(place.path());
    assert!(matches!(obtain(Asked::default(), none, &held, || NOW).await, Err(Failure::NoCredentials(_))));
    assert!(matches!(obtain(Asked::default(), code, &held, || NOW).await, Err(Failure::Usage(why)) if why.contains("--register-url")));
    assert!(matches!(obtain(Asked::default(), gone, &held, || NOW).await, Err(Failure::Usage(why)) if why.contains("/etc/token")));
    let serial = || Ok(Some(Credential::Serial("SN-1".to_owned().into(), None, Default::default())));
    let failure = obtain(Asked::default(), serial, &held, || NOW).await.unwrap_err();
    assert!(matches!(&failure, Failure::NoCredentials(why) if why.contains("setup") && why.contains("--register-url")), "{failure}");
}

#[tokio::test]
async fn expired_credentials_are_the_failure_if_nothing_replaces_them() {
    let place = tempfile::tempdir().unwrap();
    let held = stored(place.path());
    for credential in [none, code, gone] {
        let failure = obtain(Asked::default(), credential, &held, || 2_600_000_000).await.unwrap_err();
        assert!(matches!(&failure, Failure::NoCredentials(why) if why.contains("expired on 2049-12-31")), "{failure}");
    }
    assert!(held.credentials().unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_has_not_been_set_is_waited_for() {
    static LOOKS: AtomicU64 = AtomicU64::new(0);
    // The third time is still too early, the fourth one is right.
    let now = || [0, 60, NOW - 864_000, NOW][LOOKS.fetch_add(1, Ordering::SeqCst).min(3) as usize];
    let place = tempfile::tempdir().unwrap();
    let held = stored(place.path());
    obtain(Asked::default(), none, &held, now).await.unwrap();
    assert_eq!(LOOKS.load(Ordering::SeqCst), 4);

    let begun = Instant::now();
    let asked = Asked { wait: Some(Duration::from_secs(7)), ..Asked::default() };
    let failure = obtain(asked, none, &held, || 60).await.unwrap_err();
    assert!(matches!(&failure, Failure::NoCredentials(why) if why.contains("1970-01-01")), "{failure}");
    assert_eq!(begun.elapsed().as_secs(), 7);
    // A clock that has not been set is no reason to register again.
    let asked = Asked { wait: Some(Duration::from_secs(7)), endpoint: Some(endpoint()), ..Asked::default() };
    let failure = obtain(asked, code, &held, || 60).await.unwrap_err();
    assert!(matches!(&failure, Failure::NoCredentials(why) if why.contains("1970-01-01")), "{failure}");
}

#[test]
fn debug_output_hides_the_secrets() {
    let shown = format!("{:?} {:?}", Asked { endpoint: Some(endpoint()), ..Asked::default() }, code());
    assert!(shown.contains("redacted") && !shown.contains("K7QF"), "{shown}");
}
