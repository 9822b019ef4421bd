//! The mail as its recipient gets it, parsed by a foreign parser.

use serde_json::{Value, json};

use crate::harness::alexa::{Echo, Slot};
use crate::harness::deployment::MAIL_FROM;
use crate::harness::device::{Device, Identity, connection};
use crate::harness::login::User;
use crate::harness::ministack::{Account, prepare};
use crate::harness::process::{Process, command};
use crate::harness::smtp_server::SmtpServer;
use crate::stack::{Stack, check_one_owner_one_thing, list};

#[tokio::test(flavor = "multi_thread")]
async fn the_mail_and_the_bundle_have_the_documented_content() {
    let stack = Stack::with(&Account::deployed(), |deployment| deployment.set("MAIL_REPLY_TO", "help@skill.example.com")).await;
    let ada = stack.function.welcomes("Ada");
    let owner = stack.onboards(&ada, 0).await;
    let mail = &owner.mail;

    assert_eq!(mail["defects"], json!([]), "{mail:#}");
    assert_eq!(mail["sender"], MAIL_FROM);
    assert_eq!(mail["recipients"], json!([ada.email]));
    assert_eq!(mail["to"][0]["address"], json!(ada.email));
    assert_eq!(mail["from"], json!([{"name": "Your printer", "address": MAIL_FROM}]));
    assert_eq!(mail["reply_to"][0]["address"], "help@skill.example.com");
    assert!(!mail["subject"].as_str().unwrap_or_default().is_empty());
    for part in ["text", "html"] {
        let words = mail[part].as_str().unwrap_or_default();
        assert!(words.contains("Ada"), "{part}: {words}");
        assert!(words.contains("onething-device"), "{part}: {words}");
        assert!(!words.contains("PRIVATE KEY"), "{part}");
    }

    let attachments = list(mail, "attachments");
    let [zip] = attachments else {
        panic!("{} attachments", attachments.len());
    };
    let file = format!("{}.zip", owner.thing);
    assert_eq!((&zip["name"], &zip["type"]), (&json!(file), &json!("application/zip")));
    let lines =
        [format!("Content-Type: application/zip; name=\"{file}\""), format!("Content-Disposition: attachment; filename=\"{file}\"")];
    assert_eq!(zip["headers"], json!(lines));
    assert_eq!(zip["damaged"], Value::Null);
    let mut names: Vec<&str> = list(zip, "files").iter().filter_map(|file| file["name"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "AmazonRootCA1.pem",
            "AmazonRootCA3.pem",
            "README.txt",
            "certificate.pem",
            "connection.json",
            "device.toml",
            "private.key.pem",
            "public.key.pem",
        ]
    );

    let connection = connection(&owner.bundle);
    let said = |field: &str| connection[field].clone();
    assert_eq!(said("version"), 1);
    assert_eq!(said("thingName"), owner.thing.as_str());
    assert_eq!(said("clientId"), owner.thing.as_str());
    assert_eq!(said("endpoint"), "localhost");
    assert_eq!(said("certificate"), "certificate.pem");
    assert_eq!(said("privateKey"), "private.key.pem");
    assert_eq!(said("rootCas"), json!(["AmazonRootCA1.pem", "AmazonRootCA3.pem"]));
    assert!(said("issuedAt").as_u64().is_some_and(|moment| moment > 1_700_000_000));
    let topics: Vec<&str> = connection["topics"].as_object().expect("an object of topics").values().filter_map(Value::as_str).collect();
    for rest in ["update", "update/delta", "get", "get/accepted"] {
        assert!(topics.contains(&owner.topic(rest).as_str()), "{topics:?}");
    }
    for root in ["AmazonRootCA1.pem", "AmazonRootCA3.pem"] {
        let pem = std::fs::read_to_string(owner.bundle.join(root)).expect("a root certificate of the bundle");
        assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"), "{pem}");
    }
}

/// Runs the command from the README of the bundle in a shell, as a reader would. Only the root certificate is that of the test.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_in_the_readme_of_the_bundle_shows_commands() {
    let stack = Stack::built().await;
    let mut owner = stack.onboards(&stack.function.welcomes("Ada"), 0).await;
    let readme = std::fs::read_to_string(owner.bundle.join("README.txt")).expect("the README of the bundle");
    let start = readme.find("mosquitto_sub").expect("a command with mosquitto_sub");
    let line = readme[start..].split("\n\n").next().expect("the end of the command");
    let line = line.replace("AmazonRootCA1.pem", &stack.ministack.root.display().to_string());
    // Prints the subscription unbuffered, so that the test knows when the client is subscribed.
    let mut shell = command("/bin/sh", &owner.bundle);
    shell.env("PATH", std::env::var_os("PATH").unwrap_or_default()).arg("-c").arg(format!("exec stdbuf -oL {line} -d"));
    let client = Process::start(shell);
    let limit = std::time::Duration::from_secs(20);
    client.writes(limit, "mosquitto_sub (is mosquitto-clients installed?)", |output| output.contains("Subscribed")).await;

    let request = owner.echo.intent("PrintIntent", &[Slot::said("model", "vase")]);
    stack.ask(&mut owner.echo, &request).await.says(&["vase"]);
    client.writes(limit, "the delta", |output| output.contains(r#""name":"print""#) || output.contains(r#""name": "print""#)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_addresses_are_hostile_input() {
    let stack = Stack::built().await;
    let injection = "Eve\r\nBcc: mallory@evil.example\r\n\r\nClick <a href='x'>here</a>";
    for (number, (name, email)) in [
        (injection, "eve@mail.example.com"),
        ("Zoë \u{1f5a8}\u{fe0f} <b>&amp;", "zoe+printer@mail.example.com"),
        ("\u{202e}\u{0}\u{7f}", "odd.o'hara@mail.example.com"),
        ("名前", "name@xn--bcher-kva.example"),
        (&"N".repeat(5_000), "long@mail.example.com"),
        ("", "nameless@mail.example.com"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut user = User::named(&format!("Hostile{number}"));
        user.name = Some(name.to_owned());
        user.email = Some(email.to_owned());
        stack.function.login.knows(&user);
        let owner = stack.onboards(&user, number).await;
        let mail = &owner.mail;
        assert_eq!(mail["defects"], json!([]), "{name:?}: {mail:#}");
        assert_eq!(mail["recipients"], json!([email]), "{name:?}");
        assert_eq!(mail["to"][0]["address"], email, "{name:?}");
        assert_eq!(list(mail, "to").len(), 1, "{name:?}");
        assert!(!list(mail, "headers").contains(&json!("bcc")), "{name:?}");
        let html = mail["html"].as_str().unwrap_or_default();
        assert!(!html.contains("<a href") && !html.contains("<b>"), "{html}");
        Device::connect(&owner.identity).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_mail_address_is_reported_as_such() {
    let stack = Stack::built().await;
    for (number, (email, words)) in [
        ("", "no e-mail address"),
        ("nobody", "Mail cannot be sent"),
        ("a@b\r\nBcc: c@d.example", "Mail cannot be sent"),
        ("a@b.example, c@d.example", "Mail cannot be sent"),
        ("jörg@mail.example.com", "Mail cannot be sent"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut user = User::named(&format!("Odd{number}"));
        user.email = Some(email.to_owned());
        stack.function.login.knows(&user);
        let mut echo = Echo::linked(&user.token);
        let request = echo.launch();
        let answer = stack.ask(&mut echo, &request).await;
        answer.apologises().says(&[words]);
    }
    assert_eq!(stack.ministack.smtp_server.count(), 0);
    let account = stack.ministack.holds().await;
    assert!(list(&account, "things").is_empty(), "{account:#}");
    assert!(list(&account, "certificates").is_empty(), "{account:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_ses_refuses_is_reported_and_rolled_back() {
    let sandbox = Account { sandbox: true, ..Account::deployed() };
    let unverified = Account { verified: Vec::new(), ..Account::deployed() };
    for account in [sandbox, unverified] {
        let stack = Stack::with(&account, |deployment| deployment).await;
        let ada = stack.function.welcomes("Ada");
        let mut echo = Echo::linked(&ada.token);
        let request = echo.launch();
        let answer = stack.ask(&mut echo, &request).await;
        answer.apologises().says(&["mail", "whoever runs this skill"]);
        let log = stack.function.lambda.logs("\"step\":\"deliver\"").await;
        let email = ada.email.clone().unwrap_or_default();
        assert!(log.contains("\"fault\":\"maker\""), "{log}");
        assert!(!log.contains(&email), "{log}");

        let holds = stack.ministack.holds().await;
        assert!(list(&holds, "certificates").is_empty(), "{holds:#}");

        // The maker verifies the missing addresses; the next request succeeds.
        let mended = Account { thing_type: None, policy: None, verified: vec![MAIL_FROM.to_owned(), email], sandbox: false };
        prepare(&stack.ministack.url, &mended).await;
        let owner = stack.onboards(&ada, 0).await;
        check_one_owner_one_thing(&stack.ministack.holds().await, &ada, &owner.certificate());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_an_smtp_server_no_mail_goes_through_ses() {
    let office = SmtpServer::open().await;
    let url = format!("smtp://{}", office.address);
    let stack = Stack::with(&Account::deployed(), |deployment| deployment.set("SMTP_URL", &url)).await;
    let ada = stack.function.welcomes("Ada");
    let mut echo = Echo::linked(&ada.token);
    let request = echo.launch();
    stack.ask(&mut echo, &request).await.welcomes();
    assert_eq!(stack.ministack.smtp_server.count(), 0);
    assert!(!stack.function.aws.operations().contains(&"SendRawEmail".to_owned()));

    let mail = office.mail(0).await;
    assert_eq!(mail.sender, MAIL_FROM);
    assert_eq!(Some(&mail.recipients[0]), ada.email.as_ref());
    let (read, bundle) = stack.ministack.open(&mail).await;
    assert_eq!(read["defects"], json!([]), "{read:#}");
    Device::connect(&Identity::of_bundle(&bundle, &stack.ministack.root)).await;
}
