//! Why a connection is refused or ends: the reason codes of MQTT 5, section 2.4, and ends that have none.

use std::fmt;

/// Why a connection was refused or has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// The client said goodbye.
    Goodbye,
    /// The client said goodbye and wants its will to be published.
    GoodbyeWithWill,
    /// The connection broke.
    Lost,
    /// Nothing came for one and a half times the keep-alive.
    KeepAliveTimeout,
    /// The client did not read for too long.
    NotReading,
    /// No CONNECT came in time.
    NoConnect,
    /// Another connection has the client id now.
    TakenOver,
    /// The hub wanted it, or the certificate is not active any more.
    Administrative,
    /// The hub stops.
    ShuttingDown,
    /// The policy, or the certificate, does not allow it.
    NotAuthorized,
    /// What came is not MQTT.
    MalformedPacket,
    /// What came is MQTT, but not now.
    ProtocolError,
    /// Neither MQTT 3.1.1 nor 5.
    UnsupportedVersion,
    /// Not 1 to 128 bytes.
    ClientIdInvalid,
    /// A topic with wildcards, or one that is reserved.
    TopicNameInvalid,
    /// A filter with wildcards in the wrong place.
    TopicFilterInvalid,
    /// A topic alias nobody has defined.
    TopicAliasInvalid,
    /// More than the broker takes.
    PacketTooLarge,
    /// QoS 2.
    QosNotSupported,
    /// Extended authentication.
    BadAuthenticationMethod,
    /// More subscriptions than a session may have.
    QuotaExceeded,
    /// A shared subscription.
    SharedNotSupported,
    /// What must not be lost cannot be stored at the moment.
    Unavailable,
}

impl Reason {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 23] = [
        Self::Goodbye,
        Self::GoodbyeWithWill,
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

    /// A name for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Goodbye => "goodbye",
            Self::GoodbyeWithWill => "goodbye_with_will",
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

    /// Whether something was refused: what the client wanted was not its right, not possible, or no MQTT.
    pub fn is_refusal(self) -> bool {
        !matches!(
            self,
            Self::Goodbye
                | Self::GoodbyeWithWill
                | Self::Lost
                | Self::KeepAliveTimeout
                | Self::NotReading
                | Self::TakenOver
                | Self::Administrative
                | Self::ShuttingDown
        )
    }

    /// The reason code that a client with MQTT 5 is told. `None` where there is nobody to tell.
    pub fn code(self) -> Option<u8> {
        Some(match self {
            Self::Goodbye | Self::GoodbyeWithWill | Self::Lost | Self::NotReading => return None,
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
    fn a_reason_stands_at_the_place_of_its_number() {
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
        }
    }
}
