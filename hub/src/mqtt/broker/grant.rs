//! The permissions of one connection: the policies of its certificate, evaluated with the context of the connection.
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/iot-policies.html>)

use std::net::IpAddr;

use onething::identifiers::CertificateId;

use super::backend::CertificateStatus;
use super::packet::Connect;
use super::refusal::{Cause, Refusal, Requester};
use crate::policy::{Attachment, Context, Decision, Policy, Request, association, decide, requires_thing};

/// The permissions of one connection.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    /// `None` if the registry does not contain the certificate.
    certificate_status: Option<CertificateStatus>,
    certificate: CertificateId,
    source: IpAddr,
    context: Context,
}

impl Grant {
    /// Creates the permissions of a connection. `certificate_status` is `None` if the registry does not contain the certificate.
    pub(super) fn new(
        certificate_status: Option<CertificateStatus>,
        certificate: CertificateId,
        client_id: &str,
        source: IpAddr,
        connect: &Connect,
    ) -> Self {
        let context = Context {
            client_id: client_id.to_owned(),
            certificate_id: Some(certificate.to_string()),
            source_ip: Some(source),
            persistent_connect: connect.session_expiry > 0,
            last_will_topic: connect.will.as_ref().map(|will| will.message.topic.to_string()),
            ..Context::default()
        };
        let mut grant = Self { certificate_status, certificate, source, context };
        grant.associate();
        grant
    }

    /// Returns the permissions of the same connection with another status of its certificate.
    pub(super) fn with(&self, certificate_status: Option<CertificateStatus>) -> Self {
        let mut grant = Self { certificate_status, ..self.clone() };
        grant.associate();
        grant
    }

    fn associate(&mut self) {
        let attachments =
            self.certificate_status.as_ref().map(|certificate_status| certificate_status.attachments.as_slice()).unwrap_or_default();
        let named: Vec<_> =
            attachments.iter().map(|attached| Attachment { thing: &attached.thing.name, exclusive: attached.exclusive }).collect();
        let name = association(&self.context.client_id, &named);
        self.context.thing = attachments.iter().find(|attached| Some(attached.thing.name.as_str()) == name).map(|its| its.thing.clone());
    }

    /// Returns the name of the thing that is associated with the connection.
    pub(super) fn thing(&self) -> Option<&str> {
        self.context.thing.as_ref().map(|thing| thing.name.as_str())
    }

    /// Returns the certificate of the connection.
    pub(super) fn certificate(&self) -> &CertificateId {
        &self.certificate
    }

    /// Returns the client of the connection, for a refusal.
    pub(super) fn requester(&self) -> Requester {
        let (certificate, thing) = (self.certificate.clone(), self.thing().map(str::to_owned));
        Requester { client_id: self.context.client_id.clone(), certificate, thing, source: self.source }
    }

    /// Whether the certificate is in the registry and ACTIVE.
    pub(super) fn is_active(&self) -> bool {
        self.certificate_status.as_ref().is_some_and(|certificate_status| certificate_status.active)
    }

    pub(super) fn may_connect(&self) -> Result<(), Box<Refusal>> {
        self.check(&Request::Connect(&self.context.client_id))
    }

    /// Checks `iot:Publish`, and also `iot:RetainPublish` if `retain` is set.
    pub(super) fn may_publish(&self, topic: &str, retain: bool) -> Result<(), Box<Refusal>> {
        self.check(&Request::Publish(topic))?;
        if retain { self.check(&Request::RetainPublish(topic)) } else { Ok(()) }
    }

    pub(super) fn may_subscribe(&self, filter: &str) -> Result<(), Box<Refusal>> {
        self.check(&Request::Subscribe(filter))
    }

    pub(super) fn may_receive(&self, topic: &str) -> Result<(), Box<Refusal>> {
        self.check(&Request::Receive(topic))
    }

    fn check(&self, request: &Request<'_>) -> Result<(), Box<Refusal>> {
        match self.cause(request) {
            None => Ok(()),
            Some(cause) => Err(self.refusal(request, cause)),
        }
    }

    /// Creates the refusal of a request. The cause need not be a policy.
    pub(super) fn refusal(&self, request: &Request<'_>, cause: Cause) -> Box<Refusal> {
        let (action, resource) = (Some(request.action()), request.name().to_owned());
        Box::new(Refusal { requester: self.requester(), action, resource, is_will: false, cause })
    }

    /// Evaluates the policies. Returns why they refuse a request, or `None` if they allow it.
    fn cause(&self, request: &Request<'_>) -> Option<Cause> {
        let Some(certificate_status) = &self.certificate_status else { return Some(Cause::CertificateUnknown) };
        if !certificate_status.active {
            return Some(Cause::CertificateInactive);
        }
        let policies = || certificate_status.policies.iter().map(AsRef::<Policy>::as_ref);
        match decide(policies(), request, &self.context) {
            Decision::Allowed(_) => None,
            Decision::ExplicitDeny(_) => Some(Cause::ExplicitDeny),
            Decision::ImplicitDeny if certificate_status.policies.is_empty() => Some(Cause::NoPolicy),
            Decision::ImplicitDeny if self.context.thing.is_none() && requires_thing(policies(), request) => Some(Cause::ThingNotAttached),
            Decision::ImplicitDeny => Some(Cause::ImplicitDeny),
        }
    }
}
