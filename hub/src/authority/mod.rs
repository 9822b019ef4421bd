//! The hub's own certificate authority: a root, what it issues, and how it is followed by another.
//!
//! Device certificates are like those of AWS IoT's `CreateKeysAndCertificate`: RSA of 2,048 bits, the private
//! key as PKCS#1, the name `AWS IoT Certificate`, good until the end of 2049 where nothing else is asked for, with the SHA-256 of the DER
//! form as their id. So whatever reads a bundle of AWS reads one of the hub. Who makes their own key gets a
//! certificate for it by a request, as of `CreateCertificateFromCsr`.
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/x509-client-certs.html>)
//!
//! The [`server`] shows a certificate of ECDSA, or one of RSA under a root of RSA to devices that know nothing else, as AWS IoT does.
//!
//! A root is kept in a [`folder`] and may be replaced. The new root is vouched for by the old one, so a device that
//! knows the old one still knows the [`server`]; and what an old root issued is still admitted. A root's key never
//! leaves the folder, and no certificate outlives the root that issued it.

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

/// 2049-12-31T23:59:59Z, in seconds since the epoch: the end of what AWS IoT issues.
const FOREVER: u64 = 2_524_607_999;

/// Why there is no authority, or no certificate.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// A key or a signature.
    #[error("a certificate could not be made")]
    Certificate(#[from] rcgen::Error),
    /// The key's form.
    #[error("a private key could not be written as PKCS#1")]
    Key(#[source] pkcs8::der::Error),
    /// The certificate's form.
    #[error("a certificate could not be written")]
    Encoding(#[source] pkcs8::der::Error),
    /// The system gave no randomness.
    #[error("there is no randomness for a serial number")]
    Randomness(#[source] getrandom::Error),
    /// Before 1970 or after 9999.
    #[error("the clock is off")]
    Clock,
    /// The root has come to its end: what it issued now would be good for nothing.
    #[error("the root certificate has expired; replace it")]
    RootExpired,
    /// What asks for a certificate gets none.
    #[error("the certificate request is refused")]
    Request(#[from] RequestFault),
    /// No host name and no IP address.
    #[error("{0:?} is neither a host name nor an IP address")]
    Name(String),
    /// The parts do not make a TLS server.
    #[error("the TLS server could not be set up")]
    Tls(#[source] rustls::Error),
    /// The folder or a file of it cannot be read or written.
    #[error("{} cannot be used", .0.display())]
    Folder(PathBuf, #[source] std::io::Error),
    /// Who may change the folder may put in a root of their own.
    #[error("others than its owner may write to the folder {dir}; say: chmod go-w {dir}", dir = .0.display())]
    FolderOpen(PathBuf),
    /// Who may read the key may issue certificates.
    #[error("others than its owner may read the key {key}; say: chmod 600 {key}", key = .0.display())]
    KeyExposed(PathBuf),
    /// A root without its key.
    #[error("the key {} is missing: put it back, or take away the root certificate beside it for a new authority", .0.display())]
    KeyMissing(PathBuf),
    /// Not in PEM, encrypted, or of a kind that is not known.
    #[error("{} is not a private key in PEM", .0.display())]
    KeyUnreadable(PathBuf),
    /// The root of the folder is no root.
    #[error("{} cannot be the root", .0.display())]
    Root(PathBuf, #[source] RootFault),
    /// A new root is vouched for by the old one, and this one may not.
    #[error("the root does not allow a certificate authority below it, so it cannot vouch for a new root")]
    NoSuccessor,
}

/// Issues certificates.
pub struct Authority {
    /// By these the certificates of devices are issued and the hub is known.
    line: Line,
    /// By these the hub is known to devices that know nothing but RSA. There are none where an operator's own root is of RSA.
    rsa: Option<Line>,
    /// For how long device certificates are good, in seconds.
    lifetime: u64,
}

/// Roots that follow each other.
struct Line {
    root: Root,
    /// The roots before this one, the newest first.
    former: Vec<CertificateDer<'static>>,
    /// For each root the certificate that the one before it gave it, the newest first.
    crosses: Vec<CertificateDer<'static>>,
}

impl Line {
    /// The first of its line.
    fn begun(key: KeyPair, now: u64) -> Result<Self, AuthorityError> {
        Ok(Self { root: Root::make(key, now)?, former: Vec::new(), crosses: Vec::new() })
    }

    /// The same line with another root at its end.
    fn followed_by(&self, key: KeyPair, now: u64) -> Result<Self, AuthorityError> {
        let root = Root::make(key, now)?;
        let cross = self.root.vouch_for(&root, now)?;
        let former = [self.root.certificate()].into_iter().chain(&self.former).cloned().collect();
        let crosses = [&cross].into_iter().chain(&self.crosses).cloned().collect();
        Ok(Self { root, former, crosses })
    }

    /// The certificates in PEM, as [`folder`] keeps them.
    fn certificates_pem(&self) -> String {
        let certificates = [self.root.certificate()].into_iter().chain(&self.crosses).chain(&self.former);
        certificates.map(|der| pem(der)).collect()
    }
}

fn ecdsa_key() -> Result<KeyPair, AuthorityError> {
    Ok(KeyPair::generate()?)
}

/// It takes a tenth of a second and more: this is nothing for an async task.
fn rsa_key() -> Result<KeyPair, AuthorityError> {
    Ok(KeyPair::generate_for(&PKCS_RSA_SHA256)?)
}

impl Authority {
    /// A new authority in memory, with keys of its own. `now` is in seconds since the epoch.
    pub fn new(now: u64) -> Result<Self, AuthorityError> {
        let (line, rsa) = (Line::begun(ecdsa_key()?, now)?, Line::begun(rsa_key()?, now)?);
        Ok(Self { line, rsa: Some(rsa), lifetime: FOREVER })
    }

    /// The authority in a folder, which is made when it is not there. What is to lie there, [`folder`] says.
    pub fn open(dir: &Path, now: u64) -> Result<Self, AuthorityError> {
        Folder::open(dir)?.authority(now)
    }

    /// The authority in a folder, where there is one; nothing is made, not even the lock of a first use.
    pub fn look(dir: &Path, now: u64) -> Result<Option<Self>, AuthorityError> {
        if !dir.join(folder::CERTIFICATES).exists() {
            return Ok(None);
        }
        let lock = dir.join(folder::LOCK);
        let is_used = lock.exists();
        let authority = Folder::open(dir).and_then(|folder| folder.authority_as_it_is(now));
        if !is_used {
            // One that stays would only make a later start ask a question.
            let _ = std::fs::remove_file(lock);
        }
        authority.map(Some)
    }

    /// The same, and from now on its device certificates are good for so many days.
    pub fn for_days(self, days: u32) -> Self {
        Self { lifetime: u64::from(days) * A_DAY, ..self }
    }

    /// Gives the authority in a folder new roots. A hub that runs on this folder takes them up at its next start.
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

    /// The roots by which devices know the hub that know nothing but RSA.
    fn by_rsa(&self) -> &Line {
        self.rsa.as_ref().unwrap_or(&self.line)
    }

    /// The roots whose device certificates are admitted: this one and all before it.
    fn trusted(&self) -> Result<RootCertStore, AuthorityError> {
        let mut trusted = RootCertStore::empty();
        for root in [self.line.root.certificate()].into_iter().chain(&self.line.former) {
            trusted.add(root.clone()).map_err(AuthorityError::Tls)?;
        }
        Ok(trusted)
    }

    /// The root certificate in PEM by which devices' certificates are issued.
    pub fn root_pem(&self) -> String {
        pem(self.line.root.certificate())
    }

    /// The root certificates in PEM by which devices know the hub, that of RSA last: what goes into new bundles.
    pub fn roots_pem(&self) -> String {
        let rsa = self.rsa.as_ref().map(|line| pem(line.root.certificate()));
        [self.root_pem()].into_iter().chain(rsa).collect()
    }

    /// The end of what is issued now.
    fn end(&self, now: u64) -> u64 {
        now.saturating_add(self.lifetime).min(FOREVER)
    }

    /// Issues a certificate with a new key. An RSA key takes a tenth of a second and more: this is nothing
    /// for an async task.
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

    /// Issues a certificate for the key in a certificate request (PKCS#10 in PEM). The same request again gives another
    /// certificate, as with AWS.
    pub fn issue_for(&self, csr_pem: &str, now: u64) -> Result<IssuedCertificate, AuthorityError> {
        self.issue_requested(&CertificateRequest::parse(csr_pem)?, now)
    }

    /// Issues a certificate for a request that was read. Of what it asks for, only the name is granted, as with AWS: extensions are the
    /// authority's own business.
    pub fn issue_requested(&self, request: &CertificateRequest, now: u64) -> Result<IssuedCertificate, AuthorityError> {
        let key = SubjectPublicKeyInfo::from_der(request.public_key())?;
        let certificate = self.line.root.sign_as(request.subject(), device(DistinguishedName::new()), &key, now, self.end(now))?;
        Ok(IssuedCertificate { id: CertificateId::of(&certificate), pem: pem(&certificate) })
    }
}

/// What a device certificate says, whoever made the key.
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

/// PKCS#8 wraps an RSA key of PKCS#1 in an octet string (RFC 5208): this takes it out.
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
