//! The decision alone: what comes next for every state an attempt can find.

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

/// What a contact finds that comes because the shadow says "look".
fn looking(place: Place) -> Known {
    let shadow = Shadow { onboarded: true, look: true, ..Shadow::default() };
    Known { place, ..Known::at_first(request(Trigger::Speech, Some(shadow))) }
}

/// The record of an owner who has certificate `a`.
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
fn a_new_owner_is_minted_claimed_wired_mailed_and_settled() {
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
fn another_attempt_is_waited_for_while_its_lease_runs() {
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
fn a_lease_from_a_clock_that_is_off_does_not_count() {
    let until = |until| looking(theirs(Record { until, ..Record::default() }));
    check(&until(NOW + LONGEST_LEASE), &Step::Wait);
    check(&until(NOW + LONGEST_LEASE + 1), &Step::TakeOver);
    check(&until(u64::MAX), &Step::TakeOver);
}

#[test]
fn what_nobody_was_sent_is_revoked_before_a_certificate_is_made() {
    let mut known = looking(ours(Record { certificate: Some(id('a')), ..Record::default() }));
    check(&known, &Step::Survey);
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
fn an_owner_who_is_served_needs_nothing_but_the_mark() {
    check(&looking(theirs(served())), &Step::TakeOver);
    check(&looking(ours(served())), &Step::Complete);
    let shadow = Shadow { onboarded: true, ..Shadow::default() };
    check(&Known { place: theirs(served()), ..Known::at_first(request(Trigger::Speech, Some(shadow))) }, &Step::Done);
    let lost = Known { place: theirs(served()), created: Some(id('b')), ..Known::at_first(request(Trigger::Speech, None)) };
    check(&lost, &Step::Discard);
}

#[test]
fn another_certificate_replaces_the_one_that_works_without_touching_it() {
    let asking = |place| Known { place, ..Known::at_first(request(Trigger::AsksForAnother, Some(Shadow::default()))) };
    check(&asking(theirs(served())), &Step::TakeOver);
    let mut known = asking(ours(Record { again: true, ..served() }));
    check(&known, &Step::Survey);
    known.leftovers = Some(Vec::new());
    known.created = Some(id('b'));
    check(&known, &Step::Record);
    let replaced =
        Record { again: true, delivered: None, certificate: Some(id('b')), replaced: vec![replaced('a', NOW + A_DAY)], ..served() };
    known.place = ours(replaced);
    check(&known, &Step::AttachAndActivate);
}

#[test]
fn three_certificates_a_day_are_enough() {
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
fn replaced_certificates_go_when_the_new_one_is_in_use_or_their_day_is_over() {
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
fn each_replaced_certificate_has_a_day_of_its_own() {
    let mut record = Record { certificate: Some(id('c')), replaced: vec![replaced('a', NOW), replaced('b', NOW + 1)], ..served() };
    let overdue = |record: &Record, in_use: Option<&CertificateId>| record.overdue(in_use, NOW).cloned().collect::<Vec<_>>();
    assert_eq!(overdue(&record, None), [id('a')]);
    assert_eq!(overdue(&record, Some(&id('a'))), [id('a')]);
    assert_eq!(overdue(&record, Some(&id('c'))), [id('a'), id('b')]);
    record.replace(Some(id('d')), NOW);
    assert_eq!(record.replaced, [replaced('a', NOW), replaced('b', NOW + 1), replaced('c', NOW + A_DAY)]);
    // Nobody has got that one, so the last that somebody has goes on.
    record.delivered = None;
    record.replace(Some(id('e')), NOW + 9);
    assert_eq!(record.replaced, [replaced('a', NOW), replaced('b', NOW + 1), replaced('c', NOW + 9 + A_DAY)]);
    assert_eq!(overdue(&record, None), Vec::new(), "no time is over before the new one is delivered");
}

#[test]
fn a_device_that_registers_finds_what_is_overdue_gone() {
    let record = Record { certificate: Some(id('c')), replaced: vec![replaced('a', NOW), replaced('b', NOW + 1)], ..served() };
    let mut known = Known { place: ours(record), ..Known::at_first(request(Trigger::Registers, None)) };
    known.leftovers = Some(Vec::new());
    check(&known, &Step::Revoke(id('a')));
    known.revoked = vec![id('a')];
    check(&known, &Step::CreateCertificate);
}

#[test]
fn of_many_replaced_certificates_the_oldest_goes() {
    let replaced = "01234567".chars().map(|name| replaced(name, NOW + 1)).collect();
    let mut known = looking(ours(Record { again: true, replaced, ..served() }));
    known.leftovers = Some(Vec::new());
    check(&known, &Step::Revoke(id('0')));
    known.revoked = vec![id('0')];
    check(&known, &Step::CreateCertificate);
}

#[test]
fn who_comes_back_is_resumed_and_an_event_from_before_is_not_a_return() {
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
fn after_a_mail_that_came_back_the_owner_hears_of_it_before_the_next_one() {
    let bounce = |record: Record| Record { bounce: Some(Bounce::Bounced), ..record };
    // Who needs nothing hears it beside the answer.
    check(&looking(theirs(bounce(served()))), &Step::TakeOver);
    check(&looking(ours(bounce(served()))), &Step::Complete);
    // Who needs a mail hears it instead.
    check(&looking(ours(bounce(Record::default()))), &Step::Tell(Bounce::Bounced));
    let linked = Known { request: request(Trigger::Linked, None), ..looking(theirs(bounce(Record::default()))) };
    check(&linked, &Step::Tell(Bounce::Bounced));
}

#[test]
fn a_served_owner_does_not_wait_for_whoever_holds_their_thing() {
    let held = Record { until: NOW + 10, again: true, ..served() };
    check(&looking(theirs(held.clone())), &Step::Done);
    let asking = Known { place: theirs(held), ..Known::at_first(request(Trigger::AsksForAnother, Some(Shadow::default()))) };
    check(&asking, &Step::Wait);
}

#[test]
fn a_mark_in_the_shadow_makes_good_for_a_note_that_was_lost() {
    let shadow = Shadow { onboarded: true, delivered: Some(id('a')), ..Shadow::default() };
    let request = request(Trigger::Speech, Some(shadow));
    let lost = Record { delivered: None, ..served() };
    assert_eq!(request.complete(lost.clone()).delivered, Some(NOW));
    assert_eq!(request.complete(Record { certificate: Some(id('b')), ..lost }).delivered, None);
}
