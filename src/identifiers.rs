//! Identifiers of owners, things, Alexa users and certificates.
//!
//! The name of a thing is computed from the owner's user id. So no search is needed, and two requests of one owner always use the
//! same thing. The name is a hash: AWS recommends names without personal data and allows only `[a-zA-Z0-9:_-]{1,128}`, but a user
//! id (`amzn1.account.…`) contains dots.

use std::fmt;

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use sha2::{Digest, Sha256};

use crate::secrets::Fingerprint;

/// The owner's user id of Login with Amazon, which is stable for one security profile. A similar id stands for devices without an
/// owner.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OwnerId(String);

impl OwnerId {
    /// Accepts the values that a thing attribute in AWS IoT can have: `[a-zA-Z0-9_.,@/:#=\[\]-]`, 1 to 800 bytes.
    pub fn parse(id: &str) -> Option<Self> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || b"_.,@/:#=[]-".contains(&c);
        ((1..=800).contains(&id.len()) && id.bytes().all(allowed)).then(|| Self(id.to_owned()))
    }

    /// The id for all devices of a fleet, by the name of their shared token.
    pub fn of_fleet(name: &str) -> Option<Self> {
        Self::parse(&format!("{FLEET}{name}"))
    }

    /// The id for the device with this serial number.
    pub fn of_serial(serial: &str) -> Self {
        Self(format!("{SERIAL}{}", Fingerprint::of(serial).hex()))
    }

    /// Whether the id stands for devices and not for a user of Login with Amazon.
    pub fn stands_for_devices(&self) -> bool {
        self.0.starts_with(FLEET) || self.0.starts_with(SERIAL)
    }

    /// The id as Amazon issued it, or as constructed for devices.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The prefixes of ids that stand for devices. Ids of Amazon start with `amzn1.`.
const FLEET: &str = "fleet:";
const SERIAL: &str = "serial:";

impl fmt::Debug for OwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnerId(redacted)")
    }
}

/// The common prefix of the names of all things of one device model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThingPrefix(String);

impl ThingPrefix {
    /// Accepts `[a-zA-Z0-9_-]` up to 38 characters. AWS allows thing names of 128 characters, but the subject of a certificate
    /// contains the thing name and is limited to 64. AWS allows a colon but advises against it.
    pub fn parse(prefix: &str) -> Option<Self> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
        (prefix.len() <= 38 && prefix.bytes().all(allowed)).then(|| Self(prefix.to_owned()))
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a thing. It is also the MQTT client id of the device.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ThingName(String);

impl ThingName {
    /// The name of an owner's thing: the prefix and the first 26 characters of the lower-case base32 (RFC 4648) of SHA-256(user
    /// id).
    pub fn of(prefix: &ThingPrefix, owner: &OwnerId) -> Self {
        Self::hashed(prefix, owner.as_str())
    }

    /// The name of the thing for a device with a serial number. The hash is that of `serial:` and the serial number.
    pub fn of_serial(prefix: &ThingPrefix, serial: &str) -> Self {
        Self::hashed(prefix, &format!("{SERIAL}{serial}"))
    }

    fn hashed(prefix: &ThingPrefix, text: &str) -> Self {
        let mut hash = BASE32_NOPAD.encode(&Sha256::digest(text.as_bytes()));
        hash.truncate(26);
        hash.make_ascii_lowercase();
        Self(format!("{}{hash}", prefix.0))
    }

    /// The name of a listed thing, if this skill has created the thing. Either the name is a computed one, or devices choose
    /// their names: then the name starts with `fleets` and the owner stands for devices.
    pub fn listed(prefix: &ThingPrefix, fleets: &str, name: &str, owner: Option<&OwnerId>) -> Option<Self> {
        let is_a_fleets = || name.starts_with(fleets) && owner.is_some_and(OwnerId::stands_for_devices);
        let chosen = || is_a_fleets().then(|| Self::parse(name)).flatten();
        Self::recall(prefix, name).or_else(chosen)
    }

    /// Parses a computed name, for example one that a session attribute contains. `None` if the name cannot be the result of
    /// [`ThingName::of`] with this prefix.
    pub fn recall(prefix: &ThingPrefix, name: &str) -> Option<Self> {
        let hash = name.strip_prefix(&prefix.0)?;
        let base32 = |c: u8| c.is_ascii_lowercase() || (b'2'..=b'7').contains(&c);
        (hash.len() == 26 && hash.bytes().all(base32)).then(|| Self(name.to_owned()))
    }

    /// Parses a name that a fleet device has chosen: `[a-zA-Z0-9:_-]{1,64}`. AWS allows 128 characters, but the subject of a
    /// certificate only 64.
    pub fn parse(name: &str) -> Option<Self> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || b":_-".contains(&c);
        ((1..=64).contains(&name.len()) && name.bytes().all(allowed)).then(|| Self(name.to_owned()))
    }

    /// The name in AWS IoT.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ThingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ThingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An Alexa user, in a form that may be stored: the SHA-256 of the user id in a request, in lower-case hexadecimal digits. An
/// event about a disabled skill identifies the user only by this id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AlexaUser(String);

impl AlexaUser {
    /// The user with this `context.System.user.userId`.
    pub fn of(user_id: &str) -> Self {
        Self(Fingerprint::of(user_id).hex())
    }

    /// Parses 64 lower-case hexadecimal digits.
    pub fn parse(hash: &str) -> Option<Self> {
        is_sha256(hash).then(|| Self(hash.to_owned()))
    }

    /// The hash in lower-case hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_sha256(hex: &str) -> bool {
    hex.len() == 64 && hex.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
}

/// The id of a device certificate: the SHA-256 of its DER encoding, in lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CertificateId(String);

impl CertificateId {
    /// The id of a certificate in DER.
    pub fn of(der: &[u8]) -> Self {
        Self(HEXLOWER.encode(&Sha256::digest(der)))
    }

    /// Parses 64 lower-case hexadecimal digits.
    pub fn parse(id: &str) -> Option<Self> {
        is_sha256(id).then(|| Self(id.to_owned()))
    }

    /// The id in AWS IoT.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CertificateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(user_id: &str, expected: &str) {
        let prefix = ThingPrefix::parse("3D_Printer-").unwrap();
        let name = ThingName::of(&prefix, &OwnerId::parse(user_id).unwrap());
        assert_eq!(name.as_str(), expected);
        assert_eq!(ThingName::recall(&prefix, expected), Some(name));
    }

    /// The expected names were computed with
    /// `python3 -c "import base64,hashlib,sys;print(base64.b32encode(hashlib.sha256(sys.argv[1].encode()).digest()).decode().lower()[:26])"`.
    #[test]
    fn a_name_is_the_prefix_and_26_characters_of_the_hash() {
        check("amzn1.account.A", "3D_Printer-zsk4jrpq4wwphzubkwfqziuykk");
        check("amzn1.account.AF5WEXAMPLE", "3D_Printer-7ch4r7c2lgijho7q3y7abni4hn");
    }

    #[test]
    fn a_name_that_is_not_computed_is_not_parsed_as_one() {
        let prefix = ThingPrefix::parse("3D_Printer-").unwrap();
        for name in ["", "3D_Printer-", "3D_Printer-short", "Lamp-abcdefghijklmnopqrstuvwxyz", "3D_Printer-abcdefghijklmnopqrstuvwxy/"] {
            assert_eq!(ThingName::recall(&prefix, name), None, "{name}");
        }
    }

    /// The expected name was computed in the same way from `serial:SN-0001`.
    #[test]
    fn a_device_with_a_serial_has_its_own_name_and_owner() {
        let prefix = ThingPrefix::parse("Lamp-").unwrap();
        let name = ThingName::of_serial(&prefix, "SN-0001");
        assert_eq!(ThingName::recall(&prefix, name.as_str()), Some(name.clone()));
        let owner = OwnerId::of_serial("SN-0001");
        assert!(owner.stands_for_devices() && OwnerId::parse(owner.as_str()) == Some(owner.clone()));
        assert_ne!(ThingName::of_serial(&prefix, "SN-0002"), name);
    }

    #[test]
    fn a_listed_thing_belongs_to_the_skill_by_its_name_or_its_owner() {
        let prefix = ThingPrefix::parse("3D_Printer-").unwrap();
        let (person, fleet) = (OwnerId::parse("amzn1.account.A").unwrap(), OwnerId::of_fleet("factory-1").unwrap());
        let own = "3D_Printer-zsk4jrpq4wwphzubkwfqziuykk";
        let listed = |name, owner| ThingName::listed(&prefix, "press", name, owner).is_some();
        assert!(listed(own, None) && listed("press-7", Some(&fleet)));
        assert!(!listed("press-7", None) && !listed("press-7", Some(&person)));
        assert!(!listed("dev-press-7", Some(&fleet)), "another stack's");
    }

    #[test]
    fn a_certificate_id_is_the_hash_of_the_der_form() {
        let id = CertificateId::of(b"abc");
        assert_eq!(id.as_str(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(CertificateId::parse(id.as_str()), Some(id));
    }

    #[test]
    fn an_owner_id_does_not_show_in_debug_output() {
        let owner = OwnerId::parse("amzn1.account.A").unwrap();
        assert_eq!(format!("{owner:?}"), "OwnerId(redacted)");
    }

    proptest! {
        #[test]
        fn every_name_is_a_legal_thing_name(id in "[a-zA-Z0-9_.,@/:#=-]{1,200}") {
            let prefix = ThingPrefix::parse("3D_Printer-").unwrap();
            let name = ThingName::of(&prefix, &OwnerId::parse(&id).unwrap());
            let legal = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
            prop_assert!(name.as_str().len() <= 128 && name.as_str().chars().all(legal));
        }
    }
}
