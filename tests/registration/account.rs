//! An account with many things: one world of the simulation, which has a single thing, for each of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use onething::certificate::{Certificate, IssuedCertificate};
use onething::identifiers::{AlexaUser, CertificateId, OwnerId, ThingName};
use onething::registry::signing_request::{CertificateRequest, SigningRequest};
use onething::registry::{Described, Entry, Kind, Listing, Record, Registered, Registry, RegistryError};

use crate::port::Port;
use crate::world::{Flaw, Registration, World};

type Outcome<T> = Result<T, RegistryError>;

#[derive(Clone)]
pub struct Account {
    kind: Kind,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    worlds: Mutex<HashMap<ThingName, Arc<World>>>,
    types: Mutex<HashMap<ThingName, String>>,
    tenants: Mutex<HashMap<CertificateId, ThingName>>,
    policies: Mutex<HashMap<CertificateId, Vec<String>>>,
    chaos: AtomicU64,
    seed: AtomicU64,
    refuses: Mutex<Option<fn() -> RegistryError>>,
}

impl Account {
    pub fn new(kind: Kind) -> Self {
        Self { kind, state: Arc::default() }
    }

    /// From now on this percentage of the calls fails.
    pub fn chaos(&self, percent: u64) {
        self.state.chaos.store(percent, Ordering::SeqCst);
    }

    /// The seed of the worlds that are created from now on.
    pub fn seed(&self, seed: u64) {
        self.state.seed.store(seed, Ordering::SeqCst);
    }

    /// From now on creating a certificate or attaching a policy fails with this error, or succeeds again with `None`.
    /// `PolicyMissing` applies only to attaching a policy, and the other errors only to creating.
    pub fn refuses(&self, how: Option<fn() -> RegistryError>) {
        *self.state.refuses.lock().unwrap() = how;
    }

    pub fn world(&self, thing: &ThingName) -> Arc<World> {
        let mut worlds = self.state.worlds.lock().unwrap();
        let seed = self.state.seed.load(Ordering::SeqCst);
        Arc::clone(worlds.entry(thing.clone()).or_insert_with(|| World::new(seed, Flaw::None)))
    }

    /// Adds a thing that exists before the test.
    pub fn put(&self, thing: &ThingName, entry: Entry) {
        self.state.types.lock().unwrap().extend(entry.thing_type.clone().map(|name| (thing.clone(), name)));
        self.world(thing).account.lock().unwrap().thing = Some(entry);
    }

    pub fn record(&self, thing: &ThingName) -> Option<Record> {
        self.world(thing).account.lock().unwrap().thing.as_ref().map(|entry| entry.record.clone())
    }

    /// The certificates with which a device can connect as this thing.
    pub fn working(&self, thing: &ThingName) -> Vec<CertificateId> {
        let world = self.world(thing);
        let account = world.account.lock().unwrap();
        account.certificates.iter().filter(|(_, it)| it.works()).map(|(id, _)| id.clone()).collect()
    }

    pub fn policies(&self, id: &CertificateId) -> Vec<String> {
        self.state.policies.lock().unwrap().get(id).cloned().unwrap_or_default()
    }

    pub fn registration(&self, id: &CertificateId) -> Option<Registration> {
        let thing = self.state.tenants.lock().unwrap().get(id).cloned()?;
        self.world(&thing).account.lock().unwrap().certificates.get(id).cloned()
    }

    /// Activates or deactivates a certificate, as the maker can do by hand.
    pub fn set_active(&self, id: &CertificateId, active: bool) {
        let thing = self.state.tenants.lock().unwrap()[id].clone();
        self.world(&thing).account.lock().unwrap().certificates.get_mut(id).unwrap().active = active;
    }

    /// The number of things.
    pub fn things(&self) -> usize {
        self.state.worlds.lock().unwrap().values().filter(|world| world.account.lock().unwrap().thing.is_some()).count()
    }

    fn refused(&self, here: impl FnOnce(&RegistryError) -> bool) -> Outcome<()> {
        let refuses = *self.state.refuses.lock().unwrap();
        refuses.map(|refusal| refusal()).filter(here).map_or(Ok(()), Err)
    }

    fn port(&self, thing: &ThingName) -> Port {
        Port { world: self.world(thing), who: 0, chaos: self.state.chaos.load(Ordering::SeqCst) }
    }

    /// The port of the world in which a certificate was created.
    fn of(&self, id: &CertificateId) -> Port {
        let nowhere = ThingName::parse("nowhere").unwrap();
        let thing = self.state.tenants.lock().unwrap().get(id).cloned().unwrap_or(nowhere);
        self.port(&thing)
    }
}

impl Registry for Account {
    fn of_kind(&self, kind: Kind) -> Self {
        Self { kind, state: Arc::clone(&self.state) }
    }

    async fn create_certificate(&self, thing: &ThingName) -> Outcome<Certificate> {
        let made = SigningRequest::new(thing).unwrap();
        let IssuedCertificate { id, pem } = self.certify(thing, &CertificateRequest::parse(&made.pem).unwrap()).await?;
        Ok(Certificate { id, pem, public_key: made.public_key, private_key: made.private_key })
    }

    async fn certify(&self, thing: &ThingName, request: &CertificateRequest) -> Outcome<IssuedCertificate> {
        self.refused(|error| !matches!(error, RegistryError::PolicyMissing(_)))?;
        let issued = self.port(thing).certify(thing, request).await?;
        self.state.tenants.lock().unwrap().insert(issued.id.clone(), thing.clone());
        Ok(issued)
    }

    async fn claim(&self, thing: &ThingName, owner: &OwnerId, record: &Record) -> Outcome<()> {
        // The first claim determines the thing type, even if its response is lost.
        self.state.types.lock().unwrap().entry(thing.clone()).or_insert_with(|| self.kind.thing_type.clone());
        self.port(thing).claim(thing, owner, record).await
    }

    async fn look(&self, thing: &ThingName) -> Outcome<Option<Entry>> {
        let found = self.port(thing).look(thing).await?;
        let thing_type = self.state.types.lock().unwrap().get(thing).cloned();
        Ok(found.map(|entry| Entry { thing_type, ..entry }))
    }

    async fn write(&self, thing: &ThingName, version: i64, record: &Record) -> Outcome<()> {
        self.port(thing).write(thing, version, record).await
    }

    async fn remove(&self, thing: &ThingName, version: i64) -> Outcome<()> {
        self.port(thing).remove(thing, version).await
    }

    async fn attached(&self, thing: &ThingName) -> Outcome<Vec<CertificateId>> {
        self.port(thing).attached(thing).await
    }

    async fn attach_policy(&self, id: &CertificateId) -> Outcome<()> {
        self.refused(|error| matches!(error, RegistryError::PolicyMissing(_)))?;
        self.of(id).attach_policy(id).await?;
        self.state.policies.lock().unwrap().insert(id.clone(), self.kind.policies.clone());
        Ok(())
    }

    async fn attach_thing(&self, id: &CertificateId, thing: &ThingName) -> Outcome<()> {
        self.port(thing).attach_thing(id, thing).await
    }

    async fn activate(&self, id: &CertificateId) -> Outcome<()> {
        self.of(id).activate(id).await
    }

    async fn deactivate(&self, id: &CertificateId) -> Outcome<()> {
        self.of(id).deactivate(id).await
    }

    async fn detach_policy(&self, id: &CertificateId) -> Outcome<()> {
        self.of(id).detach_policy(id).await
    }

    async fn detach_thing(&self, id: &CertificateId, thing: &ThingName) -> Outcome<()> {
        self.of(id).detach_thing(id, thing).await
    }

    async fn delete(&self, id: &CertificateId) -> Outcome<()> {
        self.of(id).delete(id).await
    }

    async fn things_of(&self, _: &AlexaUser) -> Outcome<Vec<ThingName>> {
        Ok(Vec::new())
    }

    async fn unfinished(&self, _: Option<&str>) -> Outcome<Listing<ThingName>> {
        let worlds = self.state.worlds.lock().unwrap();
        let is_unfinished = |world: &World| world.account.lock().unwrap().thing.as_ref().is_some_and(|it| it.record.is_unfinished());
        let items = worlds.iter().filter(|(_, world)| is_unfinished(world)).map(|(thing, _)| thing.clone()).collect();
        Ok(Listing { items, next: None })
    }

    async fn certificates(&self, _: Option<&str>) -> Outcome<Listing<Registered>> {
        Ok(Listing { items: Vec::new(), next: None })
    }

    async fn describe(&self, id: &CertificateId) -> Outcome<Option<Described>> {
        self.of(id).describe(id).await
    }

    async fn is_attached(&self, id: &CertificateId) -> Outcome<bool> {
        self.of(id).is_attached(id).await
    }
}
