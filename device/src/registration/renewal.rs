//! Renewal: when a certificate is replaced by a new one.
//!
//! A certificate is renewed when about a third of its lifetime is left, at a random time for each device, so that devices that
//! were made on one day do not all register in the same second. A failed renewal is tried again, on the last day at least every
//! hour.

use std::time::Duration;

use onething::fault::chain;
use tokio::time::sleep;
use tracing::{info, warn};

use super::credential::Credential;
use super::{Endpoint, register};
use crate::bundle::Bundle;
use crate::state::Held;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
/// 9999-12-31 as Unix time: "no well-defined expiration date" (RFC 5280, section 4.1.2.5).
const NEVER: u64 = 253_402_300_799;
const FIRST_PAUSE: u64 = 60;
/// The longest sleep, because the clock may be set in the meantime.
const LONGEST_SLEEP: Duration = Duration::from_secs(12 * HOUR);
/// The time limit of one renewal.
const WAIT: Duration = Duration::from_secs(120);

/// The time until a certificate should be renewed; `None` for one that does not expire. Times are Unix time in seconds.
///
/// The moment lies in the first half of the last third of the lifetime. If it has passed, the renewal is due within an hour, or
/// at once if less than a day is left.
pub(crate) fn due(not_before: u64, not_after: u64, now: u64, random: u32) -> Option<Duration> {
    let lifetime = not_after.checked_sub(not_before).filter(|lifetime| *lifetime > 0 && not_after < NEVER)?;
    let moment = not_after - lifetime / 3 + share(lifetime / 6, random);
    let soonest = if now.saturating_add(DAY) < not_after { now.saturating_add(share(HOUR, random)) } else { now };
    let when = if moment > now { moment } else { soonest };
    Some(Duration::from_secs(when - now))
}

/// The pause after this number of failed renewals: doubled with each failure, up to a day, but no longer than an hour if the
/// pause would reach into the last day.
pub(crate) fn again(failures: u32, not_after: u64, now: u64, random: u32) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(2_u64.saturating_pow(failures.saturating_sub(1)));
    // The pause must not reach far into the last day.
    let before_last_day = not_after.saturating_sub(now).saturating_sub(DAY);
    let longest = longest.min(DAY.min(before_last_day.max(HOUR)));
    Duration::from_secs(longest / 2 + share(longest / 2, random))
}

/// The share of a number that corresponds to a random number: 0 yields 0, the largest number yields the whole number.
fn share(of: u64, random: u32) -> u64 {
    let share = u128::from(of) * u128::from(random) / u128::from(u32::MAX);
    u64::try_from(share).unwrap_or(of)
}

/// Renews the stored credentials when they are due, and repeats failed attempts.
#[derive(Debug, Default)]
pub(crate) struct Renewal {
    failures: u32,
}

impl Renewal {
    /// Waits until the certificate is due and has been renewed. The new certificate is stored on trial. The caller connects with
    /// it and reports the result with [`Held::confirm`], or with [`Held::fall_back`] and [`Renewal::failed`]. This future may be
    /// dropped at any time.
    pub(crate) async fn next(&mut self, bundle: &Bundle, endpoint: &Endpoint, held: &Held, now: fn() -> u64) -> Bundle {
        let random = getrandom::u32().unwrap_or_default();
        loop {
            match due(bundle.not_before, bundle.not_after, now(), random) {
                None => std::future::pending().await,
                Some(until) if until > LONGEST_SLEEP => sleep(LONGEST_SLEEP).await,
                // The certificate is a different one from the one whose renewal failed.
                Some(until) if until > Duration::from_secs(HOUR) => {
                    self.failures = 0;
                    sleep(until).await;
                    break;
                }
                Some(until) if self.failures == 0 => {
                    sleep(until).await;
                    break;
                }
                Some(_) => break,
            }
        }
        loop {
            if self.failures > 0 {
                sleep(again(self.failures, bundle.not_after, now(), random)).await;
            }
            match renew(endpoint, held, now).await {
                Ok(bundle) => {
                    info!(certificate = %bundle.certificate_id, "the certificate was renewed");
                    return bundle;
                }
                Err(why) => warn!("the certificate was not renewed: {why}"),
            }
            self.failed();
        }
    }

    /// The server has refused the new certificate: the pause before the next attempt grows.
    pub(crate) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }
}

async fn renew(endpoint: &Endpoint, held: &Held, now: fn() -> u64) -> Result<Bundle, String> {
    let stored = held.credentials().map_err(|error| chain(&error))?;
    let files = stored.ok_or_else(|| "there are no stored credentials".to_owned())?;
    register(&Credential::Certificate(files), endpoint, held, Some(WAIT), now).await.map_err(|error| chain(&error))
}

#[cfg(test)]
#[path = "renewal_tests.rs"]
mod tests;
