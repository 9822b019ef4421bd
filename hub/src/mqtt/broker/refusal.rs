//! Refusals: the action and the resource by the names of AWS IoT, the client, and the cause.
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/iot-policy-actions.html>)

use std::net::IpAddr;

use onething::identifiers::CertificateId;

use super::packet::{Fault, Named};
use super::reason::Reason;
use crate::policy::Request;

/// A request of a client that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The client.
    pub requester: Requester,
    /// Such as `iot:Publish`. `None` for a packet that belongs to no action, or that cannot be read.
    pub action: Option<&'static str>,
    /// The client id, topic or topic filter as the client sent it: any text, up to 64 KB. Empty without one.
    pub resource: String,
    /// The message is a last will.
    pub is_will: bool,
    /// The cause.
    pub cause: Cause,
}

/// A client, as far as the broker knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requester {
    /// As the client sent it, or as the broker chose it: any text, up to 64 KB. Empty where none was read.
    pub client_id: String,
    /// The certificate that the client has the key of.
    pub certificate: CertificateId,
    /// The thing that the connection is.
    pub thing: Option<String>,
    /// The address that the connection comes from.
    pub source: IpAddr,
}

/// Why something is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The registry does not know the certificate.
    CertificateUnknown,
    /// The certificate is INACTIVE.
    CertificateInactive,
    /// The certificate has no policy.
    NoPolicy,
    /// The policy is about the thing of the connection, and the certificate is attached to none.
    ThingNotAttached,
    /// No statement of a policy allows it.
    ImplicitDeny,
    /// A statement of a policy denies it.
    ExplicitDeny,
    /// The policy allows it, but no service takes messages to this topic.
    NoService,
    /// A will to a topic that begins with `$` is not published, whatever the policy says.
    /// (<https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-comms-app.html>)
    ReservedWill,
    /// Rights are not the question: the packet is at fault, or the server.
    Protocol(Reason),
}

impl Refusal {
    /// A packet that was not taken; `fault` says what is wrong with it.
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

    /// A CONNECT that was not taken, or that did not come.
    pub(super) fn of_connect(requester: Requester, reason: Reason) -> Self {
        let resource = requester.client_id.clone();
        let action = Some(Request::Connect(&resource).action());
        Self { requester, action, resource, is_will: false, cause: Cause::Protocol(reason) }
    }
}

impl Cause {
    /// What the client is told.
    pub fn reason(self) -> Reason {
        match self {
            Self::Protocol(reason) => reason,
            Self::NoService | Self::ReservedWill => Reason::TopicNameInvalid,
            _ => Reason::NotAuthorized,
        }
    }

    /// A name for programs.
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

    /// A clause for a person.
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

/// Why a connection ends, with what was refused where that is why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) reason: Reason,
    pub(super) refusals: Vec<Refusal>,
}

impl End {
    /// A CONNECT was not taken. Where the client has just gone, nothing was refused.
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
