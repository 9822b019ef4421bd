//! Topic names and topic filters: which are valid, and which filter is for which topic.
//!
//! The rules are MQTT's, <https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html#_Toc398718106> (§4.7) and for shared
//! subscriptions <https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901250> (§4.8.2), with the limits of AWS IoT:
//! 256 bytes and seven slashes, not counting the beginning `$aws/rules/NAME/` or `$share/GROUP/`
//! (<https://docs.aws.amazon.com/general/latest/gr/iot-core.html#message-broker-limits>).

use thiserror::Error;

/// Of MQTT, in bytes: a string has a length of 16 bits.
const STRING_LIMIT: usize = 65_535;
/// Of AWS IoT, in bytes.
const SIZE_LIMIT: usize = 256;
/// Of AWS IoT: eight levels.
const SLASH_LIMIT: usize = 7;

/// Why a text is no topic name or no topic filter.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TopicError {
    /// It has no character.
    #[error("the topic is empty")]
    Empty,
    /// It has more bytes than AWS IoT or MQTT take.
    #[error("the topic is longer than {SIZE_LIMIT} bytes")]
    TooLong,
    /// It has more slashes than AWS IoT takes.
    #[error("the topic has more than {SLASH_LIMIT} slashes")]
    TooDeep,
    /// It has the character U+0000.
    #[error("the topic has a null character")]
    Null,
    /// A topic name has `+` or `#`.
    #[error("the topic name has a wildcard")]
    WildcardInName,
    /// A filter has `#` before its end, or a wildcard that is not alone in its level.
    #[error("the topic filter has a wildcard where none may be")]
    MisplacedWildcard,
    /// A filter begins with `$share/` and lacks a group or a filter.
    #[error("the shared subscription has no group or no filter")]
    MisshapenShare,
}

/// What a client subscribes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscription<'a> {
    /// A filter of its own.
    Own(&'a str),
    /// `$share/GROUP/FILTER`: each message goes to one member of the group.
    Shared {
        /// The name that the members share.
        group: &'a str,
        /// What messages are compared with.
        filter: &'a str,
    },
}

impl<'a> Subscription<'a> {
    /// Reads what a SUBSCRIBE or UNSUBSCRIBE names.
    pub fn parse(text: &'a str) -> Result<Self, TopicError> {
        let Some(shared) = text.strip_prefix("$share/") else {
            return check_filter(text).map(|()| Self::Own(text));
        };
        let (group, filter) = shared.split_once('/').ok_or(TopicError::MisshapenShare)?;
        if group.is_empty() || filter.is_empty() || group.contains(['+', '#']) {
            return Err(TopicError::MisshapenShare);
        }
        check_size(text, filter)?;
        check_filter(filter)?;
        Ok(Self::Shared { group, filter })
    }

    /// The filter that messages are compared with.
    pub fn filter(&self) -> &'a str {
        match self {
            Self::Own(filter) | Self::Shared { filter, .. } => filter,
        }
    }
}

/// Whether a PUBLISH may name this topic.
pub fn check_name(name: &str) -> Result<(), TopicError> {
    check_size(name, without_rule(name))?;
    if name.contains(['+', '#']) { Err(TopicError::WildcardInName) } else { Ok(()) }
}

/// Whether a filter that is not shared has the form of one.
pub fn check_filter(filter: &str) -> Result<(), TopicError> {
    check_size(filter, without_rule(filter))?;
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let well = match level {
            "+" => true,
            "#" => levels.peek().is_none(),
            _ => !level.contains(['+', '#']),
        };
        if !well {
            return Err(TopicError::MisplacedWildcard);
        }
    }
    Ok(())
}

/// `whole` is what was sent, `counted` what AWS IoT's limits are about.
fn check_size(whole: &str, counted: &str) -> Result<(), TopicError> {
    if whole.is_empty() || counted.is_empty() {
        return Err(TopicError::Empty);
    }
    if whole.len() > STRING_LIMIT || counted.len() > SIZE_LIMIT {
        return Err(TopicError::TooLong);
    }
    if counted.bytes().filter(|byte| *byte == b'/').count() > SLASH_LIMIT {
        return Err(TopicError::TooDeep);
    }
    if whole.contains('\0') { Err(TopicError::Null) } else { Ok(()) }
}

/// A topic without the beginning that sends it to a rule.
fn without_rule(topic: &str) -> &str {
    topic.strip_prefix("$aws/rules/").and_then(|rest| rest.split_once('/')).map_or(topic, |(_, counted)| counted)
}

/// Whether the topic is the broker's: it begins with `$`, and no filter that begins with a wildcard is for it.
pub fn is_reserved(topic: &str) -> bool {
    topic.starts_with('$')
}

/// Whether this is the topic under which a bridge of mosquitto publishes, with its default options, that it is connected: retained, and as
/// its will (`notifications` in <https://mosquitto.org/man/mosquitto-conf-5.html>).
pub fn is_state_of_bridge(topic: &str, client_id: &str) -> bool {
    let name = topic.strip_prefix("$SYS/broker/connection/").and_then(|rest| rest.strip_suffix("/state"));
    name == Some(client_id)
}

/// Whether the filter is for more than the topic of its own name.
pub fn has_wildcard(filter: &str) -> bool {
    filter.split('/').any(|level| level == "+" || level == "#")
}

/// Whether a valid filter is for a valid topic name. `a/#` is for `a`, too.
pub fn matches(filter: &str, topic: &str) -> bool {
    if is_reserved(topic) && filter.starts_with(['+', '#']) {
        return false;
    }
    let (mut wanted, mut levels) = (filter.split('/'), topic.split('/'));
    loop {
        match (wanted.next(), levels.next()) {
            (Some("#"), _) => return true,
            (Some("+"), Some(_)) => {}
            (Some(level), Some(given)) if level == given => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

#[cfg(test)]
#[path = "topic_tests.rs"]
mod tests;
