//! Refusals: the action and the resource with their AWS IoT names, the client, and the cause.
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/iot-policy-actions.html>)

use std::net::IpAddr;

use onething::identifiers::CertificateId;

use super::packet::{Fault, Named};
use super::reason::Reason;
use crate::policy::Request;

/// A request of a client that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The client whose request was refused.
    pub requester: Requester,
    /// The policy action, such as `iot:Publish`. `None` for a packet without an action, or that cannot be decoded.
    pub action: Option<&'static str>,
    /// The Client Identifier, topic or topic filter as the client sent it: any text, up to 64 KB. Empty if there is none.
    pub resource: String,
    /// The refused message is a Will Message.
    pub is_will: bool,
    /// Why the request was refused.
    pub cause: Cause,
}

/// The client that sent a refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requester {
    /// The Client Identifier that the client sent or the broker assigned: any text, up to 64 KB. Empty if none was decoded.
    pub client_id: String,
    /// The client certificate of the TLS connection.
    pub certificate: CertificateId,
    /// The thing that is associated with the connection.
    pub thing: Option<String>,
    /// The source address of the connection.
    pub source: IpAddr,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The registry does not contain the certificate.
    CertificateUnknown,
    /// The certificate is INACTIVE.
    CertificateInactive,
    /// No policy is attached to the certificate.
    NoPolicy,
    /// A statement allows the action to things, but no thing is associated with the connection.
    ThingNotAttached,
    /// No statement allows the request.
    ImplicitDeny,
    /// A statement denies the request.
    ExplicitDeny,
    /// The policies allow the publish, but no service handles the reserved topic.
    NoService,
    /// A Will Message to a topic that begins with `$` is not published, even if the policies allow it.
    /// (<https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-comms-app.html>)
    ReservedWill,
    /// The policies are not the cause: the packet is not acceptable, or the store is unavailable.
    Protocol(Reason),
}

impl Refusal {
    /// Creates the refusal of a packet that was not accepted because of `fault`.
    pub(super) fn of(mut requester: Requester, fault: Fault) -> Self {
        let (action, resource, is_will) = match fault.named {
            None => (None, String::new(), false),
            Some(Named::Topic(topic)) => (Some(Request::Publish(&topic).action()), topic, false),
            Some(Named::Filter(filter)) => (Some(Request::Subscribe(&filter).action()), filter, false),
            Some(Named::Will { client_id, topic }) => {
                requester.client_id = client_id;
                (Some(Request::Publish(&topic).action()), topic, true)
            }
        };
        Self { requester, action, resource, is_will, cause: Cause::Protocol(fault.reason) }
    }

    /// Creates the refusal of a CONNECT that was not accepted, or that was not received in time.
    pub(super) fn of_connect(requester: Requester, reason: Reason) -> Self {
        let resource = requester.client_id.clone();
        let action = Some(Request::Connect(&resource).action());
        Self { requester, action, resource, is_will: false, cause: Cause::Protocol(reason) }
    }
}

impl Cause {
    /// Returns the reason that is sent to the client.
    pub fn reason(self) -> Reason {
        match self {
            Self::Protocol(reason) => reason,
            Self::NoService | Self::ReservedWill => Reason::TopicNameInvalid,
            _ => Reason::NotAuthorized,
        }
    }

    /// Returns a stable name for logs and the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::CertificateUnknown => "certificate_unknown",
            Self::CertificateInactive => "certificate_inactive",
            Self::NoPolicy => "no_policy",
            Self::ThingNotAttached => "thing_not_attached",
            Self::ImplicitDeny => "implicit_deny",
            Self::ExplicitDeny => "explicit_deny",
            Self::NoService => "no_service",
            Self::ReservedWill => "reserved_will",
            Self::Protocol(reason) => reason.name(),
        }
    }

    /// Returns an English clause for logs and pages.
    pub fn words(self) -> &'static str {
        match self {
            Self::CertificateUnknown => "the certificate is not in the registry",
            Self::CertificateInactive => "the certificate is INACTIVE",
            Self::NoPolicy => "no policy is attached to the certificate",
            Self::ThingNotAttached => "the policy is about the thing of the connection, and the certificate is attached to none",
            Self::ImplicitDeny => "no policy statement allows it",
            Self::ExplicitDeny => "a policy statement denies it",
            Self::NoService => "the policy allows it, but no service takes messages to this topic",
            Self::ReservedWill => "a will to a topic that begins with $ is not published",
            Self::Protocol(reason) => match reason {
                Reason::NoConnect => "no CONNECT came in time",
                Reason::MalformedPacket => "the packet is not MQTT",
                Reason::ProtocolError => "the packet does not belong here",
                Reason::UnsupportedVersion => "the protocol is neither MQTT 3.1.1 nor MQTT 5",
                Reason::ClientIdInvalid => "the client id cannot be used",
                Reason::TopicNameInvalid => "the topic name is not valid",
                Reason::TopicFilterInvalid => "the topic filter is not valid",
                Reason::TopicAliasInvalid => "the topic alias is not defined",
                Reason::PacketTooLarge => "the packet is too large",
                Reason::QosNotSupported => "QoS 2 is not supported",
                Reason::BadAuthenticationMethod => "extended authentication is not supported",
                Reason::QuotaExceeded => "there are too many subscriptions, or filters in one packet",
                Reason::SharedNotSupported => "shared subscriptions are not supported",
                Reason::Unavailable => "the storage fails or does not answer",
                other => other.name(),
            },
        }
    }
}

/// Why a connection ends, and the refusals that caused the end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) reason: Reason,
    pub(super) refusals: Vec<Refusal>,
}

impl End {
    /// Creates the end of a connection whose CONNECT was not accepted. If the client closed the connection, nothing was refused.
    pub(super) fn of_connect(requester: Requester, reason: Reason) -> Self {
        let refusals = reason.is_refusal().then(|| Refusal::of_connect(requester, reason));
        Self { reason, refusals: refusals.into_iter().collect() }
    }
}

impl From<Reason> for End {
    fn from(reason: Reason) -> Self {
        Self { reason, refusals: Vec::new() }
    }
}

impl From<Box<Refusal>> for End {
    fn from(refusal: Box<Refusal>) -> Self {
        Self { reason: refusal.cause.reason(), refusals: vec![*refusal] }
    }
}
