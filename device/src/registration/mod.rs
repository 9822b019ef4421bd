//! How a device gets credentials by itself: it registers at the endpoint, `POST /register`, and what the endpoint answers becomes the
//! same files that an owner would have got by mail.
//!
//! The device makes its own `key`, which is on its disk before anybody hears of it and never leaves it. It registers with a
//! `credential`, over TLS to a server whose certificate is always checked, as often as it takes (`registration`).
//! The [`answer`] is judged before it is stored, and only then the key stops being pending. So whatever gets lost on the
//! way, an answer or the power, costs another request with the same key, which gets the same thing.

pub mod address;
pub mod answer;
pub(crate) mod credential;
mod key;
pub(crate) mod options;
mod problem;
pub(crate) mod renewal;
mod renewal_proof;
mod request;

use std::fmt;
use std::time::Duration;

use onething::https::{Https, NoRoots};
use onething::registry::signing_request::NoKeyPair;
use thiserror::Error;
use tracing::info;

use self::address::Address;
use self::answer::{AnswerError, Expected};
use self::credential::Credential;
use crate::bundle::files::OWN_ROOT;
use crate::bundle::{Bundle, keep_device_model};
use crate::cli::name::Name;
use crate::state::{Held, StateError};

/// For a connection to the endpoint: longer than a lost packet takes to be sent again, twice.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// The endpoint, as one device knows it.
pub(crate) struct Endpoint {
    address: Address,
    name: Name,
    own_root: Option<Vec<u8>>,
    https: Https,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("address", &self.address).field("name", &self.name).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// The endpoint at an address, for a device of this name. The server may be known by the root in PEM, too; so may be the one
    /// that the device is sent to.
    pub(crate) fn new(address: Address, name: Name, own_root: Option<Vec<u8>>) -> Result<Self, NoRoots> {
        let https = Https::patient(CONNECT_WITHIN, own_root.as_deref())?;
        Ok(Self { address, name, own_root, https })
    }
}

/// Why a device has not got credentials.
#[derive(Debug, Error)]
pub(crate) enum RegisterError {
    /// The endpoint does not know who registers.
    #[error("{0}")]
    Unknown(String),
    /// The endpoint says no.
    #[error("{0}")]
    Refused(String),
    /// There was no answer in time, or none that is one.
    #[error("{0}")]
    Unreachable(String),
    /// What the endpoint gave is no use.
    #[error("what {0} answered cannot be used")]
    Answer(String, #[source] AnswerError),
    /// The credential cannot be shown at the endpoint.
    #[error("{0}")]
    Credential(&'static str),
    /// The system gives no randomness.
    #[error(transparent)]
    Key(#[from] NoKeyPair),
    /// The state folder.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Requests until the endpoint answers, for as long as `wait` allows, and stores what it gives. `now` is in seconds since the epoch.
pub(crate) async fn register(
    credential: &Credential,
    endpoint: &Endpoint,
    held: &Held,
    wait: Option<Duration>,
    now: fn() -> u64,
) -> Result<Bundle, RegisterError> {
    let _turn = held.registers().await;
    let key = key::pending(held)?;
    info!(name = %endpoint.name, endpoint = %endpoint.address, "registering");
    let request = key.request(endpoint.name.as_str())?;
    let answer =
        request::register(&endpoint.https, &endpoint.address, wait, credential, || credential.show(&endpoint.name, &request, now()))
            .await?;
    let expected = Expected { key: &key, thing: credential.thing(&endpoint.name), endpoint: &endpoint.address, now: now() };
    let judged = || -> Result<_, AnswerError> {
        let mut files = answer::judge(&answer, &expected)?;
        if let Some(root) = endpoint.own_root.as_deref().or_else(|| credential.own_root()) {
            files.add_root(OWN_ROOT, root)?;
        }
        if let Ok(Some(former)) = held.credentials() {
            // A renewed certificate makes no other device of it; a former bundle that cannot be used has nothing to keep.
            let _ = keep_device_model(&former, &mut files);
        }
        let bundle = Bundle::from_files(&files)?;
        Ok((files, bundle))
    };
    let (files, bundle) = judged().map_err(|error| RegisterError::Answer(endpoint.address.host(), error))?;
    match credential {
        Credential::Certificate(_) => held.renew(&files)?,
        _ => held.store(&files)?,
    }
    held.drop_pending_key()?;
    Ok(bundle)
}

#[cfg(test)]
mod scripted_endpoint;

#[cfg(test)]
#[path = "register_tests.rs"]
mod tests;
