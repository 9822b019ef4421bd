//! The registry of things and certificates, in memory, by the rules of AWS IoT's
//! (<https://docs.aws.amazon.com/iot/latest/apireference/>).
//!
//! Creating a thing is exclusive, changing it is compare-and-set on a version that counts from 1, a
//! certificate is tied to one thing only, and none is deleted while it is ACTIVE or tied. Every call is one
//! change under one lock, which no await ever holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use onething::registry::{Described, Entry, Listing, Record, Registered, Registry, RegistryError};
use onething::thing::{AlexaUser, Certificate, CertificateId, OwnerId, ThingName};

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
    /// The thing it was made for.
    pub made_for: ThingName,
    /// When, in seconds since the epoch.
    pub made_at: u64,
}

/// A thing as the registry keeps it.
struct Thing {
    name: ThingName,
    thing_type: String,
    owner: OwnerId,
    entry: Entry,
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
    pub fn registrations(&self) -> BTreeMap<CertificateId, Registration> {
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
    async fn mint(&self, thing: &ThingName) -> Result<Certificate, RegistryError> {
        let (authority, now) = (Arc::clone(&self.authority), (self.now)());
        let issued = tokio::task::spawn_blocking(move || authority.issue(now)).await;
        let issued = issued.map_err(|_| RegistryError::Unclear("the authority broke down".into()))?;
        let certificate = issued.map_err(|error: AuthorityError| RegistryError::Refused(error.to_string()))?;
        let registration =
            Registration { status: Status::Inactive, policies: BTreeSet::new(), thing: None, made_for: thing.clone(), made_at: now };
        self.lock().certificates.insert(certificate.id.clone(), registration);
        Ok(certificate)
    }

    async fn claim(&self, thing: &ThingName, owner: &OwnerId, record: &Record) -> Result<(), RegistryError> {
        let mut state = self.lock();
        if !state.thing_types.contains(&self.thing_type) {
            return Err(RegistryError::ThingTypeMissing(self.thing_type.clone()));
        }
        if let Some(there) = state.things.get(thing.as_str()) {
            // Of two equal things the second is the first, whatever its version has become.
            let identical = there.entry.record == *record && there.owner == *owner && there.thing_type == self.thing_type;
            return if identical { Ok(()) } else { Err(RegistryError::Taken) };
        }
        let made = Thing {
            name: thing.clone(),
            thing_type: self.thing_type.clone(),
            owner: owner.clone(),
            entry: Entry { version: 1, record: record.clone() },
        };
        state.things.insert(thing.as_str().to_owned(), made);
        Ok(())
    }

    async fn look(&self, thing: &ThingName) -> Result<Option<Entry>, RegistryError> {
        Ok(self.lock().things.get(thing.as_str()).map(|thing| thing.entry.clone()))
    }

    async fn write(&self, thing: &ThingName, version: i64, record: &Record) -> Result<(), RegistryError> {
        let mut state = self.lock();
        let there = state.things.get_mut(thing.as_str()).filter(|there| there.entry.version == version);
        let Some(there) = there else { return Err(RegistryError::Taken) };
        there.entry = Entry { version: version + 1, record: record.clone() };
        Ok(())
    }

    async fn remove(&self, thing: &ThingName, version: i64) -> Result<(), RegistryError> {
        let mut state = self.lock();
        let tied = state.certificates.values().any(|registration| registration.thing.as_deref() == Some(thing.as_str()));
        match state.things.get(thing.as_str()) {
            Some(there) if there.entry.version != version => Err(RegistryError::Taken),
            Some(_) if tied => Err(RegistryError::InUse),
            _ => {
                state.things.remove(thing.as_str());
                Ok(())
            }
        }
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

    /// A policy keeps no certificate, as with AWS's `forceDelete`.
    async fn delete(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        let mut state = self.lock();
        match state.certificates.get(certificate) {
            Some(Registration { status: Status::Active, .. }) => Err(RegistryError::InUse),
            Some(Registration { thing: Some(_), .. }) => Err(RegistryError::InUse),
            _ => {
                state.certificates.remove(certificate);
                Ok(())
            }
        }
    }

    async fn things_of(&self, user: &AlexaUser) -> Result<Vec<ThingName>, RegistryError> {
        let state = self.lock();
        let theirs = state.things.values().filter(|thing| thing.entry.record.alexa_user.as_ref() == Some(user));
        Ok(theirs.map(|thing| thing.name.clone()).collect())
    }

    /// All on one page: nothing here is far away.
    async fn unfinished(&self, _: Option<&str>) -> Result<Listing<ThingName>, RegistryError> {
        let state = self.lock();
        let unfinished = state.things.values().filter(|thing| thing.entry.record.is_unfinished());
        Ok(Listing { items: unfinished.map(|thing| thing.name.clone()).collect(), next: None })
    }

    async fn certificates(&self, _: Option<&str>) -> Result<Listing<Registered>, RegistryError> {
        let state = self.lock();
        let mut items: Vec<Registered> = state
            .certificates
            .iter()
            .map(|(id, made)| Registered { id: id.clone(), inactive: made.status == Status::Inactive, made_at: made.made_at })
            .collect();
        items.sort_by_key(|registered| std::cmp::Reverse(registered.made_at));
        Ok(Listing { items, next: None })
    }

    async fn describe(&self, certificate: &CertificateId) -> Result<Option<Described>, RegistryError> {
        let state = self.lock();
        let made = state.certificates.get(certificate);
        Ok(made.map(|made| Described { inactive: made.status == Status::Inactive, made_for: Some(made.made_for.clone()) }))
    }

    async fn is_attached(&self, certificate: &CertificateId) -> Result<bool, RegistryError> {
        Ok(self.lock().certificates.get(certificate).is_some_and(|made| made.thing.is_some()))
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
