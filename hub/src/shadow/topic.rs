//! The topics of shadows.
//!
//! `$aws/things/THING/shadow/OPERATION` is a topic of the classic shadow of a thing, and
//! `$aws/things/THING/shadow/name/NAME/OPERATION` a topic of one of its named shadows
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-mqtt.html>). Names that the registry would not accept
//! are refused. A name therefore cannot contain `/` and add a topic level.

use std::fmt;

use onething::identifiers::ThingName;

/// Identifies a shadow: the thing, and the name of a named shadow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShadowKey {
    thing: String,
    name: Option<String>,
}

impl ShadowKey {
    /// Takes the thing name, `[a-zA-Z0-9:_-]{1,128}`, and the shadow name of a named shadow, `[$a-zA-Z0-9:_-]{1,64}`. `None` for
    /// other names (<https://docs.aws.amazon.com/iot/latest/apireference/API_iotdata_UpdateThingShadow.html>).
    pub fn new(thing: &str, name: Option<&str>) -> Option<Self> {
        let named = |text: &str, longest: usize, more: &[u8]| {
            let allowed = |c: u8| c.is_ascii_alphanumeric() || more.contains(&c);
            (1..=longest).contains(&text.len()) && text.bytes().all(allowed)
        };
        let legal = named(thing, 128, b":_-") && name.is_none_or(|name| named(name, 64, b"$:_-"));
        legal.then(|| Self { thing: thing.to_owned(), name: name.map(str::to_owned) })
    }

    /// Returns the name of the thing.
    pub fn thing(&self) -> &str {
        &self.thing
    }

    /// Returns the name of the shadow. `None` for the classic shadow.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns the request topic of an operation.
    pub fn request(&self, operation: Operation) -> String {
        self.topic(operation, "")
    }

    /// Returns the topic of the response to an accepted request.
    pub fn accepted(&self, operation: Operation) -> String {
        self.topic(operation, "/accepted")
    }

    /// Returns the topic of the response to a rejected request.
    pub fn rejected(&self, operation: Operation) -> String {
        self.topic(operation, "/rejected")
    }

    /// Returns the topic of the delta.
    pub fn delta(&self) -> String {
        self.topic(Operation::Update, "/delta")
    }

    /// Returns the topic of the documents before and after an update.
    pub fn documents(&self) -> String {
        self.topic(Operation::Update, "/documents")
    }

    fn topic(&self, operation: Operation, answer: &str) -> String {
        let Self { thing, name } = self;
        match name {
            None => format!("$aws/things/{thing}/shadow/{operation}{answer}"),
            Some(name) => format!("$aws/things/{thing}/shadow/name/{name}/{operation}{answer}"),
        }
    }
}

/// Converts a thing name to the key of its classic shadow.
impl From<&ThingName> for ShadowKey {
    fn from(thing: &ThingName) -> Self {
        Self { thing: thing.as_str().to_owned(), name: None }
    }
}

/// An operation on a shadow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Read the shadow.
    Get,
    /// Merge a change into the shadow. Creates a shadow that does not exist.
    Update,
    /// Delete the shadow.
    Delete,
}

impl Operation {
    /// All operations.
    pub const ALL: [Self; 3] = [Self::Get, Self::Update, Self::Delete];

    /// Returns the topic level of the operation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Parses a request topic into the shadow and the operation. `None` if the topic is not a request topic of a shadow.
pub fn request(topic: &str) -> Option<(ShadowKey, Operation)> {
    let (thing, rest) = topic.strip_prefix("$aws/things/")?.split_once("/shadow/")?;
    let (name, asked) = match rest.strip_prefix("name/") {
        Some(named) => named.split_once('/').map(|(name, asked)| (Some(name), asked))?,
        None => (None, rest),
    };
    let operation = Operation::ALL.into_iter().find(|operation| operation.as_str() == asked)?;
    Some((ShadowKey::new(thing, name)?, operation))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_topics_are_those_of_the_guide() {
        let classic = ShadowKey::new("MyThing", None).unwrap();
        assert_eq!(request("$aws/things/MyThing/shadow/get"), Some((classic.clone(), Operation::Get)));
        assert_eq!(classic.accepted(Operation::Get), "$aws/things/MyThing/shadow/get/accepted");
        assert_eq!(classic.rejected(Operation::Delete), "$aws/things/MyThing/shadow/delete/rejected");
        let named = ShadowKey::new("MyThing", Some("config")).unwrap();
        assert_eq!(request("$aws/things/MyThing/shadow/name/config/update"), Some((named.clone(), Operation::Update)));
        assert_eq!(named.delta(), "$aws/things/MyThing/shadow/name/config/update/delta");
        assert_eq!(named.documents(), "$aws/things/MyThing/shadow/name/config/update/documents");
    }

    #[test]
    fn a_thing_or_a_shadow_can_have_the_name_of_a_topic_level() {
        let key = ShadowKey::new("shadow", Some("name")).unwrap();
        assert_eq!(request("$aws/things/shadow/shadow/name/name/get"), Some((key, Operation::Get)));
        assert_eq!(request("$aws/things/name/shadow/delete"), Some((ShadowKey::new("name", None).unwrap(), Operation::Delete)));
        assert_eq!(ShadowKey::new("t", Some("$a:b_c-D")).map(|key| key.thing), Some("t".into()));
    }

    #[test]
    fn similar_topics_are_not_shadow_topics() {
        for topic in [
            "",
            "$aws/things/t/shadow",
            "$aws/things/t/shadow/",
            "$aws/things/t/shadow/get/",
            "$aws/things/t/shadow/get/accepted",
            "$aws/things/t/shadow/update/delta",
            "$aws/things/t/shadow/Get",
            "$AWS/things/t/shadow/get",
            "$aws/Things/t/shadow/get",
            "aws/things/t/shadow/get",
            "/$aws/things/t/shadow/get",
            "$aws/things//shadow/get",
            "$aws/things/a/b/shadow/get",
            "$aws/things/+/shadow/get",
            "$aws/things/#/shadow/get",
            "$aws/things/t%20/shadow/get",
            "$aws/things/t%2Fshadow/get",
            "$aws/things/$t/shadow/get",
            "$aws/things/t.u/shadow/get",
            "$aws/things/ü/shadow/get",
            "$aws/things/t/shadow/name/get",
            "$aws/things/t/shadow/name//get",
            "$aws/things/t/shadow/name/a/b/get",
            "$aws/things/t/shadow/name/+/get",
            "$aws/things/t/shadow/name/a.b/get",
            "$aws/things/t/shadow/name/n/get/",
            "$aws/things/t/shadow/names/n/get",
            "$aws/things/t\0/shadow/get",
            "$aws/things/t/shadow/get\n",
        ] {
            assert_eq!(request(topic), None, "{topic:?}");
        }
    }

    #[test]
    fn the_length_of_names_is_limited() {
        let (thing, name) = ("t".repeat(128), "n".repeat(64));
        assert!(ShadowKey::new(&thing, Some(&name)).is_some());
        assert!(ShadowKey::new(&format!("{thing}t"), None).is_none());
        assert!(ShadowKey::new(&thing, Some(&format!("{name}n"))).is_none());
        assert!(ShadowKey::new(&thing, Some("")).is_none());
    }

    proptest! {
        #[test]
        fn a_built_topic_is_parsed_to_its_key(thing in "[a-zA-Z0-9:_-]{1,128}", name in prop::option::of("[$a-zA-Z0-9:_-]{1,64}")) {
            let key = ShadowKey::new(&thing, name.as_deref()).unwrap();
            for operation in Operation::ALL {
                prop_assert_eq!(request(&key.request(operation)), Some((key.clone(), operation)));
                prop_assert_eq!(request(&key.accepted(operation)), None);
                prop_assert_eq!(request(&key.rejected(operation)), None);
            }
            prop_assert_eq!(request(&key.delta()), None);
            prop_assert_eq!((key.thing(), key.name()), (thing.as_str(), name.as_deref()));
        }

        #[test]
        fn a_parsed_topic_is_built_unchanged(topic in "\\$aws/things/[a/$+%]{0,3}/shadow/(name/)?[a/$]{0,3}/?(get|update|delete)/?") {
            if let Some((key, operation)) = request(&topic) {
                prop_assert_eq!(key.request(operation), topic);
            }
        }
    }
}
