//! The decision alone: what comes next for every state an attempt can find.

use super::super::LONGEST_LEASE;
use super::*;

const NOW: u64 = 1_763_760_000;

fn id(digit: char) -> CertificateId {
    CertificateId::parse(&digit.to_string().repeat(64)).unwrap()
}

fn theirs(until: u64) -> Place {
    Place::Theirs(Record { version: 3, run: "other".into(), until, certificate: Some(id('a')), sent: Vec::new() })
}

fn ours(minted: bool, leftovers: Option<Vec<CertificateId>>) -> Known {
    Known { place: Place::Ours(1), minted: minted.then(|| id('b')), leftovers, ..Known::NOTHING }
}

fn check(known: &Known, expected: &Step) {
    assert_eq!(&next(known, NOW), expected, "{known:?}");
}

#[test]
fn a_new_owner_is_minted_claimed_wired_mailed_and_made_ready() {
    let mut known = Known::NOTHING;
    check(&known, &Step::Mint);
    known.minted = Some(id('b'));
    check(&known, &Step::Claim);
    known.place = Place::Ours(1);
    known.leftovers = Some(Vec::new());
    known.recorded = true;
    check(&known, &Step::Wire);
    known.wired = true;
    check(&known, &Step::Mail);
    known.mailed = true;
    check(&known, &Step::MakeReady);
    known.ready = true;
    check(&known, &Step::Done);
}

#[test]
fn another_attempt_is_waited_for_while_its_lease_runs() {
    let mut known = Known { place: Place::Unread, ..Known::NOTHING };
    check(&known, &Step::Look);
    known.place = theirs(NOW + 1);
    check(&known, &Step::Wait);
    known.minted = Some(id('b'));
    check(&known, &Step::Discard);
    known.place = theirs(NOW);
    check(&known, &Step::TakeOver);
}

#[test]
fn a_lease_from_a_clock_that_is_off_does_not_count() {
    check(&Known { place: theirs(NOW + LONGEST_LEASE), ..Known::NOTHING }, &Step::Wait);
    check(&Known { place: theirs(NOW + LONGEST_LEASE + 1), ..Known::NOTHING }, &Step::TakeOver);
    check(&Known { place: theirs(u64::MAX), ..Known::NOTHING }, &Step::TakeOver);
}

#[test]
fn what_others_left_is_retired_before_anything_is_made() {
    check(&ours(false, None), &Step::Survey);
    check(&ours(false, Some(vec![id('a'), id('c')])), &Step::Retire(id('a')));
    check(&ours(true, Some(vec![id('c')])), &Step::Retire(id('c')));
    check(&ours(false, Some(Vec::new())), &Step::Mint);
    check(&ours(true, Some(Vec::new())), &Step::Record);
}

/// Over every state there is: nothing is wired that is not recorded, mailed that is not wired, ready
/// that is not mailed, and none of it while another attempt's certificate may be live.
#[test]
fn no_state_leads_to_a_step_before_its_turn() {
    let places = [Place::Unknown, Place::Unread, theirs(NOW + 9), theirs(NOW - 9), Place::Ours(1)];
    let leftovers = [None, Some(Vec::new()), Some(vec![id('a')])];
    for place in &places {
        for left in &leftovers {
            for bits in 0..32_u8 {
                let known = Known {
                    place: place.clone(),
                    leftovers: left.clone(),
                    minted: (bits & 1 != 0).then(|| id('b')),
                    recorded: bits & 2 != 0,
                    wired: bits & 4 != 0,
                    mailed: bits & 8 != 0,
                    ready: bits & 16 != 0,
                };
                let alone = matches!(known.place, Place::Ours(_)) && known.leftovers == Some(Vec::new());
                let allowed = match next(&known, NOW) {
                    Step::Record => alone && known.minted.is_some(),
                    Step::Wire => alone && known.recorded && known.minted.is_some(),
                    Step::Mail => alone && known.recorded && known.wired,
                    Step::MakeReady => alone && known.wired && known.mailed,
                    Step::Done => alone && known.mailed && known.ready,
                    Step::TakeOver => matches!(&known.place, Place::Theirs(record) if !record.is_held(NOW)),
                    _ => true,
                };
                assert!(allowed, "{known:?}");
            }
        }
    }
}
