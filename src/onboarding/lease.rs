//! The lease: an exclusive right to change a thing for a limited time.
//!
//! An attempt takes the lease by writing a nonce and an expiry time into the record of the thing, at the version that it read.
//! Until that time no other attempt changes the thing. The holder does nothing after that time, because another attempt may hold
//! the thing.

use std::time::Duration;

use data_encoding::HEXLOWER;
use tokio::time::{Instant, timeout_at};

use crate::identifiers::ThingName;
use crate::registry::{Entry, Record, Registry, RegistryError};

/// The identity, the duration and the clock of the leases of one attempt.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The nonce that identifies the attempt.
    pub run: String,
    /// The duration in seconds.
    pub seconds: u64,
    /// The current Unix time in seconds.
    pub now: fn() -> u64,
}

impl Lease {
    /// A lease with a new nonce.
    pub fn new(seconds: u64, now: fn() -> u64) -> Self {
        Self { run: nonce(), seconds, now }
    }

    /// The expiry time of a lease that is taken now, as Unix time in seconds. Rounded up, so that no other attempt takes over
    /// during the second in which the holder may still act.
    pub fn until(&self) -> u64 {
        (self.now)() + self.seconds + 1
    }

    /// The time after which the holder of a lease that is taken now must not act.
    pub fn end(&self) -> Instant {
        Instant::now() + Duration::from_secs(self.seconds)
    }
}

/// A thing under a lease.
pub struct Held<'a, R> {
    registry: &'a R,
    thing: &'a ThingName,
    entry: Entry,
    end: Instant,
}

impl<'a, R: Registry> Held<'a, R> {
    /// Takes the lease for the thing at the version of `entry`, and applies `change` to its record. Fails with
    /// [`RegistryError::Taken`] if another attempt holds the lease.
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

    /// The current record of the thing.
    pub fn record(&self) -> &Record {
        &self.entry.record
    }

    /// The current version of the thing in the registry.
    pub fn version(&self) -> i64 {
        self.entry.version
    }

    /// Runs a registry call and cancels it when the lease expires.
    pub async fn within_lease<T>(&self, what: impl Future<Output = Result<T, RegistryError>>) -> Result<T, RegistryError> {
        timeout_at(self.end, what).await.unwrap_or_else(|_| Err(RegistryError::Unclear("the lease ran out".into())))
    }

    /// Applies `change` to the record and releases the lease.
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
        let written = self.within_lease(self.registry.write(self.thing, self.entry.version, &record)).await;
        match written {
            Ok(()) => self.entry = self.entry.after(record),
            // The write may have succeeded although its first response was lost. In that case the record equals the written one.
            Err(RegistryError::Taken | RegistryError::Unclear(_)) => {
                let found = self.within_lease(self.registry.look(self.thing)).await?;
                self.entry = found.filter(|found| found.record == record).ok_or(RegistryError::Taken)?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// A nonce: 128 random bits in hexadecimal digits.
pub(crate) fn nonce() -> String {
    let mut bits = [0_u8; 16];
    if getrandom::fill(&mut bits).is_err() {
        // Without randomness from the kernel, TLS fails as well. The clock still makes the nonce unique.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        bits = now.as_nanos().to_be_bytes();
    }
    HEXLOWER.encode(&bits)
}
