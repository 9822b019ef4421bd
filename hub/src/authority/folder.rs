//! The files of an authority in its folder.
//!
//! | file | content |
//! |---|---|
//! | `root.pem` | the root certificate first; after it, in any order, former roots, which are still trusted, and the cross certificates that each root issued for its successor |
//! | `root.key.pem` | the root's private key, which only the owner of the process may read |
//! | `lock` | empty; created when the folder is first used |
//! | `next.key.pem` | the key of a new root during its replacement of the current root |
//! | `rsa-root.pem`, `rsa-root.key.pem`, `rsa-next.key.pem` | the same for the RSA roots. They are created if they are missing, unless the root of an operator has an RSA key |
//!
//! An operator may supply both files of a root before the first start or later. Former roots that must stay trusted follow the
//! root in `root.pem`.
//! || The two files of a root cannot change at the same instant, so after a crash one of them may be newer. A key without a root
//! is the state of an interrupted first start, and the next start creates the root for the key. If the root in `root.pem` belongs
//! to `next.key.pem`, the replacement has happened, and the next start renames the key. So after any crash the folder holds
//! exactly one authority.

use std::path::Path;

use rcgen::{KeyPair, PublicKeyData};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::durable::Exclusive;
use super::root::{Root, RootFault, is_self_issued};
use super::{Authority, AuthorityError, FOREVER, Line, ecdsa_key, rsa_key};

pub(crate) use super::durable::LOCK;

pub(crate) const CERTIFICATES: &str = FIRST.certificates;
pub(crate) const KEY: &str = FIRST.key;
pub(crate) const NEXT_KEY: &str = FIRST.next_key;

/// The file names of one line of roots: ECDSA roots by default, or RSA roots.
struct Names {
    certificates: &'static str,
    key: &'static str,
    next_key: &'static str,
}

const FIRST: Names = Names { certificates: "root.pem", key: "root.key.pem", next_key: "next.key.pem" };
const RSA: Names = Names { certificates: "rsa-root.pem", key: "rsa-root.key.pem", next_key: "rsa-next.key.pem" };

pub(super) struct Folder(Exclusive);

impl Folder {
    pub(super) fn open(dir: &Path) -> Result<Self, AuthorityError> {
        Exclusive::open(dir).map(Self)
    }

    /// The authority in this folder. Creates the parts that are missing.
    pub(super) fn authority(&self, now: u64) -> Result<Authority, AuthorityError> {
        let line = self.line_or(&FIRST, ecdsa_key, now)?;
        let rsa = match self.line(&RSA, now)? {
            None if line.root.is_rsa() => None,
            None => Some(self.begun(&RSA, rsa_key, now)?),
            rsa => rsa,
        };
        Ok(Authority { line, rsa, lifetime: FOREVER })
    }

    /// The authority in this folder, without a new RSA line if that is missing.
    pub(super) fn authority_as_it_is(&self, now: u64) -> Result<Authority, AuthorityError> {
        Ok(Authority { line: self.line_or(&FIRST, ecdsa_key, now)?, rsa: self.line(&RSA, now)?, lifetime: FOREVER })
    }

    fn line_or(&self, names: &Names, new_key: fn() -> Result<KeyPair, AuthorityError>, now: u64) -> Result<Line, AuthorityError> {
        self.line(names, now)?.map_or_else(|| self.begun(names, new_key, now), Ok)
    }

    fn begun(&self, names: &Names, new_key: fn() -> Result<KeyPair, AuthorityError>, now: u64) -> Result<Line, AuthorityError> {
        let key = match self.key(names.key)? {
            Some(key) => key,
            None => {
                let key = new_key()?;
                self.0.write(names.key, zeroize::Zeroizing::new(key.serialize_pem()).as_bytes())?;
                key
            }
        };
        let line = Line::begun(key, now)?;
        self.0.write(names.certificates, line.certificates_pem().as_bytes())?;
        Ok(line)
    }

    /// The line of roots in these files. `None` if there is no certificate file.
    fn line(&self, names: &Names, now: u64) -> Result<Option<Line>, AuthorityError> {
        let Some(certificates) = self.0.read(names.certificates)? else { return Ok(None) };
        let fault = |fault| AuthorityError::Root(self.0.path(names.certificates), fault);
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificates).collect();
        let mut certificates = certificates.map_err(|_| fault(RootFault::Unreadable))?.into_iter();
        let root = certificates.next().ok_or(fault(RootFault::Unreadable))?;
        let (mut former, mut crosses) = (Vec::new(), Vec::new());
        for other in certificates {
            let list = if is_self_issued(&other).map_err(fault)? { &mut former } else { &mut crosses };
            list.push(other);
        }
        let root = Root::read(&root, self.key_of(names, &root)?, now).map_err(fault)?;
        Ok(Some(Line { root, former, crosses }))
    }

    /// The key of a root. If the root belongs to the next key, this finishes an interrupted replacement.
    fn key_of(&self, names: &Names, root: &CertificateDer<'static>) -> Result<KeyPair, AuthorityError> {
        if let Some(next) = self.key(names.next_key)? {
            let public = next.subject_public_key_info();
            if webpki::EndEntityCert::try_from(root).is_ok_and(|root| *root.subject_public_key_info() == *public) {
                self.0.rename(names.next_key, names.key)?;
                return Ok(next);
            }
            // The key of a root that was never written.
            self.0.remove(names.next_key)?;
        }
        self.key(names.key)?.ok_or_else(|| AuthorityError::KeyMissing(self.0.path(names.key)))
    }

    fn key(&self, name: &str) -> Result<Option<KeyPair>, AuthorityError> {
        let Some(pem) = self.0.read_secret(name)? else { return Ok(None) };
        let key = PrivateKeyDer::from_pem_slice(&pem).ok().and_then(|key| KeyPair::try_from(&key).ok());
        key.map(Some).ok_or_else(|| AuthorityError::KeyUnreadable(self.0.path(name)))
    }

    /// Replaces the authority in this folder. After an interruption each line of roots is complete. The RSA line is written
    /// first, because the RSA line must exist before an ECDSA root follows an operator's RSA root.
    pub(super) fn replace(&self, new: &Authority) -> Result<(), AuthorityError> {
        if let Some(rsa) = &new.rsa {
            self.replace_line(&RSA, rsa)?;
        }
        self.replace_line(&FIRST, &new.line)
    }

    /// The second of the three steps makes the new root valid.
    fn replace_line(&self, names: &Names, new: &Line) -> Result<(), AuthorityError> {
        self.0.write(names.next_key, new.root.key_pem().as_bytes())?;
        self.0.write(names.certificates, new.certificates_pem().as_bytes())?;
        self.0.rename(names.next_key, names.key)
    }
}

#[cfg(test)]
#[cfg(unix)]
#[path = "folder_tests.rs"]
mod tests;
