//! The timestamp of a request, and the detection of replays.
//!
//! The timestamp may differ from our clock by 150 seconds, in both directions because the clock of Alexa may be ahead. The five
//! types of skill events may be an hour old. During that time a request with an id that was already received is a replay.
//! (<https://developer.amazon.com/en-US/docs/alexa/custom-skills/host-a-custom-skill-as-a-web-service.html#timestamp>)

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use thiserror::Error;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The largest difference between the timestamp of a request and the clock, in seconds.
pub const REQUEST_WINDOW: u64 = 150;
/// The largest difference between the timestamp of a skill event and the clock, in seconds.
pub const EVENT_WINDOW: u64 = 3_600;
/// The request types for which Amazon allows an hour.
const EVENTS: [&str; 5] = [
    "AlexaSkillEvent.SkillEnabled",
    "AlexaSkillEvent.SkillDisabled",
    "AlexaSkillEvent.SkillPermissionChanged",
    "AlexaSkillEvent.SkillPermissionAccepted",
    "AlexaSkillEvent.SkillAccountLinked",
];
/// The largest number of stored ids. This is enough for four hundred requests a second, and needs about five megabytes.
const MAX_SEEN: usize = 65_536;

/// Why the timestamp of a request is not accepted.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum StampFault {
    /// The body is not JSON with a `request`.
    #[error("the body is not a request")]
    NoRequest,
    /// There is no `timestamp`, or it is not ISO 8601 with a time zone.
    #[error("the request does not say when it was made")]
    NoTime,
    /// The timestamp is too far in the past.
    #[error("the request is {0} seconds old")]
    Old(u64),
    /// The timestamp is too far in the future. The clock of this machine may be wrong.
    #[error("the request is {0} seconds ahead of the clock")]
    Ahead(u64),
}

/// The identity and the timestamp of a request.
#[derive(Debug)]
pub struct Stamp {
    id: [u8; 32],
    made_at: u64,
    event: bool,
}

#[derive(Deserialize)]
struct Envelope {
    request: Request,
}

#[derive(Deserialize)]
struct Request {
    #[serde(rename = "type", default)]
    kind: serde_json::Value,
    #[serde(default, rename = "requestId")]
    id: serde_json::Value,
    #[serde(default)]
    timestamp: serde_json::Value,
}

impl Stamp {
    /// Parses the envelope of a request. The bytes of the body identify a request that has no id.
    pub fn read(body: &[u8]) -> Result<Self, StampFault> {
        let Envelope { request } = serde_json::from_slice(body).map_err(|_| StampFault::NoRequest)?;
        let made_at = request.timestamp.as_str().and_then(|time| OffsetDateTime::parse(time, &Rfc3339).ok());
        let made_at = made_at.and_then(|time| u64::try_from(time.unix_timestamp()).ok()).ok_or(StampFault::NoTime)?;
        let id = request.id.as_str().filter(|id| !id.is_empty()).map_or(body, str::as_bytes);
        let event = request.kind.as_str().is_some_and(|kind| EVENTS.contains(&kind));
        Ok(Self { id: Sha256::digest(id).into(), made_at, event })
    }

    /// Whether the request is one of the skill events that may be an hour old.
    pub fn is_event(&self) -> bool {
        self.event
    }

    /// Checks the timestamp against `now`, a Unix time in seconds. Both limits are inclusive.
    pub fn check(&self, now: u64) -> Result<(), StampFault> {
        let away = now.abs_diff(self.made_at);
        match away <= self.window() {
            true => Ok(()),
            false if self.made_at > now => Err(StampFault::Ahead(away)),
            false => Err(StampFault::Old(away)),
        }
    }

    fn window(&self) -> u64 {
        if self.event { EVENT_WINDOW } else { REQUEST_WINDOW }
    }

    /// The last Unix time at which [`Self::check`] accepts the request. The id must be stored until then.
    fn good_until(&self) -> u64 {
        self.made_at.saturating_add(self.window())
    }
}

/// The ids of recent requests, each stored as long as its timestamp would be accepted.
#[derive(Default)]
pub struct Seen(Mutex<Recent>);

#[derive(Default)]
struct Recent {
    ids: HashSet<[u8; 32]>,
    by_end: BTreeSet<(u64, [u8; 32])>,
}

impl Seen {
    /// Whether a request is not a replay. Stores its id. Only verified requests are passed here, so only Amazon fills the memory.
    /// When the memory is full, the id that expires first is removed.
    pub fn admit(&self, stamp: &Stamp, now: u64) -> bool {
        // No change of the memory panics before it is complete.
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while recent.by_end.first().is_some_and(|(end, _)| *end < now) {
            recent.forget_first();
        }
        if recent.ids.contains(&stamp.id) {
            return false;
        }
        if recent.ids.len() >= MAX_SEEN {
            recent.forget_first();
        }
        recent.ids.insert(stamp.id);
        recent.by_end.insert((stamp.good_until(), stamp.id));
        true
    }
}

impl Recent {
    fn forget_first(&mut self) {
        if let Some((_, id)) = self.by_end.pop_first() {
            self.ids.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::iso8601;

    /// 2026-11-22T00:00:00Z.
    const NOW: u64 = 1_795_305_600;

    fn body(kind: &str, timestamp: &str) -> Vec<u8> {
        format!(r#"{{"version":"1.0","request":{{"type":"{kind}","requestId":"id","timestamp":{timestamp}}}}}"#).into_bytes()
    }

    fn check(kind: &str, made_at: u64, expected: Result<(), StampFault>) {
        let stamp = Stamp::read(&body(kind, &format!("\"{}\"", iso8601(made_at)))).unwrap();
        assert_eq!(stamp.check(NOW), expected, "{kind} {made_at}");
    }

    #[test]
    fn a_request_may_be_150_seconds_away_in_both_directions() {
        for made_at in [NOW, NOW - 75, NOW - 149, NOW - 150, NOW + 1, NOW + 150] {
            check("LaunchRequest", made_at, Ok(()));
        }
        check("LaunchRequest", NOW - 151, Err(StampFault::Old(151)));
        check("IntentRequest", NOW - 3_600, Err(StampFault::Old(3_600)));
        check("LaunchRequest", NOW + 151, Err(StampFault::Ahead(151)));
        check("LaunchRequest", 0, Err(StampFault::Old(NOW)));
    }

    #[test]
    fn five_skill_events_may_be_an_hour_old_and_no_other() {
        for event in EVENTS {
            check(event, NOW - 3_600, Ok(()));
            check(event, NOW, Ok(()));
            check(event, NOW + 150, Ok(()));
            check(event, NOW - 3_601, Err(StampFault::Old(3_601)));
            check(event, NOW + 3_601, Err(StampFault::Ahead(3_601)));
        }
        let others = [
            "AlexaSkillEvent.ProactiveSubscriptionChanged",
            "AlexaSkillEvent.SkillEnabled2",
            "alexaskillevent.skillenabled",
            "Reminders.ReminderCreated",
            "",
        ];
        for other in others {
            check(other, NOW - 151, Err(StampFault::Old(151)));
        }
    }

    fn check_time(timestamp: &str, expected: Result<u64, StampFault>) {
        assert_eq!(Stamp::read(&body("LaunchRequest", timestamp)).map(|stamp| stamp.made_at), expected, "{timestamp}");
    }

    #[test]
    fn a_timestamp_is_iso_8601_with_or_without_a_fraction() {
        check_time(r#""2026-11-22T00:00:00Z""#, Ok(NOW));
        check_time(r#""2026-11-22T00:00:00.999Z""#, Ok(NOW));
        check_time(r#""2026-11-22T00:00:00.123456789Z""#, Ok(NOW));
        check_time(r#""2026-11-22T00:00:00+00:00""#, Ok(NOW));
        check_time(r#""2026-11-22T01:30:00+01:30""#, Ok(NOW));
        for none in ["null", "\"\"", "\"now\"", "1795305600000", "\"1795305600\"", "{}", r#""2026-11-22T00:00:00""#, r#""2026-11-22""#] {
            check_time(none, Err(StampFault::NoTime));
        }
        check_time(r#""1969-12-31T23:59:59Z""#, Err(StampFault::NoTime));
    }

    #[test]
    fn a_body_without_a_request_or_a_time_is_refused() {
        for (body, expected) in [
            ("", StampFault::NoRequest),
            ("null", StampFault::NoRequest),
            ("{}", StampFault::NoRequest),
            (r#"{"request":null}"#, StampFault::NoRequest),
            (r#"{"request":"LaunchRequest"}"#, StampFault::NoRequest),
            (r#"{"request":{}}"#, StampFault::NoTime),
            ("{\"request\":{\"timestamp\":\"2026-11-22T00:00:00Z\"}", StampFault::NoRequest),
        ] {
            assert_eq!(Stamp::read(body.as_bytes()).map(|stamp| stamp.made_at), Err(expected), "{body}");
        }
    }

    fn stamp(id: &str, made_at: u64) -> Stamp {
        Stamp { id: Sha256::digest(id.as_bytes()).into(), made_at, event: false }
    }

    #[test]
    fn an_id_is_stored_as_long_as_its_timestamp_is_accepted() {
        let seen = Seen::default();
        assert!(seen.admit(&stamp("a", NOW), NOW));
        assert!(seen.admit(&stamp("b", NOW), NOW));
        for later in [0, 1, 150] {
            assert!(!seen.admit(&stamp("a", NOW), NOW + later), "{later}");
        }
        // From this time on the timestamp is not accepted.
        assert!(stamp("a", NOW).check(NOW + 151).is_err());
        assert!(seen.admit(&stamp("c", NOW + 151), NOW + 151));
        assert_eq!(seen.0.lock().unwrap().ids.len(), 1);
        // A request with a timestamp in the future is stored until the timestamp expires.
        assert!(seen.admit(&stamp("d", NOW + 300), NOW + 151));
        assert!(!seen.admit(&stamp("d", NOW + 300), NOW + 450));
    }

    #[test]
    fn the_number_of_stored_ids_is_bounded() {
        let seen = Seen::default();
        for n in 0..=MAX_SEEN {
            assert!(seen.admit(&stamp(&n.to_string(), NOW), NOW));
        }
        let recent = seen.0.lock().unwrap();
        assert_eq!((recent.ids.len(), recent.by_end.len()), (MAX_SEEN, MAX_SEEN));
    }

    #[test]
    fn a_request_without_an_id_is_identified_by_its_bytes() {
        let read = |body: &str| Stamp::read(body.as_bytes()).unwrap().id;
        let one = read(r#"{"request":{"timestamp":"2026-11-22T00:00:00Z"}}"#);
        assert_eq!(one, read(r#"{"request":{"timestamp":"2026-11-22T00:00:00Z"}}"#));
        assert_ne!(one, read(r#"{"request":{"timestamp":"2026-11-22T00:00:01Z"}}"#));
        let id = read(r#"{"request":{"timestamp":"2026-11-22T00:00:00Z","requestId":"a"}}"#);
        assert_eq!(id, read(r#"{"request":{"timestamp":"2026-11-22T00:00:09Z","requestId":"a"}}"#));
    }
}
