//! The credentials of a real device: its key, a certificate signing request, and the certificate. They are generated at the
//! start, so that the corpus contains no key.

use std::sync::OnceLock;

use onething::registry::signing_request::{CertificateRequest, DeviceKey};
use onething_hub::authority::Authority;

use super::NOW;

/// The name of the device's thing.
pub(super) const THING: &str = "lamp-7";

/// The credentials of a device, in PEM.
pub(super) struct Credentials {
    pub(super) key: DeviceKey,
    pub(super) request: String,
    pub(super) certificate: String,
    pub(super) root: String,
}

/// The credentials, which stay the same while the process runs.
pub(super) fn credentials() -> &'static Credentials {
    static CREDENTIALS: OnceLock<Credentials> = OnceLock::new();
    CREDENTIALS.get_or_init(|| match made() {
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

/// Replaces `@request`, `@certificate` and `@root` in a JSON text by the credentials; each once, so that a small input cannot use
/// much memory.
pub(super) fn filled(json: &str) -> String {
    let credentials = credentials();
    [("@request", &credentials.request), ("@certificate", &credentials.certificate), ("@root", &credentials.root)]
        .iter()
        .fold(json.to_owned(), |json, (place, pem)| json.replacen(place, &pem.replace('\n', "\\n"), 1))
}
