//! Tests of `SMTP_URL`: mail is sent through an SMTP server, for which a test server stands in.

use mail_parser::{MessageParser, MimeHeaders};
use serde_json::json;

use crate::bundle::Bundle;
use crate::harness::{PATIENCE, Running, Starting, hub, serve};

#[allow(dead_code, reason = "the story of the Lambda takes the rest of it")]
#[path = "../../../tests/harness/smtp_server.rs"]
pub mod smtp_server;

pub use crate::harness::within;

#[tokio::test(flavor = "multi_thread")]
async fn mail_is_sent_through_the_configured_server() {
    let office = smtp_server::SmtpServer::open().await;
    let place = tempfile::tempdir().unwrap();
    let mut command = serve(place.path());
    command.env("SMTP_URL", format!("smtp://{}", office.address)).env("MAIL_FROM", "Printers <printers@skill.example.com>");
    let running = Starting::start(command).ready();
    running.client().link("ana").await.unwrap();
    let mail = office.mail(0).await;
    assert_eq!((mail.sender.as_str(), mail.recipients.as_slice()), ("printers@skill.example.com", &["ana@example.com".to_owned()][..]));
    let message = MessageParser::default().parse(&mail.message).unwrap();
    let attachment = message.attachment(0).unwrap();
    let file = attachment.attachment_name().unwrap();
    assert!(file.starts_with("3D_Printer-") && file.ends_with(".zip"), "{file}");
    let lines: Vec<&str> = std::str::from_utf8(&mail.message).unwrap().split("\r\n").collect();
    for line in [format!("Content-Type: application/zip; name=\"{file}\""), format!("Content-Disposition: attachment; filename=\"{file}\"")]
    {
        assert!(lines.contains(&line.as_str()), "{line}");
    }
    Bundle::open(attachment.contents()).reads_its_shadow(running.mqtt_port()).await;
    assert_eq!(
        std::fs::read_dir(place.path().join("mail"))
            .unwrap()
            .filter(|file| file.as_ref().unwrap().path().extension() == Some("eml".as_ref()))
            .count(),
        0
    );
    running.stop().await;
}

/// The URL of a port on which no server listens.
fn closed() -> String {
    let closed_port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("smtp://{}", closed_port.local_addr().unwrap())
}

fn by(smtp: &str, data: &std::path::Path) -> Running {
    let mut command = serve(data);
    command.env("SMTP_URL", smtp).env("MAIL_FROM", "Printers <printers@skill.example.com>");
    Starting::start(command).ready()
}

fn terminal(running: &Running, arguments: &[&str]) -> String {
    let output = hub().args(arguments).args(["--hub", &running.http]).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_mail_is_reported_everywhere_and_sent_after_the_repair() {
    let place = tempfile::tempdir().unwrap();
    let running = by(&closed(), place.path());
    let client = running.client();
    let out = terminal(&running, &["link"]);
    assert!(
        out.contains("ana is linked, but the mail with the certificate could not be sent yet: the mail server cannot be used"),
        "{out}"
    );
    let health = client.get("/health").await.unwrap();
    assert_eq!((health.status, &health.json()["status"]), (200, &json!("degraded")), "Alexa and devices are served all the same");
    assert!(health.json()["reasons"][0].as_str().unwrap().contains("1 mail waits to be sent"), "{health:?}");
    let metrics = String::from_utf8(client.get("/metrics").await.unwrap().body.to_vec()).unwrap();
    for line in ["onething_mails_waiting 1", "onething_mail_attempts_total{outcome=\"waiting\"} 1"] {
        assert!(metrics.lines().any(|other| other == line), "{line} in {metrics}");
    }
    for (command, words) in
        [(["events"], ["mail waiting", "cannot be used"]), (["mail"], ["waiting to a***a@example.com", "tried again at"])]
    {
        let out = terminal(&running, &command);
        assert!(words.iter().all(|words| out.contains(words)) && !out.contains("ana@example.com"), "{out}");
    }
    let api = client.get("/api/outgoing-mail?user=ana").await.unwrap().json();
    assert_eq!((&api["outgoing"][0]["state"], &api["outgoing"][0]["fault"]), (&json!("waiting"), &json!("maker")), "{api}");
    assert_eq!(client.get("/api/outgoing-mail?user=ben").await.unwrap().json()["outgoing"], json!([]));

    let told = "whoever runs this skill has to mend that";
    let speech = client.speech("ana", "ask my printer if it is connected").await.unwrap();
    assert!(speech.contains(told) && !speech.contains("I sent your certificate"), "{speech}");
    let speech = client.speech("ana", "ask my printer for the status").await.unwrap();
    assert!(speech.contains(told) && !speech.contains("the mail I sent you"), "{speech}");
    client.post("/link", &json!({"user": "ben"})).await.unwrap();
    // While another request holds the lock of the thing, Alexa asks the owner to try again.
    let again = async {
        loop {
            client.speech("ana", "ask my printer to send my certificate again").await.unwrap();
            let speech = client.speech("ana", "yes").await.unwrap();
            if !speech.starts_with("One moment") {
                return speech;
            }
        }
    };
    let speech = within(PATIENCE, "another certificate", again).await;
    assert!(speech.contains(told) && !speech.contains("I have sent"), "{speech}");
    running.stop().await;

    let office = smtp_server::SmtpServer::open().await;
    let running = by(&format!("smtp://{}", office.address), place.path());
    let client = running.client();
    office.mail(1).await;
    let mut mails = [office.last_to("ana@example.com").unwrap(), office.last_to("ben@example.com").unwrap()];
    assert_eq!((office.count(), mails.len()), (2, 2), "the newest mail of each owner, and no other");
    for (user, mail) in ["ana", "ben"].into_iter().zip(&mut mails) {
        let message = MessageParser::default().parse(&mail.message).unwrap();
        let bundle = Bundle::open(message.attachment(0).unwrap().contents());
        let thing = client.thing(user).await.unwrap();
        let own = thing["certificates"].as_array().unwrap().iter().find(|own| own["id"] == json!(bundle.certificate)).unwrap().clone();
        assert_eq!((&own["status"], &own["replacedUntil"]), (&json!("ACTIVE"), &json!(null)), "{thing}");
        bundle.reads_its_shadow(running.mqtt_port()).await;
    }
    let sent = async {
        while client.get("/health").await.unwrap().json()["status"] != "ok" {
            tokio::task::yield_now().await;
        }
    };
    within(PATIENCE, "a healthy hub", sent).await;
    let out = terminal(&running, &["mail"]);
    assert!(out.contains("sent to a***a@example.com") && out.contains("dropped to a***a@example.com"), "{out}");
    assert!(terminal(&running, &["link", "--as", "ana"]).contains("There is no new mail: the one with the certificate was sent at"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permanently_refused_mail_is_reported_and_leaves_nothing() {
    let (place, office) = (tempfile::tempdir().unwrap(), smtp_server::SmtpServer::open().await);
    office.replies("RCPT", "550 5.1.1 ana@example.com is unknown here");
    let running = by(&format!("smtp://{}", office.address), place.path());
    let client = running.client();
    let out = terminal(&running, &["link"]);
    assert!(out.contains("the mail with the certificate was not sent: mail cannot be sent to the recipient's address: SMTP 550"), "{out}");
    assert!(terminal(&running, &["events"]).contains("mail failed a***a@example.com"));
    assert_eq!(client.get("/health").await.unwrap().json(), json!({"status": "ok"}), "one owner's address is not the hub's fault");
    assert_eq!(client.thing("ana").await.unwrap()["certificates"], json!([]), "the certificate is not attached");
    office.takes_all();
    assert!(client.speech("ana", "open my printer").await.unwrap().contains("I have sent its certificate"));
    assert_eq!(office.count(), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_address_is_reported_as_such_and_raises_no_alarm() {
    let (place, office) = (tempfile::tempdir().unwrap(), smtp_server::SmtpServer::open().await);
    let running = by(&format!("smtp://{}", office.address), place.path());
    let client = running.client();
    let told = "Mail cannot be sent to the e-mail address of your Amazon account";
    let addresses = ["jörg@example.com", "frida@example.com", "emil.@docomo.ne.jp", "cleo@example.com", "dora@example.com"];
    for (name, email) in ["joerg", "frida", "emil", "cleo", "dora"].into_iter().zip(addresses) {
        let added = client.post("/api/users", &json!({"name": name, "email": email})).await.unwrap();
        assert_eq!(added.status, 200, "{added:?}");
    }
    let refusals =
        [("joerg", "250 ok"), ("frida", "550 5.1.1 unknown"), ("emil", "501 5.1.3 syntax"), ("cleo", "553 no"), ("dora", "555 no")];
    for (user, reply) in refusals {
        office.replies("RCPT", reply);
        client.link(user).await.unwrap();
        let speech = client.speech(user, "open my printer").await.unwrap();
        assert!(speech.starts_with(told) && !speech.contains("no e-mail address"), "{user}: {speech}");
        assert_eq!(client.thing(user).await.unwrap()["certificates"], json!([]), "{user}: the certificate is not attached");
        assert_eq!(client.get("/health").await.unwrap().json(), json!({"status": "ok"}), "{user}");
    }
    let metrics = String::from_utf8(client.get("/metrics").await.unwrap().body.to_vec()).unwrap();
    let count = |outcome: &str| {
        let label = format!("outcome=\"{outcome}\"}} ");
        metrics.lines().find_map(|line| Some(line.split_once(&label)?.1.to_owned())).unwrap_or_else(|| panic!("{outcome}: {metrics}"))
    };
    assert_eq!((count("refused").as_str(), count("address_refused") != "0"), ("0", true));
    assert_eq!(office.count(), 0);

    office.takes_all();
    office.replies("EHLO", "250-post office\r\n250-8BITMIME\r\n250 SMTPUTF8");
    for (user, recipient) in [("joerg", "jörg@example.com"), ("emil", "\"emil.\"@docomo.ne.jp")] {
        assert!(client.speech(user, "open my printer").await.unwrap().contains("I have sent its certificate"), "{user}");
        assert_eq!(office.count_to(recipient), 1, "{user}");
    }
    running.signal("TERM");
    let (_, log) = running.ended().await;
    assert!(!log.contains("ERROR") && !log.contains("docomo") && !log.contains("jörg"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_mailbox_is_reported_by_link() {
    let place = tempfile::tempdir().unwrap();
    let running = Starting::start(serve(place.path())).ready();
    std::fs::remove_dir_all(place.path().join("mail")).unwrap();
    let out = terminal(&running, &["link"]);
    assert!(out.contains("the mail with the certificate was not sent"), "{out}");
    assert_eq!(running.client().get("/health").await.unwrap().status, 503, "the folder is the hub's own");
    running.stop().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn waiting_mail_is_readable_by_the_owner_of_the_process_only() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().unwrap();
    let running = by(&closed(), &place.path().join("data"));
    running.client().link("ana").await.unwrap();
    for file in std::fs::read_dir(place.path().join("data")).unwrap() {
        let (path, mode) = (file.as_ref().unwrap().path(), file.unwrap().metadata().unwrap().permissions().mode());
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }
    running.kill();
}
