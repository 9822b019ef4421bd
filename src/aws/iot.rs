//! Things and certificates in the registry of AWS IoT Core
//! (<https://docs.aws.amazon.com/iot/latest/apireference/API_Operations_AWS_IoT.html>).

use std::collections::BTreeMap;
use std::sync::OnceLock;

use aws_sdk_iot::error::ProvideErrorMetadata;
use aws_sdk_iot::operation::delete_certificate::DeleteCertificateError;
use aws_sdk_iot::operation::delete_thing::DeleteThingError;
use aws_sdk_iot::operation::detach_thing_principal::DetachThingPrincipalError;
use aws_sdk_iot::operation::update_certificate::UpdateCertificateError;
use aws_sdk_iot::types::{AttributePayload, CertificateStatus, ThingPrincipalType};
use aws_sdk_iot::{Client, Config as ClientConfig};
use aws_smithy_types::retry::RetryConfig;

use super::failure::{Failure, gone_is_done};
use crate::certificate::{Certificate, IssuedCertificate};
use crate::config::Config;
use crate::identifiers::{AlexaUser, CertificateId, OwnerId, ThingName, ThingPrefix};
use crate::registry::attributes::{ALEXA_USER, UNFINISHED, USER_ID, YES, attributes, record};
use crate::registry::signing_request::{self, CertificateRequest, MadeFor, SigningRequest};
use crate::registry::{Described, Entry, Kind, Listing, Record, Registered, Registry, RegistryError};

/// The maximum page size of the list operations.
const PAGE: i32 = 250;

/// The registry of AWS IoT Core.
#[derive(Clone)]
pub struct IotRegistry {
    client: Client,
    kind: Kind,
    prefix: ThingPrefix,
    /// The prefix of the names of things that belong to no owner.
    fleets: String,
    /// `arn:aws:iot:REGION:ACCOUNT`, taken from the first response with an ARN.
    arns: OnceLock<String>,
}

impl<E> From<Failure<E>> for RegistryError {
    fn from(failure: Failure<E>) -> Self {
        failure.fold(RegistryError::Throttled, RegistryError::Refused, RegistryError::Unclear)
    }
}

/// A certificate that is REVOKED or PENDING is not INACTIVE and must not be changed.
fn is_inactive(status: Option<&CertificateStatus>) -> bool {
    status == Some(&CertificateStatus::Inactive)
}

fn parse_id(id: Option<&str>) -> Option<CertificateId> {
    CertificateId::parse(id?)
}

impl IotRegistry {
    pub(super) fn new(client: Client, config: &Config) -> Self {
        let (model, policies) = (&config.model, vec![config.policy.clone()]);
        let kind = Kind { thing_type: model.thing_type.clone(), policies };
        Self { client, kind, prefix: model.thing_prefix.clone(), fleets: config.fleets.clone(), arns: OnceLock::new() }
    }

    /// The thing that the subject of a certificate names. A device can put any name into its own request, and the functions of
    /// this stack have no permission for things outside the stack, so other names are ignored.
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

    async fn issue(&self, request: &str) -> Result<IssuedCertificate, RegistryError> {
        let call = self.client.create_certificate_from_csr().certificate_signing_request(request).set_as_active(false);
        // A second attempt would create a second certificate.
        let once = ClientConfig::builder().retry_config(RetryConfig::disabled());
        let created = call.customize().config_override(once).send().await.map_err(Failure::from)?;
        self.learn(created.certificate_arn());
        match (parse_id(created.certificate_id()), created.certificate_pem) {
            (Some(id), Some(pem)) => Ok(IssuedCertificate { id, pem }),
            _ => Err(RegistryError::Unclear("a certificate without its parts".into())),
        }
    }

    async fn update(&self, certificate: &CertificateId, status: CertificateStatus) -> Result<(), Failure<UpdateCertificateError>> {
        let call = self.client.update_certificate().certificate_id(certificate.as_str()).new_status(status);
        call.send().await.map(drop).map_err(Failure::from)
    }

    /// One page of the things with this attribute value. Names that this skill cannot have created are omitted.
    async fn things_with(&self, attribute: &str, value: &str, page: Option<&str>) -> Result<Listing<ThingName>, RegistryError> {
        let call = self.client.list_things().attribute_name(attribute).attribute_value(value).max_results(PAGE);
        let listed = call.set_next_token(page.map(str::to_owned)).send().await.map_err(Failure::from)?;
        let items = listed.things().iter().filter_map(|thing| {
            self.learn(thing.thing_arn());
            let owner = thing.attributes().and_then(|attributes| OwnerId::parse(attributes.get(USER_ID)?));
            ThingName::listed(&self.prefix, &self.fleets, thing.thing_name()?, owner.as_ref())
        });
        Ok(Listing { items: items.collect(), next: listed.next_token })
    }
}

impl Registry for IotRegistry {
    fn of_kind(&self, kind: Kind) -> Self {
        Self { kind, ..self.clone() }
    }

    async fn create_certificate(&self, thing: &ThingName) -> Result<Certificate, RegistryError> {
        let request = SigningRequest::new(thing).map_err(|error| RegistryError::Refused(error.to_string()))?;
        let IssuedCertificate { id, pem } = self.issue(&request.pem).await?;
        Ok(Certificate { id, pem, public_key: request.public_key, private_key: request.private_key })
    }

    async fn certify(&self, _: &ThingName, request: &CertificateRequest) -> Result<IssuedCertificate, RegistryError> {
        self.issue(request.pem()).await
    }

    async fn claim(&self, thing: &ThingName, owner: &OwnerId, record: &Record) -> Result<(), RegistryError> {
        let mut attributes = attributes(record);
        attributes.retain(|_, value| !value.is_empty());
        attributes.insert(USER_ID.to_owned(), owner.as_str().to_owned());
        let payload = AttributePayload::builder().set_attributes(Some(attributes.into_iter().collect())).build();
        let call = self.client.create_thing().thing_name(thing.as_str()).thing_type_name(&self.kind.thing_type).attribute_payload(payload);
        match call.send().await.map_err(Failure::from) {
            Ok(made) => {
                self.learn(made.thing_arn());
                Ok(())
            }
            Err(Failure::Refused(no)) if no.error.is_resource_already_exists_exception() => Err(RegistryError::Taken),
            Err(Failure::Refused(no)) if no.error.is_resource_not_found_exception() => {
                Err(RegistryError::ThingTypeMissing(self.kind.thing_type.clone()))
            }
            Err(failure) => Err(failure.into()),
        }
    }

    async fn look(&self, thing: &ThingName) -> Result<Option<Entry>, RegistryError> {
        let found = match self.client.describe_thing().thing_name(thing.as_str()).send().await.map_err(Failure::from) {
            Err(Failure::Refused(no)) if no.error.is_resource_not_found_exception() => return Ok(None),
            found => found?,
        };
        self.learn(found.thing_arn());
        let attributes = found.attributes.into_iter().flatten().collect::<BTreeMap<_, _>>();
        let owner = attributes.get(USER_ID).and_then(|owner| OwnerId::parse(owner));
        Ok(Some(Entry { version: found.version, owner, thing_type: found.thing_type_name, record: record(&attributes) }))
    }

    async fn write(&self, thing: &ThingName, version: i64, record: &Record) -> Result<(), RegistryError> {
        let payload = AttributePayload::builder().set_attributes(Some(attributes(record).into_iter().collect())).merge(true).build();
        let call = self.client.update_thing().thing_name(thing.as_str()).expected_version(version).attribute_payload(payload);
        match call.send().await.map_err(Failure::from) {
            Ok(_) => Ok(()),
            Err(Failure::Refused(no)) if no.error.is_version_conflict_exception() || no.error.is_resource_not_found_exception() => {
                Err(RegistryError::Taken)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    async fn attached(&self, thing: &ThingName) -> Result<Vec<CertificateId>, RegistryError> {
        let mut attached = Vec::new();
        let mut page = None;
        loop {
            let call = self.client.list_thing_principals().thing_name(thing.as_str()).set_next_token(page);
            let listed = match call.send().await.map_err(Failure::from) {
                Err(Failure::Refused(no)) if no.error.is_resource_not_found_exception() => return Ok(attached),
                listed => listed?,
            };
            for arn in listed.principals() {
                self.learn(Some(arn));
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
            let call = self.client.attach_policy().policy_name(policy).target(self.arn(certificate)?);
            match call.send().await.map_err(Failure::from) {
                Ok(_) => {}
                // The certificate was just created, so the missing resource is the policy.
                Err(Failure::Refused(no)) if no.error.is_resource_not_found_exception() => {
                    return Err(RegistryError::PolicyMissing(policy.clone()));
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(())
    }

    async fn attach_thing(&self, certificate: &CertificateId, thing: &ThingName) -> Result<(), RegistryError> {
        let call = self.client.attach_thing_principal().thing_name(thing.as_str()).principal(self.arn(certificate)?);
        call.thing_principal_type(ThingPrincipalType::ExclusiveThing).send().await.map_err(Failure::from)?;
        Ok(())
    }

    async fn activate(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        Ok(self.update(certificate, CertificateStatus::Active).await?)
    }

    async fn deactivate(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        let outcome = self.update(certificate, CertificateStatus::Inactive).await;
        Ok(gone_is_done(outcome, UpdateCertificateError::is_resource_not_found_exception)?)
    }

    async fn detach_policy(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        for policy in &self.kind.policies {
            let call = self.client.detach_policy().policy_name(policy).target(self.arn(certificate)?);
            // The service returns this error, although the SDK's model of DetachPolicy does not contain it.
            gone_is_done(call.send().await.map_err(Failure::from), |error| error.code() == Some("ResourceNotFoundException"))?;
        }
        Ok(())
    }

    async fn detach_thing(&self, certificate: &CertificateId, thing: &ThingName) -> Result<(), RegistryError> {
        let call = self.client.detach_thing_principal().thing_name(thing.as_str()).principal(self.arn(certificate)?);
        let outcome = call.send().await.map_err(Failure::from);
        Ok(gone_is_done(outcome, DetachThingPrincipalError::is_resource_not_found_exception)?)
    }

    async fn delete(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        // AWS needs some seconds to apply a detachment. `force_delete` only ignores policies that are still attached.
        let call = self.client.delete_certificate().certificate_id(certificate.as_str()).force_delete(true);
        match call.send().await.map_err(Failure::from) {
            Err(Failure::Refused(no)) if no.error.is_delete_conflict_exception() || no.error.is_certificate_state_exception() => {
                Err(RegistryError::InUse)
            }
            outcome => Ok(gone_is_done(outcome, DeleteCertificateError::is_resource_not_found_exception)?),
        }
    }

    async fn remove(&self, thing: &ThingName, version: i64) -> Result<(), RegistryError> {
        let call = self.client.delete_thing().thing_name(thing.as_str()).expected_version(version);
        match call.send().await.map_err(Failure::from) {
            Err(Failure::Refused(no)) if no.error.is_version_conflict_exception() => Err(RegistryError::Taken),
            // The only possible cause is a certificate that is still attached.
            Err(Failure::Refused(no)) if no.error.is_invalid_request_exception() => Err(RegistryError::InUse),
            outcome => Ok(gone_is_done(outcome, DeleteThingError::is_resource_not_found_exception)?),
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
        let call = self.client.list_certificates().page_size(PAGE).ascending_order(false).set_marker(page.map(str::to_owned));
        let listed = call.send().await.map_err(Failure::from)?;
        let items = listed.certificates().iter().filter_map(|certificate| {
            self.learn(certificate.certificate_arn());
            // A certificate without a creation date is omitted, because its age is needed for every decision about it.
            let made_at = certificate.creation_date()?.secs().try_into().ok()?;
            Some(Registered { id: parse_id(certificate.certificate_id())?, inactive: is_inactive(certificate.status()), made_at })
        });
        Ok(Listing { items: items.collect(), next: listed.next_marker })
    }

    async fn describe(&self, id: &CertificateId) -> Result<Option<Described>, RegistryError> {
        let found = match self.client.describe_certificate().certificate_id(id.as_str()).send().await.map_err(Failure::from) {
            Err(Failure::Refused(no)) if no.error.is_resource_not_found_exception() => return Ok(None),
            found => found?,
        };
        let unreadable = || RegistryError::Unclear("a certificate without its description".into());
        let described = found.certificate_description.ok_or_else(unreadable)?;
        self.learn(described.certificate_arn());
        let (ours, made_for) = match described.certificate_pem().map(signing_request::made_for) {
            Some(MadeFor::Ours(name)) => (true, name.and_then(|name| self.named(&name))),
            _ => (false, None),
        };
        let active = described.status() == Some(&CertificateStatus::Active);
        Ok(Some(Described { active, inactive: is_inactive(described.status()), ours, made_for }))
    }

    async fn is_attached(&self, id: &CertificateId) -> Result<bool, RegistryError> {
        match self.client.list_principal_things().principal(self.arn(id)?).max_results(1).send().await.map_err(Failure::from) {
            Err(Failure::Refused(no)) if no.error.is_resource_not_found_exception() => Ok(false),
            listed => {
                let listed = listed?;
                Ok(!listed.things().is_empty() || listed.next_token().is_some())
            }
        }
    }
}
