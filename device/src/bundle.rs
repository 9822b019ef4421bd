//! The bundle, as a device opens it: its files become where to connect and as whom.
//!
//! A key that does not belong to the certificate, or a certificate that is not the one `connection.json` speaks of, is found
//! here and not by the first handshake. The private key goes straight into the TLS configuration, and nothing here prints
//! it. The server's certificate is always checked, and there is nothing to switch that off with.

use std::fmt;
use std::sync::Arc;

use onething::thing::CertificateId;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use x509_cert::der::Decode;

use crate::clock;
use crate::files::{CONNECTION, Files};

const VERSION: u64 = 1;
/// Of more roots the last are not read.
const ROOTS_LIMIT: usize = 8;
/// No certificate of ours is older than 2025: a clock that says less has not been set.
const CLOCK_NOT_SET: u64 = 1_735_689_600;

/// Why a bundle cannot be used.
#[derive(Debug, Error)]
pub enum BundleError {
    /// The zip, a file in it, or their number is beyond all measure.
    #[error("the bundle is too large")]
    TooLarge,
    /// Not a zip, or a broken one.
    #[error("the bundle is not a zip that can be read: save it again out of the mail")]
    NotAZip,
    /// A file that the bundle should hold, or that `connection.json` names.
    #[error("the bundle has no {0}")]
    Missing(String),
    /// A file name that leads somewhere else, or may do so on another system.
    #[error("connection.json names a file {0:?}, which is no plain name")]
    Name(String),
    /// Two of them in one zip.
    #[error("the zip has more than one connection.json: which bundle is meant? Pack one alone")]
    Several,
    /// The zip itself was packed.
    #[error("the bundle has no connection.json but another zip in it, {0}: unpack that one, and use it")]
    ZipInZip(String),
    /// A file that the disk does not give.
    #[error("{0} in the bundle cannot be read")]
    Unreadable(String),
    /// A file that needs a password.
    #[error("{0} in the bundle is encrypted: pack it without a password, or take the zip out of the mail")]
    Encrypted(String),
    /// A file that is neither stored nor deflated.
    #[error("{0} in the bundle is packed by a method that is not known here: pack an ordinary zip, or take the one out of the mail")]
    Compression(String),
    /// A file that does not unpack to what was packed.
    #[error("{0} in the bundle is damaged: save the zip again out of the mail")]
    Damaged(String),
    /// A file with nothing in it.
    #[error("{0} is empty")]
    Empty(String),
    /// A file that ends too early.
    #[error("{0} is cut off: its end is missing")]
    CutOff(String),
    /// A file that should hold a certificate or a key, and does not.
    #[error("{0} holds no {1} that can be read")]
    NotPem(String, &'static str),
    /// `connection.json` does not say what it should.
    #[error("connection.json does not say how to connect")]
    Connection(#[source] serde_json::Error),
    /// A bundle of another time.
    #[error("the bundle has version {0}, and this device knows version {VERSION}")]
    Version(u64),
    /// No root by which to know the server.
    #[error("the bundle holds no root certificate")]
    Roots,
    /// Not a pair, or nothing that TLS can use.
    #[error("certificate and private key in the bundle are no pair that can be used")]
    Identity,
    /// Files of two bundles.
    #[error("{0} is not the certificate that connection.json speaks of: the files are of two bundles, or of another thing")]
    Mixed(String),
}

/// Why a bundle cannot be used at a time.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Untimely {
    /// The clock of the device was never set.
    #[error("the clock of this device says {}; set it first", clock::date(*.0))]
    Clock(u64),
    /// Too early: a clock that is wrong, most likely.
    #[error("the certificate is not valid before {}, and the clock of this device says {}", clock::moment(*.from), clock::moment(*.now))]
    NotYet {
        /// When its time begins.
        from: u64,
        /// What the clock says.
        now: u64,
    },
    /// Too late.
    #[error("the certificate expired on {}", clock::date(*.0))]
    Expired(u64),
}

/// `connection.json`: everything a client needs to know.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    version: u64,
    /// The thing.
    pub thing_name: String,
    /// The MQTT client id.
    pub client_id: String,
    /// The certificate's id, which the device reports. Bundles of foreign make may lack it.
    pub certificate_id: Option<String>,
    /// Host.
    pub endpoint: String,
    /// MQTT over mutual TLS.
    pub port: u16,
    certificate: String,
    private_key: String,
    root_cas: Vec<String>,
    /// The file with the device model, if there is one.
    device_model: Option<String>,
    /// The URL at which devices register themselves, if the bundle knows it.
    pub register: Option<String>,
    /// The topics of the thing's shadow.
    pub topics: Topics,
}

/// The topics of a classic shadow, by the device's use of them.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Topics {
    /// Asks for the shadow.
    pub get: String,
    /// The shadow.
    pub get_accepted: String,
    /// There is none, or it could not be read.
    pub get_rejected: String,
    /// Reports.
    pub update: String,
    /// A report was taken.
    pub update_accepted: String,
    /// A report was refused.
    pub update_rejected: String,
    /// What is desired and not reported.
    pub update_delta: String,
}

impl Connection {
    /// Reads `connection.json`.
    pub(crate) fn read(json: &[u8]) -> Result<Self, BundleError> {
        let connection: Self = serde_json::from_slice(json).map_err(|error| match error.is_eof() {
            true => BundleError::CutOff(CONNECTION.to_owned()),
            false => BundleError::Connection(error),
        })?;
        if connection.version == VERSION { Ok(connection) } else { Err(BundleError::Version(connection.version)) }
    }

    /// Reads the one among files.
    pub(crate) fn of(files: &Files) -> Result<Self, BundleError> {
        Self::read(files.content(CONNECTION)?)
    }

    /// The other files.
    pub(crate) fn file_names(&self) -> impl Iterator<Item = &str> {
        [&self.certificate, &self.private_key].into_iter().chain(self.roots()).chain(&self.device_model).map(String::as_str)
    }

    fn roots(&self) -> impl Iterator<Item = &String> {
        self.root_cas.iter().take(ROOTS_LIMIT)
    }
}

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
        let connection = Connection::of(files)?;
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
    let (before, now) = (Connection::of(former)?, Connection::of(files)?);
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
