//! What one connection may do: the policies of its certificate, and what is known of the connection.
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/iot-policies.html>)

use std::net::IpAddr;

use onething::thing::CertificateId;

use super::backend::Standing;
use super::packet::Connect;
use crate::policy::{Attachment, Context, Request, association, decide};

/// What one connection may do.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    standing: Standing,
    context: Context,
}

impl Grant {
    /// What a connection as `client_id` may do with a certificate of this standing.
    pub(super) fn new(standing: Standing, certificate: &CertificateId, client_id: &str, peer: IpAddr, connect: &Connect) -> Self {
        let context = Context {
            client_id: client_id.to_owned(),
            certificate_id: Some(certificate.to_string()),
            source_ip: Some(peer),
            persistent_connect: connect.session_expiry > 0,
            last_will_topic: connect.will.as_ref().map(|will| will.message.topic.to_string()),
            ..Context::default()
        };
        let mut grant = Self { standing, context };
        grant.associate();
        grant
    }

    /// The same connection, now that its certificate has another standing.
    pub(super) fn with(&self, standing: Standing) -> Self {
        let mut grant = Self { standing, context: self.context.clone() };
        grant.associate();
        grant
    }

    fn associate(&mut self) {
        let attachments = &self.standing.attachments;
        let named: Vec<_> =
            attachments.iter().map(|attached| Attachment { thing: &attached.thing.name, exclusive: attached.exclusive }).collect();
        let name = association(&self.context.client_id, &named);
        self.context.thing = attachments.iter().find(|attached| Some(attached.thing.name.as_str()) == name).map(|its| its.thing.clone());
    }

    /// The thing that the connection is.
    pub(super) fn thing(&self) -> Option<&str> {
        self.context.thing.as_ref().map(|thing| thing.name.as_str())
    }

    /// Whether the certificate is still good for anything.
    pub(super) fn is_active(&self) -> bool {
        self.standing.active
    }

    pub(super) fn may_connect(&self) -> bool {
        self.allows(&Request::Connect(&self.context.client_id))
    }

    /// Whether a message may be published to a topic, and retained if it is to be.
    pub(super) fn may_publish(&self, topic: &str, retain: bool) -> bool {
        self.allows(&Request::Publish(topic)) && (!retain || self.allows(&Request::RetainPublish(topic)))
    }

    pub(super) fn may_subscribe(&self, filter: &str) -> bool {
        self.allows(&Request::Subscribe(filter))
    }

    pub(super) fn may_receive(&self, topic: &str) -> bool {
        self.allows(&Request::Receive(topic))
    }

    fn allows(&self, request: &Request<'_>) -> bool {
        self.standing.active && decide(self.standing.policies.iter().map(AsRef::as_ref), request, &self.context).is_allowed()
    }
}
