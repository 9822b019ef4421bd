//! Claim codes: what an owner reads out to a device, and what is kept of it; port [`Claims`].
//!
//! A code is eight characters, `K7QF-93PD`. Its first half names it, the second half is the secret: so a wrong guess counts
//! against one code, and five of them end it. It is good for ten minutes and for one device, which is known again by its
//! public key: a device whose answer was lost may register with the same code and key once more.

use std::fmt;

use thiserror::Error;

use crate::fault::{ClassifiedError, Fault, Step};
use crate::identifiers::OwnerId;
use crate::secrets::Fingerprint;

/// Digits and letters that are not taken for one another (Crockford's base 32, <https://www.crockford.com/base32.html>).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of each half.
const HALF: usize = 4;

/// For how long a code is good, in seconds.
pub const CODE_LIFETIME: u64 = 600;
/// So many tries a code has; after them it is dead.
pub const TRIES: u32 = 5;

/// So many names are tried for a new code.
const NAMES: u32 = 5;

/// A claim code.
pub struct Code([u8; 2 * HALF]);

impl Code {
    /// A new one, at random: 40 bits. `None` where the system gives no randomness.
    pub fn new() -> Option<Self> {
        let mut random = [0_u8; 2 * HALF];
        getrandom::fill(&mut random).ok()?;
        Some(Self(random.map(|byte| ALPHABET[usize::from(byte % 32)])))
    }

    /// Takes it as people write it: in small letters, with or without the hyphen, with spaces, `O` for 0, `I` and `L` for 1.
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

    /// The half that names it.
    pub fn name(&self) -> &str {
        str::from_utf8(&self.0[..HALF]).unwrap_or_default()
    }

    /// SHA-256 of the whole, which may be kept.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(str::from_utf8(&self.0).unwrap_or_default())
    }

    /// As it is spoken and shown, to its owner only: `K7QF-93PD`.
    pub fn shown(&self) -> String {
        let (name, secret) = self.0.split_at(HALF);
        format!("{}-{}", String::from_utf8_lossy(name), String::from_utf8_lossy(secret))
    }
}

/// Makes a code for an owner and keeps it. The owner hears it; nobody else does.
pub async fn new_code(claims: &impl Claims, owner: &OwnerId, now: u64) -> Result<Code, ClaimsError> {
    for _ in 0..NAMES {
        let code = Code::new().ok_or_else(|| ClaimsError::Refused("no randomness".into()))?;
        let until = now + CODE_LIFETIME;
        let claim = Claim { fingerprint: code.fingerprint(), owner: owner.clone(), until, tries: 0, used_by: None };
        if claims.keep(code.name(), &claim, now).await? {
            return Ok(code);
        }
    }
    // Of a million names these were all taken: so many codes are not given out within ten minutes.
    Err(ClaimsError::Unclear("every name that was tried is taken".into()))
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(redacted)")
    }
}

/// What is kept of a code, under its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Of the whole code.
    pub fingerprint: Fingerprint,
    /// Whose thing it opens.
    pub owner: OwnerId,
    /// Until when it is good, in seconds since the epoch.
    pub until: u64,
    /// How often it was tried since the whole code was shown.
    pub tries: u32,
    /// The device that has used it: SHA-256 of its public key.
    pub used_by: Option<Fingerprint>,
}

/// Keeps claim codes for ten minutes, and counts.
pub trait Claims: Send + Sync {
    /// Keeps a claim under a name. `false`, and nothing is kept, while another claim that has not expired at `now` has the name.
    fn keep(&self, name: &str, claim: &Claim, now: u64) -> impl Future<Output = Result<bool, ClaimsError>> + Send;
    /// Counts a try, and only then tells of the claim, with that try counted. `None` where there is none or it has expired.
    /// No two tries at once are counted as one.
    fn attempt(&self, name: &str, now: u64) -> impl Future<Output = Result<Option<Claim>, ClaimsError>> + Send;
    /// Sets the tries of a claim to none: whoever came has shown the whole code.
    fn forgive(&self, name: &str, now: u64) -> impl Future<Output = Result<(), ClaimsError>> + Send;
    /// Notes the device that uses a claim, and sets its tries to none. `true` for the first device, and for the same one again.
    fn redeem(&self, name: &str, device: &Fingerprint, now: u64) -> impl Future<Output = Result<bool, ClaimsError>> + Send;
    /// Counts an event of this kind in the window of time that `now` is in; how many there were in it, with this one. Windows
    /// are `seconds` long and begin at multiples of it.
    fn count(&self, kind: &str, seconds: u64, now: u64) -> impl Future<Output = Result<u64, ClaimsError>> + Send;
}

/// The claims could not be asked.
#[derive(Debug, Error)]
pub enum ClaimsError {
    /// Over a quota.
    #[error("throttled")]
    Throttled,
    /// Refused for good.
    #[error("refused with {0}")]
    Refused(String),
    /// No clear answer.
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
    fn a_code_is_read_as_people_write_it() {
        for text in ["K7QF-93PD", "k7qf93pd", " K7QF 93PD ", "k7-qf-93-pd"] {
            assert_eq!(Code::parse(text).unwrap().shown(), "K7QF-93PD", "{text}");
        }
        assert_eq!(Code::parse("OIL0-1111").unwrap().shown(), "0110-1111");
        for text in ["", "K7QF-93P", "K7QF-93PDX", "K7QF-93PU", "K7QF_93PD", "K7QF-93Pä"] {
            assert!(Code::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_new_code_comes_back_as_it_was_shown_and_is_no_other() {
        let code = Code::new().unwrap();
        let again = Code::parse(&code.shown()).unwrap();
        assert_eq!((again.name(), again.fingerprint()), (code.name(), code.fingerprint()));
        assert_ne!(Code::new().unwrap().shown(), code.shown());
        assert_eq!(format!("{code:?}"), "Code(redacted)");
    }
}
