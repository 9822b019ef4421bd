//! Claim codes, which an owner reads out to a device, and the interface [`Claims`] of their store.
//!
//! A code has eight characters, such as `K7QF-93PD`. The first half is its name, the second half is the secret. So a wrong guess
//! counts against one code, and five wrong guesses disable the code. A code is valid for ten minutes and for one device, which is
//! identified by its public key. If the response was lost, the device may register once more with the same code and key.

use std::fmt;

use thiserror::Error;

use crate::fault::{ClassifiedError, Fault, Step};
use crate::identifiers::OwnerId;
use crate::secrets::Fingerprint;

/// Digits and letters that are not easily confused (Crockford's base 32, <https://www.crockford.com/base32.html>).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// The number of characters of each half.
const HALF: usize = 4;

/// The lifetime of a code in seconds.
pub const CODE_LIFETIME: u64 = 600;
/// The number of attempts before a code is disabled.
pub const TRIES: u32 = 5;

/// The number of names that are tried for a new code.
const NAMES: u32 = 5;

/// A claim code, complete with its secret.
pub struct Code([u8; 2 * HALF]);

impl Code {
    /// A random code of 40 bits. `None` if the system provides no randomness.
    pub fn new() -> Option<Self> {
        let mut random = [0_u8; 2 * HALF];
        getrandom::fill(&mut random).ok()?;
        Some(Self(random.map(|byte| ALPHABET[usize::from(byte % 32)])))
    }

    /// Parses a code as users write it: in lower case, with or without the hyphen, with spaces, with `O` for 0 and with `I` and
    /// `L` for 1.
    pub fn parse(text: &str) -> Option<Self> {
        let mut code = [0_u8; 2 * HALF];
        let mut places = code.iter_mut();
        for c in text.bytes().filter(|c| !matches!(c, b'-' | b' ')) {
            let c = match c.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                c => c,
            };
            *places.next()? = ALPHABET.contains(&c).then_some(c)?;
        }
        places.next().is_none().then_some(Self(code))
    }

    /// The first half: the name under which the code is stored.
    pub fn name(&self) -> &str {
        str::from_utf8(&self.0[..HALF]).unwrap_or_default()
    }

    /// The SHA-256 of the whole code, which may be stored.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(str::from_utf8(&self.0).unwrap_or_default())
    }

    /// The code as it is spoken and shown to its owner: `K7QF-93PD`.
    pub fn shown(&self) -> String {
        let (name, secret) = self.0.split_at(HALF);
        format!("{}-{}", String::from_utf8_lossy(name), String::from_utf8_lossy(secret))
    }
}

/// Creates a code for an owner and stores its claim. The code itself is not stored.
pub async fn new_code(claims: &impl Claims, owner: &OwnerId, now: u64) -> Result<Code, ClaimsError> {
    for _ in 0..NAMES {
        let code = Code::new().ok_or_else(|| ClaimsError::Refused("no randomness".into()))?;
        let until = now + CODE_LIFETIME;
        let claim = Claim { fingerprint: code.fingerprint(), owner: owner.clone(), until, tries: 0, used_by: None };
        if claims.keep(code.name(), &claim, now).await? {
            return Ok(code);
        }
    }
    // There are a million names. Regular use takes far fewer of them within ten minutes.
    Err(ClaimsError::Unclear("every name that was tried is taken".into()))
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(redacted)")
    }
}

/// The stored form of a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The SHA-256 of the whole code.
    pub fingerprint: Fingerprint,
    /// The owner for whose thing a device gets a certificate.
    pub owner: OwnerId,
    /// The expiry time, as Unix time in seconds.
    pub until: u64,
    /// The number of attempts since the whole code was last presented.
    pub tries: u32,
    /// The device that used the code: the SHA-256 of its public key.
    pub used_by: Option<Fingerprint>,
}

/// Stores claim codes for ten minutes, and counts events.
pub trait Claims: Send + Sync {
    /// Stores a claim under a name. Returns `false` and stores nothing if the name has another claim that has not expired at
    /// `now`.
    fn keep(&self, name: &str, claim: &Claim, now: u64) -> impl Future<Output = Result<bool, ClaimsError>> + Send;
    /// Counts an attempt, then returns the claim with the new count. `None` if there is no claim or it has expired. Concurrent
    /// attempts are all counted.
    fn attempt(&self, name: &str, now: u64) -> impl Future<Output = Result<Option<Claim>, ClaimsError>> + Send;
    /// Resets the count of attempts, after a client has presented the whole code.
    fn reset_attempts(&self, name: &str, now: u64) -> impl Future<Output = Result<(), ClaimsError>> + Send;
    /// Records the device that uses the code and resets the count of attempts. Returns `true` for the first device and for a
    /// repetition by the same device, `false` for any other.
    fn redeem(&self, name: &str, device: &Fingerprint, now: u64) -> impl Future<Output = Result<bool, ClaimsError>> + Send;
    /// Counts an event of this kind. Returns the number of events in the current time window, including this one. A window has
    /// `seconds` seconds and starts at a multiple of `seconds`.
    fn count(&self, kind: &str, seconds: u64, now: u64) -> impl Future<Output = Result<u64, ClaimsError>> + Send;
}

/// The claim store is unavailable.
#[derive(Debug, Error)]
pub enum ClaimsError {
    /// The store refused the call because a quota is exceeded.
    #[error("throttled")]
    Throttled,
    /// The store refused the call permanently.
    #[error("refused with {0}")]
    Refused(String),
    /// There is no response, or no intelligible one. The call may have had an effect.
    #[error("no clear answer: {0}")]
    Unclear(String),
}

impl ClassifiedError for ClaimsError {
    fn step(&self) -> Step {
        Step::Register
    }

    fn fault(&self) -> Fault {
        match self {
            ClaimsError::Throttled | ClaimsError::Unclear(_) => Fault::Again,
            ClaimsError::Refused(_) => Fault::Maker,
        }
    }

    fn cause(&self) -> &'static str {
        match self {
            ClaimsError::Throttled => "claims_throttled",
            ClaimsError::Refused(_) => "claims_refused",
            ClaimsError::Unclear(_) => "claims_unclear",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_parsed_as_users_write_it() {
        for text in ["K7QF-93PD", "k7qf93pd", " K7QF 93PD ", "k7-qf-93-pd"] {
            assert_eq!(Code::parse(text).unwrap().shown(), "K7QF-93PD", "{text}");
        }
        assert_eq!(Code::parse("OIL0-1111").unwrap().shown(), "0110-1111");
        for text in ["", "K7QF-93P", "K7QF-93PDX", "K7QF-93PU", "K7QF_93PD", "K7QF-93Pä"] {
            assert!(Code::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_shown_code_parses_to_the_same_code_and_new_codes_differ() {
        let code = Code::new().unwrap();
        let again = Code::parse(&code.shown()).unwrap();
        assert_eq!((again.name(), again.fingerprint()), (code.name(), code.fingerprint()));
        assert_ne!(Code::new().unwrap().shown(), code.shown());
        assert_eq!(format!("{code:?}"), "Code(redacted)");
    }
}
