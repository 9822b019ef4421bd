//! Shadows in memory, for as long as the process lives.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use onething::relay::{Connection, Patch, Shadow, ShadowError, Shadows};
use onething::thing::ThingName;
use serde_json::Value;

use super::document::Document;
use super::exchange::{Exchange, delete, update};
use super::rejected::Rejected;
use super::stored::Stored;
use super::topic::ShadowKey;

/// The shadows of all things, in memory. A shadow needs no registered thing, as with AWS IoT.
pub struct LocalShadows {
    shadows: Mutex<HashMap<ShadowKey, Stored>>,
    now: fn() -> u64,
}

impl LocalShadows {
    /// No shadows yet. `now` is in seconds since the epoch.
    pub fn new(now: fn() -> u64) -> Self {
        Self { shadows: Mutex::default(), now }
    }

    /// A thing's shadow, where there is one.
    pub fn document(&self, thing: &ThingName) -> Option<Document> {
        self.lock().get(&thing.into()).and_then(Stored::document).cloned()
    }

    /// Takes an update of a thing's shadow, from the skill or from the device.
    pub fn take(&self, thing: &ThingName, patch: &Value) -> Result<(), Rejected> {
        self.change(thing.into(), |current, key, now| update(current, key, patch, now))
    }

    /// Nothing is published: nobody can be connected.
    fn change(
        &self,
        key: ShadowKey,
        decide: impl FnOnce(Option<&Stored>, &ShadowKey, u64) -> Result<Exchange, Rejected>,
    ) -> Result<(), Rejected> {
        let mut shadows = self.lock();
        if let Some(stored) = decide(shadows.get(&key), &key, (self.now)())?.change {
            shadows.insert(key, stored);
        }
        Ok(())
    }

    /// A panic elsewhere leaves whole documents behind: they are exchanged, never changed in place.
    fn lock(&self) -> MutexGuard<'_, HashMap<ShadowKey, Stored>> {
        self.shadows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shadows for LocalShadows {
    async fn read(&self, thing: &ThingName) -> Result<Option<Shadow>, ShadowError> {
        Ok(self.document(thing).map(|document| Shadow::read(&document.read((self.now)()))))
    }

    async fn update(&self, thing: &ThingName, patch: &Patch) -> Result<(), ShadowError> {
        self.take(thing, patch.document()).map_err(|rejected| match rejected {
            Rejected::Conflict => ShadowError::Conflict,
            Rejected::TooLarge => ShadowError::TooLarge,
            _ => ShadowError::Refused("InvalidRequestException".into()),
        })
    }

    async fn delete(&self, thing: &ThingName) -> Result<(), ShadowError> {
        match self.change(thing.into(), delete) {
            Ok(()) | Err(Rejected::NotFound(_)) => Ok(()),
            Err(rejected) => Err(ShadowError::Refused(rejected.to_string())),
        }
    }

    /// There is no broker that could know.
    async fn connection(&self, _: &ThingName) -> Result<Connection, ShadowError> {
        Ok(Connection::Unknown)
    }

    /// Nothing is connected.
    async fn disconnect(&self, _: &ThingName) -> Result<(), ShadowError> {
        Ok(())
    }
}
