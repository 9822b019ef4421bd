//! A device that has nothing yet: it makes a key and a request with OpenSSL, and registers with Python's own HTTP client.

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
    /// The request for a certificate, in PEM.
    pub csr: String,
}

/// What the endpoint said.
#[derive(Clone, Debug)]
pub struct Told {
    pub status: u16,
    pub headers: Value,
    pub body: Value,
}

impl Told {
    /// The endpoint let the device in.
    #[track_caller]
    pub fn lets_in(self) -> Self {
        assert_eq!(self.status, 200, "{self:?}");
        self
    }

    /// The device was not let in, for this cause.
    #[track_caller]
    pub fn is_refused(&self, status: u16, cause: &str) {
        assert_eq!((self.status, &self.body["cause"]), (status, &json!(cause)), "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
    }

    pub fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_else(|| panic!("the endpoint said no {field}: {self:?}"))
    }
}

impl NewDevice {
    pub async fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder of its own");
        let new = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/OU=onething/CN=new_device"];
        openssl(home.path(), &[&new[..], &["-keyout", "key.pem", "-out", "csr.pem"]].concat()).await;
        let csr = std::fs::read_to_string(home.path().join("csr.pem")).expect("a request of OpenSSL");
        Self { home, csr }
    }

    /// Its request for a certificate, in PEM.
    pub fn csr(&self) -> &str {
        &self.csr
    }

    /// Requests, with the request for a certificate beside what is shown.
    pub async fn registers(&self, endpoint: &str, authorization: Option<&str>, mut body: Value) -> Told {
        body["csr"] = json!(self.csr);
        register(endpoint, "POST", authorization, Some(&body.to_string())).await
    }

    /// The certificate that it was told, with its own key.
    pub fn identity(&self, told: &Told, root: &Path) -> Identity {
        let certificate = self.file("certificate.pem");
        std::fs::write(&certificate, told.text("certificatePem")).expect("a file in our folder");
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

    /// What shows that it has the key of its certificate: a signature over the request of its successor.
    pub async fn proof(&self, successor: &NewDevice, at: u64) -> String {
        openssl(successor.home.path(), &["req", "-in", "csr.pem", "-outform", "DER", "-out", "csr.der"]).await;
        let der = std::fs::read(successor.file("csr.der")).expect("a request in DER");
        let message = format!("onething-renew\n{}\n{at}", HEXLOWER.encode(&Sha256::digest(&der)));
        std::fs::write(self.file("message"), message).expect("a file in our folder");
        openssl(self.home.path(), &["dgst", "-sha256", "-sign", "key.pem", "-out", "signature", "message"]).await;
        BASE64_STANDARD.encode(std::fs::read(self.file("signature")).expect("a signature of OpenSSL"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }
}

/// One request, whatever it says.
pub async fn register(url: &str, method: &str, authorization: Option<&str>, body: Option<&str>) -> Told {
    let mut headers = json!({"Content-Type": "application/json"});
    if let Some(authorization) = authorization {
        headers["Authorization"] = json!(authorization);
    }
    let told = foreign::run("request.py", &json!({"url": url, "method": method, "headers": headers, "body": body})).await;
    let status = told["status"].as_u64().and_then(|status| status.try_into().ok()).expect("a status");
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
