//! Tracks which connected devices are simulated by the web page of the hub, and which are other devices of the owner.
//!
//! Both use the same identity, and the broker keeps only the newer of two connections with one Client Identifier. A simulated
//! device and another device of the owner would therefore take over the session from each other without end. So the simulated
//! device stops.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::mqtt::broker::backend::Notice;
use crate::mqtt::broker::reason::Reason;

/// The newest connection of each thing.
#[derive(Default)]
pub(crate) struct Presence(Mutex<HashMap<String, Seen>>);

/// The newest connection of a thing.
struct Seen {
    number: u64,
    simulated: bool,
    taken_over: bool,
}

impl Presence {
    /// Records a connect or disconnect event of the broker. `wants` tells whether the simulated device of the thing should be
    /// connected. Returns whether another device has taken over the connection of the simulated one.
    pub(crate) fn note(&self, notice: &Notice, wants: bool) -> bool {
        let Some(thing) = notice.thing.as_deref() else { return false };
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = notice.connection;
        let Some(reason) = notice.disconnected else {
            // A simulated device has one connection at a time, so a connection that takes it over belongs to another device.
            let takes_over = seen.get(thing).is_some_and(|before| before.taken_over && before.simulated);
            seen.insert(thing.to_owned(), Seen { number, simulated: wants && !takes_over, taken_over: false });
            return takes_over;
        };
        match seen.get_mut(thing) {
            Some(before) if before.number == number && reason == Reason::TakenOver => before.taken_over = true,
            Some(before) if before.number == number => drop(seen.remove(thing)),
            _ => {}
        }
        false
    }

    /// Whether a device that is not simulated is connected as this thing.
    pub(crate) fn is_elsewhere(&self, thing: &str) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(thing).is_some_and(|seen| !seen.simulated && !seen.taken_over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(connection: u64, disconnected: Option<Reason>) -> Notice {
        Notice { client_id: "Lamp-1".into(), thing: Some("Lamp-1".into()), at: 0, connection, disconnected }
    }

    #[test]
    fn a_device_that_connects_while_the_simulated_one_is_off_is_elsewhere_until_it_disconnects() {
        let presence = Presence::default();
        assert!(!presence.note(&notice(1, None), false));
        assert!(presence.is_elsewhere("Lamp-1") && !presence.is_elsewhere("Lamp-2"));
        presence.note(&notice(1, Some(Reason::Lost)), false);
        assert!(!presence.is_elsewhere("Lamp-1"));
    }

    #[test]
    fn the_simulated_device_is_not_elsewhere_after_a_reconnect() {
        let presence = Presence::default();
        for connection in [1, 2] {
            assert!(!presence.note(&notice(connection, None), true));
            assert!(!presence.is_elsewhere("Lamp-1"));
            presence.note(&notice(connection, Some(Reason::NormalDisconnect)), false);
        }
    }

    #[test]
    fn the_simulated_device_stops_when_another_device_takes_over() {
        let presence = Presence::default();
        presence.note(&notice(1, None), true);
        assert!(!presence.note(&notice(1, Some(Reason::TakenOver)), true));
        assert!(presence.note(&notice(2, None), true), "another device takes over although the simulated one should be connected");
        assert!(presence.is_elsewhere("Lamp-1"));
        // The other device connects again before its old connection has ended.
        presence.note(&notice(2, Some(Reason::TakenOver)), false);
        assert!(!presence.note(&notice(3, None), false));
        assert!(presence.is_elsewhere("Lamp-1"));
    }

    #[test]
    fn a_late_event_of_an_older_connection_has_no_effect() {
        let presence = Presence::default();
        presence.note(&notice(2, None), false);
        presence.note(&notice(1, Some(Reason::Lost)), false);
        assert!(presence.is_elsewhere("Lamp-1"));
    }
}
