//! The ports of the endpoint, nearly all unavailable: only the claims work and know one code, the hook allows every device, and
//! every thing exists and belongs to the owner of that code.

use std::sync::Mutex;
use std::time::Duration;

use onething::certificate::{Certificate, IssuedCertificate};
use onething::identifiers::{AlexaUser, CertificateId, OwnerId, ThingName};
use onething::login::{AccessToken, IdentifyError, Login, Profile, TokenInfo};
use onething::registration::claims::{CODE_LIFETIME, Claim, Claims, ClaimsError, Code};
use onething::registration::{Audit, Event, Hook, HookAddress, HookDecision, HookError, HookQuery};
use onething::registry::signing_request::CertificateRequest;
use onething::registry::{Described, Entry, Kind, Listing, Record, Registered, Registry, RegistryError};
use onething::secrets::Fingerprint;

use super::NOW;

/// The only valid claim code.
const CODE: &str = "K7QF-93PD";

fn owner() -> Option<OwnerId> {
    OwnerId::parse("amzn1.account.A")
}

/// A port that is unavailable, with the exceptions above.
#[derive(Clone, Copy)]
pub(super) struct Unreachable;

/// The status in the last audit event.
#[derive(Default)]
pub(super) struct LastAnswer(Mutex<Option<u16>>);

impl LastAnswer {
    pub(super) fn take(&self) -> Option<u16> {
        self.0.lock().ok()?.take()
    }
}

impl Audit for LastAnswer {
    async fn note(&self, event: &Event) {
        if let Ok(mut last) = self.0.lock() {
            *last = Some(event.status);
        }
    }
}

impl Login for Unreachable {
    async fn profile(&self, _: &AccessToken) -> Result<Profile, IdentifyError> {
        Err(IdentifyError::Unavailable("out of reach".into()))
    }

    async fn token_info(&self, _: &AccessToken) -> Result<TokenInfo, IdentifyError> {
        Err(IdentifyError::Unavailable("out of reach".into()))
    }
}

impl Hook for Unreachable {
    async fn ask(&self, _: &HookAddress, _: &HookQuery, _: Duration) -> Result<HookDecision, HookError> {
        Ok(HookDecision { allow: true, ..HookDecision::default() })
    }
}

impl Claims for Unreachable {
    async fn keep(&self, _: &str, _: &Claim, _: u64) -> Result<bool, ClaimsError> {
        Ok(false)
    }

    async fn attempt(&self, name: &str, _: u64) -> Result<Option<Claim>, ClaimsError> {
        let code = Code::parse(CODE).filter(|code| code.name() == name);
        let claim = |(code, owner): (Code, _)| Claim {
            fingerprint: code.fingerprint(),
            owner,
            until: NOW + CODE_LIFETIME,
            tries: 1,
            used_by: None,
        };
        Ok(code.zip(owner()).map(claim))
    }

    async fn reset_attempts(&self, _: &str, _: u64) -> Result<(), ClaimsError> {
        Ok(())
    }

    async fn redeem(&self, _: &str, _: &Fingerprint, _: u64) -> Result<bool, ClaimsError> {
        Ok(true)
    }

    async fn count(&self, _: &str, _: u64, _: u64) -> Result<u64, ClaimsError> {
        Ok(1)
    }
}

type Outcome<T> = Result<T, RegistryError>;

impl Registry for Unreachable {
    fn of_kind(&self, _: Kind) -> Self {
        Self
    }

    async fn look(&self, _: &ThingName) -> Outcome<Option<Entry>> {
        Ok(Some(Entry { version: 1, owner: owner(), thing_type: Some("lamp".into()), record: Record::default() }))
    }

    async fn create_certificate(&self, _: &ThingName) -> Outcome<Certificate> {
        Err(RegistryError::Throttled)
    }

    async fn certify(&self, _: &ThingName, _: &CertificateRequest) -> Outcome<IssuedCertificate> {
        Err(RegistryError::Throttled)
    }

    async fn claim(&self, _: &ThingName, _: &OwnerId, _: &Record) -> Outcome<()> {
        Err(RegistryError::Throttled)
    }

    async fn write(&self, _: &ThingName, _: i64, _: &Record) -> Outcome<()> {
        Err(RegistryError::Throttled)
    }

    async fn remove(&self, _: &ThingName, _: i64) -> Outcome<()> {
        Err(RegistryError::Throttled)
    }

    async fn attached(&self, _: &ThingName) -> Outcome<Vec<CertificateId>> {
        Err(RegistryError::Throttled)
    }

    async fn attach_policy(&self, _: &CertificateId) -> Outcome<()> {
        Err(RegistryError::Throttled)
    }

    async fn attach_thing(&self, _: &CertificateId, _: &ThingName) -> Outcome<()> {
        Err(RegistryError::Throttled)
    }

    async fn activate(&self, _: &CertificateId) -> Outcome<()> {
        Err(RegistryError::Throttled)
    }

    async fn deactivate(&self, _: &CertificateId) -> Outcome<()> {
        Err(RegistryError::Throttled)
    }

    async fn detach_policy(&self, _: &CertificateId) -> Outcome<()> {
        Err(RegistryError::Throttled)
    }

    async fn detach_thing(&self, _: &CertificateId, _: &ThingName) -> Outcome<()> {
        Err(RegistryError::Throttled)
    }

    async fn delete(&self, _: &CertificateId) -> Outcome<()> {
        Err(RegistryError::Throttled)
    }

    async fn things_of(&self, _: &AlexaUser) -> Outcome<Vec<ThingName>> {
        Err(RegistryError::Throttled)
    }

    async fn unfinished(&self, _: Option<&str>) -> Outcome<Listing<ThingName>> {
        Err(RegistryError::Throttled)
    }

    async fn certificates(&self, _: Option<&str>) -> Outcome<Listing<Registered>> {
        Err(RegistryError::Throttled)
    }

    async fn describe(&self, _: &CertificateId) -> Outcome<Option<Described>> {
        Err(RegistryError::Throttled)
    }

    async fn is_attached(&self, _: &CertificateId) -> Outcome<bool> {
        Err(RegistryError::Throttled)
    }
}
