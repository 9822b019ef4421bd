//! The folder of an authority.
//!
//! | file | content |
//! |---|---|
//! | `root.pem` | the root certificate first; after it, in any order, former roots, which are still trusted, and the certificates by which each root vouched for the next |
//! | `root.key.pem` | the root's private key, for the owner of the process only |
//! | `lock` | empty; the first use of the folder makes it |
//! | `next.key.pem` | the key of a root that is about to take over; it is there for an instant only |
//! | `rsa-root.pem`, `rsa-root.key.pem`, `rsa-next.key.pem` | the same for the roots of RSA. They are made when they are not there, unless an operator's own root is of RSA |
//!
//! An operator may put in a root of their own, both files, before the first start or later; former roots that are to stay
//! trusted go into `root.pem` after it. Both files of a root are never changed at the same instant, so after a crash one may
//! be ahead of the other. A key without a root is what a first start leaves half done: the root is made for it. A root
//! whose key is still called *next* has taken over. So whatever was done last, the folder holds one authority.

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

/// The files of one line of roots.
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

    /// The authority in this folder; what is missing of it is made.
    pub(super) fn authority(&self, now: u64) -> Result<Authority, AuthorityError> {
        let line = self.line_or(&FIRST, ecdsa_key, now)?;
        let rsa = match self.line(&RSA, now)? {
            None if line.root.is_rsa() => None,
            None => Some(self.begun(&RSA, rsa_key, now)?),
            rsa => rsa,
        };
        Ok(Authority { line, rsa, lifetime: FOREVER })
    }

    /// The authority in this folder, of which roots of RSA may be missing.
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

    /// The roots that these files hold, if they are there.
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

    /// The key for a root. If a new root has taken over and its key has not yet, it does so now.
    fn key_of(&self, names: &Names, root: &CertificateDer<'static>) -> Result<KeyPair, AuthorityError> {
        if let Some(next) = self.key(names.next_key)? {
            let public = next.subject_public_key_info();
            if webpki::EndEntityCert::try_from(root).is_ok_and(|root| *root.subject_public_key_info() == *public) {
                self.0.rename(names.next_key, names.key)?;
                return Ok(next);
            }
            // A root that never took over.
            self.0.remove(names.next_key)?;
        }
        self.key(names.key)?.ok_or_else(|| AuthorityError::KeyMissing(self.0.path(names.key)))
    }

    fn key(&self, name: &str) -> Result<Option<KeyPair>, AuthorityError> {
        let Some(pem) = self.0.read_secret(name)? else { return Ok(None) };
        let key = PrivateKeyDer::from_pem_slice(&pem).ok().and_then(|key| KeyPair::try_from(&key).ok());
        key.map(Some).ok_or_else(|| AuthorityError::KeyUnreadable(self.0.path(name)))
    }

    /// Lets a new authority take the place of the one that is here. Whatever is cut off, each line of roots is whole, and the roots of RSA are
    /// there before a root of another kind follows an operator's own of RSA.
    pub(super) fn replace(&self, new: &Authority) -> Result<(), AuthorityError> {
        if let Some(rsa) = &new.rsa {
            self.replace_line(&RSA, rsa)?;
        }
        self.replace_line(&FIRST, &new.line)
    }

    /// The second of three steps is the one that counts.
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
