//! The bundle, as a device opens it: its files become where to connect and as whom.
//!
//! A key that does not belong to the certificate, or a certificate that is not the one `connection.json` speaks of, is found
//! here and not by the first handshake. The private key goes straight into the TLS configuration, and nothing here prints
//! it. The server's certificate is always checked, and there is nothing to switch that off with.

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
pub use self::error::{BundleError, Untimely};
use self::files::Files;

/// No certificate of ours is older than 2025: a clock that says less has not been set.
const CLOCK_NOT_SET: u64 = 1_735_689_600;

/// A bundle that can be used.
#[derive(Clone)]
pub struct Bundle {
    /// Where and as whom.
    pub connection: Connection,
    /// SHA-256 of the certificate, by which the registry knows it.
    pub certificate_id: CertificateId,
    /// What the maker says that the device is and does, in TOML.
    pub device_model: Option<String>,
    /// When the certificate's time begins, in seconds since the epoch.
    pub not_before: u64,
    /// When it ends.
    pub not_after: u64,
    /// With certificate and key, trusting the bundle's roots and no others.
    pub(crate) tls: Arc<ClientConfig>,
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle").field("connection", &self.connection).field("key", &"redacted").finish()
    }
}

impl Bundle {
    /// Opens the zip.
    pub fn open(zip: &[u8]) -> Result<Self, BundleError> {
        Self::from_files(&Files::from_zip(zip)?)
    }

    /// Opens the files.
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

    /// Whether the certificate may be used at this time, in seconds since the epoch.
    pub fn is_valid_at(&self, now: u64) -> Result<(), Untimely> {
        if now < CLOCK_NOT_SET {
            Err(Untimely::Clock(now))
        } else if now < self.not_before {
            Err(Untimely::NotYet { from: self.not_before, now })
        } else if now > self.not_after {
            Err(Untimely::Expired(self.not_after))
        } else {
            Ok(())
        }
    }
}

/// The certificates by which the server is known. A root that TLS cannot use may stand beside one that it can.
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

/// The device model. What is no text is left to whoever reads the model.
fn device_model(files: &Files, connection: &Connection) -> Option<String> {
    let content = files.content(connection.device_model.as_ref()?).ok()?;
    Some(String::from_utf8_lossy(content).into_owned())
}

/// Puts the device model of a thing's former files beside its new ones, where these bring none.
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

/// The certificate in PEM, and its key.
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

/// Whether a section of PEM begins and does not end (RFC 7468).
fn is_cut_off(pem: &[u8]) -> bool {
    let count = |mark: &[u8]| pem.windows(mark.len()).filter(|window| *window == mark).count();
    let is_whole = pem.trim_ascii_end().ends_with(b"-----") && count(b"-----END ") >= count(b"-----BEGIN ").max(1);
    pem.starts_with(b"-----") && !is_whole
}

#[cfg(test)]
#[path = "bundle_tests.rs"]
mod tests;
