//! The cache of onboarded owners, in the process and in the session. The session makes the cached state available to other
//! processes. Both are bound to the fingerprint of the token, so a change of the account is noticed. A cached state expires with
//! the token or earlier.

use std::collections::HashMap;
use std::sync::Mutex;

use serde_json::{Map, Value, json};

use crate::identifiers::{ThingName, ThingPrefix};
use crate::login::LONGEST_CACHE_SECONDS;
use crate::secrets::Fingerprint;
use crate::shadow::{Commands, Shadow, Waiting};

/// The cached state of an onboarded owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerState {
    /// The thing of the owner.
    pub thing: ThingName,
    /// Whether the device has ever reported, or was connected when the broker was asked.
    pub online_before: bool,
    /// Whether a shadow with a report of the device has been read.
    pub report_read: bool,
    /// Whether the device keeps a queue of commands.
    pub takes_queue: bool,
    /// The largest known position in the queue.
    pub last_place: u64,
    /// The command that was sent or read last, if it may still be pending.
    pub sent: Option<Waiting>,
    /// The Unix time in seconds from which the shadow may contain news.
    pub look_from: u64,
}

impl OwnerState {
    /// The number of seconds for which no news is expected from a device without pending commands.
    const NEWS_AFTER: u64 = 30;
    /// The minimum number of seconds that a device needs to react to a command.
    const ANSWER_AFTER: u64 = 3;

    /// The state after a shadow was read.
    pub fn of(thing: ThingName, shadow: Option<&Shadow>, now: u64) -> Self {
        let nothing = Commands::default();
        let commands = shadow.map_or(&nothing, |shadow| &shadow.commands);
        Self {
            thing,
            online_before: shadow.is_some_and(Shadow::has_been_online),
            report_read: shadow.is_some_and(Shadow::has_been_online),
            takes_queue: commands.takes_queue,
            last_place: commands.last_place(),
            sent: commands.unanswered(now).cloned(),
            look_from: now + Self::NEWS_AFTER,
        }
    }

    /// The state after a command or setting was sent.
    pub fn after_asking(mut self, now: u64) -> Self {
        self.look_from = now + Self::ANSWER_AFTER;
        self
    }
}

/// The cache of the process, by the fingerprint of the token.
#[derive(Default)]
pub struct OwnerCache {
    known: Mutex<HashMap<Fingerprint, (OwnerState, u64)>>,
}

impl OwnerCache {
    /// More entries than a process needs within five minutes. At the limit, expired entries are removed; if
    /// that is not enough, the cache is cleared.
    const LIMIT: usize = 10_000;

    /// Stores a state until the Unix time `until`.
    pub fn keep(&self, token: Fingerprint, ready: OwnerState, until: u64, now: u64) {
        let Ok(mut known) = self.known.lock() else { return };
        if known.len() >= Self::LIMIT {
            known.retain(|_, (_, until)| *until > now);
        }
        if known.len() >= Self::LIMIT {
            known.clear();
        }
        known.insert(token, (ready, until));
    }

    /// Removes the state for a token.
    pub fn forget(&self, token: Fingerprint) {
        if let Ok(mut known) = self.known.lock() {
            known.remove(&token);
        }
    }

    /// The state for a token with its expiry time, if it has not expired.
    pub fn recall(&self, token: Fingerprint, now: u64) -> Option<(OwnerState, u64)> {
        let known = self.known.lock().ok()?;
        known.get(&token).filter(|(_, until)| is_valid(*until, now)).cloned()
    }
}

/// Whether an entry is valid: not expired, and not from a clock that was set back.
fn is_valid(until: u64, now: u64) -> bool {
    (now + 1..=now + LONGEST_CACHE_SECONDS).contains(&until)
}

/// The name of the session attribute.
const ATTRIBUTE: &str = "onething";

/// Stores a state in the session attributes until the Unix time `until`.
pub fn carry(attributes: &mut Map<String, Value>, ready: &OwnerState, until: u64, token: Fingerprint) {
    let mut known = json!({
        "token": token.hex(),
        "thing": ready.thing.as_str(),
        "online": ready.online_before,
        "report": ready.report_read,
        "queue": ready.takes_queue,
        "place": ready.last_place,
        "look": ready.look_from,
        "until": until,
    });
    if let Some(sent) = &ready.sent {
        known["sent"] = json!([sent.id, sent.name, sent.expires_at]);
    }
    attributes.insert(ATTRIBUTE.to_owned(), known);
}

/// The state for a token in the session attributes, with its expiry time. `None` if there is no valid state for this token.
pub fn carried(attributes: &Map<String, Value>, prefix: &ThingPrefix, token: Fingerprint, now: u64) -> Option<(OwnerState, u64)> {
    let known = attributes.get(ATTRIBUTE)?;
    let same_account = known.get("token")?.as_str()? == token.hex();
    let until = known.get("until")?.as_u64()?;
    let thing = ThingName::recall(prefix, known.get("thing")?.as_str()?)?;
    let online_before = known.get("online").and_then(Value::as_bool).unwrap_or_default();
    let number = |key: &str| known.get(key).and_then(Value::as_u64).unwrap_or_default();
    let sent = known.get("sent").and_then(|sent| {
        let (id, name) = (sent.get(0)?.as_str()?.to_owned(), sent.get(1)?.as_str()?.to_owned());
        Some(Waiting { id, name, order: 0, expires_at: sent.get(2)?.as_u64()? })
    });
    let ready = OwnerState {
        thing,
        online_before,
        report_read: known.get("report") == Some(&Value::Bool(true)),
        takes_queue: known.get("queue") == Some(&Value::Bool(true)),
        last_place: number("place"),
        sent,
        look_from: number("look"),
    };
    (same_account && is_valid(until, now)).then_some((ready, until))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identifiers::OwnerId;

    fn prefix() -> ThingPrefix {
        ThingPrefix::parse("3D_Printer-").unwrap()
    }

    fn ready(online_before: bool) -> OwnerState {
        let sent = Some(Waiting { id: "a".into(), name: "print".into(), order: 0, expires_at: 1_200 });
        OwnerState { online_before, report_read: true, takes_queue: true, last_place: 7, sent, ..OwnerState::of(thing(), None, 1_000) }
    }

    fn thing() -> ThingName {
        ThingName::of(&prefix(), &OwnerId::parse("amzn1.account.A").unwrap())
    }

    #[test]
    fn a_cached_state_expires() {
        let owner_cache = OwnerCache::default();
        let token = Fingerprint::of("a");
        let ready = ready(true);
        owner_cache.keep(token, ready.clone(), 1_300, 1_000);
        assert_eq!(owner_cache.recall(token, 1_299), Some((ready, 1_300)));
        assert_eq!(owner_cache.recall(token, 1_300), None);
        assert_eq!(owner_cache.recall(token, 500), None, "a clock that jumped back");
        assert_eq!(owner_cache.recall(Fingerprint::of("b"), 1_000), None);
    }

    #[test]
    fn a_session_state_is_valid_only_for_its_token_and_time() {
        let (token, ready) = (Fingerprint::of("a"), ready(false));
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
