//! What a real device has: its key, a request for a certificate, and the certificate. Made at the start, so that no key lies in
//! the corpus.

use std::sync::OnceLock;

use onething::registry::signing_request::{CertificateRequest, DeviceKey};
use onething_hub::authority::Authority;

use super::NOW;

/// The name of the device's thing.
pub(super) const THING: &str = "lamp-7";

/// A device's papers, in PEM.
pub(super) struct Papers {
    pub(super) key: DeviceKey,
    pub(super) request: String,
    pub(super) certificate: String,
    pub(super) root: String,
}

/// The same ones for as long as the process runs.
pub(super) fn papers() -> &'static Papers {
    static PAPERS: OnceLock<Papers> = OnceLock::new();
    PAPERS.get_or_init(|| match made() {
        Ok(papers) => papers,
        Err(error) => panic!("{error}"),
    })
}

fn made() -> Result<Papers, Box<dyn std::error::Error>> {
    let (key, authority) = (DeviceKey::generate()?, Authority::new(NOW)?);
    let request = key.request(THING)?;
    CertificateRequest::parse(&request)?;
    let certificate = authority.issue_for(&request, NOW)?.pem;
    Ok(Papers { key, request, certificate, root: authority.root_pem() })
}

/// A JSON text in which `@request`, `@certificate` and `@root` stand for the papers; each once, so that nothing fills a machine.
pub(super) fn filled(json: &str) -> String {
    let papers = papers();
    [("@request", &papers.request), ("@certificate", &papers.certificate), ("@root", &papers.root)]
        .iter()
        .fold(json.to_owned(), |json, (place, pem)| json.replacen(place, &pem.replace('\n', "\\n"), 1))
}
