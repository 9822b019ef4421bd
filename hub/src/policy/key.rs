//! The keys of variables and conditions, such as `iot:ClientId`, and their values on a connection.
//!
//! Keys are compared without regard to case, as in IAM. The attribute names of things are case-sensitive. Sources:
//! <https://docs.aws.amazon.com/iot/latest/developerguide/basic-policy-variables.html>,
//! <https://docs.aws.amazon.com/iot/latest/developerguide/thing-policy-variables.html>,
//! <https://docs.aws.amazon.com/iot/latest/developerguide/cert-policy-variables.html>.

use std::borrow::Cow;
use std::fmt;

use super::context::Context;
use super::request::Request;
use super::text::Text;

/// The longest certificate attribute that is used as a variable, in characters. An attribute with a wildcard is not used either.
const CERTIFICATE_ATTRIBUTE_LIMIT: usize = 1024;
/// The number of values of one certificate attribute that are used. Further values are ignored.
const CERTIFICATE_VALUES_LIMIT: usize = 5;

/// A key with its name as written in the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    name: Box<str>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    ClientId,
    CertificateId,
    SourceIp,
    ThingName,
    ThingTypeName,
    Attribute(Box<str>),
    IsAttached,
    Subject(Box<str>, Which),
    ConnectAttributes,
    LastWillTopic,
    /// A key of another service, a misspelt key, or a key that this broker does not support.
    Unknown,
}

/// Selects among the values of a certificate attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Nth(usize),
    List,
}

/// The values of a key on a connection.
pub(super) enum Values<'a> {
    Absent,
    One(Cow<'a, str>),
    Topic(&'a str),
    Fixed(&'static [&'static str]),
    Several(&'a [String]),
}

impl Key {
    pub(super) fn parse(name: &str) -> Self {
        Self { name: name.into(), kind: Kind::parse(name) }
    }

    pub(super) fn is_known(&self) -> bool {
        self.kind != Kind::Unknown
    }

    pub(super) fn is_source_ip(&self) -> bool {
        self.kind == Kind::SourceIp
    }

    /// Whether the values of the key are topic ARNs.
    pub(super) fn is_arn(&self) -> bool {
        self.kind == Kind::LastWillTopic
    }

    /// Whether the key describes the thing of the connection: `iot:Connection.Thing.…`.
    pub(super) fn is_of_thing(&self) -> bool {
        matches!(self.kind, Kind::ThingName | Kind::ThingTypeName | Kind::Attribute(_) | Kind::IsAttached)
    }

    /// Returns the value of the policy variable with this key. The keys of a CONNECT are not variables.
    pub(super) fn text<'a>(&self, context: &'a Context) -> Option<Cow<'a, str>> {
        let thing = context.thing.as_ref();
        match &self.kind {
            Kind::ClientId => Some(Cow::Borrowed(&context.client_id)),
            Kind::CertificateId => context.certificate_id.as_deref().map(Cow::Borrowed),
            Kind::SourceIp => context.source_ip.map(|address| Cow::Owned(address.to_canonical().to_string())),
            Kind::ThingName => thing.map(|thing| Cow::Borrowed(thing.name.as_str())),
            Kind::ThingTypeName => thing?.thing_type.as_deref().map(Cow::Borrowed),
            Kind::Attribute(attribute) => thing?.attributes.get(&**attribute).map(|value| Cow::Borrowed(value.as_str())),
            Kind::IsAttached => Some(Cow::Borrowed(if thing.is_some() { "true" } else { "false" })),
            Kind::Subject(attribute, Which::Nth(position)) => {
                let value = subject(attribute, context).get(*position)?;
                let usable = value.chars().count() <= CERTIFICATE_ATTRIBUTE_LIMIT && !value.contains(['*', '?']);
                usable.then_some(Cow::Borrowed(value.as_str()))
            }
            Kind::Subject(_, Which::List) | Kind::ConnectAttributes | Kind::LastWillTopic | Kind::Unknown => None,
        }
    }

    /// Returns the values that a condition on this key compares. The keys of a CONNECT have values only for `iot:Connect`.
    pub(super) fn values<'a>(&self, request: &Request<'_>, context: &'a Context) -> Values<'a> {
        let connecting = matches!(request, Request::Connect(_));
        match &self.kind {
            Kind::ConnectAttributes if connecting => Values::Fixed(match (context.persistent_connect, context.last_will_topic.is_some()) {
                (true, true) => &["PersistentConnect", "LastWill"],
                (true, false) => &["PersistentConnect"],
                (false, true) => &["LastWill"],
                (false, false) => &[],
            }),
            Kind::LastWillTopic if connecting => context.last_will_topic.as_deref().map_or(Values::Absent, Values::Topic),
            Kind::Subject(attribute, Which::List) => Values::Several(subject(attribute, context)),
            _ => self.text(context).map_or(Values::Absent, Values::One),
        }
    }
}

fn subject<'a>(attribute: &str, context: &'a Context) -> &'a [String] {
    let found = context.subject.iter().find(|(name, _)| name.eq_ignore_ascii_case(attribute));
    let values: &[String] = found.map_or(&[], |(_, values)| values);
    &values[..values.len().min(CERTIFICATE_VALUES_LIMIT)]
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

impl Kind {
    fn parse(name: &str) -> Self {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if let Some(attribute) = after_prefix(name, "iot:Connection.Thing.Attributes[").and_then(|rest| rest.strip_suffix(']')) {
            return Self::Attribute(attribute.into());
        }
        if let Some(attribute) = after_prefix(name, "iot:Certificate.Subject.") {
            return Self::subject(attribute);
        }
        match () {
            () if is("iot:ClientId") => Self::ClientId,
            () if is("iot:CertificateId") => Self::CertificateId,
            () if is("aws:SourceIp") => Self::SourceIp,
            () if is("iot:Connection.Thing.ThingName") => Self::ThingName,
            () if is("iot:Connection.Thing.ThingTypeName") => Self::ThingTypeName,
            () if is("iot:Connection.Thing.IsAttached") => Self::IsAttached,
            () if is("iot:ConnectAttributes") => Self::ConnectAttributes,
            () if is("iot:LastWillTopic") => Self::LastWillTopic,
            () => Self::Unknown,
        }
    }

    /// Parses `CommonName`, `CommonName.1` or `CommonName.List`.
    fn subject(attribute: &str) -> Self {
        let (name, which) = match attribute.split_once('.') {
            None => (attribute, Some(Which::Nth(0))),
            Some((name, list)) if list.eq_ignore_ascii_case("List") => (name, Some(Which::List)),
            Some((name, position)) => (name, position.parse().ok().map(Which::Nth)),
        };
        which.map_or(Self::Unknown, |which| Self::Subject(name.into(), which))
    }
}

/// Removes a prefix, without regard to case.
fn after_prefix<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = name.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

impl Values<'_> {
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent | Self::Fixed([]) | Self::Several([]))
    }

    pub(super) fn any(&self, mut fits: impl FnMut(Text<'_>) -> bool) -> bool {
        match self {
            Self::Absent => false,
            Self::One(value) => fits(Text::whole(value)),
            Self::Topic(topic) => fits(Text::of("topic/", topic)),
            Self::Fixed(values) => values.iter().any(|value| fits(Text::whole(value))),
            Self::Several(values) => values.iter().any(|value| fits(Text::whole(value))),
        }
    }
}
