//! The registry of things and certificates, in memory, by the rules of AWS IoT's
//! (<https://docs.aws.amazon.com/iot/latest/apireference/>).
//!
//! Creating a thing is exclusive, changing it is compare-and-set on a version that counts from 1, a
//! certificate is tied to one thing only, and none is deleted while it is ACTIVE or tied. Every call is one
//! change under one lock, which no await ever holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use onething::onboard::{Hold, Record, Registry, RegistryError};
use onething::thing::{Certificate, CertificateId, OwnerId, ThingName};

use crate::authority::{Authority, AuthorityError};

/// Whether a certificate opens anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Its device may connect.
    Active,
    /// Its device may not.
    Inactive,
}

/// A certificate as the registry keeps it: without its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// ACTIVE or INACTIVE.
    pub status: Status,
    /// The policies attached to it.
    pub policies: BTreeSet<String>,
    /// The one thing it is tied to.
    pub thing: Option<String>,
}

/// A thing as the registry keeps it.
struct Thing {
    thing_type: String,
    owner: OwnerId,
    record: Record,
}

#[derive(Default)]
struct State {
    thing_types: BTreeSet<String>,
    policies: BTreeSet<String>,
    things: BTreeMap<String, Thing>,
    certificates: BTreeMap<CertificateId, Registration>,
}

/// The registry of one hub.
pub struct LocalRegistry {
    authority: Arc<Authority>,
    thing_type: String,
    policy: String,
    now: fn() -> u64,
    state: Mutex<State>,
}

impl LocalRegistry {
    /// An empty registry: it makes things of `thing_type` and certificates with `policy`, both of which
    /// have yet to be created. `now` is in seconds since the epoch.
    pub fn new(authority: Arc<Authority>, thing_type: &str, policy: &str, now: fn() -> u64) -> Self {
        Self { authority, thing_type: thing_type.to_owned(), policy: policy.to_owned(), now, state: Mutex::default() }
    }

    /// Creates a thing type.
    pub fn create_thing_type(&self, name: &str) {
        self.lock().thing_types.insert(name.to_owned());
    }

    /// Creates a policy.
    pub fn create_policy(&self, name: &str) {
        self.lock().policies.insert(name.to_owned());
    }

    /// The names of all things.
    pub fn things(&self) -> Vec<String> {
        self.lock().things.keys().cloned().collect()
    }

    /// All certificates.
    pub fn certificates(&self) -> BTreeMap<CertificateId, Registration> {
        self.lock().certificates.clone()
    }

    /// No change panics half-way, so what a panic elsewhere leaves behind is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a certificate; what is gone needs no change where the port says so.
    fn change(
        &self,
        certificate: &CertificateId,
        change: impl FnOnce(&State, &mut Registration) -> Result<(), RegistryError>,
    ) -> Result<(), RegistryError> {
        let mut state = self.lock();
        let Some(mut registration) = state.certificates.get(certificate).cloned() else {
            return Err(refused("ResourceNotFoundException"));
        };
        change(&state, &mut registration)?;
        state.certificates.insert(certificate.clone(), registration);
        Ok(())
    }

    fn change_if_there(&self, certificate: &CertificateId, change: impl FnOnce(&mut Registration)) {
        if let Some(registration) = self.lock().certificates.get_mut(certificate) {
            change(registration);
        }
    }
}

/// AWS IoT's error codes, so that a log line of the hub reads like one of the Lambda.
fn refused(code: &str) -> RegistryError {
    RegistryError::Refused(code.to_owned())
}

impl Registry for LocalRegistry {
    async fn mint(&self) -> Result<Certificate, RegistryError> {
        let (authority, now) = (Arc::clone(&self.authority), (self.now)());
        let issued = tokio::task::spawn_blocking(move || authority.issue(now)).await;
        let issued = issued.map_err(|_| RegistryError::Unclear("the authority broke down".into()))?;
        let certificate = issued.map_err(|error: AuthorityError| RegistryError::Refused(error.to_string()))?;
        let registration = Registration { status: Status::Inactive, policies: BTreeSet::new(), thing: None };
        self.lock().certificates.insert(certificate.id.clone(), registration);
        Ok(certificate)
    }

    async fn claim(&self, thing: &ThingName, owner: &OwnerId, hold: &Hold) -> Result<(), RegistryError> {
        let mut state = self.lock();
        if !state.thing_types.contains(&self.thing_type) {
            return Err(RegistryError::ThingTypeMissing(self.thing_type.clone()));
        }
        let record = Record {
            version: 1,
            run: hold.run.clone(),
            until: hold.until,
            certificate: hold.certificate.clone(),
            sent: hold.sent.clone().unwrap_or_default(),
        };
        if let Some(there) = state.things.get(thing.as_str()) {
            // Of two equal things the second is the first, whatever its version has become.
            let same = Record { version: there.record.version, ..record };
            let identical = there.record == same && there.owner == *owner && there.thing_type == self.thing_type;
            return if identical { Ok(()) } else { Err(RegistryError::Taken) };
        }
        state.things.insert(thing.as_str().to_owned(), Thing { thing_type: self.thing_type.clone(), owner: owner.clone(), record });
        Ok(())
    }

    async fn look(&self, thing: &ThingName) -> Result<Option<Record>, RegistryError> {
        Ok(self.lock().things.get(thing.as_str()).map(|thing| thing.record.clone()))
    }

    async fn hold(&self, thing: &ThingName, version: i64, hold: &Hold) -> Result<(), RegistryError> {
        let mut state = self.lock();
        let there = state.things.get_mut(thing.as_str()).filter(|there| there.record.version == version);
        let Some(there) = there else { return Err(RegistryError::Taken) };
        there.record = Record {
            version: version + 1,
            run: hold.run.clone(),
            until: hold.until,
            certificate: hold.certificate.clone().or(there.record.certificate.take()),
            sent: hold.sent.clone().unwrap_or_else(|| std::mem::take(&mut there.record.sent)),
        };
        Ok(())
    }

    async fn attached(&self, thing: &ThingName) -> Result<Vec<CertificateId>, RegistryError> {
        let state = self.lock();
        let tied = state.certificates.iter().filter(|(_, registration)| registration.thing.as_deref() == Some(thing.as_str()));
        Ok(tied.map(|(id, _)| id.clone()).collect())
    }

    async fn attach_policy(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        self.change(certificate, |state, registration| {
            if !state.policies.contains(&self.policy) {
                return Err(RegistryError::PolicyMissing(self.policy.clone()));
            }
            registration.policies.insert(self.policy.clone());
            Ok(())
        })
    }

    async fn attach_thing(&self, certificate: &CertificateId, thing: &ThingName) -> Result<(), RegistryError> {
        self.change(certificate, |state, registration| {
            if !state.things.contains_key(thing.as_str()) {
                return Err(refused("ResourceNotFoundException"));
            }
            if registration.thing.as_deref().is_some_and(|other| other != thing.as_str()) {
                return Err(refused("InvalidRequestException"));
            }
            registration.thing = Some(thing.as_str().to_owned());
            Ok(())
        })
    }

    async fn activate(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        self.change(certificate, |_, registration| {
            registration.status = Status::Active;
            Ok(())
        })
    }

    async fn deactivate(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        self.change_if_there(certificate, |registration| registration.status = Status::Inactive);
        Ok(())
    }

    async fn detach_policy(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        self.change_if_there(certificate, |registration| {
            registration.policies.remove(&self.policy);
        });
        Ok(())
    }

    async fn detach_thing(&self, certificate: &CertificateId, thing: &ThingName) -> Result<(), RegistryError> {
        self.change_if_there(certificate, |registration| {
            registration.thing.take_if(|tied| tied == thing.as_str());
        });
        Ok(())
    }

    async fn delete(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        let mut state = self.lock();
        match state.certificates.get(certificate) {
            Some(Registration { status: Status::Active, .. }) => Err(refused("CertificateStateException")),
            Some(Registration { thing: Some(_), .. }) => Err(refused("DeleteConflictException")),
            Some(Registration { policies, .. }) if !policies.is_empty() => Err(refused("DeleteConflictException")),
            _ => {
                state.certificates.remove(certificate);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
