//! Which of the connected devices are simulated by this hub's page, and which are somebody's own.
//!
//! Both have the same identity, and of two connections with one client id the broker keeps the newer: a simulated device beside
//! one of the owner's own would take its connection away, and lose it again, without end. So the simulated one gives way.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::mqtt::broker::backend::Notice;
use crate::mqtt::broker::reason::Reason;

/// Whose the connections of things are.
#[derive(Default)]
pub(crate) struct Presence(Mutex<HashMap<String, Seen>>);

/// The newest connection of a thing.
struct Seen {
    number: u64,
    simulated: bool,
    taken_over: bool,
}

impl Presence {
    /// Takes a notice of the broker in. `wants` says whether the simulated device of the thing wants to be connected. The
    /// result is whether another device has taken the connection of the simulated one.
    pub(crate) fn note(&self, notice: &Notice, wants: bool) -> bool {
        let Some(thing) = notice.thing.as_deref() else { return false };
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = notice.connection;
        let Some(reason) = notice.disconnected else {
            // A simulated device has one connection at a time: what takes that over is not the device itself.
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
    fn what_connects_while_the_simulated_device_is_off_is_elsewhere_until_it_goes() {
        let presence = Presence::default();
        assert!(!presence.note(&notice(1, None), false));
        assert!(presence.is_elsewhere("Lamp-1") && !presence.is_elsewhere("Lamp-2"));
        presence.note(&notice(1, Some(Reason::Lost)), false);
        assert!(!presence.is_elsewhere("Lamp-1"));
    }

    #[test]
    fn the_simulated_device_is_not_elsewhere_also_when_it_comes_again() {
        let presence = Presence::default();
        for connection in [1, 2] {
            assert!(!presence.note(&notice(connection, None), true));
            assert!(!presence.is_elsewhere("Lamp-1"));
            presence.note(&notice(connection, Some(Reason::Goodbye)), false);
        }
    }

    #[test]
    fn the_simulated_device_gives_way_to_one_that_takes_its_connection() {
        let presence = Presence::default();
        presence.note(&notice(1, None), true);
        assert!(!presence.note(&notice(1, Some(Reason::TakenOver)), true));
        assert!(presence.note(&notice(2, None), true), "it may still want to be connected");
        assert!(presence.is_elsewhere("Lamp-1"));
        // The device elsewhere connects again before its old connection has ended.
        presence.note(&notice(2, Some(Reason::TakenOver)), false);
        assert!(!presence.note(&notice(3, None), false));
        assert!(presence.is_elsewhere("Lamp-1"));
    }

    #[test]
    fn news_that_comes_late_changes_nothing() {
        let presence = Presence::default();
        presence.note(&notice(2, None), false);
        presence.note(&notice(1, Some(Reason::Lost)), false);
        assert!(presence.is_elsewhere("Lamp-1"));
    }
}
