//! The names that variables and conditions share, such as `iot:ClientId`, and what each stands for on a connection.
//!
//! Names are compared without regard to case, as IAM does; the name of a thing's attribute is not. Sources:
//! <https://docs.aws.amazon.com/iot/latest/developerguide/basic-policy-variables.html>,
//! <https://docs.aws.amazon.com/iot/latest/developerguide/thing-policy-variables.html>,
//! <https://docs.aws.amazon.com/iot/latest/developerguide/cert-policy-variables.html>.

use std::borrow::Cow;
use std::fmt;

use super::context::Context;
use super::request::Request;
use super::text::Text;

/// Longer attributes of a certificate are not put in, and neither are those with a wildcard.
const CERTIFICATE_ATTRIBUTE_LIMIT: usize = 1024;
/// Further values of one attribute of a certificate are ignored.
const CERTIFICATE_VALUES_LIMIT: usize = 5;

/// A name with a value that depends on the connection.
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
    /// Of another service, misspelt, or not known to this broker.
    Unknown,
}

/// Which of the values of a certificate's attribute.
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

    /// Whether its values are ARNs of topics.
    pub(super) fn is_arn(&self) -> bool {
        self.kind == Kind::LastWillTopic
    }

    /// Whether it is about the thing of the connection: `iot:Connection.Thing.…`.
    pub(super) fn is_of_thing(&self) -> bool {
        matches!(self.kind, Kind::ThingName | Kind::ThingTypeName | Kind::Attribute(_) | Kind::IsAttached)
    }

    /// The text to put in for the variable of this name. What a CONNECT asks for is no variable.
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

    /// What a condition on this key compares. A CONNECT's own keys have values for a CONNECT only.
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
        if let Some(attribute) = after(name, "iot:Connection.Thing.Attributes[").and_then(|rest| rest.strip_suffix(']')) {
            return Self::Attribute(attribute.into());
        }
        if let Some(attribute) = after(name, "iot:Certificate.Subject.") {
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

    /// `CommonName`, `CommonName.1` or `CommonName.List`.
    fn subject(attribute: &str) -> Self {
        let (name, which) = match attribute.split_once('.') {
            None => (attribute, Some(Which::Nth(0))),
            Some((name, list)) if list.eq_ignore_ascii_case("List") => (name, Some(Which::List)),
            Some((name, position)) => (name, position.parse().ok().map(Which::Nth)),
        };
        which.map_or(Self::Unknown, |which| Self::Subject(name.into(), which))
    }
}

/// What follows a beginning that is compared without regard to case.
fn after<'a>(name: &'a str, beginning: &str) -> Option<&'a str> {
    let (start, rest) = name.split_at_checked(beginning.len())?;
    start.eq_ignore_ascii_case(beginning).then_some(rest)
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
