//! Tests of credentials that cannot be used: exit code 3, and a sentence that names the cause. Such credentials are not stored,
//! and stored ones are not replaced silently.

use std::path::Path;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::{Value, json};

use crate::harness::{Hub, RunningAgent, agent, connection, copied, made, reconnect, run, status};

/// Damages each file of a bundle in several ways. `check` gets the expected words of the error.
fn check_spoiled(folder: &Path, check: impl Fn(&str)) {
    for name in ["connection.json", "certificate.pem", "private.key.pem", "RootCA.pem"] {
        let (file, whole) = (folder.join(name), std::fs::read(folder.join(name)).unwrap());
        std::fs::write(&file, "").unwrap();
        check(&format!("{name} is empty"));
        std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
        check(&format!("{name} is cut off"));
        std::fs::remove_file(&file).unwrap();
        check(&format!("has no {name}"));
        std::fs::write(&file, whole).unwrap();
    }
}

fn put(from: &Path, to: &Path, names: &[&str]) {
    for name in names {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

/// Replaces the certificate of a bundle by one with another validity.
fn age(folder: &Path, from: i32, until: i32) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
    let key = KeyPair::generate().unwrap();
    std::fs::write(folder.join("certificate.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(folder.join("private.key.pem"), key.serialize_pem()).unwrap();
    reconnect(folder, "certificateId", Value::Null);
}

#[test]
fn a_bundle_that_cannot_be_used_is_refused_and_what_was_stored_stays() {
    let (ana, ben) = (made(1, &root()), made(1, &root()));
    let place = tempfile::tempdir().unwrap();
    let setup = |folder: &Path| run(&mut agent(place.path(), &["setup", "--offline", folder.to_str().unwrap()]));
    let ana = ana.path().join("bundle");
    setup(&ana).done();
    let check = |folder: &Path, words: &str| {
        setup(folder).check(3, words);
        assert_eq!(status(place.path())["certificateId"], connection(&ana)["certificateId"]);
    };
    let ben = ben.path().join("bundle");
    let bad = copied(&ben);
    check_spoiled(bad.path(), |words| check(bad.path(), words));
    put(&ana, bad.path(), &["private.key.pem"]);
    check(bad.path(), "no pair that can be used");
    put(&ana, bad.path(), &["certificate.pem"]);
    check(bad.path(), "certificate.pem is not the certificate that connection.json speaks of");
    let old = copied(&ben);
    age(old.path(), 2020, 2025);
    check(old.path(), "the certificate expired on 2025-01-01");
    age(old.path(), 2200, 2300);
    check(old.path(), "the certificate is not valid before 2200-01-01");
    let new = copied(&ben);
    reconnect(new.path(), "version", json!(2));
    check(new.path(), "version 2");
    let letter = place.path().join("letter.txt");
    std::fs::write(&letter, "Dear Ana").unwrap();
    check(&letter, "is not a zip");
    check(tempfile::tempdir().unwrap().path(), "has no connection.json");
}

#[test]
fn broken_stored_files_are_named_before_other_credentials_are_used() {
    let (ana, ben) = (made(1, &root()), made(1, &root()));
    let (ana, ben) = (ana.path().join("bundle"), ben.path().join("bundle"));
    let place = tempfile::tempdir().unwrap();
    run(&mut agent(place.path(), &["setup", "--offline", ana.to_str().unwrap()])).done();
    let stored = place.path().join("credentials-1");
    let check = |words: &str| {
        // The next source of credentials is used, and the reason is logged. On a busy machine, a second may pass before the
        // refused connection is detected.
        let arguments = ["run", "--wait", "1", "--code", "M4RS-7XQ2", "--register-url", "https://localhost:1/register"];
        let ended = run(&mut agent(place.path(), &arguments));
        assert_eq!(ended.code, Some(5), "{ended:?}");
        assert!(
            ended.complaint.contains(words) && ended.complaint.contains("localhost:1 has not answered a request within 1 s"),
            "{ended:?}"
        );
        for command in
            [&["run"][..], &["status"], &["run", "--token-file", "/nowhere/token", "--register-url", "https://localhost:1/register"]]
        {
            let ended = run(&mut agent(place.path(), command));
            assert!(ended.code == Some(3) && ended.complaint.contains(words), "{ended:?}");
            assert!(ended.complaint.contains("run `onething-device setup BUNDLE.zip`"), "{ended:?}");
        }
    };
    check_spoiled(&stored, check);
    put(&ben, &stored, &["certificate.pem", "private.key.pem"]);
    check("of another thing");
    let current = place.path().join("current");
    std::fs::write(&current, "").unwrap();
    check("current is empty");
    std::fs::write(&current, "credentials-").unwrap();
    check("current is cut off");
    std::fs::write(&current, "credentials-1\n").unwrap();
    age(&stored, 2020, 2025);
    for command in [&["run"][..], &["renew", "--register-url", "https://localhost:1/register"]] {
        run(&mut agent(place.path(), command)).check(3, "the certificate expired on 2025-01-01; ask for a new one");
    }
    assert_eq!(status(place.path())["fault"], "the certificate expired on 2025-01-01");
    // A setup replaces the broken credentials.
    run(&mut agent(place.path(), &["setup", "--offline", ben.to_str().unwrap()])).done();
    assert_eq!(status(place.path())["certificateId"], connection(&ben)["certificateId"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_was_revoked_is_refused_with_exit_code_4() {
    let hub = Hub::start().await;
    let folder = hub.folder("ana").await;
    let (place, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    run(&mut agent(place.path(), &["setup", folder.to_str().unwrap()])).done();
    hub.revoke(&folder).await;
    let refused = run(&mut agent(other.path(), &["setup", folder.to_str().unwrap()]));
    refused.check(4, "refused: ");
    run(&mut agent(other.path(), &["status"])).check(3, "there are no credentials");
    let mut command = agent(place.path(), &["run"]);
    run(command.env("RUST_LOG", "off")).check(4, "the certificate may have been replaced");
    assert!(run(&mut agent(place.path(), &["status"])).done().contains("does not run: localhost:"));
    hub.end().await;
}

/// A headless device that was off beyond the end of its certificate, or whose disk has lost a file.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_unusable_credentials_registers_again() {
    let token = "fleet-token-of-the-first-factory";
    let policy = format!(
        "[type.lamp]\nprefix = \"Lamp-\"\npolicies = [\"OneUserOneThing\"]\n[[token]]\nname = \"factory-1\"\nsha256 = \"{}\"\n\
         types = [\"lamp\"]\n",
        onething::secrets::Fingerprint::of(token).hex()
    );
    let hub = Hub::with_policy(&policy).await;
    let bundle = made(1, &root());
    let spoil: [fn(&Path); 2] = [|stored| age(stored, 2020, 2025), |stored| std::fs::write(stored.join("private.key.pem"), "").unwrap()];
    for spoil in spoil {
        let place = tempfile::tempdir().unwrap();
        run(&mut agent(place.path(), &["setup", "--offline", bundle.path().join("bundle").to_str().unwrap()])).done();
        spoil(&place.path().join("credentials-1"));
        let file = place.path().join("token");
        std::fs::write(&file, token).unwrap();
        let options = ["--register-url", &hub.endpoint(), "--name", "lamp-9", "--token-file", file.to_str().unwrap()];
        assert!(RunningAgent::connected(place.path(), &options).stop().success());
        assert_eq!(status(place.path())["thing"], "lamp-9");
        // From now on the token is not necessary.
        std::fs::remove_file(&file).unwrap();
        assert!(RunningAgent::connected(place.path(), &options).stop().success());
    }
    hub.end().await;
}

/// A root certificate that no server uses.
pub fn root() -> String {
    onething_hub::authority::Authority::new(onething_hub::clock::now()).unwrap().root_pem()
}
