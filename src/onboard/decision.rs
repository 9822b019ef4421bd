//! What a half-made thing still needs: a pure decision over what an attempt knows.

use super::registry::Record;
use crate::thing::CertificateId;

/// Who the thing belongs to at the moment, as far as this attempt knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing is known: most likely there is no thing.
    Unknown,
    /// There is a thing, or an answer was lost: its record must be read.
    Unread,
    /// Another attempt wrote this.
    Theirs(Record),
    /// This attempt holds it, at this version.
    Ours(i64),
}

/// What an attempt knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Whose thing it is.
    pub place: Place,
    /// This attempt's certificate.
    pub minted: Option<CertificateId>,
    /// Certificates that others left on the thing; `None` when nobody has looked yet.
    pub leftovers: Option<Vec<CertificateId>>,
    /// The thing's attributes name this attempt's certificate.
    pub recorded: bool,
    /// The certificate has policy and thing and is ACTIVE.
    pub wired: bool,
    /// The mail was accepted.
    pub mailed: bool,
    /// The shadow exists.
    pub ready: bool,
}

impl Known {
    /// What an attempt knows that has found no shadow.
    pub const NOTHING: Known =
        Known { place: Place::Unknown, minted: None, leftovers: None, recorded: false, wired: false, mailed: false, ready: false };
}

/// The next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make an INACTIVE certificate.
    Mint,
    /// Create the thing, which names this attempt and its certificate.
    Claim,
    /// Read the thing.
    Look,
    /// Another attempt holds the thing: see whether it has finished.
    Wait,
    /// Delete this attempt's certificate, which is of no use now.
    Discard,
    /// The lease of another attempt is over: hold the thing.
    TakeOver,
    /// List the certificates attached to the thing.
    Survey,
    /// Take a leftover out of service and delete it.
    Retire(CertificateId),
    /// Name this attempt's certificate in the thing's attributes.
    Record,
    /// Policy, thing and ACTIVE, side by side.
    Wire,
    /// Send the bundle.
    Mail,
    /// Make the shadow: the owner is ready.
    MakeReady,
    /// Nothing is left to do.
    Done,
}

/// What to do next. The certificate is minted before the thing is claimed, because then one write both
/// takes the lock and names the certificate.
pub fn next(known: &Known, now: u64) -> Step {
    match &known.place {
        Place::Unknown if known.minted.is_none() => Step::Mint,
        Place::Unknown => Step::Claim,
        Place::Unread => Step::Look,
        Place::Theirs(record) if record.is_held(now) => match known.minted {
            Some(_) => Step::Discard,
            None => Step::Wait,
        },
        Place::Theirs(_) => Step::TakeOver,
        Place::Ours(_) => match &known.leftovers {
            None => Step::Survey,
            Some(left) if !left.is_empty() => Step::Retire(left[0].clone()),
            Some(_) if known.minted.is_none() => Step::Mint,
            Some(_) if !known.recorded => Step::Record,
            Some(_) if !known.wired => Step::Wire,
            Some(_) if !known.mailed => Step::Mail,
            Some(_) if !known.ready => Step::MakeReady,
            Some(_) => Step::Done,
        },
    }
}

#[cfg(test)]
#[path = "decision_tests.rs"]
mod tests;
