//! The topics of shadows, and whose shadow each is about.
//!
//! `$aws/things/THING/shadow/OPERATION` is about a thing's classic shadow, and
//! `$aws/things/THING/shadow/name/NAME/OPERATION` about one of its named shadows
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-mqtt.html>). A name that the registry
//! would not take makes no topic of a shadow, so nothing that is written here can reach another level.

use std::fmt;

use onething::identifiers::ThingName;

/// Whose shadow, and which of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShadowKey {
    thing: String,
    name: Option<String>,
}

impl ShadowKey {
    /// Takes a thing's name, `[a-zA-Z0-9:_-]{1,128}`, and for a named shadow its name, `[$a-zA-Z0-9:_-]{1,64}`
    /// (<https://docs.aws.amazon.com/iot/latest/apireference/API_iotdata_UpdateThingShadow.html>).
    pub fn new(thing: &str, name: Option<&str>) -> Option<Self> {
        let named = |text: &str, longest: usize, more: &[u8]| {
            let allowed = |c: u8| c.is_ascii_alphanumeric() || more.contains(&c);
            (1..=longest).contains(&text.len()) && text.bytes().all(allowed)
        };
        let legal = named(thing, 128, b":_-") && name.is_none_or(|name| named(name, 64, b"$:_-"));
        legal.then(|| Self { thing: thing.to_owned(), name: name.map(str::to_owned) })
    }

    /// The name of the thing.
    pub fn thing(&self) -> &str {
        &self.thing
    }

    /// The name of the shadow; the classic shadow has none.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where an operation is asked for.
    pub fn request(&self, operation: Operation) -> String {
        self.topic(operation, "")
    }

    /// Where it is said that an operation was done.
    pub fn accepted(&self, operation: Operation) -> String {
        self.topic(operation, "/accepted")
    }

    /// Where it is said that an operation was not done.
    pub fn rejected(&self, operation: Operation) -> String {
        self.topic(operation, "/rejected")
    }

    /// Where the difference is published.
    pub fn delta(&self) -> String {
        self.topic(Operation::Update, "/delta")
    }

    /// Where the documents before and after an update are published.
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

/// The classic shadow of a thing.
impl From<&ThingName> for ShadowKey {
    fn from(thing: &ThingName) -> Self {
        Self { thing: thing.as_str().to_owned(), name: None }
    }
}

/// What can be asked of a shadow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Read it.
    Get,
    /// Merge a change in, and make it where there is none.
    Update,
    /// Delete it.
    Delete,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Get, Self::Update, Self::Delete];

    /// The level of a topic that stands for it.
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

/// What a message on this topic asks of which shadow; `None` when it asks nothing of any.
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
    fn a_thing_or_a_shadow_may_be_named_like_a_level() {
        let key = ShadowKey::new("shadow", Some("name")).unwrap();
        assert_eq!(request("$aws/things/shadow/shadow/name/name/get"), Some((key, Operation::Get)));
        assert_eq!(request("$aws/things/name/shadow/delete"), Some((ShadowKey::new("name", None).unwrap(), Operation::Delete)));
        assert_eq!(ShadowKey::new("t", Some("$a:b_c-D")).map(|key| key.thing), Some("t".into()));
    }

    #[test]
    fn what_is_nearly_a_shadow_topic_is_none() {
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
    fn names_have_a_longest_length() {
        let (thing, name) = ("t".repeat(128), "n".repeat(64));
        assert!(ShadowKey::new(&thing, Some(&name)).is_some());
        assert!(ShadowKey::new(&format!("{thing}t"), None).is_none());
        assert!(ShadowKey::new(&thing, Some(&format!("{name}n"))).is_none());
        assert!(ShadowKey::new(&thing, Some("")).is_none());
    }

    proptest! {
        #[test]
        fn a_topic_is_read_as_it_was_made(thing in "[a-zA-Z0-9:_-]{1,128}", name in prop::option::of("[$a-zA-Z0-9:_-]{1,64}")) {
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
        fn a_topic_that_is_read_is_made_the_same(topic in "\\$aws/things/[a/$+%]{0,3}/shadow/(name/)?[a/$]{0,3}/?(get|update|delete)/?") {
            if let Some((key, operation)) = request(&topic) {
                prop_assert_eq!(key.request(operation), topic);
            }
        }
    }
}
