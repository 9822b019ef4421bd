//! Renewal: when a certificate is exchanged for a new one, and how its key vouches for the new.
//!
//! A certificate is renewed when a third of its lifetime is left, each device at a moment of its own, so that a fleet that was
//! made in one day does not register in one second. What fails is tried again, in the last day at least every hour.

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
/// 9999-12-31: "no well-defined expiration date" (RFC 5280, section 4.1.2.5).
const NEVER: u64 = 253_402_300_799;
const FIRST_PAUSE: u64 = 60;
/// A clock may be set while nobody looks.
const LONGEST_SLEEP: Duration = Duration::from_secs(12 * HOUR);
/// For one attempt at a renewal.
const WAIT: Duration = Duration::from_secs(120);

/// How long until a certificate should be renewed; `None` for one that does not end. Times are in seconds since the epoch.
///
/// The moment lies in the first half of the last third of its lifetime. Who comes later than that comes within the hour, and at
/// once when less than a day is left.
pub(crate) fn due(not_before: u64, not_after: u64, now: u64, random: u32) -> Option<Duration> {
    let lifetime = not_after.checked_sub(not_before).filter(|lifetime| *lifetime > 0 && not_after < NEVER)?;
    let moment = not_after - lifetime / 3 + share(lifetime / 6, random);
    let soonest = if now.saturating_add(DAY) < not_after { now.saturating_add(share(HOUR, random)) } else { now };
    let when = if moment > now { moment } else { soonest };
    Some(Duration::from_secs(when - now))
}

/// How long until a renewal that has failed so often is tried again: twice as long each time, up to a day, and never beyond
/// an hour when the next day is the last.
pub(crate) fn again(failures: u32, not_after: u64, now: u64, random: u32) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(2_u64.saturating_pow(failures.saturating_sub(1)));
    // Nobody sleeps far into the last day.
    let before_last_day = not_after.saturating_sub(now).saturating_sub(DAY);
    let longest = longest.min(DAY.min(before_last_day.max(HOUR)));
    Duration::from_secs(longest / 2 + share(longest / 2, random))
}

/// So much of something as the random number is of all there are.
fn share(of: u64, random: u32) -> u64 {
    let share = u128::from(of) * u128::from(random) / u128::from(u32::MAX);
    u64::try_from(share).unwrap_or(of)
}

/// Renews the stored credentials when it is time, as often as it takes.
#[derive(Debug, Default)]
pub(crate) struct Renewal {
    failures: u32,
}

impl Renewal {
    /// Waits until the stored certificate is due and has been renewed. The new one is stored on trial: who connects with it
    /// says how that went by [`Held::confirm`], or by [`Held::fall_back`] and [`Renewal::failed`]. May be dropped at any time.
    pub(crate) async fn next(&mut self, bundle: &Bundle, endpoint: &Endpoint, held: &Held, now: fn() -> u64) -> Bundle {
        let random = getrandom::u32().unwrap_or_default();
        loop {
            match due(bundle.not_before, bundle.not_after, now(), random) {
                None => std::future::pending().await,
                Some(until) if until > LONGEST_SLEEP => sleep(LONGEST_SLEEP).await,
                // Another certificate than the one that could not be renewed.
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

    /// The server does not let the device in with the new certificate: the next attempt comes later.
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
