//! The bundle, as a device opens it: the zip out of the mail becomes where to connect and as whom.
//!
//! The zip is input like any other: nothing of it is unpacked to a disk, every size is bounded, and a key that
//! does not belong to the certificate is found here and not by the first handshake. The private key goes
//! straight into the TLS configuration, and nothing here prints it.

use std::fmt;
use std::io::{Cursor, Read};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use thiserror::Error;
use zeroize::Zeroizing;
use zip::ZipArchive;

/// A bundle has some 12 KB.
const ZIP_LIMIT: usize = 256 * 1024;
const FILE_LIMIT: u64 = 64 * 1024;
const FILES_LIMIT: usize = 32;
const ROOTS_LIMIT: usize = 8;
const VERSION: u64 = 1;

/// Why a bundle cannot be used.
#[derive(Debug, Error)]
pub enum BundleError {
    /// The zip, a file in it, or their number is beyond all measure.
    #[error("the bundle is too large")]
    TooLarge,
    /// Not a zip, or a broken one.
    #[error("the bundle is not a zip that can be read")]
    NotAZip,
    /// A file that the bundle should hold, or that `connection.json` names.
    #[error("the bundle has no {0}")]
    Missing(String),
    /// A file whose content cannot be read: compressed, encrypted or broken.
    #[error("{0} in the bundle cannot be read")]
    Unreadable(String),
    /// `connection.json` does not say what it should.
    #[error("connection.json does not say how to connect")]
    Connection(#[source] serde_json::Error),
    /// A bundle of another time.
    #[error("the bundle has version {0}, and this device knows version {VERSION}")]
    Version(u64),
    /// No root by which to know the server.
    #[error("the bundle holds no root certificate")]
    Roots,
    /// No certificate, no key, or not a pair.
    #[error("certificate and private key in the bundle are no pair that can be used")]
    Identity,
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
    /// The topics of the thing's shadow.
    pub topics: Topics,
}

/// The topics of a classic shadow, by the device's use of them.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
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

/// A bundle that can be used.
#[derive(Clone)]
pub struct Bundle {
    /// Where and as whom.
    pub connection: Connection,
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
        if zip.len() > ZIP_LIMIT {
            return Err(BundleError::TooLarge);
        }
        let mut files = ZipArchive::new(Cursor::new(zip)).map_err(|_| BundleError::NotAZip)?;
        if files.len() > FILES_LIMIT {
            return Err(BundleError::TooLarge);
        }
        let connection = read(&mut files, "connection.json")?;
        let connection: Connection = serde_json::from_slice(&connection).map_err(BundleError::Connection)?;
        if connection.version != VERSION {
            return Err(BundleError::Version(connection.version));
        }
        let tls = Arc::new(tls(&mut files, &connection)?);
        Ok(Self { connection, tls })
    }
}

type Files<'a> = ZipArchive<Cursor<&'a [u8]>>;

fn read(files: &mut Files<'_>, name: &str) -> Result<Zeroizing<Vec<u8>>, BundleError> {
    let number = files.index_for_name(name).ok_or_else(|| BundleError::Missing(name.to_owned()))?;
    let unreadable = || BundleError::Unreadable(name.to_owned());
    let file = files.by_index(number).map_err(|_| unreadable())?;
    // The size is what the zip says of itself; what is read is bounded all the same.
    if file.size() > FILE_LIMIT {
        return Err(BundleError::TooLarge);
    }
    let mut content = Zeroizing::new(Vec::with_capacity(4096));
    file.take(FILE_LIMIT + 1).read_to_end(&mut content).map_err(|_| unreadable())?;
    if content.len() as u64 > FILE_LIMIT { Err(BundleError::TooLarge) } else { Ok(content) }
}

fn tls(files: &mut Files<'_>, connection: &Connection) -> Result<ClientConfig, BundleError> {
    let mut roots = RootCertStore::empty();
    for name in connection.root_cas.iter().take(ROOTS_LIMIT) {
        let pem = read(files, name)?;
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
    }
    if roots.is_empty() {
        return Err(BundleError::Roots);
    }
    let chain = read(files, &connection.certificate)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
    let chain = chain.map_err(|_| BundleError::Identity)?;
    let key = PrivateKeyDer::from_pem_slice(&read(files, &connection.private_key)?).map_err(|_| BundleError::Identity)?;
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| BundleError::Identity)?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|_| BundleError::Identity)
}

#[cfg(test)]
#[path = "bundle_tests.rs"]
mod tests;
