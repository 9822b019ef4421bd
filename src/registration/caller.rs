//! Who knocks: from what a request shows to the thing that its device may have.
//!
//! Whoever is not known is told that, and no more: a code that never was, one that is dead or over, and a wrong secret have one
//! answer and cost one and the same work. A code that is used has the same answer, to whoever knows all of it.

use std::collections::BTreeMap;

use super::claims::{Claims, Code, TRIES};
use super::knock::{By, Knock, Renewal};
use super::limits::{Lock, unavailable};
use super::problem::{Cause, Problem};
use super::terms::{Terms, TypeTerms};
use super::{Door, Ports};
use crate::fault::{Blame, Fault, chain};
use crate::login::{AccessToken, IdentifyError, identify};
use crate::registry::signing_request::CertificateRequest;
use crate::registry::{Kind, Registry, RegistryError};
use crate::thing::{CertificateId, Fingerprint, OwnerId, ThingName};

/// So far a clock may be off that a renewal was signed by, in seconds.
const SKEW: u64 = 300;

/// Whoever may have a certificate.
pub(super) struct Caller {
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

impl Caller {
    /// A device of an owner.
    fn of_owner<P: Ports>(door: &Door<P>, terms: &Terms, owner: OwnerId) -> Self {
        let kind = door.own.kind.clone();
        let attributes = terms.types.get(&kind.thing_type).map(|terms| terms.attributes.clone()).unwrap_or_default();
        let thing = ThingName::of(&door.own.prefix, &owner);
        Self::with(owner, thing, kind, attributes)
    }

    /// A device that the maker's terms let in.
    fn of_type(terms: &TypeTerms, owner: OwnerId, thing: ThingName, said: BTreeMap<String, String>) -> Result<Self, Problem> {
        if !said.keys().all(|name| terms.attributes.contains(name)) {
            let allowed = format!("may have these names, and no others: {:?}", terms.attributes);
            return Err(Problem::field("attributes", &allowed));
        }
        let (kind, attributes) = (terms.kind.clone(), terms.attributes.clone());
        Ok(Self { chosen: true, said, ..Self::with(owner, thing, kind, attributes) })
    }

    fn with(owner: OwnerId, thing: ThingName, kind: Kind, attributes: Vec<String>) -> Self {
        let said = BTreeMap::new();
        Self { owner, thing, kind, chosen: false, said, attributes, serial: None, label: None, code: None, predecessor: None }
    }
}

/// Finds out who knocks.
pub(super) async fn recognise<P: Ports>(door: &Door<P>, terms: &Terms, knock: &Knock, now: u64) -> Result<Caller, Problem> {
    match &knock.by {
        By::Code(code) => by_code(door, terms, code, now).await,
        By::Bearer(token) => by_bearer(door, terms, token).await,
        By::Token { token, thing, version, thing_type } => {
            let asked = Asked { thing, version, thing_type: thing_type.as_deref(), said: &knock.attributes };
            by_token(door, terms, token, &asked, now).await
        }
        By::Serial { serial, secret } => {
            by_serial(door, terms, serial, secret.as_ref().map(|secret| secret.as_str()), &knock.attributes, now).await
        }
        By::Certificate(renewal) => match &knock.csr {
            Some(request) => by_certificate(door, terms, renewal, request, now).await,
            None => Err(Cause::NotRecognised.into()),
        },
    }
}

/// The whole code is right, its life is not over, and its owner has a thing: who asked to be forgotten is not brought back by a code
/// from before.
async fn by_code<P: Ports>(door: &Door<P>, terms: &Terms, code: &Code, now: u64) -> Result<Caller, Problem> {
    door.limits.check(&Lock::Codes, now)?;
    let claim = door.claims.attempt(code.name(), now).await.map_err(|error| unavailable(&error))?;
    // Where there is no claim, something is compared all the same.
    let expected = claim.as_ref().map_or_else(|| Fingerprint::of_bytes(&[]), |claim| claim.fingerprint);
    let matches = expected.matches(&code.fingerprint());
    if let Some(claim) = claim.filter(|claim| claim.tries <= TRIES && now < claim.until && matches) {
        // Whatever comes in between now, the same request is good in a moment.
        door.claims.forgive(code.name(), now).await.map_err(|error| unavailable(&error))?;
        let caller = Caller { code: Some(code.name().to_owned()), ..Caller::of_owner(door, terms, claim.owner) };
        if door.registry.look(&caller.thing).await.map_err(|error| registry_problem(&error))?.is_some() {
            return Ok(caller);
        }
    }
    Err(door.limits.failed(&door.claims, Lock::Codes, Cause::NotRecognised.into(), now).await)
}

async fn by_bearer<P: Ports>(door: &Door<P>, terms: &Terms, token: &AccessToken) -> Result<Caller, Problem> {
    let client_id = door.client_id.as_deref().ok_or(Cause::AudienceUnchecked)?;
    match identify(&door.login, Some(client_id), token).await {
        // Amazon gives nobody such an id; what the door makes of it would be a device's.
        Ok(identity) if identity.profile.owner.is_of_devices() => Err(Cause::NotRecognised.into()),
        Ok(identity) => Ok(Caller::of_owner(door, terms, identity.profile.owner)),
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

async fn by_token<P: Ports>(door: &Door<P>, terms: &Terms, token: &Fingerprint, asked: &Asked<'_>, now: u64) -> Result<Caller, Problem> {
    let shown = terms.token(token).ok_or(Cause::NotRecognised)?;
    let lock = Lock::Token(shown.name.clone());
    door.limits.check(&lock, now)?;
    let thing_type = asked.thing_type.or(shown.types.first().map(String::as_str)).unwrap_or_default();
    let thing_terms = terms.types.get(thing_type).filter(|_| shown.types.iter().any(|allowed| allowed == thing_type));
    let Some(thing_terms) = thing_terms else {
        return Err(door.limits.failed(&door.claims, lock, Cause::TypeNotAllowed.into(), now).await);
    };
    // A name that an owner's thing or one with a serial has, or may have one day.
    let prefixes = terms.types.values().map(|terms| &terms.prefix).chain([&door.own.prefix]);
    if prefixes.into_iter().any(|prefix| ThingName::recall(prefix, asked.thing.as_str()).is_some()) {
        return Err(door.limits.failed(&door.claims, lock, Cause::NotTheirs.into(), now).await);
    }
    let mut said = asked.said.clone();
    if thing_terms.attributes.iter().any(|name| name == VERSION) {
        said.insert(VERSION.to_owned(), asked.version.to_owned());
    }
    let caller = Caller::of_type(thing_terms, shown.owner.clone(), asked.thing.clone(), said)?;
    Ok(Caller { label: Some(shown.name.clone()), ..caller })
}

async fn by_serial<P: Ports>(
    door: &Door<P>,
    terms: &Terms,
    serial: &str,
    secret: Option<&str>,
    said: &BTreeMap<String, String>,
    now: u64,
) -> Result<Caller, Problem> {
    let lock = Lock::Serial(Fingerprint::of(serial));
    door.limits.check(&lock, now)?;
    let thing_terms = terms.serial(serial, secret).and_then(|thing_type| terms.types.get(thing_type));
    let Some(thing_terms) = thing_terms else {
        return Err(door.limits.failed(&door.claims, lock, Cause::NotRecognised.into(), now).await);
    };
    let thing = ThingName::of_serial(&thing_terms.prefix, serial);
    let caller = Caller::of_type(thing_terms, OwnerId::of_serial(serial), thing, said.clone())?;
    Ok(Caller { serial: Some(serial.to_owned()), ..caller })
}

/// A certificate that is its thing's newest, or the one before a renewal, works, and whose key has signed the request for its successor.
async fn by_certificate<P: Ports>(
    door: &Door<P>,
    terms: &Terms,
    renewal: &Renewal,
    request: &CertificateRequest,
    now: u64,
) -> Result<Caller, Problem> {
    let certificate = &renewal.certificate;
    let timely = renewal.at.abs_diff(now) <= SKEW && now < certificate.expires_at();
    if !timely || !certificate.has_signed(Renewal::message(request, renewal.at).as_bytes(), &renewal.proof) {
        return Err(Cause::NotRecognised.into());
    }
    let entry = door.registry.look(&renewal.thing).await.map_err(|error| registry_problem(&error))?.ok_or(Cause::NotRecognised)?;
    let (Some(owner), true) = (entry.owner, entry.record.may_renew(certificate.id())) else {
        return Err(Cause::NotRecognised.into());
    };
    let described = door.registry.describe(certificate.id()).await.map_err(|error| registry_problem(&error))?;
    let works = described.is_some_and(|described| described.active);
    let in_service = entry.record.paused.is_none() && !entry.record.forget;
    // Of an owner who is away everything is INACTIVE, and that is what they hear; what the maker has taken out of service is
    // nothing that lets anybody in.
    if in_service && !works {
        return Err(Cause::NotRecognised.into());
    }
    let caller = if owner.is_of_devices() {
        let thing_type = entry.thing_type.as_deref().and_then(|name| terms.types.get(name)).ok_or(Cause::NotRecognised)?;
        Caller::of_type(thing_type, owner, renewal.thing.clone(), BTreeMap::new())?
    } else {
        Caller::of_owner(door, terms, owner)
    };
    if caller.thing != renewal.thing {
        return Err(Cause::NotRecognised.into());
    }
    Ok(Caller { predecessor: Some(certificate.id().clone()), ..caller })
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
