//! Requests of clients, as policies name them.
//!
//! Sources: <https://docs.aws.amazon.com/iot/latest/developerguide/iot-policy-actions.html>,
//! <https://docs.aws.amazon.com/iot/latest/developerguide/iot-action-resources.html>.

use super::text::Text;

/// The actions that a broker asks for.
pub(super) const ACTIONS: [&str; 5] = ["iot:Connect", "iot:Publish", "iot:RetainPublish", "iot:Subscribe", "iot:Receive"];

/// What a client wants, with the name of what it wants it of.
///
/// A message with the RETAIN flag is two requests: `Publish` and `RetainPublish`. A subscription is asked for by its filter as sent,
/// `$share/…` included, and once; `Receive` is asked for every delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// `iot:Connect` with a client id.
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
    /// A request by the name of its action, with or without `iot:` and in any case, such as `publish`.
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

    /// The action as policies name it, such as `iot:Publish`.
    pub fn action(&self) -> &'static str {
        ACTIONS[self.position()]
    }

    /// The client id, topic or topic filter.
    pub fn name(&self) -> &'a str {
        self.parts().1
    }

    /// The resource as policies name it, without the ARN's beginning, such as `topic/a`.
    pub fn resource(&self) -> String {
        let (kind, name) = self.parts();
        format!("{kind}{name}")
    }

    /// Where its action is among [`ACTIONS`].
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

    /// The beginning of the resource, which depends on the action, and the name.
    fn parts(&self) -> (&'static str, &'a str) {
        match *self {
            Self::Connect(client_id) => ("client/", client_id),
            Self::Publish(topic) | Self::RetainPublish(topic) | Self::Receive(topic) => ("topic/", topic),
            Self::Subscribe(filter) => ("topicfilter/", filter),
        }
    }
}
