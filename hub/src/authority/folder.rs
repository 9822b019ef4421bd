//! The folder of an authority.
//!
//! | file | content |
//! |---|---|
//! | `root.pem` | the root certificate first; after it, in any order, former roots, which are still trusted, and the certificates by which each root vouched for the next |
//! | `root.key.pem` | the root's private key, for the owner of the process only |
//! | `lock` | empty; the first use of the folder makes it |
//! | `next.key.pem` | the key of a root that is about to take over; it is there for an instant only |
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
use super::{Authority, AuthorityError, FOREVER};

pub(crate) use super::durable::LOCK;

pub(crate) const CERTIFICATES: &str = "root.pem";
pub(crate) const KEY: &str = "root.key.pem";
pub(crate) const NEXT_KEY: &str = "next.key.pem";

pub(super) struct Folder(Exclusive);

impl Folder {
    pub(super) fn open(dir: &Path) -> Result<Self, AuthorityError> {
        Exclusive::open(dir).map(Self)
    }

    /// The authority in this folder, made if there is none.
    pub(super) fn authority(&self, now: u64) -> Result<Authority, AuthorityError> {
        match self.0.read(CERTIFICATES)? {
            Some(certificates) => self.whole(&certificates, now),
            None => self.begun(now),
        }
    }

    fn begun(&self, now: u64) -> Result<Authority, AuthorityError> {
        let key = match self.key(KEY)? {
            Some(key) => key,
            None => {
                let key = KeyPair::generate()?;
                self.0.write(KEY, zeroize::Zeroizing::new(key.serialize_pem()).as_bytes())?;
                key
            }
        };
        let authority = Authority { root: Root::make(key, now)?, former: Vec::new(), crosses: Vec::new(), lifetime: FOREVER };
        self.0.write(CERTIFICATES, authority.certificates_pem().as_bytes())?;
        Ok(authority)
    }

    fn whole(&self, certificates: &[u8], now: u64) -> Result<Authority, AuthorityError> {
        let fault = |fault| AuthorityError::Root(self.0.path(CERTIFICATES), fault);
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates).collect();
        let mut certificates = certificates.map_err(|_| fault(RootFault::Unreadable))?.into_iter();
        let root = certificates.next().ok_or(fault(RootFault::Unreadable))?;
        let (mut former, mut crosses) = (Vec::new(), Vec::new());
        for other in certificates {
            let list = if is_self_issued(&other).map_err(fault)? { &mut former } else { &mut crosses };
            list.push(other);
        }
        let root = Root::read(&root, self.key_of(&root)?, now).map_err(fault)?;
        Ok(Authority { root, former, crosses, lifetime: FOREVER })
    }

    /// The key for a root. If a new root has taken over and its key has not yet, it does so now.
    fn key_of(&self, root: &CertificateDer<'static>) -> Result<KeyPair, AuthorityError> {
        if let Some(next) = self.key(NEXT_KEY)? {
            let public = next.subject_public_key_info();
            if webpki::EndEntityCert::try_from(root).is_ok_and(|root| *root.subject_public_key_info() == *public) {
                self.0.rename(NEXT_KEY, KEY)?;
                return Ok(next);
            }
            // A root that never took over.
            self.0.remove(NEXT_KEY)?;
        }
        self.key(KEY)?.ok_or_else(|| AuthorityError::KeyMissing(self.0.path(KEY)))
    }

    fn key(&self, name: &str) -> Result<Option<KeyPair>, AuthorityError> {
        let Some(pem) = self.0.read_secret(name)? else { return Ok(None) };
        let key = PrivateKeyDer::from_pem_slice(&pem).ok().and_then(|key| KeyPair::try_from(&key).ok());
        key.map(Some).ok_or_else(|| AuthorityError::KeyUnreadable(self.0.path(name)))
    }

    /// Lets a new authority take the place of the one that is here. The second of three steps is the one that counts.
    pub(super) fn replace(&self, new: &Authority) -> Result<(), AuthorityError> {
        self.0.write(NEXT_KEY, new.root.key_pem().as_bytes())?;
        self.0.write(CERTIFICATES, new.certificates_pem().as_bytes())?;
        self.0.rename(NEXT_KEY, KEY)
    }
}

#[cfg(test)]
#[cfg(unix)]
#[path = "folder_tests.rs"]
mod tests;
