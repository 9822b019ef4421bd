//! The context of a connection in which policies are evaluated, and the association of a connection with a thing.
//!
//! A context is created once per connection. Sources:
//! <https://docs.aws.amazon.com/iot/latest/developerguide/thing-policy-variables.html>,
//! <https://docs.aws.amazon.com/iot/latest/developerguide/exclusive-thing.html>.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// The values of policy variables and condition keys on a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// `iot:ClientId`: the Client Identifier of the CONNECT.
    pub client_id: String,
    /// `iot:CertificateId`: 64 hexadecimal digits.
    pub certificate_id: Option<String>,
    /// `iot:Certificate.Subject.…`: the values of each attribute by its name, such as `CommonName`.
    pub subject: BTreeMap<String, Vec<String>>,
    /// `aws:SourceIp`: the source address of the connection.
    pub source_ip: Option<IpAddr>,
    /// `iot:Connection.Thing.…`: the thing that [`association`] returns. Without a thing, `IsAttached` is `false` and the other
    /// keys have no value.
    pub thing: Option<ThingContext>,
    /// Whether `iot:ConnectAttributes` contains `PersistentConnect`: the CONNECT requests a persistent session.
    pub persistent_connect: bool,
    /// `iot:LastWillTopic`. If it has a value, `iot:ConnectAttributes` contains `LastWill`.
    pub last_will_topic: Option<String>,
}

/// The values of a thing for policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThingContext {
    /// `iot:Connection.Thing.ThingName`.
    pub name: String,
    /// `iot:Connection.Thing.ThingTypeName`.
    pub thing_type: Option<String>,
    /// `iot:Connection.Thing.Attributes[…]`: the values by attribute name.
    pub attributes: BTreeMap<String, String>,
}

/// The attachment of a certificate to a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment<'a> {
    /// The name of the thing.
    pub thing: &'a str,
    /// Whether the attachment has the type `EXCLUSIVE_THING`: the certificate is attached to this thing only.
    pub exclusive: bool,
}

/// Returns the name of the thing that is associated with a connection.
///
/// An exclusive certificate is associated with its thing under every Client Identifier. Another certificate can be attached to
/// several things; the Client Identifier must then be the name of the thing.
pub fn association<'a>(client_id: &str, attachments: &[Attachment<'a>]) -> Option<&'a str> {
    let exclusive = attachments.iter().find(|attachment| attachment.exclusive);
    let its = exclusive.or_else(|| attachments.iter().find(|attachment| attachment.thing == client_id))?;
    Some(its.thing)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED: [Attachment<'static>; 2] =
        [Attachment { thing: "lamp-1", exclusive: false }, Attachment { thing: "lamp-2", exclusive: false }];

    #[test]
    fn a_shared_certificate_is_associated_with_the_thing_named_like_the_client_id() {
        assert_eq!(association("lamp-2", &SHARED), Some("lamp-2"));
        assert_eq!(association("lamp-3", &SHARED), None);
        assert_eq!(association("LAMP-2", &SHARED), None);
        assert_eq!(association("", &[]), None);
    }

    #[test]
    fn an_exclusive_certificate_is_associated_with_its_thing_under_every_client_id() {
        let exclusive = [Attachment { thing: "lamp-1", exclusive: true }];
        for client_id in ["lamp-1", "lamp-2", "anything", ""] {
            assert_eq!(association(client_id, &exclusive), Some("lamp-1"));
        }
    }

    #[test]
    fn an_exclusive_attachment_overrides_a_shared_one() {
        let both = [SHARED[1], Attachment { thing: "lamp-1", exclusive: true }];
        assert_eq!(association("lamp-2", &both), Some("lamp-1"));
    }
}
