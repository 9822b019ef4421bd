//! What a real device has: its key, a request for a certificate, and the certificate. Made at the start, so that no key lies in
//! the corpus.

use std::sync::OnceLock;

use onething::registry::signing_request::{CertificateRequest, DeviceKey};
use onething_hub::authority::Authority;

use super::NOW;

/// The name of the device's thing.
pub(super) const THING: &str = "lamp-7";

/// A device's credentials, in PEM.
pub(super) struct Credentials {
    pub(super) key: DeviceKey,
    pub(super) request: String,
    pub(super) certificate: String,
    pub(super) root: String,
}

/// The same ones for as long as the process runs.
pub(super) fn credentials() -> &'static Credentials {
    static PAPERS: OnceLock<Credentials> = OnceLock::new();
    PAPERS.get_or_init(|| match made() {
        Ok(credentials) => credentials,
        Err(error) => panic!("{error}"),
    })
}

fn made() -> Result<Credentials, Box<dyn std::error::Error>> {
    let (key, authority) = (DeviceKey::generate()?, Authority::new(NOW)?);
    let request = key.request(THING)?;
    CertificateRequest::parse(&request)?;
    let certificate = authority.issue_for(&request, NOW)?.pem;
    Ok(Credentials { key, request, certificate, root: authority.root_pem() })
}

/// A JSON text in which `@request`, `@certificate` and `@root` stand for the credentials; each once, so that nothing fills a machine.
pub(super) fn filled(json: &str) -> String {
    let credentials = credentials();
    [("@request", &credentials.request), ("@certificate", &credentials.certificate), ("@root", &credentials.root)]
        .iter()
        .fold(json.to_owned(), |json, (place, pem)| json.replacen(place, &pem.replace('\n', "\\n"), 1))
}
