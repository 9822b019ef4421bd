//! The registration policy: which devices may register and how. The file `register.toml` contains it.
//!
//! For tokens, secrets and unguessable serial numbers the file contains only the SHA-256. A key for derived secrets is a secret
//! itself. Without such a file, only devices of owners can register: with a claim code or an access token.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use http::HeaderValue;
use thiserror::Error;

use super::hook::HookAddress;
use crate::identifiers::{OwnerId, ThingPrefix};
use crate::registry::Kind;
use crate::secrets::Fingerprint;

/// The minimum length in characters of a serial number that is its own secret. A shorter one could be guessed.
pub const SHORTEST_SECRET_SERIAL: usize = 20;

/// The contents of `register.toml`.
pub struct RegistrationPolicy {
    /// The only web origin whose pages may register.
    pub origin: Option<HeaderValue>,
    /// The program that decides on each registration, if there is one.
    pub hook: Option<HookAddress>,
    /// The time limit for the hook.
    pub hook_within: Duration,
    /// Who creates the key pairs.
    pub keys: Keys,
    /// The number of requests that one source may send in a minute.
    pub per_source: u64,
    /// The root certificates that a device shall trust, if they differ from those of the broker.
    pub roots: Option<Roots>,
    /// The thing types for fleet devices and devices with a serial number, by name.
    pub types: BTreeMap<String, ThingTypePolicy>,
    pub(super) tokens: Vec<DeviceToken>,
    pub(super) serials: Vec<Serial>,
    pub(super) keyed: Vec<SerialKey>,
}

/// Who creates the key pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Only the device.
    Device,
    /// The device if it sends a signing request, otherwise the registry. In that case the response contains the private key.
    Either,
}

/// Root certificates in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// The root certificate to try first.
    pub preferred: String,
    /// The root certificate for the time when the preferred one is not valid for the broker any more.
    pub backup: Option<String>,
}

/// The settings for the things of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThingTypePolicy {
    /// The name of the thing type and the policies of the certificates. The first policy is the one that the response names.
    pub kind: Kind,
    /// The prefix of the thing names for devices with a serial number.
    pub prefix: ThingPrefix,
    /// The names of the attributes that a device or the hook may set.
    pub attributes: Vec<String>,
}

/// A token that all devices of a fleet share.
pub(super) struct DeviceToken {
    pub(super) name: String,
    pub(super) owner: OwnerId,
    pub(super) hash: Fingerprint,
    /// The thing types that the token allows. The first one is the default.
    pub(super) types: Vec<String>,
}

/// A known serial number.
pub(super) struct Serial {
    pub(super) how: SerialProof,
    pub(super) thing_type: String,
}

/// How a device with a serial number authenticates.
pub(super) enum SerialProof {
    /// With the serial number alone, because it cannot be guessed.
    Unguessable(Fingerprint),
    /// With a separate secret.
    Secret { serial: Fingerprint, secret: Fingerprint },
}

/// A key from which the secrets of serial numbers are derived: HMAC-SHA-256 of the serial number.
pub(super) struct SerialKey {
    pub(super) key: hmac::Key,
    pub(super) prefix: String,
    pub(super) thing_type: String,
}

/// All faults of the registration policy.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("register.toml has {} fault(s):\n{}", .0.len(), .0.join("\n"))]
pub struct PolicyError(pub Vec<String>);

impl Default for RegistrationPolicy {
    /// A policy that allows only devices of owners.
    fn default() -> Self {
        Self {
            origin: None,
            hook: None,
            hook_within: Duration::from_secs(2),
            keys: Keys::Device,
            per_source: 20,
            roots: None,
            types: BTreeMap::new(),
            tokens: Vec::new(),
            serials: Vec::new(),
            keyed: Vec::new(),
        }
    }
}

impl RegistrationPolicy {
    /// Finds a token by its hash. All rows are compared, so that the time reveals nothing.
    pub(super) fn token(&self, shown: &Fingerprint) -> Option<&DeviceToken> {
        self.tokens.iter().fold(None, |found, token| if token.hash.matches(shown) { Some(token) } else { found })
    }

    /// The thing type of the device with this serial number and secret. All rows are compared, so that the time reveals nothing.
    pub(super) fn serial(&self, serial: &str, secret: Option<&str>) -> Option<&str> {
        let (serial_hash, secret_hash) = (Fingerprint::of(serial), Fingerprint::of(secret.unwrap_or_default()));
        let long_enough = serial.chars().count() >= SHORTEST_SECRET_SERIAL;
        let mut found = None;
        for row in &self.serials {
            let fits = match &row.how {
                SerialProof::Unguessable(hash) => hash.matches(&serial_hash) & long_enough,
                SerialProof::Secret { serial, secret: hash } => {
                    serial.matches(&serial_hash) & hash.matches(&secret_hash) & secret.is_some()
                }
            };
            if fits {
                found = Some(row.thing_type.as_str());
            }
        }
        for row in &self.keyed {
            let expected = HEXLOWER.encode(hmac::sign(&row.key, serial.as_bytes()).as_ref());
            let fits = Fingerprint::of(&expected).matches(&secret_hash) & serial.starts_with(&row.prefix) & secret.is_some();
            if fits && found.is_none() {
                found = Some(row.thing_type.as_str());
            }
        }
        found
    }
}

impl fmt::Debug for RegistrationPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistrationPolicy")
            .field("origin", &self.origin)
            .field("hook", &self.hook)
            .field("hook_within", &self.hook_within)
            .field("keys", &self.keys)
            .field("per_source", &self.per_source)
            .field("types", &self.types)
            .field("tokens", &self.tokens.len())
            .field("serials", &self.serials.len())
            .field("serial_keys", &self.keyed.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
