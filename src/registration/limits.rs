//! Rate limits of the endpoint.
//!
//! All requests of a source are counted before they are read. For codes, serial numbers and tokens, failures are counted over all
//! sources: an attacker with a thousand addresses has no more guesses than one with thirty. When a limit is exceeded, correct
//! requests are refused as well until the minute is over, so that guessing reveals nothing. Therefore no single source can reach
//! such a limit: it could block all other clients. The counters are in the claim store, which all processes share. Each process
//! learns separately that a limit is exceeded.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use super::claims::Claims;
use super::problem::{Cause, Problem};
use crate::fault::chain;
use crate::secrets::Fingerprint;

/// The length of a time window, in seconds.
const WINDOW: u64 = 60;
/// The number of wrong codes in a minute, over all sources. Each source has its own limit (20, unless the registration policy has
/// another value), so thirty sources are needed to block honest codes.
///
/// A code has 40 bits. Within the ten minutes of its lifetime, 6,000 guesses hit the code with a probability of 1 : 183,000,000.
/// If a hundred codes are valid at all times, an attacker who guesses for a year hits one of them with a probability of 1 : 35,
/// and from a single address with 1 : 1,046.
const WRONG_CODES: u64 = 600;
/// The number of wrong secrets in a minute for one serial number. At least five sources are needed to reach it. At this rate, a
/// secret of ten random letters and digits is found in seventy million years.
const WRONG_SECRETS: u64 = 100;
/// The number of refusals in a minute for one fleet token.
const REFUSALS: u64 = 60;
/// The largest number of exceeded limits that a process remembers. Regular operation never reaches it.
const MOST_CLOSED: usize = 10_000;

/// What a limit for failures applies to, over all sources.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lock {
    Codes,
    Serial(Fingerprint),
    Token(String),
}

impl Lock {
    fn kind(&self) -> String {
        match self {
            Lock::Codes => "codes".to_owned(),
            Lock::Serial(serial) => format!("serial:{}", serial.hex()),
            Lock::Token(name) => format!("token:{name}"),
        }
    }

    fn most(&self) -> u64 {
        match self {
            Lock::Codes => WRONG_CODES,
            Lock::Serial(_) => WRONG_SECRETS,
            Lock::Token(_) => REFUSALS,
        }
    }
}

/// The limits that this process knows to be exceeded, each with the end of the time window as Unix time in seconds.
#[derive(Debug, Default)]
pub struct Limits(Mutex<HashMap<Lock, u64>>);

impl Limits {
    /// Counts a request of this source. Fails if the source has more than `most` requests in the window.
    pub(super) async fn registered(claims: &impl Claims, source: &str, most: u64, now: u64) -> Result<(), Problem> {
        let kind = format!("source:{}", Fingerprint::of(&subnet(source)).hex());
        if counted(claims, &kind, now).await? > most { Err(closed(now)) } else { Ok(()) }
    }

    /// Fails while the limit for failures is exceeded.
    pub(super) fn check(&self, lock: &Lock, now: u64) -> Result<(), Problem> {
        let until = self.0.lock().ok().and_then(|closed| closed.get(lock).copied());
        // An entry from a clock that was set back must not block anything.
        if until.is_some_and(|until| (now + 1..=now + WINDOW).contains(&until)) { Err(closed(now)) } else { Ok(()) }
    }

    /// Counts a failure. Returns the response to it: `problem`, or a refusal if the limit is exceeded.
    pub(super) async fn failed(&self, claims: &impl Claims, lock: Lock, problem: Problem, now: u64) -> Problem {
        match counted(claims, &lock.kind(), now).await {
            Ok(count) if count > lock.most() => {
                self.close(lock, now);
                closed(now)
            }
            Ok(_) => problem,
            Err(unavailable) => unavailable,
        }
    }

    fn close(&self, lock: Lock, now: u64) {
        let Ok(mut closed) = self.0.lock() else { return };
        if closed.len() >= MOST_CLOSED {
            closed.retain(|_, until| *until > now);
        }
        // If there is no room, the limit still works: the next failure finds the count too high.
        if closed.len() < MOST_CLOSED {
            closed.insert(lock, end(now));
        }
    }
}

/// The end of the time window that contains `now`.
fn end(now: u64) -> u64 {
    (now / WINDOW + 1) * WINDOW
}

fn closed(now: u64) -> Problem {
    Problem::too_many(end(now) - now)
}

async fn counted(claims: &impl Claims, kind: &str, now: u64) -> Result<u64, Problem> {
    claims.count(kind, WINDOW, now).await.map_err(|error| unavailable(&error))
}

/// The response while the claim store is unavailable: a refusal.
pub(super) fn unavailable(error: &super::claims::ClaimsError) -> Problem {
    tracing::error!(step = "register", fault = "again", cause = "claims_unavailable", "{}", chain(error));
    Cause::ClaimsUnavailable.into()
}

/// The network of one subscriber, for providers with generous allocations: an IPv4 address, or the first 48 bits of an IPv6
/// address (<https://www.rfc-editor.org/rfc/rfc6177>).
fn subnet(source: &str) -> String {
    match source.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V6(ip)) => ip.segments()[..3].iter().map(|part| format!("{part:x}:")).collect(),
        Ok(IpAddr::V4(ip)) => ip.to_string(),
        Err(_) => source.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_subscriber_are_one_source() {
        assert_eq!(subnet("2001:db8:1:2::1"), subnet("2001:db8:1:ffff::9"));
        assert_ne!(subnet("2001:db8:1:2::1"), subnet("2001:db8:2:2::1"));
        assert_eq!(subnet("::ffff:192.0.2.1"), "192.0.2.1");
        assert_ne!(subnet("192.0.2.1"), subnet("192.0.2.2"));
        assert_eq!(subnet("unknown"), "unknown");
    }

    #[test]
    fn an_exceeded_limit_is_reset_in_the_next_minute() {
        let limits = Limits::default();
        limits.close(Lock::Codes, 119);
        assert!(limits.check(&Lock::Codes, 119).is_err() && limits.check(&Lock::Codes, 120).is_ok());
        assert!(limits.check(&Lock::Codes, 10).is_ok(), "a clock that was set back");
        assert!(limits.check(&Lock::Token("one".into()), 119).is_ok());
        assert_eq!(end(60), 120);
    }
}
