use std::io::{Cursor, Read, Write};

use onething::certificate::Certificate;
use onething::device_model::Model;
use onething::identifiers::{OwnerId, ThingName, ThingPrefix};
use onething::mail::bundle::{Broker, zip};
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::*;
use crate::bundle::limits::{FILE_LIMIT, FILES_LIMIT, ZIP_LIMIT};
use onething_hub::authority::Authority;

const NOW: u64 = 1_795_305_600;

struct Mailed {
    thing: ThingName,
    certificate: Certificate,
    zip: Vec<u8>,
}

/// A bundle as the skill mails it.
fn mailed() -> Mailed {
    let authority = Authority::new(NOW).unwrap();
    let certificate = authority.issue(NOW).unwrap();
    let thing = ThingName::of(&ThingPrefix::parse("3D_Printer-").unwrap(), &OwnerId::parse("amzn1.account.ANA").unwrap());
    let broker = Broker { host: "localhost".into(), port: 18883, roots: vec![("RootCA.pem".into(), authority.root_pem())], register: None };
    let zip = zip(&thing, &certificate, &broker, NOW, &Model::parse(Model::SAMPLE).unwrap().device_part, "read me").unwrap();
    Mailed { thing, certificate, zip }
}

fn files(zip: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut zip = ZipArchive::new(Cursor::new(zip)).unwrap();
    let mut files = Vec::new();
    for number in 0..zip.len() {
        let mut file = zip.by_index(number).unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        files.push((file.name().unwrap().into_owned(), content));
    }
    files
}

fn zipped(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(name.as_str(), SimpleFileOptions::default().compression_method(CompressionMethod::Stored)).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The zip with another content of one file, or without the file if `change` is `None`.
fn with(zip: &[u8], name: &str, change: Option<&[u8]>) -> Vec<u8> {
    let mut files = files(zip);
    files.retain_mut(|(file, content)| if file == name { change.map(|change| *content = change.to_vec()).is_some() } else { true });
    zipped(&files)
}

fn with_connection(zip: &[u8], field: &str, value: Value) -> Vec<u8> {
    let connection = files(zip).into_iter().find(|(name, _)| name == "connection.json").unwrap().1;
    let mut connection: Value = serde_json::from_slice(&connection).unwrap();
    connection[field] = value;
    with(zip, "connection.json", Some(connection.to_string().as_bytes()))
}

#[test]
fn a_mailed_bundle_contains_the_parameters_of_the_connection() {
    let mailed = mailed();
    let bundle = Bundle::open(&mailed.zip).unwrap();
    let connection = &bundle.connection;
    assert_eq!((connection.thing_name.as_str(), connection.client_id.as_str()), (mailed.thing.as_str(), mailed.thing.as_str()));
    assert_eq!((connection.endpoint.as_str(), connection.port), ("localhost", 18883));
    assert_eq!(connection.certificate_id.as_deref(), Some(mailed.certificate.id.as_str()));
    assert_eq!(connection.topics.update_delta, format!("$aws/things/{}/shadow/update/delta", mailed.thing));
    let shown = format!("{bundle:?}");
    assert!(shown.contains("redacted") && !shown.contains("PRIVATE"), "{shown}");
}

#[test]
fn the_error_names_the_missing_or_broken_file() {
    let zip = mailed().zip;
    let check = |zip: &[u8], expected: &str| {
        let error = Bundle::open(zip).unwrap_err().to_string();
        assert!(error.contains(expected), "{error} instead of {expected}");
    };
    for name in ["connection.json", "certificate.pem", "private.key.pem", "RootCA.pem"] {
        check(&with(&zip, name, None), &format!("has no {name}"));
    }
    for name in ["connection.json", "certificate.pem", "private.key.pem", "RootCA.pem"] {
        check(&with(&zip, name, Some(b" \n")), &format!("{name} is empty"));
        let whole = files(&zip).into_iter().find(|(file, _)| file == name).unwrap().1;
        for length in [whole.len() / 2, whole.len() - 20] {
            check(&with(&zip, name, Some(&whole[..length])), &format!("{name} is cut off"));
        }
    }
    check(&with(&zip, "certificate.pem", Some(b"nothing")), "certificate.pem holds no certificate");
    check(&with(&zip, "private.key.pem", Some(b"nothing")), "private.key.pem holds no private key");
    check(&with(&zip, "RootCA.pem", Some(b"nothing")), "no root certificate");
    check(&with(&zip, "connection.json", Some(b"[]")), "connection.json does not say");
    check(&with_connection(&zip, "version", json!(2)), "version 2");
    check(&with_connection(&zip, "port", json!(70_000)), "how to connect");
    check(&with_connection(&zip, "topics", json!({})), "how to connect");
    check(&with_connection(&zip, "rootCas", json!([])), "no root certificate");
    check(&with_connection(&zip, "privateKey", json!("../../key.pem")), "names a file \"../../key.pem\", which is no plain name");
    check(b"PK", "not a zip");
    check(&zip[..zip.len() / 2], "not a zip");
    Bundle::open(&with_connection(&zip, "certificateId", Value::Null)).unwrap();
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let (one, other) = (mailed(), mailed());
    let foreign = files(&other.zip).into_iter().find(|(name, _)| name == "private.key.pem").unwrap().1;
    let zip = with(&one.zip, "private.key.pem", Some(&foreign));
    assert!(matches!(Bundle::open(&zip), Err(BundleError::Identity)));
}

#[test]
fn a_certificate_that_connection_json_does_not_name_is_refused() {
    let (one, other) = (mailed(), mailed());
    let of = |name: &str| files(&other.zip).into_iter().find(|(file, _)| file == name).unwrap().1;
    let mixed = with(&one.zip, "certificate.pem", Some(&of("certificate.pem")));
    let mixed = with(&mixed, "private.key.pem", Some(&of("private.key.pem")));
    let error = Bundle::open(&mixed).unwrap_err();
    assert!(matches!(&error, BundleError::Mixed(name) if name == "certificate.pem") && error.to_string().contains("another thing"));
    Bundle::open(&with_connection(&mixed, "certificateId", json!(other.certificate.id.as_str().to_uppercase()))).unwrap();
}

#[test]
fn a_certificate_has_a_validity() {
    let bundle = Bundle::open(&mailed().zip).unwrap();
    assert!(bundle.not_before <= NOW && NOW < bundle.not_after);
    for now in [bundle.not_before, NOW, bundle.not_after] {
        bundle.is_valid_at(now).unwrap();
    }
    let said = |now| bundle.is_valid_at(now).unwrap_err().to_string();
    assert_eq!(said(0), "the clock of this device says 1970-01-01; set it first");
    assert!(said(bundle.not_before - 1).starts_with("the certificate is not valid before 2026-"), "{}", said(bundle.not_before - 1));
    assert_eq!(said(bundle.not_after + 1), "the certificate expired on 2049-12-31");
}

#[test]
fn the_registration_endpoint_is_optional() {
    let zip = mailed().zip;
    assert_eq!(Bundle::open(&zip).unwrap().connection.register, None);
    let endpoint = "https://endpoint.example/register";
    assert_eq!(Bundle::open(&with_connection(&zip, "register", json!(endpoint))).unwrap().connection.register.as_deref(), Some(endpoint));
}

#[test]
fn sizes_are_limited() {
    let zip = mailed().zip;
    let large = vec![b' '; FILE_LIMIT as usize + 1];
    for name in ["connection.json", "certificate.pem", "RootCA.pem"] {
        assert!(matches!(Bundle::open(&with(&zip, name, Some(&large))), Err(BundleError::TooLarge)), "{name}");
    }
    assert!(matches!(Bundle::open(&vec![0; ZIP_LIMIT + 1]), Err(BundleError::TooLarge)));
    let many: Vec<_> = (0..=FILES_LIMIT).map(|number| (number.to_string(), Vec::new())).collect();
    assert!(matches!(Bundle::open(&zipped(&many)), Err(BundleError::TooLarge)));
}
