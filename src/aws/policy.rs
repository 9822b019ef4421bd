//! The registration policy of the endpoint, where the configuration says they are: in the function itself, or in the Parameter Store.
//!
//! What is in the store is read at the first request and believed for five minutes. RegistrationPolicy that cannot be read open nothing:
//! without good ones there is no answer but "come back later". Good ones stay in use while new ones are faulty.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::parameters::Parameters;
use crate::config::PolicySource;
use crate::fault::{Fault, chain};
use crate::registration::RegistrationPolicy;

/// For how long a policy is believed, in seconds.
const BELIEVED: u64 = 300;
/// After so many seconds it is tried again to read what could not be read.
const AGAIN: u64 = 10;

/// The registration policy of an endpoint, always as far as they are known.
pub struct StoredPolicy {
    parameters: Parameters,
    /// `None` for policy that stand in the function's own configuration.
    path: Option<String>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    good: Option<Arc<RegistrationPolicy>>,
    /// When to look again, in seconds since the epoch.
    due: u64,
}

impl StoredPolicy {
    /// Nothing is read yet.
    pub fn new(from: PolicySource, parameters: Parameters) -> Self {
        let (path, good) = match from {
            PolicySource::Given(policy) => (None, Some(policy)),
            PolicySource::Parameters(path) => (Some(path), None),
        };
        Self { parameters, path, held: Mutex::new(Held { good, due: 0 }) }
    }

    /// The registration policy at `now`, in seconds since the epoch; `None` while there are none that can be read. Why that is so, the log says.
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
    /// A time far ahead was written by a clock that was off.
    fn is_due(&self, now: u64) -> bool {
        now >= self.due || self.due - now > BELIEVED
    }

    fn learn(&mut self, read: Result<RegistrationPolicy, String>, now: u64) {
        match read {
            Ok(policy) => *self = Self { good: Some(Arc::new(policy)), due: now + BELIEVED },
            Err(why) => {
                let older = self.good.is_some();
                tracing::error!(step = "register", fault = %Fault::Maker, cause = "terms", older_policy_holds = older, "{why}");
                self.due = now + AGAIN;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_policy_hold_for_five_minutes_and_while_new_ones_are_faulty() {
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
    fn a_clock_that_was_ahead_does_not_make_policy_last() {
        let mut held = Held::default();
        held.learn(Ok(RegistrationPolicy::default()), 9_000_000);
        assert!(held.is_due(1_000));
    }
}
