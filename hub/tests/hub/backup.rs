//! Tests of the backup of a running hub and of its restoration.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::bundle::Bundle;
use crate::harness::{self, PATIENCE, Running, Starting, hub, serve};

fn run(arguments: &[&str], data: &Path) -> (Option<i32>, String, String) {
    harness::run(hub().args(arguments).arg("--data").arg(data))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_running_hub_is_restored_and_old_bundles_connect() {
    let place = tempfile::tempdir().unwrap();
    let (data, other) = (place.path().join("data"), place.path().join("other"));
    let file = place.path().join("backup.zip");
    let file = file.to_str().unwrap();
    let running = Running::start(&data);
    let client = running.client();
    client.link("ana").await.unwrap();
    client.say("ana", "ask my printer to print a vase").await.unwrap();
    let bundle = Bundle::open(&client.bundles("ana").await.unwrap()[0]);
    let mail = client.get("/api/mail?user=ana").await.unwrap().json();
    let (code, out, complaint) = run(&["backup", file], &data);
    assert!(code == Some(0) && out.contains("is written") && out.contains("private keys"), "{complaint}");
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&Path::new(file).metadata().unwrap().permissions()) & 0o777, 0o600);
    client.link("ben").await.unwrap();
    let (code, _, complaint) = run(&["restore", file, "--replace"], &data);
    assert!(code == Some(1) && complaint.contains("a hub runs over"), "{complaint}");
    running.stop().await;

    let (code, out, complaint) = run(&["restore", file], &other);
    assert!(code == Some(0) && out.contains("is restored"), "{complaint}");
    let running = Running::start(&other);
    let client = running.client();
    let thing = client.thing("ana").await.unwrap();
    assert_eq!(thing["shadow"]["state"]["desired"]["command"]["args"]["model"], "vase");
    assert_eq!(client.get("/api/mail?user=ana").await.unwrap().json(), mail);
    assert_eq!(client.thing("ben").await.unwrap(), json!(null), "that was afterwards");
    bundle.reads_its_shadow(running.mqtt_port()).await;
    running.stop().await;

    // A backup of a stopped hub, which replaces an older backup.
    let (code, _, complaint) = run(&["backup", file], &data);
    assert_eq!((code, complaint.as_str()), (Some(0), ""));
    let (code, _, complaint) = run(&["restore", file], &other);
    assert!(code == Some(2) && complaint.contains("--replace"), "{complaint}");
    assert_eq!(run(&["restore", file, "--replace"], &other).0, Some(0));
    let running = Running::start(&other);
    assert!(running.client().thing("ben").await.unwrap().is_object());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_mail_is_in_the_backup_and_is_sent_after_the_restoration() {
    let place = tempfile::tempdir().unwrap();
    let (data, other, file) = (place.path().join("data"), place.path().join("other"), place.path().join("backup.zip"));
    let closed_port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let by = |data: &Path, smtp: String| {
        let mut command = serve(data);
        command.env("SMTP_URL", smtp).env("MAIL_FROM", "hub@example.com");
        Starting::start(command).ready()
    };
    let running = by(&data, format!("smtp://{closed_port}"));
    running.client().link("ana").await.unwrap();
    assert_eq!(run(&["backup", file.to_str().unwrap()], &data).0, Some(0));
    running.kill();
    assert_eq!(run(&["restore", file.to_str().unwrap()], &other).0, Some(0));
    let office = crate::mail::smtp_server::SmtpServer::open().await;
    let running = by(&other, format!("smtp://{}", office.address));
    assert_eq!(office.mail(0).await.recipients, ["ana@example.com"]);
    running.stop().await;
}

/// Starts a command, and kills it as soon as the file `sign` exists, or the command has ended.
fn killed_at(mut command: Command, sign: &Path) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = std::time::Instant::now() + PATIENCE;
    while !sign.exists() && child.try_wait().unwrap().is_none() {
        assert!(std::time::Instant::now() < deadline, "{} does not appear", sign.display());
        std::thread::yield_now();
    }
    let _ = child.kill();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_during_backup_or_restore_leaves_the_old_or_the_new_state() {
    let place = tempfile::tempdir().unwrap();
    let (data, other, file) = (place.path().join("data"), place.path().join("other"), place.path().join("backup.zip"));
    let running = Running::start(&data);
    running.client().link("ana").await.unwrap();
    assert_eq!(run(&["backup", file.to_str().unwrap()], &data).0, Some(0));
    running.client().link("ben").await.unwrap();
    for sign in ["backup.zip.tmp", "backup.zip.db.tmp"] {
        let mut command = hub();
        command.arg("backup").arg(&file).arg("--data").arg(&data);
        killed_at(command, &place.path().join(sign));
        std::fs::remove_dir_all(&other).ok();
        assert_eq!(run(&["restore", file.to_str().unwrap()], &other).0, Some(0), "{sign}");
    }
    assert_eq!(run(&["backup", file.to_str().unwrap()], &data).0, Some(0));
    assert!(!place.path().join("backup.zip.tmp").exists() && !place.path().join("backup.zip.db.tmp").exists());
    running.stop().await;

    // A data folder with one user, over which the backup with both users is restored.
    for sign in ["restore.tmp", "restore.ready", "restore.moving"] {
        let old = place.path().join(sign);
        let running = Running::start(&old);
        running.client().link("ana").await.unwrap();
        running.stop().await;
        let mut command = hub();
        command.arg("restore").arg(&file).arg("--replace").arg("--data").arg(&old);
        killed_at(command, &old.join(sign));
        let running = Running::start(&old);
        let (ana, ben) = (running.client().thing("ana").await.unwrap(), running.client().thing("ben").await.unwrap());
        assert!(ana.is_object() && (ben.is_object() || ben.is_null()), "{sign}: {ana} {ben}");
        assert!(!old.join("restore.ready").exists() && !old.join("restore.moving").exists());
        running.client().link("ana").await.unwrap();
        running.stop().await;
    }
}

#[test]
fn a_failed_backup_or_restore_is_reported_in_one_sentence() {
    let place = tempfile::tempdir().unwrap();
    let (nowhere, text) = (place.path().join("nowhere"), place.path().join("text"));
    std::fs::write(&text, "no backup").unwrap();
    let target = place.path().join("backup.zip");
    for (arguments, words) in [
        (["backup", target.to_str().unwrap()], "there is no hub's data in"),
        (["restore", target.to_str().unwrap()], "cannot be used"),
        (["restore", text.to_str().unwrap()], "is no backup of a hub"),
    ] {
        let (code, out, complaint) = run(&arguments, &nowhere);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{complaint}");
        assert!(complaint.contains(words) && complaint.trim_end().lines().count() == 1, "{complaint}");
        assert!(!nowhere.exists() && !target.exists(), "nothing was begun");
    }
}
