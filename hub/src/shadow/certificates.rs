//! The certificates that devices report as in use, until the reports are taken.
//!
//! A device can report any certificate any number of times, so the number of waiting reports of each thing is limited.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use onething::identifiers::{CertificateId, ThingName};
use serde_json::Value;
use tokio::sync::Notify;

/// The most different reports that wait for one thing. Of more reports, the oldest are dropped; the periodic sweep finds their
/// certificates.
const MOST: usize = 4;
const MEMBER: &[u8] = b"\"certificateId\"";

/// The reports that were not taken yet.
#[derive(Default)]
pub(super) struct Reports {
    waiting: Mutex<HashMap<ThingName, VecDeque<CertificateId>>>,
    changed: Notify,
}

impl Reports {
    /// Records the certificate in the payload of an accepted update of a shadow, if the update reports one.
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

    /// Waits until there are reports, and takes them.
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

/// Returns the certificate that an update of a shadow reports.
fn reported(payload: &[u8]) -> Option<CertificateId> {
    // Most updates do not report a certificate, and are not parsed.
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
    async fn each_report_waits_once_and_reports_of_other_certificates_are_kept() {
        let (reports, [new, old]) = (Reports::default(), [b"new", b"old"].map(|name| CertificateId::of(name)));
        for payload in [update(new.as_str()), update(old.as_str()), update(new.as_str()), update("nonsense"), b"{}".to_vec(), Vec::new()] {
            reports.note("lamp", &payload);
        }
        reports.note("no name", &update(new.as_str()));
        let lamp = ThingName::parse("lamp").unwrap();
        assert_eq!(reports.take().await, [(lamp.clone(), new), (lamp, old)]);
    }

    #[tokio::test]
    async fn a_device_that_reports_many_certificates_uses_limited_memory() {
        let reports = Reports::default();
        let ids: Vec<_> = (0..100_u8).map(|number| CertificateId::of(&[number])).collect();
        ids.iter().for_each(|id| reports.note("lamp", &update(id.as_str())));
        assert_eq!(reports.take().await.into_iter().map(|(_, id)| id).collect::<Vec<_>>(), ids[96..]);
    }
}
