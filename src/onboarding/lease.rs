//! The lease: who may change a thing, and until when.
//!
//! Whoever writes a nonce and a time into a thing's record, at the version that was read, holds the thing
//! until that time. Nobody else touches it meanwhile, and the holder does nothing after it: another may
//! have taken over.

use std::time::Duration;

use data_encoding::HEXLOWER;
use tokio::time::{Instant, timeout_at};

use crate::identifiers::ThingName;
use crate::registry::{Entry, Record, Registry, RegistryError};

/// By which name, for how long and by which clock things are held.
#[derive(Clone, Debug)]
pub struct Lease {
    /// A word that nobody else uses.
    pub run: String,
    /// For how long others keep away, in seconds.
    pub seconds: u64,
    /// Seconds since the epoch.
    pub now: fn() -> u64,
}

impl Lease {
    /// A lease by a name of its own.
    pub fn new(seconds: u64, now: fn() -> u64) -> Self {
        Self { run: nonce(), seconds, now }
    }

    /// Until when a thing is held that is taken now. Rounded up: nobody may take over in the last part of a
    /// second in which the holder still acts.
    pub fn until(&self) -> u64 {
        (self.now)() + self.seconds + 1
    }

    /// When whoever takes a thing now must have ended.
    pub fn end(&self) -> Instant {
        Instant::now() + Duration::from_secs(self.seconds)
    }
}

/// A thing that is held.
pub struct Held<'a, R> {
    registry: &'a R,
    thing: &'a ThingName,
    entry: Entry,
    end: Instant,
}

impl<'a, R: Registry> Held<'a, R> {
    /// Takes a thing that was read, and changes its record. [`RegistryError::Taken`] where somebody else
    /// holds it.
    pub async fn take(
        registry: &'a R,
        thing: &'a ThingName,
        lease: &Lease,
        entry: Entry,
        change: impl FnOnce(&mut Record),
    ) -> Result<Self, RegistryError> {
        if entry.record.is_held((lease.now)()) && entry.record.run != lease.run {
            return Err(RegistryError::Taken);
        }
        let mut held = Self { registry, thing, entry, end: lease.end() };
        held.write(|record| {
            change(record);
            record.run.clone_from(&lease.run);
            record.until = lease.until();
        })
        .await?;
        Ok(held)
    }

    /// What the record says now.
    pub fn record(&self) -> &Record {
        &self.entry.record
    }

    /// At which version.
    pub fn version(&self) -> i64 {
        self.entry.version
    }

    /// Does something while the lease lasts, or not at all.
    pub async fn meanwhile<T>(&self, what: impl Future<Output = Result<T, RegistryError>>) -> Result<T, RegistryError> {
        timeout_at(self.end, what).await.unwrap_or_else(|_| Err(RegistryError::Unclear("the lease ran out".into())))
    }

    /// Changes the record, and gives the thing free.
    pub async fn release(mut self, change: impl FnOnce(&mut Record)) -> Result<(), RegistryError> {
        self.write(|record| {
            change(record);
            record.until = 0;
        })
        .await
    }

    async fn write(&mut self, change: impl FnOnce(&mut Record)) -> Result<(), RegistryError> {
        let mut record = self.entry.record.clone();
        change(&mut record);
        let written = self.meanwhile(self.registry.write(self.thing, self.entry.version, &record)).await;
        match written {
            Ok(()) => self.entry = self.entry.after(record),
            // A repetition whose first answer was lost finds its own version: the record tells.
            Err(RegistryError::Taken | RegistryError::Unclear(_)) => {
                let found = self.meanwhile(self.registry.look(self.thing)).await?;
                self.entry = found.filter(|found| found.record == record).ok_or(RegistryError::Taken)?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// A word that nobody else uses: 128 random bits in hex.
pub(crate) fn nonce() -> String {
    let mut bits = [0_u8; 16];
    if getrandom::fill(&mut bits).is_err() {
        // Without the kernel's randomness there is no TLS either; the clock still tells attempts apart.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        bits = now.as_nanos().to_be_bytes();
    }
    HEXLOWER.encode(&bits)
}
