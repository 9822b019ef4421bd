//! The ports of one attempt into the simulated world.

use std::sync::Arc;
use std::time::Duration;

use onething::deliver::{Letter, MailError, Mailer};
use onething::onboard::{Hold, Record, Registry, RegistryError};
use onething::relay::{Patch, Shadow, ShadowError, Shadows};
use onething::thing::{Certificate, CertificateId, OwnerId, PrivateKey, ThingName};

use tokio::time::Instant;

use crate::world::{Account, Failure, Flaw, Registration, World};

/// How long a detachment takes to spread.
const DETACHING: Duration = Duration::from_secs(4);

/// What one attempt sees of the world.
pub struct Port {
    pub world: Arc<World>,
    pub who: usize,
    /// Of a hundred calls, how many go wrong.
    pub chaos: u64,
}

type Outcome<T> = Result<T, RegistryError>;

impl Port {
    /// A call that the client repeats when its outcome is not clear, as the SDK does.
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

    /// What is gone counts as done.
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

fn record(hold: &Hold, version: i64) -> Record {
    Record {
        version,
        run: hold.run.clone(),
        until: hold.until,
        certificate: hold.certificate.clone(),
        sent: hold.sent.clone().unwrap_or_default(),
    }
}

impl Registry for Port {
    async fn mint(&self) -> Outcome<Certificate> {
        let active = self.flawed(Flaw::BornActive);
        let id = self
            .once("CreateKeysAndCertificate", move |account| {
                account.minted += 1;
                let id = CertificateId::parse(&format!("{:064x}", account.minted)).unwrap();
                account.certificates.insert(id.clone(), Registration { active, ..Registration::default() });
                Ok(id)
            })
            .await?;
        Ok(Certificate { id, pem: String::new(), public_key: String::new(), private_key: PrivateKey::new(String::new()) })
    }

    async fn claim(&self, _: &ThingName, _: &OwnerId, hold: &Hold) -> Outcome<()> {
        let (hold, shared) = (hold.clone(), self.flawed(Flaw::ClaimsAreShared));
        self.repeated("CreateThing", move |account| match &account.thing {
            Some(there) if record(&hold, there.version) != *there && !shared => Err(RegistryError::Taken),
            _ => {
                account.thing = Some(record(&hold, 1));
                Ok(())
            }
        })
        .await
    }

    async fn look(&self, _: &ThingName) -> Outcome<Option<Record>> {
        self.repeated("DescribeThing", |account| Ok(account.thing.clone())).await
    }

    async fn hold(&self, _: &ThingName, version: i64, hold: &Hold) -> Outcome<()> {
        let (hold, any) = (hold.clone(), self.flawed(Flaw::VersionsDoNotCount));
        self.repeated("UpdateThing", move |account| match &mut account.thing {
            Some(there) if there.version == version || any => {
                let certificate = hold.certificate.clone().or(there.certificate.take());
                *there = Record { certificate, ..record(&hold, there.version + 1) };
                Ok(())
            }
            _ => Err(RegistryError::Taken),
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
        self.change("AttachThingPrincipal", id, |registration| registration.thing = true).await
    }

    async fn activate(&self, id: &CertificateId) -> Outcome<()> {
        self.change("UpdateCertificate ACTIVE", id, |registration| registration.active = true).await
    }

    async fn deactivate(&self, id: &CertificateId) -> Outcome<()> {
        let idle = self.flawed(Flaw::NothingIsRetired);
        self.undo("UpdateCertificate INACTIVE", id, move |registration| registration.active &= idle).await
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
        let (id, idle) = (id.clone(), self.flawed(Flaw::NothingIsRetired));
        self.repeated("DeleteCertificate", move |account| match account.certificates.get(&id) {
            _ if idle => Ok(()),
            Some(registration) if registration.active => Err(RegistryError::Refused("CertificateStateException".into())),
            Some(registration) if registration.detaching_until.is_some_and(|until| until > Instant::now()) => {
                Err(RegistryError::Refused("DeleteConflictException".into()))
            }
            Some(registration) if registration.thing => Err(RegistryError::Refused("DeleteConflictException".into())),
            _ => {
                account.certificates.remove(&id);
                Ok(())
            }
        })
        .await
    }
}

impl Shadows for Port {
    async fn read(&self, _: &ThingName) -> Result<Option<Shadow>, ShadowError> {
        let read = self.world.call(self.who, "GetThingShadow", self.chaos, |account| account.shadow.clone()).await;
        read.map_err(|_| ShadowError::Unclear("simulated".into()))
    }

    async fn update(&self, _: &ThingName, patch: &Patch) -> Result<(), ShadowError> {
        let shadow = Shadow::read(patch.document());
        let updated = self.world.call(self.who, "UpdateThingShadow", self.chaos, move |account| {
            let ready = !shadow.again;
            account.shadow = Some(shadow);
            let held = account.mails.last().and_then(|id| account.certificates.get(id));
            if ready && !held.is_some_and(Registration::works) {
                account.broken.push("ready, and the certificate in the last mail does not work");
            }
        });
        updated.await.map_err(|failure| match failure {
            Failure::Refused => ShadowError::Throttled,
            Failure::Unclear => ShadowError::Unclear("simulated".into()),
        })
    }
}

impl Mailer for Port {
    async fn send(&self, letter: Letter) -> Result<(), MailError> {
        let id = CertificateId::parse(std::str::from_utf8(&letter.message).unwrap()).unwrap();
        let sent = self.world.call(self.who, "SendRawEmail", self.chaos, move |account| {
            if !account.certificates.get(&id).is_some_and(Registration::works) {
                account.broken.push("a mail with a certificate that does not work");
            }
            account.mails.push(id);
        });
        sent.await.map_err(|failure| match failure {
            Failure::Refused => MailError::Throttled("simulated".into()),
            Failure::Unclear => MailError::Unclear("simulated".into()),
        })
    }
}
