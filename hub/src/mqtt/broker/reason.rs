//! The reasons for which a connection is refused or ends: the Reason Codes of MQTT 5 (section 2.4), and reasons without a code.

use std::fmt;

/// Why a connection or a request was refused, or why a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// The client sent DISCONNECT.
    NormalDisconnect,
    /// The client sent DISCONNECT with a Reason Code other than 0, so its Will Message is published.
    DisconnectWithWill,
    /// The network connection was closed without DISCONNECT.
    Lost,
    /// The client sent no packet for one and a half times the Keep Alive.
    KeepAliveTimeout,
    /// The client did not read the bytes that were sent to it in time.
    NotReading,
    /// The client did not send CONNECT in time.
    NoConnect,
    /// Another connection has taken over the session.
    TakenOver,
    /// The hub ended the connection, or the certificate is no longer active.
    Administrative,
    /// The hub is shutting down.
    ShuttingDown,
    /// The policies do not allow the request, or the certificate is unknown or inactive.
    NotAuthorized,
    /// The bytes cannot be decoded as MQTT.
    MalformedPacket,
    /// The packet is well-formed, but not allowed here.
    ProtocolError,
    /// The protocol version is neither MQTT 3.1.1 nor MQTT 5.
    UnsupportedVersion,
    /// The Client Identifier is longer than 128 bytes, contains U+0000, or is empty where this is not allowed.
    ClientIdInvalid,
    /// The topic name is not valid, or is a reserved topic that no service handles.
    TopicNameInvalid,
    /// The topic filter is not valid.
    TopicFilterInvalid,
    /// The Topic Alias is not defined, or exceeds the Topic Alias Maximum.
    TopicAliasInvalid,
    /// The packet or its payload exceeds the size limit.
    PacketTooLarge,
    /// The message has QoS 2.
    QosNotSupported,
    /// The client requests extended authentication.
    BadAuthenticationMethod,
    /// A session has too many subscriptions, or a SUBSCRIBE too many filters.
    QuotaExceeded,
    /// The client requests a shared subscription.
    SharedNotSupported,
    /// The store or the registry is unavailable.
    Unavailable,
}

impl Reason {
    /// All reasons, in the order of their discriminants.
    pub const ALL: [Self; 23] = [
        Self::NormalDisconnect,
        Self::DisconnectWithWill,
        Self::Lost,
        Self::KeepAliveTimeout,
        Self::NotReading,
        Self::NoConnect,
        Self::TakenOver,
        Self::Administrative,
        Self::ShuttingDown,
        Self::NotAuthorized,
        Self::MalformedPacket,
        Self::ProtocolError,
        Self::UnsupportedVersion,
        Self::ClientIdInvalid,
        Self::TopicNameInvalid,
        Self::TopicFilterInvalid,
        Self::TopicAliasInvalid,
        Self::PacketTooLarge,
        Self::QosNotSupported,
        Self::BadAuthenticationMethod,
        Self::QuotaExceeded,
        Self::SharedNotSupported,
        Self::Unavailable,
    ];

    /// Returns a stable name for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::NormalDisconnect => "goodbye",
            Self::DisconnectWithWill => "goodbye_with_will",
            Self::Lost => "lost",
            Self::KeepAliveTimeout => "keep_alive_timeout",
            Self::NotReading => "not_reading",
            Self::NoConnect => "no_connect",
            Self::TakenOver => "taken_over",
            Self::Administrative => "administrative",
            Self::ShuttingDown => "shutting_down",
            Self::NotAuthorized => "not_authorized",
            Self::MalformedPacket => "malformed_packet",
            Self::ProtocolError => "protocol_error",
            Self::UnsupportedVersion => "unsupported_version",
            Self::ClientIdInvalid => "client_id_invalid",
            Self::TopicNameInvalid => "topic_name_invalid",
            Self::TopicFilterInvalid => "topic_filter_invalid",
            Self::TopicAliasInvalid => "topic_alias_invalid",
            Self::PacketTooLarge => "packet_too_large",
            Self::QosNotSupported => "qos_not_supported",
            Self::BadAuthenticationMethod => "bad_authentication_method",
            Self::QuotaExceeded => "quota_exceeded",
            Self::SharedNotSupported => "shared_not_supported",
            Self::Unavailable => "unavailable",
        }
    }

    /// Whether this is a refusal: the request was not allowed, not possible, or not MQTT. Otherwise it is only the end of a
    /// connection.
    pub fn is_refusal(self) -> bool {
        !matches!(
            self,
            Self::NormalDisconnect
                | Self::DisconnectWithWill
                | Self::Lost
                | Self::KeepAliveTimeout
                | Self::NotReading
                | Self::TakenOver
                | Self::Administrative
                | Self::ShuttingDown
        )
    }

    /// Returns the Reason Code for an MQTT 5 client. `None` if no packet can be sent to the client.
    pub fn code(self) -> Option<u8> {
        Some(match self {
            Self::NormalDisconnect | Self::DisconnectWithWill | Self::Lost | Self::NotReading => return None,
            Self::MalformedPacket => 0x81,
            Self::ProtocolError => 0x82,
            Self::UnsupportedVersion => 0x84,
            Self::ClientIdInvalid => 0x85,
            Self::NotAuthorized => 0x87,
            Self::Unavailable => 0x89,
            Self::ShuttingDown => 0x8B,
            Self::BadAuthenticationMethod => 0x8C,
            Self::KeepAliveTimeout => 0x8D,
            Self::TakenOver => 0x8E,
            Self::TopicFilterInvalid => 0x8F,
            Self::TopicNameInvalid => 0x90,
            Self::TopicAliasInvalid => 0x94,
            Self::PacketTooLarge => 0x95,
            Self::QuotaExceeded => 0x97,
            Self::Administrative => 0x98,
            Self::QosNotSupported => 0x9B,
            Self::SharedNotSupported => 0x9E,
            Self::NoConnect => 0xA0,
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lists_each_reason_at_the_index_of_its_discriminant() {
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
        }
    }
}
