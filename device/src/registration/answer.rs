//! Checks the response of the endpoint before any of it is stored, and turns it into the same files as those of a mailed bundle.
//!
//! The endpoint is authenticated by its certificate, but its response may still be wrong: a certificate for another key or thing,
//! an invalid host name, or invalid roots would leave a device that cannot connect and has lost its former credentials.

use onething::identifiers::{CertificateId, ThingName};
use onething::registry::signing_request::DeviceKey;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::json;
use thiserror::Error;

use super::address::Address;
use crate::bundle::CONNECTION;
use crate::bundle::files::Files;
use crate::bundle::{Bundle, BundleError, NotValidNow, Topics};

const CERTIFICATE: &str = "certificate.pem";
pub(crate) const PRIVATE_KEY: &str = "private.key.pem";
const ROOTS: [&str; 2] = ["RootCA-preferred.pem", "RootCA-backup.pem"];
/// The largest length of a host name in DNS (RFC 1035, section 2.3.4).
const LONGEST_HOST: usize = 253;
/// The largest length of a topic in AWS IoT, in bytes.
const LONGEST_TOPIC: usize = 256;

/// Why a response cannot be used.
#[derive(Debug, Error)]
pub enum AnswerError {
    /// The body is not the JSON of an endpoint.
    #[error("it is no answer of a registration endpoint")]
    Shape(#[source] serde_json::Error),
    /// The name of the thing is invalid or not the requested one.
    #[error("it is for another thing than this device asked for")]
    Thing,
    /// The MQTT client id is invalid.
    #[error("its client id is none")]
    ClientId,
    /// The host name or the port is invalid.
    #[error("it names no host to connect to")]
    Endpoint,
    /// The topics are not those of the shadow of the thing.
    #[error("its topics are not those of its thing")]
    Topics,
    /// The certificate cannot be parsed.
    #[error("its certificate cannot be read")]
    Certificate,
    /// The certificate is for another key than that of this device.
    #[error("its certificate is for another key than this device's")]
    Key,
    /// The certificate has expired, or the clock of the device has not been set.
    #[error("its certificate is of no use now")]
    NotValidNow(#[source] NotValidNow),
    /// The root certificates for the verification of the server cannot be parsed.
    #[error("its root certificates cannot be read")]
    Roots,
    /// The files do not make up a valid bundle.
    #[error("it makes no bundle")]
    Bundle(#[from] BundleError),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    thing_name: String,
    client_id: String,
    endpoint: String,
    port: u16,
    certificate_pem: String,
    root_cas: RootCas,
    topics: Topics,
}

#[derive(Deserialize)]
struct RootCas {
    preferred: String,
    backup: Option<String>,
}

/// The values that a response has to match.
pub struct Expected<'a> {
    /// The key that was requested to be certified.
    pub key: &'a DeviceKey,
    /// The required name of the thing, or `None` if any name is accepted.
    pub thing: Option<String>,
    /// The endpoint that sent the response. It is stored in the bundle for renewals.
    pub endpoint: &'a Address,
    /// The current time as Unix time in seconds.
    pub now: u64,
}

/// Checks a response and turns it into the files of a bundle.
pub fn judge(body: &[u8], expected: &Expected<'_>) -> Result<Files, AnswerError> {
    let answer: Answer = serde_json::from_slice(body).map_err(AnswerError::Shape)?;
    let thing = ThingName::parse(&answer.thing_name).ok_or(AnswerError::Thing)?;
    if expected.thing.as_deref().is_some_and(|asked| asked != thing.as_str()) {
        return Err(AnswerError::Thing);
    }
    ThingName::parse(&answer.client_id).ok_or(AnswerError::ClientId)?;
    if !is_host(&answer.endpoint) || answer.port == 0 {
        return Err(AnswerError::Endpoint);
    }
    if !are_of(&answer.topics, &thing) {
        return Err(AnswerError::Topics);
    }
    let certificate = CertificateDer::from_pem_slice(answer.certificate_pem.as_bytes()).map_err(|_| AnswerError::Certificate)?;
    if !expected.key.is_of(&certificate) {
        return Err(AnswerError::Key);
    }
    let files = files(&answer, &CertificateId::of(&certificate), expected)?;
    match Bundle::from_files(&files)?.is_valid_at(expected.now) {
        // A certificate that is not valid yet is accepted, because the clock of the device may be slightly slow.
        Ok(()) | Err(NotValidNow::NotYet { .. }) => Ok(files),
        Err(untimely) => Err(AnswerError::NotValidNow(untimely)),
    }
}

fn files(answer: &Answer, certificate: &CertificateId, expected: &Expected<'_>) -> Result<Files, AnswerError> {
    let mut files = Files::new();
    files.insert(CERTIFICATE, answer.certificate_pem.clone().into_bytes())?;
    files.insert(PRIVATE_KEY, expected.key.private_key().pem().as_bytes().to_vec())?;
    let mut roots = Vec::new();
    let backup = answer.root_cas.backup.as_ref();
    for (name, pem) in ROOTS.into_iter().zip([Some(&answer.root_cas.preferred), backup]) {
        let Some(pem) = pem else { continue };
        check_root(pem)?;
        files.insert(name, pem.clone().into_bytes())?;
        roots.push(name);
    }
    let connection = json!({
        "version": 1,
        "thingName": answer.thing_name,
        "clientId": answer.client_id,
        "certificateId": certificate.as_str(),
        "endpoint": answer.endpoint,
        "port": answer.port,
        "certificate": CERTIFICATE,
        "privateKey": PRIVATE_KEY,
        "rootCas": roots,
        "topics": answer.topics,
        "register": expected.endpoint.to_string(),
        "issuedAt": expected.now,
    });
    files.insert(CONNECTION, format!("{connection:#}\n").into_bytes())?;
    Ok(files)
}

/// Checks that the text contains at least one certificate, and that TLS can use all of them as roots.
fn check_root(pem: &str) -> Result<(), AnswerError> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        certificate.map_err(drop).and_then(|certificate| store.add(certificate).map_err(drop)).map_err(|()| AnswerError::Roots)?;
    }
    if store.is_empty() { Err(AnswerError::Roots) } else { Ok(()) }
}

/// Whether the text is a host name or an IP address, without a path or a port.
fn is_host(host: &str) -> bool {
    let legal = |c: u8| c.is_ascii_alphanumeric() || b".-:".contains(&c);
    (1..=LONGEST_HOST).contains(&host.len()) && host.bytes().all(legal) && rustls::pki_types::ServerName::try_from(host).is_ok()
}

fn are_of(topics: &Topics, thing: &ThingName) -> bool {
    let start = format!("$aws/things/{thing}/shadow/");
    let is_one = |topic: &String| topic.len() <= LONGEST_TOPIC && topic.starts_with(&start) && !topic.contains(['#', '+', '\0']);
    let Topics { get, get_accepted, get_rejected, update, update_accepted, update_rejected, update_delta } = topics;
    [get, get_accepted, get_rejected, update, update_accepted, update_rejected, update_delta].into_iter().all(is_one)
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
