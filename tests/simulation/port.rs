//! The ports of one process into the simulated world.

use std::sync::Arc;
use std::time::Duration;

use onething::certificate::{Certificate, IssuedCertificate};
use onething::identifiers::{AlexaUser, CertificateId, OwnerId, ThingName};
use onething::mail::{Letter, MailError, Mailer};
use onething::registry::signing_request::CertificateRequest;
use onething::registry::{Described, Entry, Kind, Listing, Record, Registered, Registry, RegistryError};
use onething::secrets::PrivateKey;
use onething::shadow::{Connection, Patch, Shadow, ShadowError, Shadows};
use serde_json::json;

use tokio::time::Instant;

use crate::world::{Account, Failure, Flaw, Registration, World, merge};
use crate::{now, thing};

/// The time that a detachment takes to propagate.
const DETACHING: Duration = Duration::from_secs(4);

/// The view of one process on the world.
#[derive(Clone)]
pub struct Port {
    pub world: Arc<World>,
    pub who: usize,
    /// The percentage of calls that fail.
    pub chaos: u64,
}

type Outcome<T> = Result<T, RegistryError>;

impl Port {
    /// A call that the client repeats if its outcome is unclear, as the AWS SDK does.
    async fn repeated<T: Send + 'static>(
        &self,
        name: &'static str,
        effect: impl Fn(&mut Account) -> Outcome<T> + Clone + Send + 'static,
    ) -> Outcome<T> {
        let mut outcome = self.once(name, effect.clone()).await;
        if matches!(outcome, Err(RegistryError::Unclear(_))) && self.world.roll(2) == 0 {
            outcome = self.once(name, effect).await;
        }
        outcome
    }

    async fn once<T: Send + 'static>(
        &self,
        name: &'static str,
        effect: impl FnOnce(&mut Account) -> Outcome<T> + Send + 'static,
    ) -> Outcome<T> {
        match self.world.call(self.who, name, self.chaos, effect).await {
            Ok(outcome) => outcome,
            Err(Failure::Refused) => Err(RegistryError::Throttled),
            Err(Failure::Unclear) => Err(RegistryError::Unclear("simulated".into())),
        }
    }

    async fn change(
        &self,
        name: &'static str,
        id: &CertificateId,
        change: impl Fn(&mut Registration) + Clone + Send + 'static,
    ) -> Outcome<()> {
        let id = id.clone();
        self.repeated(name, move |account| match account.certificates.get_mut(&id) {
            Some(registration) => {
                change(registration);
                Ok(())
            }
            None => Err(RegistryError::Refused("ResourceNotFoundException".into())),
        })
        .await
    }

    /// Changes a certificate; a certificate that does not exist counts as a success.
    async fn undo(
        &self,
        name: &'static str,
        id: &CertificateId,
        change: impl Fn(&mut Registration) + Clone + Send + 'static,
    ) -> Outcome<()> {
        let id = id.clone();
        self.repeated(name, move |account| {
            account.certificates.get_mut(&id).into_iter().for_each(&change);
            Ok(())
        })
        .await
    }

    fn flawed(&self, flaw: Flaw) -> bool {
        self.world.flaw == flaw
    }
}

impl Registry for Port {
    fn of_kind(&self, _: Kind) -> Self {
        self.clone()
    }

    /// Issues a certificate for the public key of the request.
    async fn certify(&self, _: &ThingName, request: &CertificateRequest) -> Outcome<IssuedCertificate> {
        let issued = issue(request);
        let id = issued.id.clone();
        let made = Registration { active: self.flawed(Flaw::CreatedActive), ours: true, made_at: now(), ..Registration::default() };
        self.once("CreateCertificateFromCsr", move |account| {
            account.certificates.insert(id, made);
            Ok(())
        })
        .await?;
        Ok(issued)
    }

    async fn create_certificate(&self, _: &ThingName) -> Outcome<Certificate> {
        let active = self.flawed(Flaw::CreatedActive);
        let id = self
            .once("CreateCertificateFromCsr", move |account| {
                account.created += 1;
                let id = CertificateId::parse(&format!("{:064x}", account.created)).unwrap();
                let made = Registration { active, ours: true, made_at: now(), ..Registration::default() };
                account.certificates.insert(id.clone(), made);
                Ok(id)
            })
            .await?;
        Ok(Certificate { id, pem: String::new(), public_key: String::new(), private_key: PrivateKey::new(String::new()) })
    }

    async fn claim(&self, _: &ThingName, owner: &OwnerId, record: &Record) -> Outcome<()> {
        let (owner, record, shared) = (owner.clone(), record.clone(), self.flawed(Flaw::ClaimsAreShared));
        self.repeated("CreateThing", move |account| match &account.thing {
            Some(there) if there.record != record && !shared => Err(RegistryError::Taken),
            // A repeated call: the thing exists already, whatever its version is now.
            Some(_) if !shared => Ok(()),
            _ => {
                account.thing =
                    Some(Entry { version: 1, owner: Some(owner.clone()), thing_type: Some("3d-printer".into()), record: record.clone() });
                Ok(())
            }
        })
        .await
    }

    async fn look(&self, _: &ThingName) -> Outcome<Option<Entry>> {
        self.repeated("DescribeThing", |account| Ok(account.thing.clone())).await
    }

    async fn write(&self, _: &ThingName, version: i64, record: &Record) -> Outcome<()> {
        let (record, any) = (record.clone(), self.flawed(Flaw::VersionsDoNotCount));
        self.repeated("UpdateThing", move |account| match &mut account.thing {
            Some(there) if there.version == version || any => {
                *there = there.after(record.clone());
                account.delivered.extend(record.certificate.clone().filter(|_| record.delivered.is_some()));
                if record.forget {
                    // After this record, no certificate is owed to the owner.
                    account.delivered.clear();
                }
                Ok(())
            }
            _ => Err(RegistryError::Taken),
        })
        .await
    }

    async fn remove(&self, _: &ThingName, version: i64) -> Outcome<()> {
        self.repeated("DeleteThing", move |account| match &account.thing {
            Some(there) if there.version != version => Err(RegistryError::Taken),
            Some(_) if account.certificates.values().any(|registration| registration.thing || registration.is_detaching()) => {
                Err(RegistryError::InUse)
            }
            _ => {
                account.thing = None;
                Ok(())
            }
        })
        .await
    }

    async fn attached(&self, _: &ThingName) -> Outcome<Vec<CertificateId>> {
        self.repeated("ListThingPrincipals", |account| {
            Ok(account.certificates.iter().filter(|(_, registration)| registration.thing).map(|(id, _)| id.clone()).collect())
        })
        .await
    }

    async fn attach_policy(&self, id: &CertificateId) -> Outcome<()> {
        self.change("AttachPolicy", id, |registration| registration.policy = true).await
    }

    async fn attach_thing(&self, id: &CertificateId, _: &ThingName) -> Outcome<()> {
        let id = id.clone();
        self.repeated("AttachThingPrincipal", move |account| match (account.thing.is_some(), account.certificates.get_mut(&id)) {
            (true, Some(registration)) => {
                registration.thing = true;
                Ok(())
            }
            _ => Err(RegistryError::Refused("ResourceNotFoundException".into())),
        })
        .await
    }

    async fn activate(&self, id: &CertificateId) -> Outcome<()> {
        self.change("UpdateCertificate ACTIVE", id, |registration| registration.active = true).await
    }

    async fn deactivate(&self, id: &CertificateId) -> Outcome<()> {
        let idle = self.flawed(Flaw::NothingIsRevoked);
        let id = id.clone();
        self.repeated("UpdateCertificate INACTIVE", move |account| {
            account.check_cut_off(&id);
            account.certificates.get_mut(&id).into_iter().for_each(|registration| registration.active &= idle);
            Ok(())
        })
        .await
    }

    async fn detach_policy(&self, id: &CertificateId) -> Outcome<()> {
        self.undo("DetachPolicy", id, |registration| registration.policy = false).await
    }

    async fn detach_thing(&self, id: &CertificateId, _: &ThingName) -> Outcome<()> {
        self.undo("DetachThingPrincipal", id, |registration| {
            if registration.thing {
                registration.detaching_until = Some(Instant::now() + DETACHING);
            }
            registration.thing = false;
        })
        .await
    }

    async fn delete(&self, id: &CertificateId) -> Outcome<()> {
        let (id, idle) = (id.clone(), self.flawed(Flaw::NothingIsRevoked));
        self.repeated("DeleteCertificate", move |account| match account.certificates.get(&id) {
            _ if idle => Ok(()),
            Some(registration) if registration.active => Err(RegistryError::InUse),
            Some(registration) if registration.is_detaching() => Err(RegistryError::InUse),
            Some(registration) if registration.thing => Err(RegistryError::InUse),
            _ => {
                account.certificates.remove(&id);
                Ok(())
            }
        })
        .await
    }

    async fn things_of(&self, user: &AlexaUser) -> Outcome<Vec<ThingName>> {
        let user = user.clone();
        self.repeated("ListThings", move |account| {
            let found = account.thing.as_ref().filter(|there| there.record.alexa_user.as_ref() == Some(&user));
            Ok(found.map(|_| thing()).into_iter().collect())
        })
        .await
    }

    async fn unfinished(&self, _: Option<&str>) -> Outcome<Listing<ThingName>> {
        self.repeated("ListThings", |account| {
            let found = account.thing.as_ref().filter(|there| there.record.is_unfinished());
            Ok(Listing { items: found.map(|_| thing()).into_iter().collect(), next: None })
        })
        .await
    }

    /// Two certificates per page, newest first.
    async fn certificates(&self, page: Option<&str>) -> Outcome<Listing<Registered>> {
        let after = page.map(str::to_owned);
        self.repeated("ListCertificates", move |account| {
            let mut all: Vec<Registered> = account
                .certificates
                .iter()
                .map(|(id, it)| Registered { id: id.clone(), inactive: !it.active, made_at: it.made_at })
                .collect();
            let place = |it: &Registered| format!("{:020}{}", u64::MAX - it.made_at, it.id);
            all.sort_by_key(place);
            let mut rest = all.into_iter().filter(|it| after.as_ref().is_none_or(|after| place(it) > *after));
            let items: Vec<Registered> = rest.by_ref().take(2).collect();
            let next = rest.next().and_then(|_| items.last().map(place));
            Ok(Listing { items, next })
        })
        .await
    }

    async fn describe(&self, id: &CertificateId) -> Outcome<Option<Described>> {
        let (id, all) = (id.clone(), self.flawed(Flaw::AllSeemOurs));
        self.repeated("DescribeCertificate", move |account| {
            let found = account.certificates.get(&id);
            let described = |it: &Registration| {
                let ours = it.ours || all;
                Described { active: it.active, inactive: !it.active, ours, made_for: (ours && !it.nameless).then(thing) }
            };
            Ok(found.map(described))
        })
        .await
    }

    async fn is_attached(&self, id: &CertificateId) -> Outcome<bool> {
        let id = id.clone();
        self.repeated("ListPrincipalThings", move |account| Ok(account.certificates.get(&id).is_some_and(|it| it.thing))).await
    }
}

/// Issues a certificate as a certificate authority does. No test reads the subject.
fn issue(request: &CertificateRequest) -> IssuedCertificate {
    let key = rcgen::KeyPair::generate().unwrap();
    let authority = rcgen::Issuer::new(rcgen::CertificateParams::default(), key);
    let key = rcgen::SubjectPublicKeyInfo::from_der(request.public_key()).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.not_after = rcgen::date_time_ymd(2049, 12, 31);
    let certificate = params.signed_by(&key, &authority).unwrap();
    IssuedCertificate { id: CertificateId::of(certificate.der()), pem: certificate.pem() }
}

impl Port {
    async fn shadow<T: Send + 'static>(
        &self,
        name: &'static str,
        effect: impl FnOnce(&mut Account) -> T + Send + 'static,
    ) -> Result<T, ShadowError> {
        self.world.call(self.who, name, self.chaos, effect).await.map_err(|failure| match failure {
            Failure::Refused => ShadowError::Throttled,
            Failure::Unclear => ShadowError::Unclear("simulated".into()),
        })
    }
}

impl Shadows for Port {
    async fn read(&self, _: &ThingName) -> Result<Option<Shadow>, ShadowError> {
        let read = |account: &mut Account| account.shadow.clone().map(|state| Shadow::read(&json!({"state": state})));
        self.shadow("GetThingShadow", read).await
    }

    async fn update(&self, _: &ThingName, patch: &Patch) -> Result<(), ShadowError> {
        let state = patch.document()["state"].clone();
        self.shadow("UpdateThingShadow", move |account| {
            let fresh = !account.shadow.as_ref().is_some_and(|shadow| Shadow::read(&json!({"state": shadow})).onboarded);
            merge(account.shadow.get_or_insert_with(|| json!({})), &state);
            let ready = Shadow::read(&json!({"state": state})).is_ready();
            if ready && fresh && !account.certificates.values().any(Registration::works) {
                account.broken.push("ready, and no certificate works");
            }
        })
        .await
    }

    async fn delete(&self, _: &ThingName) -> Result<(), ShadowError> {
        self.shadow("DeleteThingShadow", |account| account.shadow = None).await
    }

    async fn connection(&self, _: &ThingName) -> Result<Connection, ShadowError> {
        Ok(Connection::Unknown)
    }

    async fn disconnect(&self, _: &ThingName) -> Result<(), ShadowError> {
        self.shadow("DeleteConnection", |_| ()).await
    }
}

impl Mailer for Port {
    async fn send(&self, letter: Letter) -> Result<(), MailError> {
        let id = CertificateId::parse(std::str::from_utf8(&letter.message).unwrap()).unwrap();
        let keeps = self.world.keeps_mail;
        let sent = self.world.call(self.who, "SendRawEmail", self.chaos, move |account| {
            if !account.certificates.get(&id).is_some_and(Registration::works) {
                account.broken.push("a mail with a certificate that does not work");
            }
            if keeps {
                account.waiting = Some(id);
            } else {
                account.mailed(id);
            }
        });
        sent.await.map_err(|failure| match failure {
            Failure::Refused => MailError::Throttled("simulated".into()),
            Failure::Unclear => MailError::Unclear("simulated".into()),
        })
    }
}
