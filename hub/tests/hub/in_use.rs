//! Tests of a hub in use, from the view of the operator: what is not ready, and the commands.

use std::path::Path;
use std::process::Command;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::harness::{Running, Starting, hub, in_use, run, serve};
use crate::mail::smtp_server::SmtpServer;

/// A substitute for Login with Amazon: it rejects requests without a token, and its clock is `ahead` seconds ahead.
async fn login(ahead: i64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read).lines();
            while lines.next_line().await.is_ok_and(|line| line.is_some_and(|line| !line.is_empty())) {}
            let now = std::time::SystemTime::now();
            let date = if ahead < 0 {
                now - std::time::Duration::from_secs(ahead.unsigned_abs())
            } else {
                now + std::time::Duration::from_secs(ahead.unsigned_abs())
            };
            let date = httpdate::fmt_http_date(date);
            let answer = format!("HTTP/1.1 400 Bad Request\r\nDate: {date}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}");
            let _ = write.write_all(answer.as_bytes()).await;
        }
    });
    address
}

fn over(data: &Path) -> Running {
    let mut command = serve(data);
    in_use(&mut command);
    Starting::start(command).ready()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_in_use_reports_at_its_start_what_is_not_ready() {
    let place = tempfile::tempdir().unwrap();
    let (certificate, key) = (place.path().join("certificate.pem"), place.path().join("key.pem"));
    let own = rcgen::generate_simple_self_signed(["hub.example".to_owned()]).unwrap();
    std::fs::write(&certificate, own.cert.pem()).unwrap();
    std::fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    let closed_port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let log = async |change: &dyn Fn(&mut Command), until: &str| {
        let mut command = serve(&place.path().join("data"));
        change(in_use(&mut command));
        let running = Starting::start(command).ready();
        running.logged(until).await;
        running.signal("TERM");
        running.ended().await.1
    };
    let bare = log(&|_| {}, "Login with Amazon is not reached").await;
    for words in ["there is no mail server", "the hub is at localhost", "Login with Amazon is not reached"] {
        assert_eq!(bare.lines().filter(|line| line.contains(words) && line.contains("not_ready")).count(), 1, "{words}: {bare}");
    }
    let change = |command: &mut Command| {
        command.arg("--tls-certificate").arg(&certificate).arg("--tls-key").arg(&key);
        command.env("SMTP_URL", format!("smtp://ana:secret@{closed_port}")).env("MAIL_FROM", "hub@example.com");
    };
    let more = log(&change, "the mail server cannot be used").await;
    assert!(more.contains("it is self-signed") && !more.contains("secret"), "{more}");
    let mut command = serve(&place.path().join("malformed"));
    command.args(["--skill-id", "amzn1.ask.skill.mine", "--lwa-client-id", "mine"]).env("LWA_ENDPOINT", "http://127.0.0.1:1");
    let running = Starting::start(command).ready();
    running.signal("TERM");
    let malformed = running.ended().await.1;
    for words in ["amzn1.ask.skill.mine is no skill id", "mine is no client id"] {
        assert!(malformed.contains(words), "{words}: {malformed}");
    }
    let trying = Running::start(&place.path().join("trying"));
    trying.signal("TERM");
    assert!(!trying.ended().await.1.contains("not_ready"), "in trying mode everything is as it should be");
}

/// Runs the command `check`; returns its exit code and its output.
fn check(data: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    check_with(data, |command| command.args(arguments))
}

fn check_with(data: &Path, change: impl FnOnce(&mut Command) -> &mut Command) -> (Option<i32>, String) {
    let mut command = hub();
    command.arg("check").arg("--data").arg(data).args(["--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"]);
    let (code, out, complaint) = run(change(&mut command));
    assert_eq!(complaint, "", "{out}");
    (code, out)
}

#[track_caller]
fn check_line(out: &str, verdict: &str, test: &str, words: &str) {
    let found = out.lines().any(|line| {
        let mut parts = line.splitn(2, char::is_whitespace);
        parts.next() == Some(verdict) && parts.next().is_some_and(|rest| rest.trim_start().starts_with(test) && rest.contains(words))
    });
    assert!(found, "{verdict} {test} {words} in:\n{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_tests_everything_and_changes_nothing() {
    let (place, office, amazon) = (tempfile::tempdir().unwrap(), SmtpServer::open().await, login(0).await);
    let data = place.path().join("data");
    let set_valid_options = |command: &mut Command| {
        in_use(command).args(["--mqtt", "0.0.0.0:0", "--host", "192.0.2.7", "--mail-to", "maker@example.com"]);
        command.env("LWA_ENDPOINT", &amazon).env("SMTP_URL", format!("smtp://{}", office.address)).env("MAIL_FROM", "hub@example.com");
    };
    // Each option of `serve` is accepted once.
    let mut command = hub();
    command.args(["check", "--data"]).arg(&data).args(["--http", "127.0.0.1:0"]);
    set_valid_options(&mut command);
    let (code, out, complaint) = run(&mut command);
    assert_eq!((code, complaint.as_str()), (Some(0), ""), "{out}");
    assert!(out.lines().all(|line| line.starts_with("ok ")), "{out}");
    for test in
        ["settings", "models", "folder", "database", "authority", "http", "mqtt", "mail", "host", "skill", "client", "certificate", "clock"]
    {
        check_line(&out, "ok", test, "");
    }
    check_line(&out, "ok", "smtp", "lets this hub in");
    check_line(&out, "ok", "login", "answers");
    check_line(&out, "ok", "test mail", "m***r@example.com");
    assert_eq!(office.mail(0).await.recipients, ["maker@example.com"]);
    assert!(!data.exists(), "the check creates no data folder");

    let (_, json) = check(&data, &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json["tests"].as_array().unwrap().iter().all(|test| test["verdict"] == "ok"), "{json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_reports_failures_with_instructions() {
    let (place, slow_clock) = (tempfile::tempdir().unwrap(), login(-200).await);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed_port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let data = place.path().join("data");
    let (code, out) = check_with(&data, |command| {
        in_use(command)
            .env("LWA_ENDPOINT", &slow_clock)
            .env("SMTP_URL", format!("smtp://{closed_port}"))
            .args(["--mail-to", "maker@example.com"])
    });
    assert_eq!(code, Some(1), "{out}");
    check_line(&out, "warning", "host", "--host");
    check_line(&out, "warning", "mail", "MAIL_FROM");
    check_line(&out, "failed", "smtp", "cannot be used");
    check_line(&out, "failed", "test mail", "cannot be used");
    check_line(&out, "failed", "clock", "ahead of Amazon's");
    let mut command = hub();
    command.args(["check", "--http", &taken.local_addr().unwrap().to_string(), "--mqtt", "127.0.0.1:0", "--data"]).arg(&data);
    let (code, out, _) = run(&mut command);
    assert_eq!(code, Some(1), "{out}");
    check_line(&out, "failed", "http", "cannot be listened at");
    let (code, out) = check(&data, &["--host", "a b", "--device-model", "/nowhere.toml"]);
    assert_eq!((code, out.lines().count()), (Some(1), 2), "{out}");
    let (code, out) = check(&data, &["--mail-to", "maker@example.com"]);
    assert_eq!(code, Some(1));
    check_line(&out, "failed", "test mail", "SMTP_URL");
    let refused = run(hub().args(["check", "--mail-to", "nobody"]));
    assert!(refused.0 == Some(2) && refused.2.contains("a mail address such as"), "{refused:?}");

    Running::start(&data).stop().await;
    std::fs::remove_file(data.join("authority/root.pem")).unwrap();
    let (_, out) = check(&data, &[]);
    check_line(&out, "ok", "authority", "made at the first start");
    // The write-ahead log would repair the database.
    let _ = std::fs::remove_file(data.join("hub.db-wal"));
    std::fs::write(data.join("hub.db"), "no database, and long enough to be read as one".repeat(100)).unwrap();
    let (code, out) = check(&data, &[]);
    assert_eq!(code, Some(1));
    check_line(&out, "failed", "database", "hub.db");
    std::fs::remove_file(data.join("hub.db")).unwrap();
    let (code, out) = check(&data, &[]);
    assert_eq!(code, Some(1));
    check_line(&out, "failed", "database", "--new-database");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_beside_a_running_hub_queries_that_hub() {
    let place = tempfile::tempdir().unwrap();
    let running = Running::start(place.path());
    let address = running.http.strip_prefix("http://").unwrap();
    let mut command = hub();
    command.args(["check", "--http", address, "--mqtt", &running.mqtt, "--data"]).arg(place.path());
    let (code, out, complaint) = run(&mut command);
    assert_eq!((code, complaint.as_str()), (Some(0), ""), "{out}");
    check_line(&out, "ok", "hub", "a hub runs over the data folder, and is well");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn things_mail_and_events_of_a_hub_in_use_are_for_the_operator() {
    let place = tempfile::tempdir().unwrap();
    // The data of the owners is created in trying mode, because Login with Amazon is not available.
    let running = Running::start(place.path());
    running.client().link("ana").await.unwrap();
    let thing = running.client().thing("ana").await.unwrap()["thing"].as_str().unwrap().to_owned();
    running.stop().await;

    let running = over(place.path());
    let ask = |arguments: &[&str]| run(hub().args(arguments).arg("--data").arg(place.path()));
    let (code, out, complaint) = ask(&["things"]);
    assert!(code == Some(0) && out.contains(&thing) && out.contains("ACTIVE"), "{out} {complaint}");
    let (code, out, complaint) = ask(&["mail"]);
    assert!(code == Some(0) && out.contains("sent to a***a@example.com") && out.contains(&thing), "{out} {complaint}");
    assert!(!out.contains("ana@example.com") && !out.contains(".zip"), "never the bundle: {out}");
    assert_eq!(ask(&["events"]).0, Some(0));
    let (code, _, complaint) = ask(&["mail", "--save", "."]);
    assert!(code == Some(1) && complaint.contains("a hub in use hands out no bundles"), "{complaint}");
    for trying in [&["say", "open my printer"][..], &["link"]] {
        let (code, _, complaint) = ask(trying);
        assert!(code == Some(1) && complaint.contains("this hub is in use") && complaint.contains("trying mode"), "{complaint}");
    }
    for command in ["things", "mail"] {
        let (code, _, complaint) = run(hub().args([command, "--hub", &running.http]));
        assert!(code == Some(1) && complaint.contains("--data") && complaint.contains("ONETHING_PASSWORD"), "{complaint}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&place.path().join("operator.sock")), 0o600);
    }
    running.stop().await;
    assert!(!place.path().join("operator.sock").exists());
    let (code, _, complaint) = ask(&["things"]);
    assert!(code == Some(1) && complaint.contains("no hub runs over"), "{complaint}");
    let (code, out, _) = ask(&["mail"]);
    assert!(code == Some(0) && out.contains("sent to a***a@example.com"), "what was sent is in the folder: {out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_gives_remote_access_to_things_and_mail_of_a_hub_in_use() {
    let place = tempfile::tempdir().unwrap();
    let mut command = serve(place.path());
    in_use(&mut command).env("ONETHING_PASSWORD", "open sesame");
    let running = Starting::start(command).ready();
    for (password, expected) in [("open sesame", Some(0)), ("wrong", Some(1))] {
        for command in ["things", "mail", "events"] {
            let asked = run(hub().args([command, "--hub", &running.http]).env("ONETHING_PASSWORD", password));
            assert_eq!(asked.0, expected, "{command}: {asked:?}");
        }
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_hub_leaves_no_blocking_socket_and_a_long_path_works() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("a-folder-whose-name-is-long".repeat(6));
    Running::start(&data).kill();
    let (code, _, complaint) = run(hub().args(["things", "--data"]).arg(&data));
    assert!(code == Some(1) && complaint.contains("no hub runs over"), "{complaint}");
    let running = Running::start(&data);
    assert_eq!(run(hub().args(["things", "--data"]).arg(&data)).0, Some(0));
    running.stop().await;
}
