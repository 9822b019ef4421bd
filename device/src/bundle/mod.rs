//! Opens a bundle and turns its files into the parameters of a connection.
//!
//! A key that does not belong to the certificate, or a certificate that is not the one that `connection.json` names, is detected
//! here and not in the first handshake. The private key goes directly into the TLS configuration and is never printed. The
//! certificate of the server is always verified; there is no option to disable this.

mod archive;
mod connection;
mod error;
pub mod files;
mod limits;

use std::fmt;
use std::sync::Arc;

use onething::identifiers::CertificateId;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use x509_cert::der::Decode;

pub use self::connection::{CONNECTION, Connection, Topics};
pub use self::error::{BundleError, NotValidNow};
use self::files::Files;

/// The start of 2025 as Unix time in seconds. No certificate of a bundle is older, so an earlier time means that the clock has
/// not been set.
const CLOCK_NOT_SET: u64 = 1_735_689_600;

/// A bundle that has been checked and can be used.
#[derive(Clone)]
pub struct Bundle {
    /// The content of `connection.json`.
    pub connection: Connection,
    /// The SHA-256 hash of the certificate, which is its id in the AWS IoT registry.
    pub certificate_id: CertificateId,
    /// The device model of the maker, in TOML.
    pub device_model: Option<String>,
    /// The start of the validity of the certificate, as Unix time in seconds.
    pub not_before: u64,
    /// The end of the validity of the certificate, as Unix time in seconds.
    pub not_after: u64,
    /// The TLS configuration with the certificate and the key. It trusts the roots of the bundle only.
    pub(crate) tls: Arc<ClientConfig>,
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle").field("connection", &self.connection).field("key", &"redacted").finish()
    }
}

impl Bundle {
    /// Opens a zip.
    pub fn open(zip: &[u8]) -> Result<Self, BundleError> {
        Self::from_files(&Files::from_zip(zip)?)
    }

    /// Checks the files of a bundle.
    pub fn from_files(files: &Files) -> Result<Self, BundleError> {
        let connection = files.connection()?;
        let roots = roots(files, &connection)?;
        let chain = certificates(files, &connection.certificate)?;
        let unreadable = || BundleError::NotPem(connection.certificate.clone(), "certificate");
        let leaf = chain.first().ok_or_else(unreadable)?;
        let certificate_id = CertificateId::of(leaf);
        if connection.certificate_id.as_ref().is_some_and(|id| !id.eq_ignore_ascii_case(certificate_id.as_str())) {
            return Err(BundleError::Mixed(connection.certificate.clone()));
        }
        let read = x509_cert::Certificate::from_der(leaf).map_err(|_| unreadable())?;
        let validity = read.tbs_certificate().validity();
        let (not_before, not_after) = (validity.not_before.to_unix_duration().as_secs(), validity.not_after.to_unix_duration().as_secs());
        let key = key(files, &connection.private_key)?;
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|_| BundleError::Identity)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(|_| BundleError::Identity)?;
        let device_model = device_model(files, &connection);
        Ok(Self { connection, certificate_id, device_model, not_before, not_after, tls: Arc::new(tls) })
    }

    /// Whether the certificate is valid at this time, as Unix time in seconds.
    pub fn is_valid_at(&self, now: u64) -> Result<(), NotValidNow> {
        if now < CLOCK_NOT_SET {
            Err(NotValidNow::Clock(now))
        } else if now < self.not_before {
            Err(NotValidNow::NotYet { from: self.not_before, now })
        } else if now > self.not_after {
            Err(NotValidNow::Expired(self.not_after))
        } else {
            Ok(())
        }
    }
}

/// The root certificates that the server is verified with. A root that cannot be used is skipped if there is another one.
fn roots(files: &Files, connection: &Connection) -> Result<RootCertStore, BundleError> {
    let mut roots = RootCertStore::empty();
    for name in connection.roots() {
        match certificates(files, name) {
            Ok(certificates) => drop(roots.add_parsable_certificates(certificates)),
            Err(BundleError::NotPem(..)) => {}
            Err(error) => return Err(error),
        }
    }
    if roots.is_empty() { Err(BundleError::Roots) } else { Ok(roots) }
}

/// The text of the device model, not parsed. Invalid UTF-8 is replaced, so that the parser of the model reports the error.
fn device_model(files: &Files, connection: &Connection) -> Option<String> {
    let content = files.content(connection.device_model.as_ref()?).ok()?;
    Some(String::from_utf8_lossy(content).into_owned())
}

/// Copies the device model of the former files to the new files, if both are of the same thing and the new files have no model.
pub(crate) fn keep_device_model(former: &Files, files: &mut Files) -> Result<(), BundleError> {
    let (before, now) = (former.connection()?, files.connection()?);
    let Some(name) = before.device_model.filter(|_| before.thing_name == now.thing_name && now.device_model.is_none()) else {
        return Ok(());
    };
    files.insert(&name, former.content(&name)?.to_vec())?;
    files.amend(|connection| drop(connection.insert("deviceModel".to_owned(), name.into())))
}

pub(crate) fn certificates(files: &Files, name: &str) -> Result<Vec<CertificateDer<'static>>, BundleError> {
    let pem = files.content(name)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ if is_cut_off(pem) => Err(BundleError::CutOff(name.to_owned())),
        _ => Err(BundleError::NotPem(name.to_owned(), "certificate")),
    }
}

/// The certificate in PEM and its private key.
pub(crate) fn identity<'a>(files: &'a Files, connection: &Connection) -> Result<(&'a [u8], PrivateKeyDer<'static>), BundleError> {
    Ok((files.content(&connection.certificate)?, key(files, &connection.private_key)?))
}

fn key(files: &Files, name: &str) -> Result<PrivateKeyDer<'static>, BundleError> {
    let pem = files.content(name)?;
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| match is_cut_off(pem) {
        true => BundleError::CutOff(name.to_owned()),
        false => BundleError::NotPem(name.to_owned(), "private key"),
    })
}

/// Whether a PEM section has a beginning and no end (RFC 7468).
fn is_cut_off(pem: &[u8]) -> bool {
    let count = |mark: &[u8]| pem.windows(mark.len()).filter(|window| *window == mark).count();
    let is_whole = pem.trim_ascii_end().ends_with(b"-----") && count(b"-----END ") >= count(b"-----BEGIN ").max(1);
    pem.starts_with(b"-----") && !is_whole
}

#[cfg(test)]
#[path = "bundle_tests.rs"]
mod tests;
