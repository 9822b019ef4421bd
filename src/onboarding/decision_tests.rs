//! Tests of the decision: the next step for every state that an attempt can find.

use super::*;
use crate::registry::{LONGEST_LEASE, Replaced};

const NOW: u64 = 1_763_760_000;

fn replaced(digit: char, until: u64) -> Replaced {
    Replaced { certificate: id(digit), until }
}

fn id(digit: char) -> CertificateId {
    CertificateId::parse(&digit.to_string().repeat(64)).unwrap()
}

fn request(trigger: Trigger, shadow: Option<Shadow>) -> OnboardingRequest {
    OnboardingRequest { at: NOW, trigger, alexa_user: None, shadow }
}

/// What an attempt knows whose shadow says `look`.
fn looking(place: Place) -> Known {
    let shadow = Shadow { onboarded: true, look: true, ..Shadow::default() };
    Known { place, ..Known::at_first(request(Trigger::Speech, Some(shadow))) }
}

/// The record of an owner whose certificate `a` was delivered.
fn served() -> Record {
    Record { run: "other".into(), certificate: Some(id('a')), delivered: Some(NOW - 1_000), linked: NOW - 1_000, ..Record::default() }
}

fn theirs(record: Record) -> Place {
    Place::Theirs(Entry { version: 3, owner: None, thing_type: None, record })
}

fn ours(record: Record) -> Place {
    Place::Ours(Entry { version: 3, owner: None, thing_type: None, record })
}

fn check(known: &Known, expected: &Step) {
    assert_eq!(&next(known, NOW), expected, "{known:?}");
}

fn set_record(known: &mut Known, change: impl FnOnce(&mut Record)) {
    match &mut known.place {
        Place::Ours(entry) | Place::Theirs(entry) => change(&mut entry.record),
        place => panic!("{place:?}"),
    }
}

#[test]
fn a_new_owner_gets_certificate_thing_policy_and_mail_in_this_order() {
    let mut known = Known::at_first(request(Trigger::Speech, None));
    check(&known, &Step::CreateCertificate);
    known.created = Some(id('b'));
    check(&known, &Step::Claim);
    known.place = ours(Record { certificate: Some(id('b')), ..Record::default() });
    known.leftovers = Some(Vec::new());
    check(&known, &Step::AttachAndActivate);
    known.attached = true;
    check(&known, &Step::Mail);
    known.mailed = true;
    check(&known, &Step::Complete);
    known.ready = true;
    check(&known, &Step::Complete);
    known.completed = true;
    check(&known, &Step::Done);
}

#[test]
fn an_attempt_waits_until_the_lease_of_another_one_expires() {
    let begun = |until| theirs(Record { until, certificate: Some(id('a')), ..Record::default() });
    let mut known = Known { place: Place::Unread, ..looking(Place::Unread) };
    check(&known, &Step::Look);
    known.place = begun(NOW + 1);
    check(&known, &Step::Wait);
    known.created = Some(id('b'));
    check(&known, &Step::Discard);
    known.place = begun(NOW);
    check(&known, &Step::TakeOver);
}

#[test]
fn a_lease_longer_than_the_maximum_is_ignored() {
    let until = |until| looking(theirs(Record { until, ..Record::default() }));
    check(&until(NOW + LONGEST_LEASE), &Step::Wait);
    check(&until(NOW + LONGEST_LEASE + 1), &Step::TakeOver);
    check(&until(u64::MAX), &Step::TakeOver);
}

#[test]
fn undelivered_certificates_are_revoked_before_a_new_one_is_created() {
    let mut known = looking(ours(Record { certificate: Some(id('a')), ..Record::default() }));
    check(&known, &Step::ListCertificates);
    known.leftovers = Some(vec![id('a'), id('c')]);
    check(&known, &Step::Revoke(id('a')));
    known.leftovers = Some(vec![id('c')]);
    check(&known, &Step::Revoke(id('c')));
    known.leftovers = Some(Vec::new());
    check(&known, &Step::CreateCertificate);
    known.created = Some(id('b'));
    check(&known, &Step::Record);
    set_record(&mut known, |record| record.certificate = Some(id('b')));
    check(&known, &Step::AttachAndActivate);
}

#[test]
fn an_owner_with_a_delivered_certificate_needs_only_the_mark() {
    check(&looking(theirs(served())), &Step::TakeOver);
    check(&looking(ours(served())), &Step::Complete);
    let shadow = Shadow { onboarded: true, ..Shadow::default() };
    check(&Known { place: theirs(served()), ..Known::at_first(request(Trigger::Speech, Some(shadow))) }, &Step::Done);
    let lost = Known { place: theirs(served()), created: Some(id('b')), ..Known::at_first(request(Trigger::Speech, None)) };
    check(&lost, &Step::Discard);
}

#[test]
fn a_new_certificate_does_not_revoke_the_valid_one() {
    let asking = |place| Known { place, ..Known::at_first(request(Trigger::AsksForAnother, Some(Shadow::default()))) };
    check(&asking(theirs(served())), &Step::TakeOver);
    let mut known = asking(ours(Record { again: true, ..served() }));
    check(&known, &Step::ListCertificates);
    known.leftovers = Some(Vec::new());
    known.created = Some(id('b'));
    check(&known, &Step::Record);
    let replaced =
        Record { again: true, delivered: None, certificate: Some(id('b')), replaced: vec![replaced('a', NOW + A_DAY)], ..served() };
    known.place = ours(replaced);
    check(&known, &Step::AttachAndActivate);
}

#[test]
fn a_fourth_certificate_in_a_day_is_refused() {
    let sent = |sent: Vec<u64>| {
        let record = Record { sent, ..served() };
        Known { place: theirs(record), ..Known::at_first(request(Trigger::AsksForAnother, Some(Shadow::default()))) }
    };
    check(&sent(vec![NOW - 300, NOW - 200]), &Step::TakeOver);
    check(&sent(vec![NOW - 300, NOW - 200, NOW - 100]), &Step::Refuse(A_DAY - 300));
    check(&sent(vec![NOW - A_DAY, NOW - 200, NOW - 100]), &Step::TakeOver);
    let mut begun = sent(vec![NOW - 300, NOW - 200, NOW - 100]);
    set_record(&mut begun, |record| record.again = true);
    check(&begun, &Step::TakeOver);
}

#[test]
fn replaced_certificates_are_revoked_when_the_new_one_is_in_use_or_after_a_day() {
    let until = |until| Record { certificate: Some(id('b')), replaced: vec![replaced('a', until)], ..served() };
    check(&looking(theirs(until(NOW + 1))), &Step::Done);
    check(&looking(theirs(until(NOW))), &Step::TakeOver);
    let mut in_use = looking(theirs(until(NOW + 1)));
    in_use.request.shadow.as_mut().unwrap().in_use = Some(id('a'));
    check(&in_use, &Step::Done);
    in_use.request.shadow.as_mut().unwrap().in_use = Some(id('b'));
    check(&in_use, &Step::TakeOver);

    let mut known = looking(ours(until(NOW)));
    check(&known, &Step::Revoke(id('a')));
    known.revoked = vec![id('a')];
    check(&known, &Step::Complete);
}

#[test]
fn each_replaced_certificate_has_its_own_expiry_time() {
    let mut record = Record { certificate: Some(id('c')), replaced: vec![replaced('a', NOW), replaced('b', NOW + 1)], ..served() };
    let overdue = |record: &Record, in_use: Option<&CertificateId>| record.overdue(in_use, NOW).cloned().collect::<Vec<_>>();
    assert_eq!(overdue(&record, None), [id('a')]);
    assert_eq!(overdue(&record, Some(&id('a'))), [id('a')]);
    assert_eq!(overdue(&record, Some(&id('c'))), [id('a'), id('b')]);
    record.replace(Some(id('d')), NOW);
    assert_eq!(record.replaced, [replaced('a', NOW), replaced('b', NOW + 1), replaced('c', NOW + A_DAY)]);
    // Certificate `d` was not delivered, so the last delivered one stays valid for longer.
    record.delivered = None;
    record.replace(Some(id('e')), NOW + 9);
    assert_eq!(record.replaced, [replaced('a', NOW), replaced('b', NOW + 1), replaced('c', NOW + 9 + A_DAY)]);
    assert_eq!(overdue(&record, None), Vec::new(), "no time is over before the new one is delivered");
}

#[test]
fn a_registration_revokes_overdue_certificates_first() {
    let record = Record { certificate: Some(id('c')), replaced: vec![replaced('a', NOW), replaced('b', NOW + 1)], ..served() };
    let mut known = Known { place: ours(record), ..Known::at_first(request(Trigger::Registers, None)) };
    known.leftovers = Some(Vec::new());
    check(&known, &Step::Revoke(id('a')));
    known.revoked = vec![id('a')];
    check(&known, &Step::CreateCertificate);
}

#[test]
fn the_oldest_of_too_many_replaced_certificates_is_revoked() {
    let replaced = "01234567".chars().map(|name| replaced(name, NOW + 1)).collect();
    let mut known = looking(ours(Record { again: true, replaced, ..served() }));
    known.leftovers = Some(Vec::new());
    check(&known, &Step::Revoke(id('0')));
    known.revoked = vec![id('0')];
    check(&known, &Step::CreateCertificate);
}

#[test]
fn a_returning_owner_is_resumed_but_an_older_event_is_ignored() {
    let suspended = || Record { suspended: Some(NOW - 10), ..served() };
    check(&looking(theirs(suspended())), &Step::TakeOver);
    let mut known = looking(ours(suspended()));
    check(&known, &Step::Resume);
    known.resumed = true;
    check(&known, &Step::Complete);

    let linked = |at| Known {
        request: OnboardingRequest { at, ..request(Trigger::Linked, Some(Shadow::default())) },
        ..looking(theirs(suspended()))
    };
    check(&linked(NOW - 10), &Step::Done);
    check(&linked(NOW - 9), &Step::TakeOver);
}

#[test]
fn the_owner_is_told_about_a_bounce_before_another_mail_is_sent() {
    let bounce = |record: Record| Record { bounce: Some(Bounce::Bounced), ..record };
    // An owner who needs no certificate is told together with the response.
    check(&looking(theirs(bounce(served()))), &Step::TakeOver);
    check(&looking(ours(bounce(served()))), &Step::Complete);
    // An owner who needs a mail is told instead of being sent one.
    check(&looking(ours(bounce(Record::default()))), &Step::Tell(Bounce::Bounced));
    let linked = Known { request: request(Trigger::Linked, None), ..looking(theirs(bounce(Record::default()))) };
    check(&linked, &Step::Tell(Bounce::Bounced));
}

#[test]
fn an_owner_with_a_delivered_certificate_does_not_wait_for_a_lease() {
    let held = Record { until: NOW + 10, again: true, ..served() };
    check(&looking(theirs(held.clone())), &Step::Done);
    let asking = Known { place: theirs(held), ..Known::at_first(request(Trigger::AsksForAnother, Some(Shadow::default()))) };
    check(&asking, &Step::Wait);
}

#[test]
fn a_mark_in_the_shadow_replaces_a_lost_write_to_the_record() {
    let shadow = Shadow { onboarded: true, delivered: Some(id('a')), ..Shadow::default() };
    let request = request(Trigger::Speech, Some(shadow));
    let lost = Record { delivered: None, ..served() };
    assert_eq!(request.complete(lost.clone()).delivered, Some(NOW));
    assert_eq!(request.complete(Record { certificate: Some(id('b')), ..lost }).delivered, None);
}
