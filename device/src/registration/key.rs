//! The key pair of a registration: generated on the device, stored before the first request, and reused for every further
//! request.
//!
//! A claim code is bound to the key of its first request, and the endpoint recognises a device by its key. A device that lost the
//! response or its power therefore registers again with the same key.

use onething::registry::signing_request::DeviceKey;
use tracing::warn;

use super::RegisterError;
use super::answer::PRIVATE_KEY;
use crate::state::Held;

/// The key of the unfinished registration, or a new one, which is on the disk when this function returns.
pub(crate) fn pending(held: &Held) -> Result<DeviceKey, RegisterError> {
    if let Some(kept) = held.pending_key()? {
        // After a power failure between the storage of the new credentials and the end of the registration, the pending key is
        // already in use. Credentials that cannot be read do not use it.
        let stored = held.credentials().ok().flatten();
        let is_in_use = stored.is_some_and(|files| files.content(PRIVATE_KEY).is_ok_and(|key| key == kept.as_slice()));
        match str::from_utf8(&kept).ok().and_then(|pem| DeviceKey::from_pem(pem).ok()) {
            Some(key) if !is_in_use => return Ok(key),
            Some(_) => {}
            // The key is not in use, so only the requests that were made with it are lost.
            None => warn!("the key of an earlier registration cannot be read: a new one is made"),
        }
    }
    let key = DeviceKey::generate()?;
    held.keep_pending_key(key.private_key().pem())?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::state::State;

    fn hold(path: &Path) -> Held {
        State::at(path).hold().unwrap().0
    }

    fn pem(held: &Held) -> String {
        pending(held).unwrap().private_key().pem().to_owned()
    }

    #[test]
    fn a_key_is_reused_until_it_is_dropped() {
        let place = tempfile::tempdir().unwrap();
        let first = pem(&hold(place.path()));
        assert_eq!(pem(&hold(place.path())), first);
        hold(place.path()).drop_pending_key().unwrap();
        assert_ne!(pem(&hold(place.path())), first);
    }

    #[test]
    fn a_key_that_cannot_be_read_is_replaced() {
        let place = tempfile::tempdir().unwrap();
        let held = hold(place.path());
        for broken in ["", "-----BEGIN PRIVATE KEY-----\n"] {
            held.keep_pending_key(broken).unwrap();
            assert_eq!(pem(&held), pem(&held));
        }
    }

    #[test]
    fn a_pending_key_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        pem(&hold(place.path()));
        let mode = place.path().join("pending.key.pem").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
