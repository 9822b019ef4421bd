//! Tests of the `demo` command with the real binary. Independent parsers of mail, zip and certificates check its output.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code: a panic is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use mail_parser::{MessageParser, MimeHeaders};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use serde_json::{Value, json};

fn hub() -> Command {
    let mut hub = Command::new(env!("CARGO_BIN_EXE_onething-hub"));
    for variable in ["ONETHING_DATA", "RUST_LOG", "NO_COLOR"] {
        hub.env_remove(variable);
    }
    hub
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The output of a demo that succeeded.
fn output_of(output: &Output) -> String {
    assert!(output.status.success(), "{} {}", text(&output.stdout), text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    text(&output.stdout)
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == extension));
    files.sort();
    files
}

/// The files of a bundle with their contents.
fn unzip(zip: &[u8]) -> BTreeMap<String, String> {
    let mut zip = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    (0..zip.len())
        .map(|number| {
            let mut file = zip.by_index(number).unwrap();
            let mut content = String::new();
            file.read_to_string(&mut content).unwrap();
            (file.name().unwrap().into_owned(), content)
        })
        .collect()
}

/// Checks that the text contains the parts in this order.
fn in_order(text: &str, parts: &[&str]) {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut rest = words.as_str();
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { panic!("{part:?} is not where it should be in:\n{text}") };
        rest = after;
    }
}

#[test]
fn the_demo_shows_every_step_from_the_link_to_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let terminal = output_of(&hub().args(["demo", "--data"]).arg(folder.path()).output().unwrap());
    in_order(
        &terminal,
        &[
            "Ana \"Alexa, open my printer.\"",
            "link your Amazon account",
            "[ Link account ]",
            "no thing, no certificate, no mail",
            "Ana links",
            "is ready",
            "3D_Printer-",
            "ACTIVE",
            "OneUserOneThing",
            ".eml to a…@example.com",
            ".zip",
            "ask my printer to print a vase",
            "Printing",
            "desired {\"command\": {",
            "delta {\"command\": {\"args\": {\"copies\": 1, \"model\": \"vase\"}",
            "reported {",
            "\"status\": \"printing\"",
            "ask my printer for the status",
            "percent of vase is done",
            "Ben has a printer, too",
            "is ready",
            "3D_Printer-",
            ".eml to b…@example.com",
            "Two owners, two things, two certificates",
        ],
    );
    for secret in ["PRIVATE KEY", "Atza", "ana@example.com", "ben@example.com", "\x1b"] {
        assert!(!terminal.contains(secret), "{secret:?} is on the terminal");
    }
}

#[test]
fn each_mail_has_a_bundle_for_one_thing() {
    let folder = tempfile::tempdir().unwrap();
    let terminal = output_of(&hub().arg("demo").env("ONETHING_DATA", folder.path()).output().unwrap());
    let mail = folder.path().join("demo/mail");
    let messages = files(&mail, "eml");
    assert_eq!((messages.len(), files(&mail, "zip").len(), fs::read_dir(&mail).unwrap().count()), (2, 2, 5));
    assert_eq!(fs::read_to_string(mail.join("index.jsonl")).unwrap().lines().count(), 2);

    let mut seen = Vec::new();
    for message in messages {
        assert!(terminal.contains(message.to_str().unwrap()), "{terminal}");
        let message = fs::read(message).unwrap();
        let parsed = MessageParser::default().parse(&message).unwrap();
        let attachment = parsed.attachment(0).unwrap();
        let saved = fs::read(mail.join(attachment.attachment_name().unwrap())).unwrap();
        assert_eq!(attachment.contents(), saved, "the bundle beside the mail is the one in it");
        seen.push(check_bundle(&saved, &terminal));
    }
    assert_ne!(seen[0], seen[1], "two owners share a thing");
}

/// Checks a bundle, and returns the name of its thing.
fn check_bundle(zip: &[u8], terminal: &str) -> String {
    let files = unzip(zip);
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["README.txt", "RootCA.pem", "certificate.pem", "connection.json", "device.toml", "private.key.pem", "public.key.pem"]
    );

    let connection: Value = serde_json::from_str(&files["connection.json"]).unwrap();
    let thing = connection["thingName"].as_str().unwrap().to_owned();
    assert!(terminal.contains(&thing));
    assert_eq!(connection["clientId"], json!(thing));
    assert_eq!(connection["endpoint"], "localhost");
    assert!(connection["port"].as_u64().is_some_and(|port| port > 0), "the demo's own broker");
    assert_eq!(connection["rootCas"], json!(["RootCA.pem"]));

    let certificate = CertificateDer::from_pem_slice(files["certificate.pem"].as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(files["private.key.pem"].as_bytes()).unwrap();
    assert!(matches!(key, PrivateKeyDer::Pkcs1(_)), "the key has the form of AWS IoT's");
    let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let public = SubjectPublicKeyInfoDer::from_pem_slice(files["public.key.pem"].as_bytes()).unwrap();
    assert_eq!(key.public_key().unwrap(), public);
    rustls::sign::CertifiedKey::new(vec![certificate.clone()], key).keys_match().unwrap();

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(files["RootCA.pem"].as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let server = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
    server.verify_client_cert(&certificate, &[], UnixTime::now()).unwrap();
    thing
}

#[test]
fn the_demo_can_be_repeated_in_the_same_folder() {
    let folder = tempfile::tempdir().unwrap();
    for run in 1..=2 {
        output_of(&hub().args(["demo", "--data"]).arg(folder.path()).output().unwrap());
        let mail = folder.path().join("demo/mail");
        assert_eq!((files(&mail, "eml").len(), files(&mail, "zip").len()), (2, 2), "run {run}");
    }
}

#[test]
fn an_impossible_folder_is_reported_in_one_sentence_with_status_1() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let output = hub().args(["demo", "--data"]).arg(file.join("data")).output().unwrap();
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(complaint.starts_with("onething-hub: the folder ") && complaint.lines().count() == 1, "{complaint}");
}

#[test]
fn help_has_examples() {
    let help = hub().args(["demo", "--help"]).output().unwrap();
    assert!(help.status.success() && text(&help.stdout).contains("--data <DIR>"));
    let help = hub().arg("--help").output().unwrap();
    assert!(text(&help.stdout).contains("onething-hub demo"));
}
