//! Who may register, and by what policy: `register.toml`.
//!
//! Of tokens, secrets and unguessable serials only their SHA-256 stands in it; the key for secrets that are computed is a
//! secret itself. Without such a file only the owners' own devices are let in, by a code or their owner's token.

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

/// A serial that is known by its hash alone has so many characters at least: who could guess it would be let in.
pub const UNGUESSABLE: usize = 20;

/// The registration policy.
pub struct RegistrationPolicy {
    /// The one web origin whose pages may register.
    pub origin: Option<HeaderValue>,
    /// Whom to ask before anybody is let in.
    pub hook: Option<HookAddress>,
    /// How long the hook may take.
    pub hook_within: Duration,
    /// Where key pairs are made.
    pub keys: Keys,
    /// So many requests of one source are answered in a minute.
    pub per_source: u64,
    /// By which roots a device shall know the broker, where they are not the broker's own.
    pub roots: Option<Roots>,
    /// The thing types of fleet devices and serials, by name.
    pub types: BTreeMap<String, ThingTypePolicy>,
    pub(super) tokens: Vec<DeviceToken>,
    pub(super) serials: Vec<Serial>,
    pub(super) keyed: Vec<SerialKey>,
}

/// Where key pairs are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// By the device, always.
    Device,
    /// By the device if it likes, else here: then the answer carries the private key, once.
    Either,
}

/// Roots in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// To be tried first.
    pub preferred: String,
    /// For when that one is not the broker's any more.
    pub backup: Option<String>,
}

/// What holds for the things of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThingTypePolicy {
    /// Its name and the policies of its certificates, of which the first is the type's own.
    pub kind: Kind,
    /// What the names of its things with a serial begin with.
    pub prefix: ThingPrefix,
    /// The attributes that a device or the hook may set.
    pub attributes: Vec<String>,
}

/// A token that the devices of a fleet share.
pub(super) struct DeviceToken {
    pub(super) name: String,
    pub(super) owner: OwnerId,
    pub(super) hash: Fingerprint,
    /// The first is the default.
    pub(super) types: Vec<String>,
}

/// A serial on the list.
pub(super) struct Serial {
    pub(super) how: SerialProof,
    pub(super) thing_type: String,
}

/// How a device with a serial shows that it is the one.
pub(super) enum SerialProof {
    /// By the serial, which nobody can guess.
    Unguessable(Fingerprint),
    /// By a secret of its own.
    Secret { serial: Fingerprint, secret: Fingerprint },
}

/// A key from which the secrets of serials are computed.
pub(super) struct SerialKey {
    pub(super) key: hmac::Key,
    pub(super) prefix: String,
    pub(super) thing_type: String,
}

/// Everything that is wrong with the registration policy.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("register.toml has {} fault(s):\n{}", .0.len(), .0.join("\n"))]
pub struct PolicyError(pub Vec<String>);

impl Default for RegistrationPolicy {
    /// Nobody but the owners' own devices.
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
    /// The token that was shown. All are looked at, however early one fits.
    pub(super) fn token(&self, shown: &Fingerprint) -> Option<&DeviceToken> {
        self.tokens.iter().fold(None, |found, token| if token.hash.matches(shown) { Some(token) } else { found })
    }

    /// The type of the thing of a device that has shown its serial, and a secret where it has one. All are looked at.
    pub(super) fn serial(&self, serial: &str, secret: Option<&str>) -> Option<&str> {
        let (serial_hash, secret_hash) = (Fingerprint::of(serial), Fingerprint::of(secret.unwrap_or_default()));
        let long_enough = serial.chars().count() >= UNGUESSABLE;
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
