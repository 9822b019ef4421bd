//! What is known of a connection when a policy is asked, and which thing the connection is.
//!
//! A context is made once per connection. Source:
//! <https://docs.aws.amazon.com/iot/latest/developerguide/thing-policy-variables.html>,
//! <https://docs.aws.amazon.com/iot/latest/developerguide/exclusive-thing.html>.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// What the variables and condition keys of a policy stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// `iot:ClientId`: the client id of the CONNECT.
    pub client_id: String,
    /// `iot:CertificateId`: 64 hexadecimal digits.
    pub certificate_id: Option<String>,
    /// `iot:Certificate.Subject.…`: by the name of the attribute, such as `CommonName`, its values.
    pub subject: BTreeMap<String, Vec<String>>,
    /// `aws:SourceIp`.
    pub source_ip: Option<IpAddr>,
    /// `iot:Connection.Thing.…`: the thing that [`association`] names. Without one, `IsAttached` is `false` and the others have no value.
    pub thing: Option<ThingContext>,
    /// Whether `iot:ConnectAttributes` has `PersistentConnect`: a session that outlives the connection was asked for.
    pub persistent_connect: bool,
    /// `iot:LastWillTopic`, because of which `iot:ConnectAttributes` has `LastWill`.
    pub last_will_topic: Option<String>,
}

/// A thing of the registry, as policies see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThingContext {
    /// `ThingName`.
    pub name: String,
    /// `ThingTypeName`.
    pub thing_type: Option<String>,
    /// `Attributes[…]`.
    pub attributes: BTreeMap<String, String>,
}

/// One thing that a certificate is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment<'a> {
    /// The name of the thing.
    pub thing: &'a str,
    /// Whether the certificate is attached as `EXCLUSIVE_THING`: to this thing and to no other.
    pub exclusive: bool,
}

/// The name of the thing that a connection is.
///
/// A certificate that is exclusive to a thing stands for it under every client id. Any other may be attached to many, and the client
/// id says which of them it is.
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
    fn a_shared_certificate_is_the_thing_whose_name_is_the_client_id() {
        assert_eq!(association("lamp-2", &SHARED), Some("lamp-2"));
        assert_eq!(association("lamp-3", &SHARED), None);
        assert_eq!(association("LAMP-2", &SHARED), None);
        assert_eq!(association("", &[]), None);
    }

    #[test]
    fn an_exclusive_certificate_is_its_thing_under_every_client_id() {
        let exclusive = [Attachment { thing: "lamp-1", exclusive: true }];
        for client_id in ["lamp-1", "lamp-2", "anything", ""] {
            assert_eq!(association(client_id, &exclusive), Some("lamp-1"));
        }
    }

    #[test]
    fn an_exclusive_attachment_goes_before_a_shared_one() {
        let both = [SHARED[1], Attachment { thing: "lamp-1", exclusive: true }];
        assert_eq!(association("lamp-2", &both), Some("lamp-1"));
    }
}
