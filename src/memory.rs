//! What is known about an owner without asking: in this process, and in the session, whatever process
//! answers its next turn. Both are bound to the fingerprint of the token, so a change of account is noticed,
//! and neither is believed for longer than the token was good for.

use std::collections::HashMap;
use std::sync::Mutex;

use serde_json::{Map, Value, json};

use crate::identify::BELIEF_SECONDS;
use crate::thing::{Fingerprint, ThingName, ThingPrefix};

/// An owner who is known to be ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Their thing.
    pub thing: ThingName,
    /// Whether their device has ever reported.
    pub online_before: bool,
}

/// What one process remembers about tokens, by their fingerprint.
#[derive(Default)]
pub struct Memory {
    known: Mutex<HashMap<Fingerprint, (Ready, u64)>>,
}

impl Memory {
    /// More than one warm process ever sees in five minutes; past it, the memory starts afresh.
    const LIMIT: usize = 10_000;

    /// Keeps what is known until a second since the epoch.
    pub fn keep(&self, token: Fingerprint, ready: Ready, until: u64, now: u64) {
        let Ok(mut known) = self.known.lock() else { return };
        if known.len() >= Self::LIMIT {
            known.retain(|_, (_, until)| *until > now);
        }
        if known.len() >= Self::LIMIT {
            known.clear();
        }
        known.insert(token, (ready, until));
    }

    /// What was known about a token does not hold any more.
    pub fn forget(&self, token: Fingerprint) {
        if let Ok(mut known) = self.known.lock() {
            known.remove(&token);
        }
    }

    /// What is known about a token, while it may still be believed.
    pub fn recall(&self, token: Fingerprint, now: u64) -> Option<(Ready, u64)> {
        let known = self.known.lock().ok()?;
        known.get(&token).filter(|(_, until)| is_believed(*until, now)).cloned()
    }
}

/// Neither past its time, nor from a clock that has been set back since.
fn is_believed(until: u64, now: u64) -> bool {
    (now + 1..=now + BELIEF_SECONDS).contains(&until)
}

/// The name under which a session carries what is known.
const ATTRIBUTE: &str = "onething";

/// Lets the session carry what is known, until a second since the epoch.
pub fn carry(attributes: &mut Map<String, Value>, ready: &Ready, until: u64, token: Fingerprint) {
    let known = json!({
        "token": token.hex(),
        "thing": ready.thing.as_str(),
        "online": ready.online_before,
        "until": until,
    });
    attributes.insert(ATTRIBUTE.to_owned(), known);
}

/// What the session carries about the holder of this token.
pub fn carried(attributes: &Map<String, Value>, prefix: &ThingPrefix, token: Fingerprint, now: u64) -> Option<(Ready, u64)> {
    let known = attributes.get(ATTRIBUTE)?;
    let same_account = known.get("token")?.as_str()? == token.hex();
    let until = known.get("until")?.as_u64()?;
    let thing = ThingName::recall(prefix, known.get("thing")?.as_str()?)?;
    let online_before = known.get("online").and_then(Value::as_bool).unwrap_or_default();
    (same_account && is_believed(until, now)).then_some((Ready { thing, online_before }, until))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thing::OwnerId;

    fn prefix() -> ThingPrefix {
        ThingPrefix::parse("3D_Printer-").unwrap()
    }

    fn thing() -> ThingName {
        ThingName::of(&prefix(), &OwnerId::parse("amzn1.account.A").unwrap())
    }

    #[test]
    fn what_is_known_about_a_token_ends() {
        let memory = Memory::default();
        let token = Fingerprint::of("a");
        let ready = Ready { thing: thing(), online_before: true };
        memory.keep(token, ready.clone(), 1_300, 1_000);
        assert_eq!(memory.recall(token, 1_299), Some((ready, 1_300)));
        assert_eq!(memory.recall(token, 1_300), None);
        assert_eq!(memory.recall(token, 500), None, "a clock that jumped back");
        assert_eq!(memory.recall(Fingerprint::of("b"), 1_000), None);
    }

    #[test]
    fn a_session_is_believed_for_its_token_and_its_time_only() {
        let (token, ready) = (Fingerprint::of("a"), Ready { thing: thing(), online_before: false });
        let mut attributes = Map::new();
        carry(&mut attributes, &ready, 1_300, token);
        assert_eq!(carried(&attributes, &prefix(), token, 1_299), Some((ready, 1_300)));
        assert_eq!(carried(&attributes, &prefix(), token, 1_300), None);
        assert_eq!(carried(&attributes, &prefix(), token, 500), None);
        assert_eq!(carried(&attributes, &prefix(), Fingerprint::of("b"), 1_299), None);
        assert_eq!(carried(&attributes, &ThingPrefix::parse("Lamp-").unwrap(), token, 1_299), None);
        attributes["onething"]["thing"] = json!("3D_Printer-../../other");
        assert_eq!(carried(&attributes, &prefix(), token, 1_299), None);
    }
}
