//! The files of a bundle: all that a device needs to connect, in one zip archive without folders.
//!
//! SES refuses attachments with the extensions `.crt`, `.cer` and `.der`, so certificates have the extension `.pem`. The archive
//! is neither compressed nor encrypted, so that every program can read it and mail filters accept it.

use std::io::{Cursor, Write};

use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::certificate::Certificate;
use crate::identifiers::ThingName;

/// The Amazon root certificates for RSA chains (RSA 2048) and for ECC chains (P-256). AWS recommends to install both
/// (<https://docs.aws.amazon.com/iot/latest/developerguide/server-authentication.html>).
const AMAZON_ROOTS: [(&str, &str); 2] =
    [("AmazonRootCA1.pem", include_str!("roots/AmazonRootCA1.pem")), ("AmazonRootCA3.pem", include_str!("roots/AmazonRootCA3.pem"))];

/// The file with the device model.
const DEVICE_MODEL: &str = "device.toml";

/// An Amazon root certificate in PEM by its name, such as `AmazonRootCA1`.
pub(crate) fn amazon_root(name: &str) -> Option<&'static str> {
    AMAZON_ROOTS.iter().find(|(file, _)| file.strip_suffix(".pem") == Some(name)).map(|(_, pem)| *pem)
}

/// The MQTT endpoint of devices, with the root certificates that authenticate it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// The host name.
    pub host: String,
    /// The port for MQTT over mutual TLS, usually 8883.
    pub port: u16,
    /// The file name and the PEM of each root certificate.
    pub roots: Vec<(String, String)>,
    /// The URL of the registration endpoint, if there is one.
    pub register: Option<String>,
}

impl Broker {
    /// The device data endpoint of AWS IoT Core, `iot:Data-ATS`.
    pub fn aws(host: &str, port: u16) -> Self {
        let roots = AMAZON_ROOTS.map(|(name, pem)| (name.to_owned(), pem.to_owned()));
        Self { host: host.to_owned(), port, roots: roots.into(), register: None }
    }
}

/// The topics of the classic shadow of a thing, keyed by their purpose.
pub(crate) fn topics(thing: &ThingName) -> Value {
    let topic = |rest: &str| format!("$aws/things/{thing}/shadow/{rest}");
    json!({
        "get": topic("get"),
        "getAccepted": topic("get/accepted"),
        "getRejected": topic("get/rejected"),
        "update": topic("update"),
        "updateAccepted": topic("update/accepted"),
        "updateRejected": topic("update/rejected"),
        "updateDelta": topic("update/delta"),
    })
}

/// The zip archive for one certificate. `issued_at` is Unix time in seconds. `device_model` is the [part of the model for the
/// device](crate::device_model::Model::device_part). `readme` is the content of `README.txt`.
pub fn zip(
    thing: &ThingName,
    certificate: &Certificate,
    broker: &Broker,
    issued_at: u64,
    device_model: &str,
    readme: &str,
) -> std::io::Result<Vec<u8>> {
    let root_names: Vec<&str> = broker.roots.iter().map(|(name, _)| name.as_str()).collect();
    let mut connection = json!({
        "version": 1,
        "thingName": thing.as_str(),
        "clientId": thing.as_str(),
        "certificateId": certificate.id.as_str(),
        "endpoint": broker.host,
        "port": broker.port,
        "certificate": "certificate.pem",
        "privateKey": "private.key.pem",
        "rootCas": root_names,
        "deviceModel": DEVICE_MODEL,
        "topics": topics(thing),
        "issuedAt": issued_at,
    });
    if let Some(register) = &broker.register {
        connection["register"] = json!(register);
    }
    let connection = format!("{connection:#}\n");
    let mut files = vec![
        ("certificate.pem", certificate.pem.as_str()),
        ("private.key.pem", certificate.private_key.pem()),
        ("public.key.pem", certificate.public_key.as_str()),
        ("connection.json", &connection),
        (DEVICE_MODEL, device_model),
        ("README.txt", readme),
    ];
    files.extend(broker.roots.iter().map(|(name, pem)| (name.as_str(), pem.as_str())));

    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    // Only the owner of the file may read it, because it contains the private key.
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).unix_permissions(0o600);
    for (name, content) in files {
        zip.start_file(name, options)?;
        zip.write_all(content.as_bytes())?;
    }
    Ok(zip.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::identifiers::{CertificateId, OwnerId, ThingPrefix};
    use crate::secrets::PrivateKey;

    fn files(register: Option<&str>) -> zip::ZipArchive<Cursor<Vec<u8>>> {
        let thing = ThingName::of(&ThingPrefix::parse("Lamp-").unwrap(), &OwnerId::parse("amzn1.account.A").unwrap());
        let (pem, public_key, private_key) = ("a certificate".into(), "a key".into(), PrivateKey::new("another".into()));
        let certificate = Certificate { id: CertificateId::of(b"a"), pem, public_key, private_key };
        let broker = Broker { register: register.map(str::to_owned), ..Broker::aws("localhost", 8883) };
        let bundle = zip(&thing, &certificate, &broker, 7, "[device]\n", "read me").unwrap();
        zip::ZipArchive::new(Cursor::new(bundle)).unwrap()
    }

    fn text(mut files: zip::ZipArchive<Cursor<Vec<u8>>>, name: &str) -> String {
        let mut text = String::new();
        files.by_name(name).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    fn connection(register: Option<&str>) -> Value {
        serde_json::from_str(&text(files(register), "connection.json")).unwrap()
    }

    #[test]
    fn a_bundle_contains_the_device_model() {
        let name = connection(None)["deviceModel"].as_str().unwrap().to_owned();
        assert_eq!(text(files(None), &name), "[device]\n");
    }

    #[test]
    fn a_bundle_contains_the_registration_endpoint_if_there_is_one() {
        assert_eq!(connection(Some("https://a.example.com/register"))["register"], "https://a.example.com/register");
        assert!(connection(None).get("register").is_none());
    }
}
