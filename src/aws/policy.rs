//! The registration policy of the endpoint, from its configured source: the configuration of the function, or the Parameter
//! Store.
//!
//! A policy in the store is read at the first request and cached for five minutes. Without a valid policy, every request gets the
//! response to retry later. If a new policy is invalid, the last valid one stays in use.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::parameters::Parameters;
use crate::config::PolicySource;
use crate::fault::{Fault, chain};
use crate::registration::RegistrationPolicy;

/// How long a policy is cached, in seconds.
const BELIEVED: u64 = 300;
/// The pause after a failed read, in seconds.
const AGAIN: u64 = 10;

/// The registration policy of an endpoint, with its cache.
pub struct StoredPolicy {
    parameters: Parameters,
    /// The path in the Parameter Store. `None` if the configuration of the function contains the policy.
    path: Option<String>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    good: Option<Arc<RegistrationPolicy>>,
    /// The time of the next read, as Unix time in seconds.
    due: u64,
}

impl StoredPolicy {
    /// Creates the cache. Nothing is read yet.
    pub fn new(from: PolicySource, parameters: Parameters) -> Self {
        let (path, good) = match from {
            PolicySource::Given(policy) => (None, Some(policy)),
            PolicySource::Parameters(path) => (Some(path), None),
        };
        Self { parameters, path, held: Mutex::new(Held { good, due: 0 }) }
    }

    /// The registration policy at `now`, in Unix time in seconds. `None` if no valid policy could be read yet; the log has the
    /// reason.
    pub async fn at(&self, now: u64) -> Option<Arc<RegistrationPolicy>> {
        let mut held = self.held.lock().await;
        if let Some(path) = self.path.as_ref().filter(|_| held.is_due(now)) {
            let read = match self.parameters.text(path).await {
                Ok(toml) => RegistrationPolicy::parse(&toml).map_err(|error| error.to_string()),
                Err(error) => Err(chain(&error)),
            };
            held.learn(read, now);
        }
        held.good.clone()
    }
}

impl Held {
    /// A read is also due if the time of the next read is too far in the future: the clock was wrong when it was set.
    fn is_due(&self, now: u64) -> bool {
        now >= self.due || self.due - now > BELIEVED
    }

    fn learn(&mut self, read: Result<RegistrationPolicy, String>, now: u64) {
        match read {
            Ok(policy) => *self = Self { good: Some(Arc::new(policy)), due: now + BELIEVED },
            Err(why) => {
                let older = self.good.is_some();
                tracing::error!(step = "register", fault = %Fault::Maker, cause = "policy", older_policy_holds = older, "{why}");
                self.due = now + AGAIN;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_valid_policy_is_used_for_five_minutes_and_while_the_next_one_is_invalid() {
        let mut held = Held::default();
        assert!(held.is_due(1_000) && held.good.is_none());
        held.learn(Err("refused".into()), 1_000);
        assert!(held.good.is_none() && !held.is_due(1_009) && held.is_due(1_010));

        held.learn(Ok(RegistrationPolicy::default()), 1_010);
        let good = held.good.clone().unwrap();
        assert!(!held.is_due(1_309) && held.is_due(1_310));
        held.learn(Err("faulty".into()), 1_310);
        assert!(Arc::ptr_eq(&good, held.good.as_ref().unwrap()) && !held.is_due(1_319) && held.is_due(1_320));
        held.learn(Ok(RegistrationPolicy::default()), 1_320);
        assert!(!Arc::ptr_eq(&good, held.good.as_ref().unwrap()));
    }

    #[test]
    fn a_clock_that_was_ahead_does_not_prolong_the_use_of_a_policy() {
        let mut held = Held::default();
        held.learn(Ok(RegistrationPolicy::default()), 9_000_000);
        assert!(held.is_due(1_000));
    }
}
