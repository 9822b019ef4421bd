//! The requests of clients, with their actions and resources in policies.
//!
//! Sources: <https://docs.aws.amazon.com/iot/latest/developerguide/iot-policy-actions.html>,
//! <https://docs.aws.amazon.com/iot/latest/developerguide/iot-action-resources.html>.

use super::text::Text;

/// The actions that the broker evaluates.
pub(super) const ACTIONS: [&str; 5] = ["iot:Connect", "iot:Publish", "iot:RetainPublish", "iot:Subscribe", "iot:Receive"];

/// A request of a client: an action and the name of its resource.
///
/// A message with the RETAIN flag needs two requests: `Publish` and `RetainPublish`. `Subscribe` is evaluated once for each
/// filter of a SUBSCRIBE, as sent and including `$share/…`. `Receive` is evaluated for each delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// `iot:Connect` with a Client Identifier.
    Connect(&'a str),
    /// `iot:Publish` to a topic.
    Publish(&'a str),
    /// `iot:RetainPublish` to a topic.
    RetainPublish(&'a str),
    /// `iot:Subscribe` to a topic filter.
    Subscribe(&'a str),
    /// `iot:Receive` from a topic.
    Receive(&'a str),
}

impl<'a> Request<'a> {
    /// Creates a request from the name of its action, such as `publish`, with or without `iot:` and without regard to case.
    /// `None` for an unknown action.
    pub fn of(action: &str, name: &'a str) -> Option<Self> {
        let is = |full: &&str| full.eq_ignore_ascii_case(action) || full["iot:".len()..].eq_ignore_ascii_case(action);
        match ACTIONS.iter().position(is)? {
            0 => Some(Self::Connect(name)),
            1 => Some(Self::Publish(name)),
            2 => Some(Self::RetainPublish(name)),
            3 => Some(Self::Subscribe(name)),
            _ => Some(Self::Receive(name)),
        }
    }

    /// Returns the action, such as `iot:Publish`.
    pub fn action(&self) -> &'static str {
        ACTIONS[self.position()]
    }

    /// Returns the Client Identifier, topic or topic filter.
    pub fn name(&self) -> &'a str {
        self.parts().1
    }

    /// Returns the resource without the beginning of its ARN, such as `topic/a`.
    pub fn resource(&self) -> String {
        let (kind, name) = self.parts();
        format!("{kind}{name}")
    }

    /// Returns the index of the action in [`ACTIONS`].
    pub(super) fn position(&self) -> usize {
        match self {
            Self::Connect(_) => 0,
            Self::Publish(_) => 1,
            Self::RetainPublish(_) => 2,
            Self::Subscribe(_) => 3,
            Self::Receive(_) => 4,
        }
    }

    pub(super) fn text(&self) -> Text<'a> {
        let (kind, name) = self.parts();
        Text::of(kind, name)
    }

    /// Returns the prefix of the resource, which depends on the action, and the name.
    fn parts(&self) -> (&'static str, &'a str) {
        match *self {
            Self::Connect(client_id) => ("client/", client_id),
            Self::Publish(topic) | Self::RetainPublish(topic) | Self::Receive(topic) => ("topic/", topic),
            Self::Subscribe(filter) => ("topicfilter/", filter),
        }
    }
}
