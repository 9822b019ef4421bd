//! The parser of `register.toml`. It reports every fault with its place, not only the first one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::HeaderValue;
use serde::Deserialize;

use super::hook::HookAddress;
use super::policy::{DeviceToken, Keys, PolicyError, RegistrationPolicy, Roots, Serial, SerialKey, SerialProof, ThingTypePolicy};
use crate::device_model::in_its_line;
use crate::identifiers::{OwnerId, ThingPrefix};
use crate::mail::bundle::amazon_root;
use crate::registry::Kind;
use crate::registry::attributes::OURS;
use crate::registry::signing_request::ShownCertificate;
use crate::secrets::Fingerprint;

/// AWS allows 50 attributes for a thing, and the record needs some of them.
const MOST_ATTRIBUTES: usize = 20;
/// AWS allows 10 policies for a certificate.
const MOST_POLICIES: usize = 10;
/// The minimum length in bytes of a key for HMAC-SHA-256 (RFC 2104, section 3).
const SHORTEST_KEY: usize = 32;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    #[serde(alias = "door")]
    registration: RawRegistration,
    roots: Option<RawRoots>,
    #[serde(default, rename = "type")]
    types: BTreeMap<String, RawType>,
    #[serde(default)]
    token: Vec<RawToken>,
    #[serde(default)]
    serial: Vec<RawSerial>,
    #[serde(default)]
    serial_key: Vec<RawSerialKey>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRegistration {
    origin: Option<String>,
    hook: Option<String>,
    hook_seconds: Option<u64>,
    keys: Option<String>,
    per_source: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRoots {
    preferred: String,
    backup: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawType {
    prefix: String,
    policies: Vec<String>,
    #[serde(default)]
    attributes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawToken {
    name: String,
    sha256: String,
    types: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSerial {
    sha256: Option<String>,
    serial: Option<String>,
    secret_sha256: Option<String>,
    #[serde(rename = "type")]
    thing_type: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSerialKey {
    key: String,
    prefix: String,
    #[serde(rename = "type")]
    thing_type: String,
}

/// The faults of the file, each with its place. No fault quotes a value that might be a secret.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, place: &str, fault: impl Display) {
        self.0.push(format!("{place}: {fault}"));
    }

    fn check(&mut self, good: bool, place: &str, fault: impl Display) {
        if !good {
            self.add(place, fault);
        }
    }

    /// Returns `found`, and adds a fault if it is `None`.
    fn need<T>(&mut self, found: Option<T>, place: &str, fault: impl Display) -> Option<T> {
        self.check(found.is_some(), place, fault);
        found
    }
}

impl RegistrationPolicy {
    /// Parses `register.toml`. The error has all faults, each with its place.
    pub fn parse(toml: &str) -> Result<Self, PolicyError> {
        parse(toml).map_err(PolicyError)
    }
}

fn parse(toml: &str) -> Result<RegistrationPolicy, Vec<String>> {
    let file: File = toml::from_str(toml).map_err(|error| vec![in_words(toml, &error)])?;
    let mut faults = Faults::default();
    let mut policy = RegistrationPolicy::default();
    registration(&file.registration, &mut policy, &mut faults);
    policy.roots = file.roots.and_then(|raw| roots(&raw, &mut faults));
    let names: BTreeSet<String> = file.types.keys().cloned().collect();
    let read = file.types.into_iter().filter_map(|(name, raw)| thing_type(&name, raw, &mut faults).map(|policy| (name, policy)));
    policy.types = read.collect();
    let mut seen = BTreeSet::new();
    for (number, raw) in file.token.into_iter().enumerate() {
        policy.tokens.extend(token(&format!("token {}", number + 1), raw, &names, &mut seen, &mut faults));
    }
    for (number, raw) in file.serial.iter().enumerate() {
        policy.serials.extend(serial(&format!("serial {}", number + 1), raw, &names, &mut seen, &mut faults));
    }
    for (number, raw) in file.serial_key.into_iter().enumerate() {
        policy.keyed.extend(serial_key(&format!("serial_key {}", number + 1), raw, &names, &mut faults));
    }
    if faults.0.is_empty() { Ok(policy) } else { Err(faults.0) }
}

/// The syntax error with its line number. The parser's own message would quote the line, which may contain a key.
fn in_words(toml: &str, error: &toml::de::Error) -> String {
    // For a value of the wrong type, even the message quotes the value.
    let message = error.message();
    let message = if message.starts_with("invalid ") { message.split(['"', '`']).next().unwrap_or_default().trim() } else { message };
    in_its_line(toml, error, message)
}

fn registration(raw: &RawRegistration, policy: &mut RegistrationPolicy, faults: &mut Faults) {
    if let Some(text) = &raw.origin {
        let fault = "must be the origin of a page, such as `https://setup.example.com`";
        policy.origin = faults.need(origin(text), "registration.origin", fault);
    }
    if let Some(text) = &raw.hook {
        let fault = "must be an https URL, an http URL on this machine, or `lambda:` and the name or ARN of a function";
        policy.hook = faults.need(HookAddress::parse(text), "registration.hook", fault);
    }
    if let Some(seconds) = raw.hook_seconds {
        faults.check((1..=10).contains(&seconds), "registration.hook_seconds", "must be 1 to 10");
        policy.hook_within = Duration::from_secs(seconds);
    }
    if let Some(most) = raw.per_source {
        faults.check((1..=10_000).contains(&most), "registration.per_source", "must be 1 to 10000");
        policy.per_source = most;
    }
    match raw.keys.as_deref() {
        None => {}
        Some("device") => policy.keys = Keys::Device,
        Some("either") => policy.keys = Keys::Either,
        Some(_) => faults.add("registration.keys", "must be `device` or `either`"),
    }
}

/// Parses an origin `scheme://host[:port]`, in the form that a browser sends (RFC 6454, section 6.2).
fn origin(text: &str) -> Option<HeaderValue> {
    let uri: http::Uri = text.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    let exact = format!("{scheme}://{authority}").to_ascii_lowercase();
    (matches!(scheme, "http" | "https") && !authority.as_str().contains('@') && exact == text).then(|| HeaderValue::from_str(text).ok())?
}

fn roots(raw: &RawRoots, faults: &mut Faults) -> Option<Roots> {
    let mut root = |place: &str, text: &str| {
        let pem = amazon_root(text).or_else(|| ShownCertificate::parse(text).map(|_| text));
        faults.need(pem, place, "must be `AmazonRootCA1`, `AmazonRootCA3` or a certificate in PEM").map(str::to_owned)
    };
    let backup = raw.backup.as_deref().map(|text| root("roots.backup", text));
    Some(Roots { preferred: root("roots.preferred", &raw.preferred)?, backup: backup.flatten() })
}

/// Checks the rules of AWS IoT for the names of thing types, policies and attributes.
fn is_name(name: &str, also: &str) -> bool {
    (1..=128).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
}

fn thing_type(name: &str, raw: RawType, faults: &mut Faults) -> Option<ThingTypePolicy> {
    let place = format!("type.{name}");
    faults.check(is_name(name, "_-:"), &place, "must be 1 to 128 letters, digits, `_`, `-` and `:`");
    let prefix = ThingPrefix::parse(&raw.prefix);
    let prefix = faults.need(prefix, &format!("{place}.prefix"), "must be letters, digits, `_` and `-`, at most 38");
    let policies = format!("{place}.policies");
    faults.check((1..=MOST_POLICIES).contains(&raw.policies.len()), &policies, "must be 1 to 10 names");
    for policy in &raw.policies {
        faults.check(is_name(policy, "_+=,.@-"), &policies, format_args!("`{policy}` is not a name a policy can have"));
    }
    let attributes = format!("{place}.attributes");
    faults.check(raw.attributes.len() <= MOST_ATTRIBUTES, &attributes, "must be at most 20 names");
    for attribute in &raw.attributes {
        let free = is_name(attribute, "_.,@/:#-") && !OURS.contains(&attribute.as_str());
        faults.check(free, &attributes, format_args!("`{attribute}` is not a name such an attribute can have"));
    }
    let kind = Kind { thing_type: name.to_owned(), policies: raw.policies };
    Some(ThingTypePolicy { kind, prefix: prefix?, attributes: raw.attributes })
}

fn hash(place: &str, hex: &str, faults: &mut Faults) -> Option<Fingerprint> {
    faults.need(Fingerprint::parse(hex), place, "must be a SHA-256 in 64 lower-case hexadecimal digits")
}

fn known(place: &str, thing_type: &str, names: &BTreeSet<String>, faults: &mut Faults) {
    faults.check(names.contains(thing_type), place, format_args!("there is no [type.{thing_type}]"));
}

/// Checks that no two rows have the same subject. With two rows the result would depend on their order.
fn once(place: &str, what: String, seen: &mut BTreeSet<String>, faults: &mut Faults) {
    faults.check(seen.insert(what), place, "there is a row like this already");
}

fn token(place: &str, raw: RawToken, names: &BTreeSet<String>, seen: &mut BTreeSet<String>, faults: &mut Faults) -> Option<DeviceToken> {
    let named = is_name(&raw.name, "_-.") && raw.name.len() <= 64;
    faults.check(named, place, "name must be 1 to 64 letters, digits, `_`, `-` and `.`");
    once(place, format!("token {}", raw.name), seen, faults);
    faults.check((1..=20).contains(&raw.types.len()), place, "types must be 1 to 20 names");
    raw.types.iter().for_each(|name| known(place, name, names, faults));
    let hash = hash(&format!("{place}: sha256"), &raw.sha256, faults)?;
    once(place, format!("token {}", hash.hex()), seen, faults);
    Some(DeviceToken { owner: OwnerId::of_fleet(&raw.name)?, name: raw.name, hash, types: raw.types })
}

fn serial(place: &str, raw: &RawSerial, names: &BTreeSet<String>, seen: &mut BTreeSet<String>, faults: &mut Faults) -> Option<Serial> {
    known(place, &raw.thing_type, names, faults);
    let how = match (&raw.sha256, &raw.serial, &raw.secret_sha256) {
        (Some(hex), None, None) => SerialProof::Unguessable(hash(&format!("{place}: sha256"), hex, faults)?),
        (None, Some(serial), Some(hex)) => {
            faults.check((1..=128).contains(&serial.chars().count()), place, "serial must have 1 to 128 characters");
            let secret = hash(&format!("{place}: secret_sha256"), hex, faults)?;
            SerialProof::Secret { serial: Fingerprint::of(serial), secret }
        }
        _ => {
            faults.add(place, "must have either `sha256` or both `serial` and `secret_sha256`");
            return None;
        }
    };
    let (SerialProof::Unguessable(serial) | SerialProof::Secret { serial, .. }) = &how;
    once(place, format!("serial {}", serial.hex()), seen, faults);
    Some(Serial { how, thing_type: raw.thing_type.clone() })
}

fn serial_key(place: &str, raw: RawSerialKey, names: &BTreeSet<String>, faults: &mut Faults) -> Option<SerialKey> {
    known(place, &raw.thing_type, names, faults);
    let key = BASE64_STANDARD.decode(raw.key.as_bytes()).ok().filter(|key| key.len() >= SHORTEST_KEY);
    let key = faults.need(key, &format!("{place}: key"), "must be base64 of 32 bytes or more")?;
    Some(SerialKey { key: hmac::Key::new(hmac::HMAC_SHA256, &key), prefix: raw.prefix, thing_type: raw.thing_type })
}
