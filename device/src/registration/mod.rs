//! The registration of a device: `POST /register` at the endpoint, whose response is turned into the same files as those of a
//! mailed bundle.
//!
//! The device generates its own `key`, which is on its disk before the first request and never leaves the device. It registers
//! with a `credential`, over TLS to a server whose certificate is always verified, and repeats the `request` until there is a
//! response. The response ([`answer`]) is checked before it is stored, and only then the key is no longer pending. A lost
//! response or a power failure therefore costs only another request with the same key, which yields the same thing.

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

use onething::https::{Https, NoValidRoots};
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

/// The time limit for a connection to the endpoint: longer than two retransmissions of a lost packet.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// The endpoint with the parameters of this device.
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
    /// The endpoint at an address, for a device of this name. `own_root` is an additional root certificate in PEM that the server
    /// may be verified with; it is also added to the new bundle, for the MQTT endpoint.
    pub(crate) fn new(address: Address, name: Name, own_root: Option<Vec<u8>>) -> Result<Self, NoValidRoots> {
        let https = Https::patient(CONNECT_WITHIN, own_root.as_deref())?;
        Ok(Self { address, name, own_root, https })
    }
}

/// Why a registration failed.
#[derive(Debug, Error)]
pub(crate) enum RegisterError {
    /// The endpoint does not accept the credential.
    #[error("{0}")]
    Unknown(String),
    /// The endpoint refuses the request.
    #[error("{0}")]
    Refused(String),
    /// There was no response in time, or the connection failed.
    #[error("{0}")]
    Unreachable(String),
    /// The response of this host is invalid.
    #[error("what {0} answered cannot be used")]
    Answer(String, #[source] AnswerError),
    /// The credential cannot be sent to the endpoint.
    #[error("{0}")]
    Credential(&'static str),
    /// The system provides no randomness for a key.
    #[error(transparent)]
    Key(#[from] NoKeyPair),
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Sends the request until there is a response, for as long as `wait` allows, and stores the new credentials. `now` returns Unix
/// time in seconds.
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
            // The thing keeps its device model when its certificate is renewed. A former bundle that cannot be used has no model
            // to keep.
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
