//! Things and certificates in the registry of AWS IoT Core
//! (<https://docs.aws.amazon.com/iot/latest/apireference/>).

use std::sync::OnceLock;

use aws_config::SdkConfig;
use aws_sdk_iot::Client;
use aws_sdk_iot::config::Config as IotConfig;
use aws_sdk_iot::types::{AttributePayload, CertificateStatus, ThingPrincipalType};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::{Failure, failure, once};
use crate::onboard::{Hold, Record, Registry, RegistryError};
use crate::thing::{Certificate, CertificateId, OwnerId, PrivateKey, ThingName};

/// The attributes of a thing. `UserId` is searchable by its thing type.
const USER_ID: &str = "UserId";
const RUN: &str = "Run";
const LEASE_UNTIL: &str = "LeaseUntil";
const CERTIFICATE_ID: &str = "CertificateId";
const SENT: &str = "Sent";

/// AWS IoT Core's registry.
#[derive(Clone)]
pub struct IotRegistry {
    client: Client,
    thing_type: String,
    policy: String,
    /// `arn:aws:iot:REGION:ACCOUNT`, learnt from the first answer that holds an ARN.
    arns: OnceLock<String>,
}

impl IotRegistry {
    pub(super) fn new(sdk: &SdkConfig, thing_type: &str, policy: &str) -> Self {
        Self { client: Client::new(sdk), thing_type: thing_type.to_owned(), policy: policy.to_owned(), arns: OnceLock::new() }
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

    fn attributes(owner: Option<&OwnerId>, hold: &Hold) -> AttributePayload {
        let mut attributes = AttributePayload::builder().attributes(RUN, &hold.run).attributes(LEASE_UNTIL, hold.until.to_string());
        if let Some(owner) = owner {
            attributes = attributes.attributes(USER_ID, owner.as_str());
        }
        if let Some(certificate) = &hold.certificate {
            attributes = attributes.attributes(CERTIFICATE_ID, certificate.as_str());
        }
        if let Some(sent) = &hold.sent {
            let sent: Vec<String> = sent.iter().map(u64::to_string).collect();
            attributes = attributes.attributes(SENT, sent.join(","));
        }
        attributes.build()
    }
}

fn read<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> RegistryError {
    match failure(error) {
        Failure::Throttled(_) => RegistryError::Throttled,
        Failure::Refused(code) => RegistryError::Refused(code),
        Failure::Unclear(what) => RegistryError::Unclear(what),
    }
}

fn is(error: &impl ProvideErrorMetadata, code: &str) -> bool {
    error.code() == Some(code)
}

const NOT_FOUND: &str = "ResourceNotFoundException";

/// What is gone needs no detaching, deactivating or deleting.
fn gone_is_done<T, E: ProvideErrorMetadata>(outcome: Result<T, SdkError<E, HttpResponse>>) -> Result<(), RegistryError> {
    match outcome {
        Err(error) if !is(&error, NOT_FOUND) => Err(read(&error)),
        _ => Ok(()),
    }
}

impl Registry for IotRegistry {
    async fn mint(&self) -> Result<Certificate, RegistryError> {
        let call = self.client.create_keys_and_certificate().set_as_active(false);
        let minted = call.customize().config_override(IotConfig::builder().retry_config(once())).send().await;
        let minted = minted.map_err(|error| read(&error))?;
        self.learn(minted.certificate_arn.as_deref());
        let id = minted.certificate_id.as_deref().and_then(CertificateId::parse);
        let keys = minted.key_pair.and_then(|keys| keys.public_key.zip(keys.private_key));
        match (id, minted.certificate_pem, keys) {
            (Some(id), Some(pem), Some((public_key, private_key))) => {
                Ok(Certificate { id, pem, public_key, private_key: PrivateKey::new(private_key) })
            }
            _ => Err(RegistryError::Unclear("a certificate without its parts".into())),
        }
    }

    async fn claim(&self, thing: &ThingName, owner: &OwnerId, hold: &Hold) -> Result<(), RegistryError> {
        let call = self.client.create_thing().thing_name(thing.as_str()).thing_type_name(&self.thing_type);
        match call.attribute_payload(Self::attributes(Some(owner), hold)).send().await {
            Ok(made) => {
                self.learn(made.thing_arn.as_deref());
                Ok(())
            }
            Err(error) if is(&error, "ResourceAlreadyExistsException") => Err(RegistryError::Taken),
            Err(error) if is(&error, NOT_FOUND) => Err(RegistryError::ThingTypeMissing(self.thing_type.clone())),
            Err(error) => Err(read(&error)),
        }
    }

    async fn look(&self, thing: &ThingName) -> Result<Option<Record>, RegistryError> {
        match self.client.describe_thing().thing_name(thing.as_str()).send().await {
            Ok(found) => {
                self.learn(found.thing_arn.as_deref());
                let attributes = found.attributes.unwrap_or_default();
                let attribute = |name: &str| attributes.get(name).map(String::as_str).unwrap_or_default();
                Ok(Some(Record {
                    version: found.version,
                    run: attribute(RUN).to_owned(),
                    until: attribute(LEASE_UNTIL).parse().unwrap_or_default(),
                    certificate: CertificateId::parse(attribute(CERTIFICATE_ID)),
                    sent: attribute(SENT).split(',').filter_map(|sent| sent.parse().ok()).collect(),
                }))
            }
            Err(error) if is(&error, NOT_FOUND) => Ok(None),
            Err(error) => Err(read(&error)),
        }
    }

    async fn hold(&self, thing: &ThingName, version: i64, hold: &Hold) -> Result<(), RegistryError> {
        let mut attributes = Self::attributes(None, hold);
        attributes.merge = true;
        let call = self.client.update_thing().thing_name(thing.as_str()).expected_version(version);
        match call.attribute_payload(attributes).send().await {
            Ok(_) => Ok(()),
            Err(error) if is(&error, "VersionConflictException") || is(&error, NOT_FOUND) => Err(RegistryError::Taken),
            Err(error) => Err(read(&error)),
        }
    }

    async fn attached(&self, thing: &ThingName) -> Result<Vec<CertificateId>, RegistryError> {
        let mut pages = self.client.list_thing_principals().thing_name(thing.as_str()).into_paginator().send();
        let mut attached = Vec::new();
        while let Some(page) = pages.next().await {
            match page {
                Ok(page) => {
                    for arn in page.principals.unwrap_or_default() {
                        self.learn(Some(&arn));
                        attached.extend(arn.rsplit_once("cert/").and_then(|(_, id)| CertificateId::parse(id)));
                    }
                }
                Err(error) if is(&error, NOT_FOUND) => break,
                Err(error) => return Err(read(&error)),
            }
        }
        Ok(attached)
    }

    async fn attach_policy(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        let call = self.client.attach_policy().policy_name(&self.policy).target(self.arn(certificate)?);
        match call.send().await {
            Ok(_) => Ok(()),
            // The certificate was made a moment ago: what is missing is the policy.
            Err(error) if is(&error, NOT_FOUND) => Err(RegistryError::PolicyMissing(self.policy.clone())),
            Err(error) => Err(read(&error)),
        }
    }

    async fn attach_thing(&self, certificate: &CertificateId, thing: &ThingName) -> Result<(), RegistryError> {
        let call = self.client.attach_thing_principal().thing_name(thing.as_str()).principal(self.arn(certificate)?);
        let call = call.thing_principal_type(ThingPrincipalType::ExclusiveThing);
        call.send().await.map(drop).map_err(|error| read(&error))
    }

    async fn activate(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        let call = self.client.update_certificate().certificate_id(certificate.as_str()).new_status(CertificateStatus::Active);
        call.send().await.map(drop).map_err(|error| read(&error))
    }

    async fn deactivate(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        let call = self.client.update_certificate().certificate_id(certificate.as_str()).new_status(CertificateStatus::Inactive);
        gone_is_done(call.send().await)
    }

    async fn detach_policy(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        gone_is_done(self.client.detach_policy().policy_name(&self.policy).target(self.arn(certificate)?).send().await)
    }

    async fn detach_thing(&self, certificate: &CertificateId, thing: &ThingName) -> Result<(), RegistryError> {
        let call = self.client.detach_thing_principal().thing_name(thing.as_str()).principal(self.arn(certificate)?);
        gone_is_done(call.send().await)
    }

    async fn delete(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        // Detaching spreads over some seconds; forcing drops only the condition that no policy is attached.
        gone_is_done(self.client.delete_certificate().certificate_id(certificate.as_str()).force_delete(true).send().await)
    }
}
