//! The endpoint's answer, judged before anything of it is stored, and then the same files as a mailed bundle.
//!
//! An endpoint is known by its certificate and may still be mistaken: a certificate for another key or thing, a server that is no
//! host, or roots that are none would make a device that cannot connect and has thrown away what it had.

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
use crate::bundle::{Bundle, BundleError, Topics, Untimely};

const CERTIFICATE: &str = "certificate.pem";
pub(crate) const PRIVATE_KEY: &str = "private.key.pem";
const ROOTS: [&str; 2] = ["RootCA-preferred.pem", "RootCA-backup.pem"];
/// A host name as DNS has room for it (RFC 1035, section 2.3.4).
const LONGEST_HOST: usize = 253;
/// AWS IoT's limit for a topic, in bytes.
const LONGEST_TOPIC: usize = 256;

/// Why an answer cannot be used.
#[derive(Debug, Error)]
pub enum AnswerError {
    /// Not the answer of an endpoint.
    #[error("it is no answer of an endpoint")]
    Shape(#[source] serde_json::Error),
    /// A name that no thing has, or not the one that was asked for.
    #[error("it is for another thing than this device asked for")]
    Thing,
    /// A client id that no client has.
    #[error("its client id is none")]
    ClientId,
    /// Not a host name, or no port.
    #[error("it names no host to connect to")]
    Endpoint,
    /// Topics of something else.
    #[error("its topics are not those of its thing")]
    Topics,
    /// No certificate.
    #[error("its certificate cannot be read")]
    Certificate,
    /// A certificate for somebody else.
    #[error("its certificate is for another key than this device's")]
    Key,
    /// A certificate that is over.
    #[error("its certificate is of no use now")]
    Untimely(#[source] Untimely),
    /// What the server should be known by.
    #[error("its root certificates cannot be read")]
    Roots,
    /// The files are no bundle.
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

/// What an answer has to fit to.
pub struct Expected<'a> {
    /// The key that the certificate is for.
    pub key: &'a DeviceKey,
    /// The thing, where only one will do.
    pub thing: Option<String>,
    /// Where it came from, and the next one will.
    pub endpoint: &'a Address,
    /// In seconds since the epoch.
    pub now: u64,
}

/// Makes the files of a bundle from an answer.
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
        // A clock that is a little behind is no reason to throw away what is good in a moment.
        Ok(()) | Err(Untimely::NotYet { .. }) => Ok(files),
        Err(untimely) => Err(AnswerError::Untimely(untimely)),
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

/// All that is in the text is a certificate that TLS can use as a root, and there is one.
fn check_root(pem: &str) -> Result<(), AnswerError> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        certificate.map_err(drop).and_then(|certificate| store.add(certificate).map_err(drop)).map_err(|()| AnswerError::Roots)?;
    }
    if store.is_empty() { Err(AnswerError::Roots) } else { Ok(()) }
}

/// A name or an address to look up, and nothing that leads elsewhere.
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
