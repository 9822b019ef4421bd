//! Things and certificates in the registry of AWS IoT Core
//! (<https://docs.aws.amazon.com/iot/latest/apireference/API_Operations_AWS_IoT.html>).

use std::collections::BTreeMap;
use std::sync::OnceLock;

use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::signed::{Call, Failure, Patience, Reply, Service};
use crate::attributes::{ALEXA_USER, UNFINISHED, USER_ID, YES, attributes, record};
use crate::config::Config;
use crate::registry::{Described, Entry, Kind, Listing, Record, Registered, Registry, RegistryError};
use crate::signing_request::{self, CertificateRequest, MadeFor, SigningRequest};
use crate::thing::{AlexaUser, Certificate, CertificateId, Issued, OwnerId, ThingName, ThingPrefix};

/// Which identity a call about a certificate's things is for, by ARN.
const PRINCIPAL: &str = "x-amzn-principal";
/// The largest page that the lists have.
const PAGE: &str = "250";

const NOT_FOUND: &str = "ResourceNotFoundException";
const VERSION_CONFLICT: &str = "VersionConflictException";

/// AWS IoT Core's registry.
#[derive(Clone)]
pub struct IotRegistry {
    service: Service,
    kind: Kind,
    prefix: ThingPrefix,
    /// What the names of things begin with that are no owner's.
    fleets: String,
    /// `arn:aws:iot:REGION:ACCOUNT`, learnt from the first answer that holds an ARN.
    arns: OnceLock<String>,
}

/// What the calls answer, as far as it is of use.
mod wire {
    use super::{BTreeMap, Deserialize};

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Thing {
        pub thing_arn: Option<String>,
        pub thing_name: Option<String>,
        pub thing_type_name: Option<String>,
        #[serde(default)]
        pub version: i64,
        pub attributes: Option<BTreeMap<String, String>>,
    }

    /// Of CreateCertificateFromCsr, in ListCertificates and in DescribeCertificate.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Certificate {
        pub certificate_arn: Option<String>,
        pub certificate_id: Option<String>,
        pub certificate_pem: Option<String>,
        pub status: Option<String>,
        /// Seconds since the epoch, with a fraction.
        pub creation_date: Option<f64>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Description {
        pub certificate_description: Certificate,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Things {
        pub things: Vec<Thing>,
        pub next_token: Option<String>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Certificates {
        pub certificates: Vec<Certificate>,
        pub next_marker: Option<String>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Principals {
        pub principals: Vec<String>,
        pub next_token: Option<String>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct ThingsOfPrincipal {
        pub things: Vec<String>,
        pub next_token: Option<String>,
    }
}

impl wire::Certificate {
    fn id(&self) -> Option<CertificateId> {
        self.certificate_id.as_deref().and_then(CertificateId::parse)
    }

    /// What is REVOKED or PENDING is not dead, and not ours to touch.
    fn is_inactive(&self) -> bool {
        self.status.as_deref() == Some("INACTIVE")
    }
}

fn thing_call(method: Method, thing: &ThingName) -> Call {
    Call::new(method, &["things", thing.as_str()])
}

fn principals_call(method: Method, thing: &ThingName) -> Call {
    Call::new(method, &["things", thing.as_str(), "principals"])
}

fn certificate_call(method: Method, certificate: &CertificateId) -> Call {
    Call::new(method, &["certificates", certificate.as_str()])
}

fn read(failure: Failure) -> RegistryError {
    match failure {
        Failure::Throttled(_) => RegistryError::Throttled,
        Failure::Refused(refusal) => RegistryError::Refused(refusal.to_string()),
        Failure::Unsent(why) => RegistryError::Refused(why.into()),
        Failure::Unclear(what) => RegistryError::Unclear(what),
    }
}

/// What is gone needs no detaching, deactivating or deleting.
fn gone_is_done(outcome: Result<Reply, Failure>) -> Result<(), RegistryError> {
    match outcome {
        Err(failure) if !failure.is(NOT_FOUND) => Err(read(failure)),
        _ => Ok(()),
    }
}

impl IotRegistry {
    pub(super) fn new(service: Service, config: &Config) -> Self {
        let (model, policies) = (&config.model, vec![config.policy.clone()]);
        let kind = Kind { thing_type: model.thing_type.clone(), policies };
        Self { service, kind, prefix: model.thing_prefix.clone(), fleets: config.fleets.clone(), arns: OnceLock::new() }
    }

    /// The thing that a certificate names. A device's own request may name anything, and what is no thing of this stack's
    /// its functions may not look at.
    fn named(&self, name: &str) -> Option<ThingName> {
        let fleets = || name.starts_with(&self.fleets).then(|| ThingName::parse(name)).flatten();
        ThingName::recall(&self.prefix, name).or_else(fleets)
    }

    fn learn(&self, arn: Option<&str>) {
        let prefix = arn.and_then(|arn| arn.rsplit_once(':')).map(|(prefix, _)| prefix.to_owned());
        if let Some(prefix) = prefix {
            self.arns.get_or_init(|| prefix);
        }
    }

    fn arn(&self, certificate: &CertificateId) -> Result<String, RegistryError> {
        let prefix = self.arns.get().ok_or_else(|| RegistryError::Unclear("the account is not known yet".into()))?;
        Ok(format!("{prefix}:cert/{certificate}"))
    }

    fn policy_call(&self, method: Method, policy: &str, certificate: &CertificateId) -> Result<Call, RegistryError> {
        let target = json!({"target": self.arn(certificate)?});
        Ok(Call::new(method, &["target-policies", policy]).json(&target))
    }

    async fn issue(&self, request: &str) -> Result<Issued, RegistryError> {
        let call = Call::new(Method::POST, &["certificates"]).query("setAsActive", "false").patience(Patience::ONCE);
        let minted = self.service.send(call.json(&json!({"certificateSigningRequest": request}))).await;
        let minted: wire::Certificate = minted.and_then(|reply| reply.json()).map_err(read)?;
        self.learn(minted.certificate_arn.as_deref());
        match (minted.id(), minted.certificate_pem) {
            (Some(id), Some(pem)) => Ok(Issued { id, pem }),
            _ => Err(RegistryError::Unclear("a certificate without its parts".into())),
        }
    }

    /// One page of the things with this attribute. Names that this skill cannot have given are left out.
    async fn things_with(&self, attribute: &str, value: &str, page: Option<&str>) -> Result<Listing<ThingName>, RegistryError> {
        let call = Call::new(Method::GET, &["things"]).query("attributeName", attribute).query("attributeValue", value);
        let listed = self.service.send(on_page(call.query("maxResults", PAGE), "nextToken", page)).await;
        let listed: wire::Things = listed.and_then(|reply| reply.json()).map_err(read)?;
        let items = listed.things.iter().filter_map(|thing| {
            self.learn(thing.thing_arn.as_deref());
            let owner = thing.attributes.as_ref().and_then(|attributes| OwnerId::parse(attributes.get(USER_ID)?));
            ThingName::listed(&self.prefix, &self.fleets, thing.thing_name.as_deref()?, owner.as_ref())
        });
        Ok(Listing { items: items.collect(), next: listed.next_token })
    }
}

fn on_page(call: Call, parameter: &str, page: Option<&str>) -> Call {
    match page {
        Some(page) => call.query(parameter, page),
        None => call,
    }
}

impl Registry for IotRegistry {
    fn of_kind(&self, kind: Kind) -> Self {
        Self { kind, ..self.clone() }
    }

    async fn mint(&self, thing: &ThingName) -> Result<Certificate, RegistryError> {
        let request = SigningRequest::new(thing).map_err(|error| RegistryError::Refused(error.to_string()))?;
        let Issued { id, pem } = self.issue(&request.pem).await?;
        Ok(Certificate { id, pem, public_key: request.public_key, private_key: request.private_key })
    }

    async fn certify(&self, _: &ThingName, request: &CertificateRequest) -> Result<Issued, RegistryError> {
        self.issue(request.pem()).await
    }

    async fn claim(&self, thing: &ThingName, owner: &OwnerId, record: &Record) -> Result<(), RegistryError> {
        let mut attributes = attributes(record);
        attributes.retain(|_, value| value != "");
        attributes.insert(USER_ID.to_owned(), json!(owner.as_str()));
        let body = json!({"thingTypeName": self.kind.thing_type, "attributePayload": {"attributes": attributes}});
        match self.service.send(thing_call(Method::POST, thing).json(&body)).await {
            Ok(made) => {
                self.learn(made.json::<wire::Thing>().ok().and_then(|thing| thing.thing_arn).as_deref());
                Ok(())
            }
            Err(failure) if failure.is("ResourceAlreadyExistsException") => Err(RegistryError::Taken),
            Err(failure) if failure.is(NOT_FOUND) => Err(RegistryError::ThingTypeMissing(self.kind.thing_type.clone())),
            Err(failure) => Err(read(failure)),
        }
    }

    async fn look(&self, thing: &ThingName) -> Result<Option<Entry>, RegistryError> {
        let found = match self.service.send(thing_call(Method::GET, thing)).await {
            Err(failure) if failure.is(NOT_FOUND) => return Ok(None),
            found => found.and_then(|reply| reply.json::<wire::Thing>()).map_err(read)?,
        };
        self.learn(found.thing_arn.as_deref());
        let attributes = found.attributes.unwrap_or_default();
        let owner = attributes.get(USER_ID).and_then(|owner| OwnerId::parse(owner));
        Ok(Some(Entry { version: found.version, owner, thing_type: found.thing_type_name, record: record(&attributes) }))
    }

    async fn write(&self, thing: &ThingName, version: i64, record: &Record) -> Result<(), RegistryError> {
        let body = json!({"expectedVersion": version, "attributePayload": {"attributes": attributes(record), "merge": true}});
        match self.service.send(thing_call(Method::PATCH, thing).json(&body)).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.is(VERSION_CONFLICT) || failure.is(NOT_FOUND) => Err(RegistryError::Taken),
            Err(failure) => Err(read(failure)),
        }
    }

    async fn attached(&self, thing: &ThingName) -> Result<Vec<CertificateId>, RegistryError> {
        let mut attached = Vec::new();
        let mut page = None;
        loop {
            let call = on_page(principals_call(Method::GET, thing), "nextToken", page.as_deref());
            let listed = match self.service.send(call).await {
                Err(failure) if failure.is(NOT_FOUND) => return Ok(attached),
                listed => listed.and_then(|reply| reply.json::<wire::Principals>()).map_err(read)?,
            };
            for arn in listed.principals {
                self.learn(Some(&arn));
                attached.extend(arn.rsplit_once("cert/").and_then(|(_, id)| CertificateId::parse(id)));
            }
            page = listed.next_token;
            if page.is_none() {
                return Ok(attached);
            }
        }
    }

    async fn attach_policy(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        for policy in &self.kind.policies {
            match self.service.send(self.policy_call(Method::PUT, policy, certificate)?).await {
                Ok(_) => {}
                // The certificate was made a moment ago: what is missing is the policy.
                Err(failure) if failure.is(NOT_FOUND) => return Err(RegistryError::PolicyMissing(policy.clone())),
                Err(failure) => return Err(read(failure)),
            }
        }
        Ok(())
    }

    async fn attach_thing(&self, certificate: &CertificateId, thing: &ThingName) -> Result<(), RegistryError> {
        let call = principals_call(Method::PUT, thing).query("thingPrincipalType", "EXCLUSIVE_THING");
        self.service.send(call.header(PRINCIPAL, &self.arn(certificate)?)).await.map(drop).map_err(read)
    }

    async fn activate(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        let call = certificate_call(Method::PUT, certificate).query("newStatus", "ACTIVE");
        self.service.send(call).await.map(drop).map_err(read)
    }

    async fn deactivate(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        gone_is_done(self.service.send(certificate_call(Method::PUT, certificate).query("newStatus", "INACTIVE")).await)
    }

    async fn detach_policy(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        for policy in &self.kind.policies {
            gone_is_done(self.service.send(self.policy_call(Method::POST, policy, certificate)?).await)?;
        }
        Ok(())
    }

    async fn detach_thing(&self, certificate: &CertificateId, thing: &ThingName) -> Result<(), RegistryError> {
        let call = principals_call(Method::DELETE, thing).header(PRINCIPAL, &self.arn(certificate)?);
        gone_is_done(self.service.send(call).await)
    }

    async fn delete(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        // Detaching spreads over some seconds; forcing drops only the condition that no policy is attached.
        match self.service.send(certificate_call(Method::DELETE, certificate).query("forceDelete", "true")).await {
            Err(failure) if failure.is("DeleteConflictException") || failure.is("CertificateStateException") => Err(RegistryError::InUse),
            outcome => gone_is_done(outcome),
        }
    }

    async fn remove(&self, thing: &ThingName, version: i64) -> Result<(), RegistryError> {
        let call = thing_call(Method::DELETE, thing).query("expectedVersion", &version.to_string());
        match self.service.send(call).await {
            Err(failure) if failure.is(VERSION_CONFLICT) => Err(RegistryError::Taken),
            // The one thing that is wrong with such a request.
            Err(failure) if failure.is("InvalidRequestException") => Err(RegistryError::InUse),
            outcome => gone_is_done(outcome),
        }
    }

    async fn things_of(&self, user: &AlexaUser) -> Result<Vec<ThingName>, RegistryError> {
        let mut things = Vec::new();
        let mut page = None;
        loop {
            let listing = self.things_with(ALEXA_USER, user.as_str(), page.as_deref()).await?;
            things.extend(listing.items);
            page = listing.next;
            if page.is_none() {
                return Ok(things);
            }
        }
    }

    async fn unfinished(&self, page: Option<&str>) -> Result<Listing<ThingName>, RegistryError> {
        self.things_with(UNFINISHED, YES, page).await
    }

    async fn certificates(&self, page: Option<&str>) -> Result<Listing<Registered>, RegistryError> {
        let call = Call::new(Method::GET, &["certificates"]).query("pageSize", PAGE).query("isAscendingOrder", "false");
        let listed = self.service.send(on_page(call, "marker", page)).await;
        let listed: wire::Certificates = listed.and_then(|reply| reply.json()).map_err(read)?;
        let items = listed.certificates.iter().filter_map(|certificate| {
            self.learn(certificate.certificate_arn.as_deref());
            // Without its age nothing can be concluded from it. A cast from a float is never out of range.
            let made_at = certificate.creation_date? as u64;
            Some(Registered { id: certificate.id()?, inactive: certificate.is_inactive(), made_at })
        });
        Ok(Listing { items: items.collect(), next: listed.next_marker })
    }

    async fn describe(&self, id: &CertificateId) -> Result<Option<Described>, RegistryError> {
        let described = match self.service.send(certificate_call(Method::GET, id)).await {
            Err(failure) if failure.is(NOT_FOUND) => return Ok(None),
            described => described.and_then(|reply| reply.json::<wire::Description>()).map_err(read)?.certificate_description,
        };
        self.learn(described.certificate_arn.as_deref());
        let (ours, made_for) = match described.certificate_pem.as_deref().map(signing_request::made_for) {
            Some(MadeFor::Ours(name)) => (true, name.and_then(|name| self.named(&name))),
            _ => (false, None),
        };
        let active = described.status.as_deref() == Some("ACTIVE");
        Ok(Some(Described { active, inactive: described.is_inactive(), ours, made_for }))
    }

    async fn is_attached(&self, id: &CertificateId) -> Result<bool, RegistryError> {
        let call = Call::new(Method::GET, &["principals", "things"]).query("maxResults", "1").header(PRINCIPAL, &self.arn(id)?);
        match self.service.send(call).await {
            Err(failure) if failure.is(NOT_FOUND) => Ok(false),
            listed => {
                let listed: wire::ThingsOfPrincipal = listed.and_then(|reply| reply.json()).map_err(read)?;
                Ok(!listed.things.is_empty() || listed.next_token.is_some())
            }
        }
    }
}
