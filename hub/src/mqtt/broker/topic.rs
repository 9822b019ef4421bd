//! Topic names and topic filters: their validity, and which filter matches which name.
//!
//! The rules are MQTT's, <https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html#_Toc398718106> (§4.7) and for
//! shared subscriptions <https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901250> (§4.8.2), with the limits
//! of AWS IoT: 256 bytes and seven slashes, not counting the beginning `$aws/rules/NAME/` or `$share/GROUP/`
//! (<https://docs.aws.amazon.com/general/latest/gr/iot-core.html#message-broker-limits>).

use thiserror::Error;

/// The limit of MQTT, in bytes: the length of a string has 16 bits.
const STRING_LIMIT: usize = 65_535;
/// The limit of AWS IoT, in bytes.
const SIZE_LIMIT: usize = 256;
/// The limit of AWS IoT: seven slashes, which is eight levels.
const SLASH_LIMIT: usize = 7;

/// Why a text is not a valid topic name or topic filter.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TopicError {
    /// The text is empty, or empty after `$aws/rules/NAME/`.
    #[error("the topic is empty")]
    Empty,
    /// The text exceeds the size limit of AWS IoT or MQTT.
    #[error("the topic is longer than {SIZE_LIMIT} bytes")]
    TooLong,
    /// The text has more slashes than AWS IoT accepts.
    #[error("the topic has more than {SLASH_LIMIT} slashes")]
    TooDeep,
    /// The text contains U+0000.
    #[error("the topic has a null character")]
    Null,
    /// A topic name contains `+` or `#`.
    #[error("the topic name has a wildcard")]
    WildcardInName,
    /// A filter has `#` before its last level, or a wildcard that is not a whole level.
    #[error("the topic filter has a wildcard where none may be")]
    MisplacedWildcard,
    /// A filter begins with `$share/` but has no valid group or no filter.
    #[error("the shared subscription has no group or no filter")]
    MisshapenShare,
}

/// The parsed filter of a SUBSCRIBE or UNSUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscription<'a> {
    /// A filter that is not shared.
    Own(&'a str),
    /// `$share/GROUP/FILTER`: each message goes to one member of the group.
    Shared {
        /// The ShareName.
        group: &'a str,
        /// The filter without `$share/GROUP/`.
        filter: &'a str,
    },
}

impl<'a> Subscription<'a> {
    /// Parses and checks a filter of a SUBSCRIBE or UNSUBSCRIBE.
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

    /// Returns the filter that topics are matched with.
    pub fn filter(&self) -> &'a str {
        match self {
            Self::Own(filter) | Self::Shared { filter, .. } => filter,
        }
    }
}

/// Checks the topic name of a PUBLISH.
pub fn check_name(name: &str) -> Result<(), TopicError> {
    check_size(name, without_rule(name))?;
    if name.contains(['+', '#']) { Err(TopicError::WildcardInName) } else { Ok(()) }
}

/// Checks a filter that is not shared.
pub fn check_filter(filter: &str) -> Result<(), TopicError> {
    check_size(filter, without_rule(filter))?;
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let valid = match level {
            "+" => true,
            "#" => levels.peek().is_none(),
            _ => !level.contains(['+', '#']),
        };
        if !valid {
            return Err(TopicError::MisplacedWildcard);
        }
    }
    Ok(())
}

/// Checks the size limits: MQTT limits `whole`, the text as sent; AWS IoT limits `counted`, the text without its special beginning.
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

/// Removes `$aws/rules/NAME/` from the beginning of a topic.
fn without_rule(topic: &str) -> &str {
    topic.strip_prefix("$aws/rules/").and_then(|rest| rest.split_once('/')).map_or(topic, |(_, counted)| counted)
}

/// Whether a topic is reserved: it begins with `$`, and no filter that begins with a wildcard matches it.
pub fn is_reserved(topic: &str) -> bool {
    topic.starts_with('$')
}

/// Whether this is the topic on which a mosquitto bridge with default options publishes its connection state, retained and as its
/// Will Message (`notifications` in <https://mosquitto.org/man/mosquitto-conf-5.html>).
pub fn is_bridge_state(topic: &str, client_id: &str) -> bool {
    let name = topic.strip_prefix("$SYS/broker/connection/").and_then(|rest| rest.strip_suffix("/state"));
    name == Some(client_id)
}

/// Whether a filter contains a wildcard.
pub fn has_wildcard(filter: &str) -> bool {
    filter.split('/').any(|level| level == "+" || level == "#")
}

/// Whether a valid filter matches a valid topic name. `a/#` also matches `a`.
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
