//! Which certificates devices report to use, until somebody has looked at it.
//!
//! Devices say what they like as often as they like, so of each thing a few reports wait, and no more.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use onething::identifiers::{CertificateId, ThingName};
use serde_json::Value;
use tokio::sync::Notify;

/// So many different ones of a thing wait at most. Of more, the first are forgotten, and left to the sweep.
const MOST: usize = 4;
const MEMBER: &[u8] = b"\"certificateId\"";

/// What devices have reported and nobody has looked at.
#[derive(Default)]
pub(super) struct Reports {
    waiting: Mutex<HashMap<ThingName, VecDeque<CertificateId>>>,
    changed: Notify,
}

impl Reports {
    /// A device has changed its shadow: what it reported is in this payload.
    pub(super) fn note(&self, thing: &str, payload: &[u8]) {
        let Some((thing, certificate)) = ThingName::parse(thing).zip(reported(payload)) else { return };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let of_thing = waiting.entry(thing).or_default();
        if !of_thing.contains(&certificate) {
            if of_thing.len() == MOST {
                of_thing.pop_front();
            }
            of_thing.push_back(certificate);
        }
        drop(waiting);
        self.changed.notify_one();
    }

    /// Waits until there is something, and takes it.
    pub(super) async fn take(&self) -> Vec<(ThingName, CertificateId)> {
        loop {
            let taken = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            if !taken.is_empty() {
                let pairs = taken.into_iter().flat_map(|(thing, of_thing)| of_thing.into_iter().map(move |id| (thing.clone(), id)));
                return pairs.collect();
            }
            self.changed.notified().await;
        }
    }
}

/// The certificate that an update of a shadow reports.
fn reported(payload: &[u8]) -> Option<CertificateId> {
    // Most updates name none, and are not read here.
    payload.windows(MEMBER.len()).find(|text| *text == MEMBER)?;
    let update: Value = serde_json::from_slice(payload).ok()?;
    CertificateId::parse(update.pointer("/state/reported/certificateId")?.as_str()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn update(certificate: &str) -> Vec<u8> {
        json!({"state": {"reported": {"certificateId": certificate, "status": "idle"}}}).to_string().into_bytes()
    }

    #[tokio::test]
    async fn each_report_waits_once_and_a_late_one_of_another_certificate_takes_none_away() {
        let (reports, [new, old]) = (Reports::default(), [b"new", b"old"].map(|name| CertificateId::of(name)));
        for payload in [update(new.as_str()), update(old.as_str()), update(new.as_str()), update("nonsense"), b"{}".to_vec(), Vec::new()] {
            reports.note("lamp", &payload);
        }
        reports.note("no name", &update(new.as_str()));
        let lamp = ThingName::parse("lamp").unwrap();
        assert_eq!(reports.take().await, [(lamp.clone(), new), (lamp, old)]);
    }

    #[tokio::test]
    async fn a_device_that_reports_ever_others_fills_nothing() {
        let reports = Reports::default();
        let ids: Vec<_> = (0..100_u8).map(|number| CertificateId::of(&[number])).collect();
        ids.iter().for_each(|id| reports.note("lamp", &update(id.as_str())));
        assert_eq!(reports.take().await.into_iter().map(|(_, id)| id).collect::<Vec<_>>(), ids[96..]);
    }
}
