//! Sixteen defects of onboarding or of the simulated cloud. The simulation must find each of them; otherwise it would prove
//! nothing.

use onething::onboarding::{Known, Place, Step, next};
use onething::registry::{Entry, Record};

use crate::world::Flaw;
use crate::{Decide, simulate};

/// The number of schedules after which a mutant counts as not found.
const PATIENCE: u64 = 3_000;

fn check(name: &str, flaw: Flaw, decide: Decide) {
    let found = (0..PATIENCE).find(|seed| simulate(*seed, flaw, decide).is_err());
    assert!(found.is_some(), "{name} is not found");
}

fn with(known: &Known, change: impl FnOnce(&mut Known)) -> Known {
    let mut changed = known.clone();
    change(&mut changed);
    changed
}

#[test]
fn a_lease_that_is_not_respected_is_found() {
    check("no lease", Flaw::None, |known, now| match next(known, now) {
        Step::Wait | Step::Discard => Step::TakeOver,
        step => step,
    });
}

#[test]
fn a_mail_before_the_attachment_is_found() {
    check("mail first", Flaw::None, |known, now| match next(known, now) {
        Step::AttachAndActivate if !known.mailed => Step::Mail,
        step => step,
    });
}

#[test]
fn ready_before_the_mail_is_found() {
    check("ready first", Flaw::None, |known, now| match next(known, now) {
        Step::Mail if !known.ready => Step::Complete,
        step => step,
    });
}

#[test]
fn a_missing_mail_is_found() {
    check("no mail", Flaw::None, |known, now| next(&with(known, |known| known.mailed = known.attached), now));
}

#[test]
fn a_missing_attachment_is_found() {
    check("no attaching", Flaw::None, |known, now| next(&with(known, |known| known.attached = known.created.is_some()), now));
}

#[test]
fn a_missing_search_for_leftovers_is_found() {
    check("no survey", Flaw::None, |known, now| next(&with(known, |known| known.leftovers = Some(Vec::new())), now));
}

/// The knowledge with another record of the thing.
fn seeing(known: &Known, change: impl FnOnce(&mut Record, &Known)) -> Known {
    let mut changed = known.clone();
    if let Place::Ours(entry) = &mut changed.place {
        change(&mut entry.record, known);
    }
    changed
}

#[test]
fn a_missing_record_of_a_certificate_is_found() {
    check("no record", Flaw::None, |known, now| {
        next(&seeing(known, |record, known| record.certificate = known.created.clone().or(record.certificate.take())), now)
    });
}

#[test]
fn a_replacement_without_overlap_is_found() {
    check("no overlap", Flaw::None, |known, now| {
        let Place::Ours(Entry { record, .. }) = &known.place else { return next(known, now) };
        match record.certificate.as_ref().filter(|id| record.again && record.delivered.is_some() && !known.revoked.contains(id)) {
            Some(old) => Step::Revoke(old.clone()),
            None => next(known, now),
        }
    });
}

#[test]
fn a_missing_resumption_is_found() {
    check("no resuming", Flaw::None, |known, now| next(&with(known, |known| known.resumed = true), now));
}

#[test]
fn a_thing_that_two_processes_may_create_is_found() {
    check("shared claims", Flaw::ClaimsAreShared, next);
}

#[test]
fn a_take_over_without_a_version_is_found() {
    check("no versions", Flaw::VersionsDoNotCount, next);
}

#[test]
fn certificates_that_are_created_active_are_found() {
    check("born active", Flaw::CreatedActive, next);
}

#[test]
fn certificates_that_are_not_revoked_are_found() {
    check("nothing revoked", Flaw::NothingIsRevoked, next);
}

#[test]
fn a_sweep_that_deletes_foreign_certificates_is_found() {
    check("everything is ours", Flaw::AllSeemOurs, next);
}

#[test]
fn a_stale_waiting_mail_is_found() {
    check("stale mail", Flaw::StaleMailGoes, next);
}

#[test]
fn a_report_of_an_old_certificate_that_counts_for_the_new_one_is_found() {
    check("any report counts", Flaw::AnyReportCounts, next);
}
