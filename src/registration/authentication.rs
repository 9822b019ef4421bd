//! Who registers: from what a request shows to the thing that its device may have.
//!
//! Whoever is not known is told that, and no more: a code that never was, one that is dead or over, and a wrong secret have one
//! answer and cost one and the same work. A code that is used has the same answer, to whoever knows all of it.

use std::collections::BTreeMap;

use super::claims::{Claims, Code, TRIES};
use super::limits::{Lock, unavailable};
use super::policy::{RegistrationPolicy, ThingTypePolicy};
use super::problem::{Cause, Problem};
use super::request::{By, RegistrationRequest, Renewal};
use super::{Endpoint, Ports};
use crate::fault::{ClassifiedError, Fault, chain};
use crate::identifiers::{CertificateId, OwnerId, ThingName};
use crate::login::{AccessToken, IdentifyError, identify};
use crate::registry::signing_request::CertificateRequest;
use crate::registry::{Kind, Registry, RegistryError};
use crate::secrets::Fingerprint;

/// So far a clock may be off that a renewal was signed by, in seconds.
const SKEW: u64 = 300;

/// Whoever may have a certificate.
pub(super) struct Client {
    pub(super) owner: OwnerId,
    pub(super) thing: ThingName,
    /// What the thing and its certificate are made with.
    pub(super) kind: Kind,
    /// Whether thing and certificate have to be of that type: names that devices choose do not say so.
    pub(super) chosen: bool,
    /// What the device says about itself.
    pub(super) said: BTreeMap<String, String>,
    /// What anybody may say about it.
    pub(super) attributes: Vec<String>,
    /// Its serial, for the hook.
    pub(super) serial: Option<String>,
    /// The token that it has shown.
    pub(super) label: Option<String>,
    /// The name of the code that has to be used up.
    pub(super) code: Option<String>,
    /// The certificate by which it asks for another.
    pub(super) predecessor: Option<CertificateId>,
}

impl Client {
    /// A device of an owner.
    fn of_owner<P: Ports>(endpoint: &Endpoint<P>, policy: &RegistrationPolicy, owner: OwnerId) -> Self {
        let kind = endpoint.own.kind.clone();
        let attributes = policy.types.get(&kind.thing_type).map(|policy| policy.attributes.clone()).unwrap_or_default();
        let thing = ThingName::of(&endpoint.own.prefix, &owner);
        Self::with(owner, thing, kind, attributes)
    }

    /// A device that the maker's policy let in.
    fn of_type(policy: &ThingTypePolicy, owner: OwnerId, thing: ThingName, said: BTreeMap<String, String>) -> Result<Self, Problem> {
        if !said.keys().all(|name| policy.attributes.contains(name)) {
            let allowed = format!("may have these names, and no others: {:?}", policy.attributes);
            return Err(Problem::field("attributes", &allowed));
        }
        let (kind, attributes) = (policy.kind.clone(), policy.attributes.clone());
        Ok(Self { chosen: true, said, ..Self::with(owner, thing, kind, attributes) })
    }

    fn with(owner: OwnerId, thing: ThingName, kind: Kind, attributes: Vec<String>) -> Self {
        let said = BTreeMap::new();
        Self { owner, thing, kind, chosen: false, said, attributes, serial: None, label: None, code: None, predecessor: None }
    }
}

/// Finds out who registers.
pub(super) async fn authenticate<P: Ports>(
    endpoint: &Endpoint<P>,
    policy: &RegistrationPolicy,
    registration: &RegistrationRequest,
    now: u64,
) -> Result<Client, Problem> {
    match &registration.by {
        By::Code(code) => by_code(endpoint, policy, code, now).await,
        By::Bearer(token) => by_bearer(endpoint, policy, token).await,
        By::Token { token, thing, version, thing_type } => {
            let asked = Asked { thing, version, thing_type: thing_type.as_deref(), said: &registration.attributes };
            by_token(endpoint, policy, token, &asked, now).await
        }
        By::Serial { serial, secret } => {
            by_serial(endpoint, policy, serial, secret.as_ref().map(|secret| secret.as_str()), &registration.attributes, now).await
        }
        By::Certificate(renewal) => match &registration.csr {
            Some(request) => by_certificate(endpoint, policy, renewal, request, now).await,
            None => Err(Cause::NotRecognised.into()),
        },
    }
}

/// The whole code is right, its life is not over, and its owner has a thing: who asked to be forgotten is not brought back by a code
/// from before.
async fn by_code<P: Ports>(endpoint: &Endpoint<P>, policy: &RegistrationPolicy, code: &Code, now: u64) -> Result<Client, Problem> {
    endpoint.limits.check(&Lock::Codes, now)?;
    let claim = endpoint.claims.attempt(code.name(), now).await.map_err(|error| unavailable(&error))?;
    // Where there is no claim, something is compared all the same.
    let expected = claim.as_ref().map_or_else(|| Fingerprint::of_bytes(&[]), |claim| claim.fingerprint);
    let matches = expected.matches(&code.fingerprint());
    if let Some(claim) = claim.filter(|claim| claim.tries <= TRIES && now < claim.until && matches) {
        // Whatever comes in between now, the same request is good in a moment.
        endpoint.claims.forgive(code.name(), now).await.map_err(|error| unavailable(&error))?;
        let client = Client { code: Some(code.name().to_owned()), ..Client::of_owner(endpoint, policy, claim.owner) };
        if endpoint.registry.look(&client.thing).await.map_err(|error| registry_problem(&error))?.is_some() {
            return Ok(client);
        }
    }
    Err(endpoint.limits.failed(&endpoint.claims, Lock::Codes, Cause::NotRecognised.into(), now).await)
}

async fn by_bearer<P: Ports>(endpoint: &Endpoint<P>, policy: &RegistrationPolicy, token: &AccessToken) -> Result<Client, Problem> {
    let client_id = endpoint.client_id.as_deref().ok_or(Cause::AudienceUnchecked)?;
    match identify(&endpoint.login, Some(client_id), token).await {
        // Amazon gives nobody such an id; what the endpoint makes of it would be a device's.
        Ok(identity) if identity.profile.owner.is_of_devices() => Err(Cause::NotRecognised.into()),
        Ok(identity) => Ok(Client::of_owner(endpoint, policy, identity.profile.owner)),
        Err(error @ IdentifyError::Unavailable(_)) => {
            tracing::warn!(step = "identify", fault = "again", cause = "login_unavailable", "{}", chain(&error));
            Err(Cause::LoginUnavailable.into())
        }
        Err(_) => Err(Cause::NotRecognised.into()),
    }
}

/// What a device of a fleet asks for.
struct Asked<'a> {
    thing: &'a ThingName,
    version: &'a str,
    thing_type: Option<&'a str>,
    said: &'a BTreeMap<String, String>,
}

/// The attribute that the field of this name becomes, where things of the type have it.
const VERSION: &str = "version";

async fn by_token<P: Ports>(
    endpoint: &Endpoint<P>,
    policy: &RegistrationPolicy,
    token: &Fingerprint,
    asked: &Asked<'_>,
    now: u64,
) -> Result<Client, Problem> {
    let shown = policy.token(token).ok_or(Cause::NotRecognised)?;
    let lock = Lock::Token(shown.name.clone());
    endpoint.limits.check(&lock, now)?;
    let thing_type = asked.thing_type.or(shown.types.first().map(String::as_str)).unwrap_or_default();
    let thing_policy = policy.types.get(thing_type).filter(|_| shown.types.iter().any(|allowed| allowed == thing_type));
    let Some(thing_policy) = thing_policy else {
        return Err(endpoint.limits.failed(&endpoint.claims, lock, Cause::TypeNotAllowed.into(), now).await);
    };
    // A name that an owner's thing or one with a serial has, or may have one day.
    let prefixes = policy.types.values().map(|policy| &policy.prefix).chain([&endpoint.own.prefix]);
    if prefixes.into_iter().any(|prefix| ThingName::recall(prefix, asked.thing.as_str()).is_some()) {
        return Err(endpoint.limits.failed(&endpoint.claims, lock, Cause::NotTheirs.into(), now).await);
    }
    let mut said = asked.said.clone();
    if thing_policy.attributes.iter().any(|name| name == VERSION) {
        said.insert(VERSION.to_owned(), asked.version.to_owned());
    }
    let client = Client::of_type(thing_policy, shown.owner.clone(), asked.thing.clone(), said)?;
    Ok(Client { label: Some(shown.name.clone()), ..client })
}

async fn by_serial<P: Ports>(
    endpoint: &Endpoint<P>,
    policy: &RegistrationPolicy,
    serial: &str,
    secret: Option<&str>,
    said: &BTreeMap<String, String>,
    now: u64,
) -> Result<Client, Problem> {
    let lock = Lock::Serial(Fingerprint::of(serial));
    endpoint.limits.check(&lock, now)?;
    let thing_policy = policy.serial(serial, secret).and_then(|thing_type| policy.types.get(thing_type));
    let Some(thing_policy) = thing_policy else {
        return Err(endpoint.limits.failed(&endpoint.claims, lock, Cause::NotRecognised.into(), now).await);
    };
    let thing = ThingName::of_serial(&thing_policy.prefix, serial);
    let client = Client::of_type(thing_policy, OwnerId::of_serial(serial), thing, said.clone())?;
    Ok(Client { serial: Some(serial.to_owned()), ..client })
}

/// A certificate that is its thing's newest, or the one before a renewal, works, and whose key has signed the request for its successor.
async fn by_certificate<P: Ports>(
    endpoint: &Endpoint<P>,
    policy: &RegistrationPolicy,
    renewal: &Renewal,
    request: &CertificateRequest,
    now: u64,
) -> Result<Client, Problem> {
    let certificate = &renewal.certificate;
    let timely = renewal.at.abs_diff(now) <= SKEW && now < certificate.expires_at();
    if !timely || !certificate.has_signed(Renewal::message(request, renewal.at).as_bytes(), &renewal.proof) {
        return Err(Cause::NotRecognised.into());
    }
    let entry = endpoint.registry.look(&renewal.thing).await.map_err(|error| registry_problem(&error))?.ok_or(Cause::NotRecognised)?;
    let (Some(owner), true) = (entry.owner, entry.record.may_renew(certificate.id())) else {
        return Err(Cause::NotRecognised.into());
    };
    let described = endpoint.registry.describe(certificate.id()).await.map_err(|error| registry_problem(&error))?;
    let works = described.is_some_and(|described| described.active);
    let in_service = entry.record.suspended.is_none() && !entry.record.forget;
    // Of an owner who is away everything is INACTIVE, and that is what they hear; what the maker has taken out of service is
    // nothing that lets anybody in.
    if in_service && !works {
        return Err(Cause::NotRecognised.into());
    }
    let client = if owner.is_of_devices() {
        let thing_type = entry.thing_type.as_deref().and_then(|name| policy.types.get(name)).ok_or(Cause::NotRecognised)?;
        Client::of_type(thing_type, owner, renewal.thing.clone(), BTreeMap::new())?
    } else {
        Client::of_owner(endpoint, policy, owner)
    };
    if client.thing != renewal.thing {
        return Err(Cause::NotRecognised.into());
    }
    Ok(Client { predecessor: Some(certificate.id().clone()), ..client })
}

/// The registry could not be asked who somebody is.
fn registry_problem(error: &RegistryError) -> Problem {
    let (step, fault, cause) = ("register", error.fault(), error.cause());
    match fault {
        Fault::Maker => tracing::error!(step, %fault, cause, "{}", chain(error)),
        _ => tracing::warn!(step, %fault, cause, "{}", chain(error)),
    }
    if fault == Fault::Maker { Cause::RegistryRefused.into() } else { Cause::Busy.into() }
}
