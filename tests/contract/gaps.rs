//! The list of all clauses that an implementation does not keep, with the reasons. The list itself is tested: both a new gap and
//! a closed one fail a test.
//!
//! Outside the ports the emulators differ from AWS in more ways, and no test may rely on them:
//! - moto searches things by any attribute, with or without a thing type. Its DetachPolicy and DetachThingPrincipal answer 404
//!   when repeated, which our client treats as a success. It verifies no signature, evaluates no policy and has no MQTT.
//!   DescribeEndpoint returns another host each time.
//! - Both return each list on one page.

use super::Verdict;

/// Clauses that an implementation does not keep, and the reason.
pub struct Gap {
    pub why: &'static str,
    pub clauses: &'static [&'static str],
}

pub const MODEL: &[Gap] = &[
    Gap {
        why: "it has one owner with one thing, and ignores their names",
        clauses: &[
            "a_claim_of_another_owner_is_refused",
            "a_certificate_is_attached_to_one_thing_only",
            "detaching_from_another_thing_changes_nothing",
            "attached_lists_nothing_of_other_things",
            "every_thing_has_its_own_shadow",
            "unfinished_lists_things_with_names_of_their_devices",
        ],
    },
    Gap {
        why: "the certificates that it creates are ids: there are no keys and no DER",
        clauses: &["the_id_of_a_certificate_is_its_hash", "a_certificate_fits_its_key_pair", "two_certificates_share_no_key"],
    },
    Gap { why: "it is always fully deployed", clauses: &["the_error_names_a_missing_thing_type", "the_error_names_a_missing_policy"] },
    Gap {
        why: "its shadow has no metadata and no limit of size",
        clauses: &["a_report_has_a_timestamp", "more_than_eight_kilobytes_are_refused"],
    },
];
pub const HUB: &[Gap] = &[Gap {
    why: "its mailbox is a folder: it stores no envelope, and accepts every sender",
    clauses: &["a_mail_goes_only_to_its_recipient", "a_sender_who_is_not_verified_is_refused"],
}];
/// ministack 1.5.33 behind the proxy of the harness, which adds the behaviour that the story tests need.
pub const MINISTACK_BEHIND_A_GATE: &[Gap] = &[NO_EXCLUSIVE_THING, NO_ORDER, NO_LIMIT];

/// ministack 1.5.33 without the proxy.
pub const MINISTACK: &[Gap] = &[
    NO_EXCLUSIVE_THING,
    NO_ORDER,
    NO_LIMIT,
    Gap {
        why: "UpdateThing counts the versions and ignores expectedVersion",
        clauses: &["a_write_needs_the_present_version", "one_of_many_concurrent_writes_succeeds"],
    },
    Gap {
        why: "it has neither GetConnection nor DeleteConnection and refuses them as bad requests",
        clauses: &["an_unknown_device_is_not_connected", "disconnecting_an_unknown_device_succeeds"],
    },
];

/// moto 5.2.5.
pub const MOTO: &[Gap] = &[
    NO_EXCLUSIVE_THING,
    NO_ORDER,
    NO_LIMIT,
    Gap {
        why: "CreateThing on an existing name overwrites it",
        clauses: &[
            "a_claim_is_exclusive",
            "a_claim_of_another_owner_is_refused",
            "a_claim_that_is_repeated_later_changes_nothing",
            "one_of_many_concurrent_claims_succeeds",
        ],
    },
    Gap {
        why: "UpdateThing and DeleteThing ignore expectedVersion, and the version of a thing stays 1",
        clauses: &[
            "a_write_needs_the_present_version",
            "a_write_increases_the_version",
            "one_of_many_concurrent_writes_succeeds",
            "a_removal_needs_the_present_version",
        ],
    },
    Gap { why: "CreateCertificateFromCsr treats setAsActive=false as true", clauses: &["a_new_certificate_is_inactive_and_not_attached"] },
    Gap {
        why: "CreateCertificateFromCsr certifies a key that it generates itself, and makes it ACTIVE",
        clauses: &["a_certificate_fits_its_key_pair", "a_device_gets_certificates_for_its_own_key"],
    },
    Gap {
        why: "a certificate's id is the hash of its PEM, which depends on where its lines end",
        clauses: &["the_id_of_a_certificate_is_its_hash"],
    },
    Gap {
        why: "DeleteCertificate with forceDelete leaves a dangling attachment of the policy, and every later deletion fails",
        clauses: &["a_detached_certificate_is_deleted", "undoing_succeeds_for_a_deleted_certificate"],
    },
    Gap { why: "a shadow is a part of a registered thing", clauses: &["a_shadow_needs_no_registered_thing"] },
    Gap {
        why: "it has neither GetConnection nor DeleteConnection and fails with 500",
        clauses: &["an_unknown_device_is_not_connected", "disconnecting_an_unknown_device_succeeds"],
    },
    Gap {
        why: "SES sends to the recipients of the header as well as to those of the call",
        clauses: &["a_mail_goes_only_to_its_recipient"],
    },
    Gap {
        why: "SES refuses an unknown sender with another message than AWS, and only the message tells the reason",
        clauses: &["a_sender_who_is_not_verified_is_refused"],
    },
];

/// Clauses about claims that moto keeps or not, by chance: it executes concurrent calls to DynamoDB without a lock, so two calls may find
/// the same item. ministack keeps them.
pub const RACES_OF_MOTO: &[&str] = &[
    "one_of_many_concurrent_claims_gets_the_name",
    "concurrent_attempts_are_counted_one_by_one",
    "one_of_many_concurrent_devices_redeems_the_claim",
    "concurrent_events_are_counted_one_by_one",
];

/// An SMTP server as the mailer.
pub const SMTP: &[Gap] = &[Gap {
    why: "an SMTP server decides itself which senders it accepts, and ours accepts all",
    clauses: &["a_sender_who_is_not_verified_is_refused"],
}];

const NO_EXCLUSIVE_THING: Gap =
    Gap { why: "AttachThingPrincipal ignores EXCLUSIVE_THING", clauses: &["a_certificate_is_attached_to_one_thing_only"] };
const NO_ORDER: Gap = Gap {
    why: "ListCertificates ignores isAscendingOrder and begins with the oldest",
    clauses: &["a_list_of_certificates_begins_with_the_newest"],
};
const NO_LIMIT: Gap = Gap { why: "a shadow may have any size", clauses: &["more_than_eight_kilobytes_are_refused"] };

/// Requires that exactly the listed clauses are broken.
#[track_caller]
pub fn check(verdicts: &[Verdict], gaps: &[Gap]) {
    let listed = |clause: &str| gaps.iter().find(|gap| gap.clauses.contains(&clause));
    let mut wrong = Vec::new();
    for Verdict { clause, kept } in verdicts {
        match (kept, listed(clause)) {
            (Ok(()), Some(gap)) => wrong.push(format!("{clause}: is kept, although {}", gap.why)),
            (Err(how), None) => wrong.push(format!("{clause}: {}", how.0)),
            (Ok(()), None) | (Err(_), Some(_)) => {}
        }
    }
    for clause in gaps.iter().flat_map(|gap| gap.clauses) {
        if !verdicts.iter().any(|verdict| verdict.clause == *clause) {
            wrong.push(format!("{clause}: is no clause that was judged"));
        }
    }
    assert!(wrong.is_empty(), "of {} clauses, {} have an unexpected result:\n{}", verdicts.len(), wrong.len(), wrong.join("\n"));
}
