//! A device without credentials: it creates a key and a CSR with OpenSSL, and registers with Python's own HTTP client.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::device::Identity;
use super::foreign;
use super::process::{Process, command};
use super::within;

pub struct NewDevice {
    home: TempDir,
    /// The certificate signing request (CSR), in PEM.
    pub csr: String,
}

/// A response of the registration endpoint.
#[derive(Clone, Debug)]
pub struct Told {
    pub status: u16,
    pub headers: Value,
    pub body: Value,
}

impl Told {
    /// Requires that the endpoint has registered the device.
    #[track_caller]
    pub fn lets_in(self) -> Self {
        assert_eq!(self.status, 200, "{self:?}");
        self
    }

    /// Requires that the endpoint has refused the device with this status and this cause.
    #[track_caller]
    pub fn is_refused(&self, status: u16, cause: &str) {
        assert_eq!((self.status, &self.body["cause"]), (status, &json!(cause)), "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
    }

    pub fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_else(|| panic!("the response has no {field}: {self:?}"))
    }
}

impl NewDevice {
    pub async fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let new = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/OU=onething/CN=new_device"];
        openssl(home.path(), &[&new[..], &["-keyout", "key.pem", "-out", "csr.pem"]].concat()).await;
        let csr = std::fs::read_to_string(home.path().join("csr.pem")).expect("the CSR of OpenSSL");
        Self { home, csr }
    }

    /// The CSR, in PEM.
    pub fn csr(&self) -> &str {
        &self.csr
    }

    /// Registers: sends `body` with the CSR added to it.
    pub async fn registers(&self, endpoint: &str, authorization: Option<&str>, mut body: Value) -> Told {
        body["csr"] = json!(self.csr);
        register(endpoint, "POST", authorization, Some(&body.to_string())).await
    }

    /// Stores the certificate of the response beside the key of the device, and returns the identity to connect with.
    pub fn identity(&self, told: &Told, root: &Path) -> Identity {
        let certificate = self.file("certificate.pem");
        std::fs::write(&certificate, told.text("certificatePem")).expect("a file in the temporary folder");
        Identity {
            host: told.text("endpoint").to_owned(),
            port: told.body["port"].as_u64().and_then(|port| port.try_into().ok()).expect("a port"),
            client_id: told.text("clientId").to_owned(),
            certificate,
            key: self.file("key.pem"),
            root: root.to_owned(),
            version: "3.1.1",
        }
    }

    /// The proof that the device has the key of its certificate: a signature over the CSR of its successor and the Unix time
    /// `at`.
    pub async fn proof(&self, successor: &NewDevice, at: u64) -> String {
        openssl(successor.home.path(), &["req", "-in", "csr.pem", "-outform", "DER", "-out", "csr.der"]).await;
        let der = std::fs::read(successor.file("csr.der")).expect("the CSR in DER");
        let message = format!("onething-renew\n{}\n{at}", HEXLOWER.encode(&Sha256::digest(&der)));
        std::fs::write(self.file("message"), message).expect("a file in the temporary folder");
        openssl(self.home.path(), &["dgst", "-sha256", "-sign", "key.pem", "-out", "signature", "message"]).await;
        BASE64_STANDARD.encode(std::fs::read(self.file("signature")).expect("the signature of OpenSSL"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }
}

/// Sends one request to the endpoint; the body need not be valid.
pub async fn register(url: &str, method: &str, authorization: Option<&str>, body: Option<&str>) -> Told {
    let mut headers = json!({"Content-Type": "application/json"});
    if let Some(authorization) = authorization {
        headers["Authorization"] = json!(authorization);
    }
    let told = foreign::run("request.py", &json!({"url": url, "method": method, "headers": headers, "body": body})).await;
    let status = told["status"].as_u64().and_then(|status| status.try_into().ok()).expect("a valid status");
    let body = told["body"].as_str().unwrap_or_default();
    Told { status, headers: told["headers"].clone(), body: serde_json::from_str(body).unwrap_or_else(|_| json!(body)) }
}

async fn openssl(folder: &Path, arguments: &[&str]) {
    let mut command = command(Path::new("/usr/bin/openssl"), folder);
    let mut process = Process::start({
        command.args(arguments);
        command
    });
    let status = within(Duration::from_secs(30), "openssl", process.ended()).await;
    assert!(status.success(), "openssl {arguments:?}:\n{}", process.output());
}
