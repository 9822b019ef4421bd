//! Authentication: from the credentials of a request to the thing that its client may get a certificate for.
//!
//! All failures have the same response and the same cost, so that a response reveals nothing: an unknown code, an expired or
//! disabled code and a wrong secret cannot be told apart. A used code has this response, too, even if the whole code is correct.

use std::collections::BTreeMap;

use super::claims::{Claims, Code, TRIES};
use super::limits::{Lock, unavailable};
use super::policy::{RegistrationPolicy, ThingTypePolicy};
use super::problem::{Cause, Problem};
use super::request::{Credentials, RegistrationRequest, Renewal};
use super::{Endpoint, Ports};
use crate::fault::{ClassifiedError, Fault, chain};
use crate::identifiers::{CertificateId, OwnerId, ThingName};
use crate::login::{AccessToken, IdentifyError, identify};
use crate::registry::signing_request::CertificateRequest;
use crate::registry::{Kind, Registry, RegistryError};
use crate::secrets::Fingerprint;

/// The largest accepted difference between the clock of the device and ours in the proof of a renewal, in seconds.
const SKEW: u64 = 300;

/// An authenticated client: the owner and the thing that its certificate is issued for.
pub(super) struct Client {
    pub(super) owner: OwnerId,
    pub(super) thing: ThingName,
    /// The thing type and the policies for the thing and its certificate.
    pub(super) kind: Kind,
    /// Whether an existing thing must have this thing type and owner. `true` unless the thing name is derived from an owner who
    /// signs in.
    pub(super) chosen: bool,
    /// The attributes that the device reports about itself.
    pub(super) said: BTreeMap<String, String>,
    /// The names of the attributes that the device or the hook may set.
    pub(super) attributes: Vec<String>,
    /// The serial number, for the hook.
    pub(super) serial: Option<String>,
    /// The name of the device token in the request.
    pub(super) label: Option<String>,
    /// The name of the claim code, which must be marked as used.
    pub(super) code: Option<String>,
    /// The certificate that the device used to request a new one.
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

    /// A device of a thing type in the registration policy: a fleet device or one with a serial number.
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

/// Authenticates the client of a request.
pub(super) async fn authenticate<P: Ports>(
    endpoint: &Endpoint<P>,
    policy: &RegistrationPolicy,
    registration: &RegistrationRequest,
    now: u64,
) -> Result<Client, Problem> {
    match &registration.by {
        Credentials::Code(code) => by_code(endpoint, policy, code, now).await,
        Credentials::Bearer(token) => by_bearer(endpoint, policy, token).await,
        Credentials::Token { token, thing, version, thing_type } => {
            let asked = Asked { thing, version, thing_type: thing_type.as_deref(), said: &registration.attributes };
            by_token(endpoint, policy, token, &asked, now).await
        }
        Credentials::Serial { serial, secret } => {
            by_serial(endpoint, policy, serial, secret.as_ref().map(|secret| secret.as_str()), &registration.attributes, now).await
        }
        Credentials::Certificate(renewal) => match &registration.csr {
            Some(request) => by_certificate(endpoint, policy, renewal, request, now).await,
            None => Err(Cause::NotRecognised.into()),
        },
    }
}

/// Authenticates with a claim code. The whole code must be correct and not expired, and the owner must have a thing: a code must
/// not restore an owner who was deleted after the code was created.
async fn by_code<P: Ports>(endpoint: &Endpoint<P>, policy: &RegistrationPolicy, code: &Code, now: u64) -> Result<Client, Problem> {
    endpoint.limits.check(&Lock::Codes, now)?;
    let claim = endpoint.claims.attempt(code.name(), now).await.map_err(|error| unavailable(&error))?;
    // A comparison takes place even if there is no claim, so that the response time is the same.
    let expected = claim.as_ref().map_or_else(|| Fingerprint::of_bytes(&[]), |claim| claim.fingerprint);
    let matches = expected.matches(&code.fingerprint());
    if let Some(claim) = claim.filter(|claim| claim.tries <= TRIES && now < claim.until && matches) {
        // Resets the count now, so that the same request can be repeated if a later step fails.
        endpoint.claims.reset_attempts(code.name(), now).await.map_err(|error| unavailable(&error))?;
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
        // Amazon issues no such user id. Accepting one would give access to the things of devices.
        Ok(identity) if identity.profile.owner.stands_for_devices() => Err(Cause::NotRecognised.into()),
        Ok(identity) => Ok(Client::of_owner(endpoint, policy, identity.profile.owner)),
        Err(error @ IdentifyError::Unavailable(_)) => {
            tracing::warn!(step = "identify", fault = "again", cause = "login_unavailable", "{}", chain(&error));
            Err(Cause::LoginUnavailable.into())
        }
        Err(_) => Err(Cause::NotRecognised.into()),
    }
}

/// The fields of a request with a device token.
struct Asked<'a> {
    thing: &'a ThingName,
    version: &'a str,
    thing_type: Option<&'a str>,
    said: &'a BTreeMap<String, String>,
}

/// The attribute that stores the field of this name, if the thing type allows the attribute.
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
    // The name must not equal a name that could be derived from an owner or a serial number.
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

/// Authenticates with a certificate. The certificate must be ACTIVE, and it must be the newest of its thing or the one that
/// requested the newest. Its key must have signed the request for the new certificate.
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
    // The certificates of a suspended owner are INACTIVE. The onboarding reports that case. Otherwise, an INACTIVE certificate
    // was deactivated by the operator and authenticates nobody.
    if in_service && !works {
        return Err(Cause::NotRecognised.into());
    }
    let client = if owner.stands_for_devices() {
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

/// The response if the registry call for the authentication failed.
fn registry_problem(error: &RegistryError) -> Problem {
    let (step, fault, cause) = ("register", error.fault(), error.cause());
    match fault {
        Fault::Maker => tracing::error!(step, %fault, cause, "{}", chain(error)),
        _ => tracing::warn!(step, %fault, cause, "{}", chain(error)),
    }
    if fault == Fault::Maker { Cause::RegistryRefused.into() } else { Cause::Busy.into() }
}
