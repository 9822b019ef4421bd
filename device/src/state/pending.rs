//! The key of an unfinished registration: it is on the disk before the first request, and is kept until the credentials are
//! stored.

use zeroize::Zeroizing;

use super::{Held, State, StateError};

pub(super) const PENDING: &str = "pending.key.pem";

impl State {
    /// The private key in PEM, during a registration.
    pub(crate) fn pending_key(&self) -> Result<Option<Zeroizing<Vec<u8>>>, StateError> {
        Ok(self.read(PENDING)?.map(Zeroizing::new))
    }
}

impl Held {
    /// Stores the private key. After success, it is on the disk.
    pub(crate) fn keep_pending_key(&self, pem: &str) -> Result<(), StateError> {
        self.disk.replace(&self.path, PENDING, pem.as_bytes()).map_err(self.failed())
    }

    /// Deletes the private key after the registration.
    pub(crate) fn drop_pending_key(&self) -> Result<(), StateError> {
        self.remove(PENDING).map_err(self.failed())
    }
}
