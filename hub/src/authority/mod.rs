//! The certificate authority of the hub: its roots, the certificates that it issues, and the replacement of a root.
//!
//! Device certificates are like those of `CreateKeysAndCertificate` in AWS IoT: an RSA key of 2,048 bits, the private key as
//! PKCS#1, the common name `AWS IoT Certificate`, by default valid until the end of 2049, and the SHA-256 of the DER form as the
//! certificate id. So a program that reads a bundle of AWS also reads a bundle of the hub. A device with its own key sends a
//! certificate request, as for `CreateCertificateFromCsr`.
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/x509-client-certs.html>)
//!
//! As in AWS IoT, the [`server`] presents an ECDSA certificate, or an RSA certificate under an RSA root to clients that support
//! only RSA.
//!
//! The root is kept in a [`folder`] and can be replaced. The old root issues a cross certificate for the new one, so a device
//! that trusts the old root still accepts the [`server`]. Device certificates of an old root are still accepted. The key of a
//! root never leaves the folder, and no certificate is valid for longer than the root that issued it.

pub mod folder;
pub mod root;
pub mod server;

mod durable;

use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use onething::certificate::{Certificate, IssuedCertificate};
use onething::identifiers::CertificateId;
use onething::registry::A_DAY;
use onething::registry::signing_request::{CertificateRequest, RequestFault};
use onething::secrets::PrivateKey;
use pkcs8::PrivateKeyInfoRef;
use pkcs8::der::Decode;
use pkcs8::der::pem::{LineEnding, encode_string};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256,
    SubjectPublicKeyInfo,
};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use thiserror::Error;
use zeroize::Zeroizing;

use self::folder::Folder;
use self::root::{Root, RootFault};

/// 2049-12-31T23:59:59Z as Unix time in seconds: the end of the validity of certificates that AWS IoT issues.
const FOREVER: u64 = 2_524_607_999;

/// Why an authority is not available, or why it did not issue a certificate.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// A key could not be generated, or a certificate could not be signed.
    #[error("a certificate could not be made")]
    Certificate(#[from] rcgen::Error),
    /// A private key could not be converted to PKCS#1.
    #[error("a private key could not be written as PKCS#1")]
    Key(#[source] pkcs8::der::Error),
    /// A certificate could not be encoded as DER.
    #[error("a certificate could not be written")]
    Encoding(#[source] pkcs8::der::Error),
    /// The operating system returned no random bytes.
    #[error("there is no randomness for a serial number")]
    Randomness(#[source] getrandom::Error),
    /// The time is before 1970 or after 9999.
    #[error("the clock is off")]
    Clock,
    /// The root certificate has expired, so it cannot issue a valid certificate.
    #[error("the root certificate has expired; replace it")]
    RootExpired,
    /// The certificate request is not valid or not supported.
    #[error("the certificate request is refused")]
    Request(#[from] RequestFault),
    /// A name of the server is neither a host name nor an IP address.
    #[error("{0:?} is neither a host name nor an IP address")]
    Name(String),
    /// The certificates or the roots are not accepted by the TLS library.
    #[error("the TLS server could not be set up")]
    Tls(#[source] rustls::Error),
    /// The folder or a file in it cannot be read or written.
    #[error("{} cannot be used", .0.display())]
    Folder(PathBuf, #[source] std::io::Error),
    /// Others than the owner may write to the folder. They could replace the root by their own.
    #[error("others than its owner may write to the folder {dir}; say: chmod go-w {dir}", dir = .0.display())]
    FolderOpen(PathBuf),
    /// Others than the owner may read the key. They could issue certificates.
    #[error("others than its owner may read the key {key}; say: chmod 600 {key}", key = .0.display())]
    KeyExposed(PathBuf),
    /// There is a root certificate, and its key file is missing.
    #[error("the key {} is missing: put it back, or take away the root certificate beside it for a new authority", .0.display())]
    KeyMissing(PathBuf),
    /// The key file is not in PEM, is encrypted, or has an unknown algorithm.
    #[error("{} is not a private key in PEM", .0.display())]
    KeyUnreadable(PathBuf),
    /// The root certificate in the folder is not suitable as a root.
    #[error("{} cannot be the root", .0.display())]
    Root(PathBuf, #[source] RootFault),
    /// The root may not issue a cross certificate for a new root, because its path length constraint forbids it.
    #[error("the root does not allow a certificate authority below it, so it cannot vouch for a new root")]
    NoSuccessor,
}

/// A certificate authority: it issues device certificates, and certificates of the hub's own server.
pub struct Authority {
    /// The roots that issue device certificates, and the server certificate that most devices see.
    line: Line,
    /// The roots for the server certificate that clients with only RSA support see. `None` if `line` is of an operator's RSA
    /// root, which then serves both.
    rsa: Option<Line>,
    /// The validity of device certificates, in seconds. It ends at [`FOREVER`] at the latest.
    lifetime: u64,
}

/// A root and its predecessors.
struct Line {
    root: Root,
    /// The former roots, the newest first.
    former: Vec<CertificateDer<'static>>,
    /// The cross certificates that each former root issued for its successor, the newest first.
    crosses: Vec<CertificateDer<'static>>,
}

impl Line {
    /// A line with a new root, which has no predecessor.
    fn begun(key: KeyPair, now: u64) -> Result<Self, AuthorityError> {
        Ok(Self { root: Root::make(key, now)?, former: Vec::new(), crosses: Vec::new() })
    }

    /// The line with a new root, for which the current root issues a cross certificate.
    fn followed_by(&self, key: KeyPair, now: u64) -> Result<Self, AuthorityError> {
        let root = Root::make(key, now)?;
        let cross = self.root.vouch_for(&root, now)?;
        let former = [self.root.certificate()].into_iter().chain(&self.former).cloned().collect();
        let crosses = [&cross].into_iter().chain(&self.crosses).cloned().collect();
        Ok(Self { root, former, crosses })
    }

    /// All certificates in PEM, in the format of [`folder`].
    fn certificates_pem(&self) -> String {
        let certificates = [self.root.certificate()].into_iter().chain(&self.crosses).chain(&self.former);
        certificates.map(|der| pem(der)).collect()
    }
}

fn ecdsa_key() -> Result<KeyPair, AuthorityError> {
    Ok(KeyPair::generate()?)
}

/// Generates an RSA key. This takes a tenth of a second or more, so an async task must not call it.
fn rsa_key() -> Result<KeyPair, AuthorityError> {
    Ok(KeyPair::generate_for(&PKCS_RSA_SHA256)?)
}

impl Authority {
    /// Creates an authority with new keys in memory. `now` is a Unix time in seconds.
    pub fn new(now: u64) -> Result<Self, AuthorityError> {
        let (line, rsa) = (Line::begun(ecdsa_key()?, now)?, Line::begun(rsa_key()?, now)?);
        Ok(Self { line, rsa: Some(rsa), lifetime: FOREVER })
    }

    /// Opens the authority in a folder, or creates it there. [`folder`] describes the files. `now` is a Unix time in seconds.
    pub fn open(dir: &Path, now: u64) -> Result<Self, AuthorityError> {
        Folder::open(dir)?.authority(now)
    }

    /// Reads the authority in a folder. `None` if there is no authority. Creates no files; a lock file of the first use is
    /// deleted again.
    pub fn look(dir: &Path, now: u64) -> Result<Option<Self>, AuthorityError> {
        if !dir.join(folder::CERTIFICATES).exists() {
            return Ok(None);
        }
        let lock = dir.join(folder::LOCK);
        let is_used = lock.exists();
        let authority = Folder::open(dir).and_then(|folder| folder.authority_as_it_is(now));
        if !is_used {
            // A lock file that stays would look like a used authority to a later start.
            let _ = std::fs::remove_file(lock);
        }
        authority.map(Some)
    }

    /// Sets the validity of device certificates, in days.
    pub fn for_days(self, days: u32) -> Self {
        Self { lifetime: u64::from(days) * A_DAY, ..self }
    }

    /// Replaces the roots of the authority in a folder. A hub that runs on this folder uses them after its next start.
    pub fn replace(dir: &Path, now: u64) -> Result<Self, AuthorityError> {
        let folder = Folder::open(dir)?;
        let new = folder.authority(now)?.succeeded(now)?;
        folder.replace(&new)?;
        Ok(new)
    }

    fn succeeded(self, now: u64) -> Result<Self, AuthorityError> {
        let line = self.line.followed_by(ecdsa_key()?, now)?;
        let rsa = self.by_rsa().followed_by(rsa_key()?, now)?;
        Ok(Self { line, rsa: Some(rsa), lifetime: self.lifetime })
    }

    /// The roots of the server certificate for clients that support only RSA.
    fn by_rsa(&self) -> &Line {
        self.rsa.as_ref().unwrap_or(&self.line)
    }

    /// The roots whose device certificates are accepted: the current root and all former roots.
    fn trusted(&self) -> Result<RootCertStore, AuthorityError> {
        let mut trusted = RootCertStore::empty();
        for root in [self.line.root.certificate()].into_iter().chain(&self.line.former) {
            trusted.add(root.clone()).map_err(AuthorityError::Tls)?;
        }
        Ok(trusted)
    }

    /// The root certificate that issues device certificates, in PEM.
    pub fn root_pem(&self) -> String {
        pem(self.line.root.certificate())
    }

    /// The root certificates that devices need to verify the hub, in PEM, the RSA root last. New bundles contain them.
    pub fn roots_pem(&self) -> String {
        let rsa = self.rsa.as_ref().map(|line| pem(line.root.certificate()));
        [self.root_pem()].into_iter().chain(rsa).collect()
    }

    /// The end of the validity of a certificate that is issued at `now`.
    fn end(&self, now: u64) -> u64 {
        now.saturating_add(self.lifetime).min(FOREVER)
    }

    /// Issues a certificate with a new RSA key. Generating the key takes a tenth of a second or more, so an async task must not
    /// call this.
    pub fn issue(&self, now: u64) -> Result<Certificate, AuthorityError> {
        let key = Zeroizing::new(KeyPair::generate_for(&PKCS_RSA_SHA256)?);
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, "AWS IoT Certificate");
        let certificate = self.line.root.sign(device(name), &*key, now, self.end(now))?;
        Ok(Certificate {
            id: CertificateId::of(certificate.der()),
            pem: pem(certificate.der()),
            public_key: key.public_key_pem(),
            private_key: PrivateKey::new(pkcs1(key.serialized_der()).map_err(AuthorityError::Key)?),
        })
    }

    /// Issues a certificate for the key in a certificate request (PKCS#10 in PEM). As in AWS IoT, the same request results in
    /// another certificate each time.
    pub fn issue_for(&self, csr_pem: &str, now: u64) -> Result<IssuedCertificate, AuthorityError> {
        self.issue_for_request(&CertificateRequest::parse(csr_pem)?, now)
    }

    /// Issues a certificate for a parsed request. As in AWS IoT, the certificate takes the subject and the key from the request,
    /// and ignores requested extensions.
    pub fn issue_for_request(&self, request: &CertificateRequest, now: u64) -> Result<IssuedCertificate, AuthorityError> {
        let key = SubjectPublicKeyInfo::from_der(request.public_key())?;
        let certificate = self.line.root.sign_as(request.subject(), device(DistinguishedName::new()), &key, now, self.end(now))?;
        Ok(IssuedCertificate { id: CertificateId::of(&certificate), pem: pem(&certificate) })
    }
}

/// The parameters of a device certificate.
fn device(subject: DistinguishedName) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// A certificate in PEM.
fn pem(der: &CertificateDer<'_>) -> String {
    let wrapped = BASE64_STANDARD.encode(der);
    let lines = wrapped.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let body: String = lines.flat_map(|line| [line, "\n".into()]).collect();
    format!("-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n")
}

/// Extracts the PKCS#1 key from the octet string in which PKCS#8 wraps it (RFC 5208).
fn pkcs1(pkcs8: &[u8]) -> Result<String, pkcs8::der::Error> {
    let wrapped = PrivateKeyInfoRef::from_der(pkcs8)?;
    Ok(encode_string("RSA PRIVATE KEY", LineEnding::LF, wrapped.private_key.as_bytes())?)
}

#[cfg(test)]
#[path = "authority_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "request_tests.rs"]
mod request_tests;
