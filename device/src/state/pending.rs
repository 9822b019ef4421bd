//! The key of a registration under way: it is on the disk before anybody hears of it, and stays until what it is for is stored.

use zeroize::Zeroizing;

use super::{Held, State, StateError};

pub(super) const PENDING: &str = "pending.key.pem";

impl State {
    /// The private key in PEM, while a registration is under way.
    pub(crate) fn pending_key(&self) -> Result<Option<Zeroizing<Vec<u8>>>, StateError> {
        Ok(self.read(PENDING)?.map(Zeroizing::new))
    }
}

impl Held {
    /// Keeps the private key. When this returns, it is there for good.
    pub(crate) fn keep_pending_key(&self, pem: &str) -> Result<(), StateError> {
        self.disk.replace(&self.path, PENDING, pem.as_bytes()).map_err(self.failed())
    }

    /// Forgets it: the registration is done.
    pub(crate) fn drop_pending_key(&self) -> Result<(), StateError> {
        self.remove(PENDING).map_err(self.failed())
    }
}
