//! Tests of faults that prevent a start, and of the state after a restart.

use std::process::Command;

use serde_json::json;

use crate::bundle::Bundle;
use crate::harness::{Running, Starting, hub, in_use, serve};

/// Checks that the hub does not start and reports the cause in one sentence.
fn check_refused(mut command: Command, words: &str) {
    let output = command.output().unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]), "{complaint}");
    assert!(complaint.contains(words) && complaint.contains("onething-hub: "), "{complaint}");
    assert_eq!(complaint.trim_end().lines().count(), 1, "{complaint}");
}

#[test]
fn an_occupied_port_is_named() {
    let place = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (option, other, what) in [("--http", "--mqtt", "HTTP"), ("--mqtt", "--http", "MQTT")] {
        let mut command = hub();
        command.arg("--data").arg(place.path()).args([option, &address, other, "127.0.0.1:0"]);
        check_refused(command, &format!("{what} cannot listen at {address}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_hub_on_the_same_folder_does_not_start() {
    let place = tempfile::tempdir().unwrap();
    let first = Running::start(place.path());
    check_refused(serve(place.path()), "another hub is using the database");
    assert_eq!(first.client().get("/health").await.unwrap().status, 200, "the first hub still runs");
    first.stop().await;
}

#[test]
fn an_invalid_data_folder_and_an_invalid_database_are_named() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    std::fs::write(&file, "no folder").unwrap();
    check_refused(serve(&file), "cannot be used");
    std::fs::write(place.path().join("hub.db"), "no database, and long enough to be read as one".repeat(100)).unwrap();
    check_refused(serve(place.path()), "hub.db cannot be used");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_hub_is_not_changed() {
    let place = tempfile::tempdir().unwrap();
    Running::start(place.path()).stop().await;
    let path = place.path().join("hub.db");
    let version = |version: Option<u32>| {
        let db = rusqlite::Connection::open(&path).unwrap();
        if let Some(version) = version {
            db.pragma_update(None, "user_version", version).unwrap();
        }
        db.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0)).unwrap()
    };
    let own = version(None);
    version(Some(own + 1));
    check_refused(serve(place.path()), "was made by a newer hub");
    assert_eq!(version(Some(own)), own);
    Running::start(place.path()).stop().await;
}

/// Checks that the hub exits with code 2 and an instruction, and that it starts with the option.
async fn check_starts_only_with(data: &std::path::Path, option: &str, words: &str) {
    let stopped = serve(data).output().unwrap();
    let complaint = String::from_utf8(stopped.stderr).unwrap();
    assert_eq!((stopped.status.code(), stopped.stdout.as_slice()), (Some(2), &b""[..]), "{complaint}");
    assert!(complaint.contains(words) && complaint.contains(option) && complaint.trim_end().lines().count() == 1, "{complaint}");
    let mut command = serve(data);
    command.arg(option);
    Starting::start(command).ready().stop().await;
    Running::start(data).stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_data_folder_needs_an_option_to_start() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let running = Running::start(&whole);
    running.client().link("ana").await.unwrap();
    running.stop().await;
    let losses: [(&str, &[&str], &str, &str); 6] = [
        ("all of it", &["authority"], "--new-authority", "every part of the certificate authority"),
        ("the key", &["authority/root.key.pem"], "--new-authority", "the private key of the certificate authority"),
        ("the root", &["authority/root.pem"], "--new-authority", "the root certificate of the certificate authority"),
        ("both files", &["authority/root.pem", "authority/root.key.pem"], "--new-authority", "beside 1 certificates"),
        ("the database", &["hub.db"], "--new-database", "hub.db is missing"),
        ("an emptied database", &["hub.db"], "--new-database", "hub.db is missing"),
    ];
    for (number, (what, lost, option, words)) in losses.into_iter().enumerate() {
        let data = folder.path().join(number.to_string());
        copy(&whole, &data);
        for lost in lost {
            let lost = data.join(lost);
            if lost.is_dir() { std::fs::remove_dir_all(lost).unwrap() } else { std::fs::remove_file(lost).unwrap() }
        }
        if what == "an emptied database" {
            std::fs::write(data.join("hub.db"), "").unwrap();
        }
        check_starts_only_with(&data, option, words).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_may_supply_a_root_before_the_first_start() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    Running::start(&first).stop().await;
    std::fs::create_dir_all(second.join("authority")).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(second.join("authority"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    for file in ["root.pem", "root.key.pem"] {
        std::fs::copy(first.join("authority").join(file), second.join("authority").join(file)).unwrap();
    }
    Running::start(&second).stop().await;
    // Without an authority, no certificate has been issued yet.
    std::fs::remove_dir_all(second.join("authority")).unwrap();
    Running::start(&second).stop().await;
}

/// Copies a folder like `cp -r`, but only files and folders.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, kind) = (entry.as_ref().unwrap().path(), entry.unwrap().file_type().unwrap());
        let target = to.join(path.file_name().unwrap());
        match kind {
            kind if kind.is_dir() => copy(&path, &target),
            kind if kind.is_file() => drop(std::fs::copy(&path, &target).unwrap()),
            _ => {}
        }
    }
}

/// The state of the user's device, as the page shows it.
async fn device(running: &Running) -> serde_json::Value {
    running.client().get("/api/device?user=ana").await.unwrap().json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_data_folder_starts_no_device_that_would_disconnect_the_original() {
    let place = tempfile::tempdir().unwrap();
    let (original, copied) = (place.path().join("original"), place.path().join("copied"));
    let running = Running::start(&original);
    let client = running.client();
    client.link("ana").await.unwrap();
    let mail = client.get("/api/mail?user=ana").await.unwrap().json()["mail"][0]["id"].take();
    let start = json!({"user": "ana", "do": "start", "mail": mail});
    assert_eq!(client.post("/api/device", &start).await.unwrap().status, 200);
    running.kill();
    copy(&original, &copied);

    let running = Running::start(&original);
    assert_eq!(device(&running).await["running"], true, "the original goes on");
    running.stop().await;
    let copy = Running::start(&copied);
    let idle = device(&copy).await;
    assert_eq!((&idle["running"], &idle["connection"]), (&json!(false), &json!("off")));
    assert!(idle["log"][0]["text"].as_str().unwrap().contains("copied, restored or moved"), "{idle}");
    assert_eq!(copy.client().post("/api/device", &start).await.unwrap().json()["running"], true, "whoever wants it starts it");
    copy.signal("TERM");
    let (_, log) = copy.ended().await;
    assert!(log.contains("Not started: this data folder was copied"), "{log}");
    let copy = Running::start(&copied);
    assert_eq!(device(&copy).await["running"], true, "and from then on it is this place's");
    copy.stop().await;

    let mut command = serve(&original);
    in_use(&mut command);
    let running = Starting::start(command).ready();
    running.signal("TERM");
    let (_, log) = running.ended().await;
    assert!(log.contains("a hub in use does not start its 1 simulated device"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_things_mails_shadows_and_devices_survive_a_restart() {
    let place = tempfile::tempdir().unwrap();
    let running = Running::start(place.path());
    let client = running.client();
    client.link("ana").await.unwrap();
    client.say("ana", "ask my printer to print a vase").await.unwrap();
    let mail = client.get("/api/mail?user=ana").await.unwrap().json();
    let start = json!({"user": "ana", "do": "start", "mail": mail["mail"][0]["id"]});
    let started = client.post("/api/device", &start).await.unwrap();
    assert_eq!(started.status, 200, "{started:?}");
    let before = client.thing("ana").await.unwrap();
    running.stop().await;

    let running = Running::start(place.path());
    let client = running.client();
    let after = client.thing("ana").await.unwrap();
    assert_eq!((&after["thing"], &after["certificates"]), (&before["thing"], &before["certificates"]));
    assert_eq!(after["shadow"]["state"]["desired"], before["shadow"]["state"]["desired"]);
    assert_eq!(client.get("/api/mail?user=ana").await.unwrap().json(), mail);
    let speech = client.speech("ana", "ask my printer for the status").await.unwrap();
    assert!(!speech.contains("link"), "{speech}");
    let device = client.get("/api/device?user=ana").await.unwrap().json();
    assert_ne!(device, client.get("/api/device?user=ben").await.unwrap().json(), "the device of ana is there");
    let bundle = Bundle::open(&client.bundles("ana").await.unwrap()[0]);
    assert_eq!(json!(bundle.certificate), after["certificates"][0]["id"]);
    running.stop().await;
}
