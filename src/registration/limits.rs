//! How often one may try.
//!
//! Whatever a source sends is counted, before anybody looks at it. Of codes, serials and tokens the failures are counted, over
//! all sources: who guesses from a thousand addresses has no more guesses than who has thirty. Where there were too many, even
//! what is right is refused until the minute is over, so that trying on tells nothing. That is why no source may reach such a
//! number alone: it could keep everybody else out. The count is the claims' and all processes share it; that it is too high,
//! each process has to see once for itself.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use super::claims::Claims;
use super::problem::{Cause, Problem};
use crate::fault::chain;
use crate::secrets::Fingerprint;

/// The window in which is counted, in seconds.
const WINDOW: u64 = 60;
/// So many wrong codes a minute, whoever tries them. They are for the sum of all sources, each of which has a limit of its own (20,
/// unless the registration policy say otherwise), so it takes thirty of them to keep honest codes waiting.
///
/// A code has 40 bits. In the ten minutes that one lives, 6,000 guesses hit it with 1 : 183,000,000. Where a hundred codes are alive
/// at any time, day and night, whoever guesses on for a year hits one of them with 1 : 35, and from one address with 1 : 1,046.
const WRONG_CODES: u64 = 600;
/// So many wrong secrets a minute for one serial, which takes five sources. Ten letters and digits at random are found in
/// seventy million years.
const WRONG_SECRETS: u64 = 100;
/// So many refusals a minute for a token that a fleet shares.
const REFUSALS: u64 = 60;
/// More that are closed at once than an honest minute ever sees.
const MOST_CLOSED: usize = 10_000;

/// What is tried, over all sources.
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

/// What this process knows to be closed, and until when.
#[derive(Debug, Default)]
pub struct Limits(Mutex<HashMap<Lock, u64>>);

impl Limits {
    /// Counts a request of this source.
    pub(super) async fn registered(claims: &impl Claims, source: &str, most: u64, now: u64) -> Result<(), Problem> {
        let kind = format!("source:{}", Fingerprint::of(&subnet(source)).hex());
        if counted(claims, &kind, now).await? > most { Err(closed(now)) } else { Ok(()) }
    }

    /// Refuses while there were too many failures.
    pub(super) fn check(&self, lock: &Lock, now: u64) -> Result<(), Problem> {
        let until = self.0.lock().ok().and_then(|closed| closed.get(lock).copied());
        // A clock that was set back must not keep anything closed.
        if until.is_some_and(|until| (now + 1..=now + WINDOW).contains(&until)) { Err(closed(now)) } else { Ok(()) }
    }

    /// Counts a failure; the refusal that answers it.
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
        // Without room for it the count still speaks: each failure finds it too high.
        if closed.len() < MOST_CLOSED {
            closed.insert(lock, end(now));
        }
    }
}

/// The end of the window that a second is in.
fn end(now: u64) -> u64 {
    (now / WINDOW + 1) * WINDOW
}

fn closed(now: u64) -> Problem {
    Problem::too_many(end(now) - now)
}

async fn counted(claims: &impl Claims, kind: &str, now: u64) -> Result<u64, Problem> {
    claims.count(kind, WINDOW, now).await.map_err(|error| unavailable(&error))
}

/// Without the claims nobody is let in.
pub(super) fn unavailable(error: &super::claims::ClaimsError) -> Problem {
    tracing::error!(step = "register", fault = "again", cause = "claims_unavailable", "{}", chain(error));
    Cause::ClaimsUnavailable.into()
}

/// What one subscriber has, wherever it is given out generously: an address, or the first 48 bits of one with 128
/// (<https://www.rfc-editor.org/rfc/rfc6177>).
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
    fn a_subscriber_is_one_source() {
        assert_eq!(subnet("2001:db8:1:2::1"), subnet("2001:db8:1:ffff::9"));
        assert_ne!(subnet("2001:db8:1:2::1"), subnet("2001:db8:2:2::1"));
        assert_eq!(subnet("::ffff:192.0.2.1"), "192.0.2.1");
        assert_ne!(subnet("192.0.2.1"), subnet("192.0.2.2"));
        assert_eq!(subnet("unknown"), "unknown");
    }

    #[test]
    fn what_is_closed_opens_with_the_next_minute() {
        let limits = Limits::default();
        limits.close(Lock::Codes, 119);
        assert!(limits.check(&Lock::Codes, 119).is_err() && limits.check(&Lock::Codes, 120).is_ok());
        assert!(limits.check(&Lock::Codes, 10).is_ok(), "a clock that was set back");
        assert!(limits.check(&Lock::Token("one".into()), 119).is_ok());
        assert_eq!(end(60), 120);
    }
}
