//! The key pair of a registration: made on the device, kept before the first request, used again for every further one.
//!
//! A claim code belongs to the key it was first shown with, and the endpoint knows a device by its key; so a device whose answer
//! was lost, or which lost its power, registers again with the same.

use onething::registry::signing_request::DeviceKey;
use tracing::warn;

use super::RegisterError;
use super::answer::PRIVATE_KEY;
use crate::state::Held;

/// The key of the registration under way, or a new one, which is on the disk when this returns.
pub(crate) fn pending(held: &Held) -> Result<DeviceKey, RegisterError> {
    if let Some(kept) = held.pending_key()? {
        // A power cut between the new credentials and the end of the registration leaves a key behind that is in use already.
        // Credentials that cannot be read use none.
        let stored = held.credentials().ok().flatten();
        let is_in_use = stored.is_some_and(|files| files.content(PRIVATE_KEY).is_ok_and(|key| key == kept.as_slice()));
        match str::from_utf8(&kept).ok().and_then(|pem| DeviceKey::from_pem(pem).ok()) {
            Some(key) if !is_in_use => return Ok(key),
            Some(_) => {}
            // It was never a part of anything that works, so nothing is lost but the requests that were made with it.
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
    fn a_key_is_kept_for_every_further_request_until_it_is_dropped() {
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
