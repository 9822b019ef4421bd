//! Where an implementation does not keep the contract, and why: the one list of them, which is itself tested.
//! A gap that has closed fails a test as much as one that has opened.
//!
//! Past the ports the emulators differ from AWS in more, and no test may rely on it:
//! - moto lets every attribute be searched for, with or without a thing type; DetachPolicy and DetachThingPrincipal
//!   answer 404 when repeated, which our client takes for done; it checks no signature, evaluates no policy and
//!   has no MQTT; DescribeEndpoint names another host each time.
//! - Both have each list on one page.

use super::Verdict;

/// Clauses that an implementation does not keep.
pub struct Gap {
    pub why: &'static str,
    pub clauses: &'static [&'static str],
}

pub const MODEL: &[Gap] = &[
    Gap {
        why: "it has one owner with one thing, and does not look at their names",
        clauses: &[
            "a_claim_is_its_owners",
            "a_certificate_is_attached_to_one_thing_only",
            "detaching_from_another_thing_changes_nothing",
            "attached_lists_nothing_of_other_things",
            "every_thing_has_a_shadow_of_its_own",
            "unfinished_lists_the_things_of_devices_by_the_names_they_chose",
        ],
    },
    Gap {
        why: "the certificates that it creates are ids: there are no keys and no DER",
        clauses: &["a_certificate_has_the_hash_of_it_as_its_id", "a_certificate_fits_its_key_pair", "two_certificates_share_no_key"],
    },
    Gap {
        why: "it was always deployed whole",
        clauses: &["a_missing_thing_type_is_told_by_its_name", "a_missing_policy_is_told_by_its_name"],
    },
    Gap { why: "its shadow has no metadata and no end", clauses: &["a_report_is_dated", "more_than_eight_kilobytes_are_refused"] },
];
pub const HUB: &[Gap] = &[Gap {
    why: "its mailbox is a folder: it keeps no envelope, and takes mail from anybody",
    clauses: &["a_letter_goes_to_its_recipient_and_to_nobody_else", "a_sender_who_is_not_verified_is_refused"],
}];
/// ministack 1.5.33 behind the gate of the harness, which fills what the stories need.
pub const MINISTACK_BEHIND_A_GATE: &[Gap] = &[NO_EXCLUSIVE_THING, NO_ORDER, NO_LIMIT];

/// ministack 1.5.33 as it is.
pub const MINISTACK: &[Gap] = &[
    NO_EXCLUSIVE_THING,
    NO_ORDER,
    NO_LIMIT,
    Gap {
        why: "UpdateThing counts the versions and ignores expectedVersion",
        clauses: &["a_write_needs_the_present_version", "of_many_writes_at_once_one_wins"],
    },
    Gap {
        why: "it has neither GetConnection nor DeleteConnection and takes them for bad requests",
        clauses: &["a_device_that_nobody_knows_is_not_connected", "a_device_that_nobody_knows_is_disconnected"],
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
            "a_claim_is_its_owners",
            "a_claim_that_is_repeated_late_changes_nothing",
            "of_many_claims_at_once_one_wins",
        ],
    },
    Gap {
        why: "UpdateThing and DeleteThing ignore expectedVersion, and the version of a thing stays 1",
        clauses: &[
            "a_write_needs_the_present_version",
            "a_write_counts_the_version_up",
            "of_many_writes_at_once_one_wins",
            "a_removal_needs_the_present_version",
        ],
    },
    Gap {
        why: "CreateCertificateFromCsr takes setAsActive=false for true",
        clauses: &["a_certificate_begins_inactive_and_attached_to_nothing"],
    },
    Gap {
        why: "CreateCertificateFromCsr certifies a key of its own, and makes it ACTIVE",
        clauses: &["a_certificate_fits_its_key_pair", "a_device_gets_certificates_for_a_key_of_its_own"],
    },
    Gap {
        why: "a certificate's id is the hash of its PEM, which depends on where its lines end",
        clauses: &["a_certificate_has_the_hash_of_it_as_its_id"],
    },
    Gap {
        why: "DeleteCertificate with forceDelete leaves the policy attached to nothing, at which every later deletion stumbles",
        clauses: &["a_certificate_out_of_use_is_deleted", "what_is_gone_needs_no_undoing"],
    },
    Gap { why: "a shadow is a part of a registered thing", clauses: &["a_shadow_needs_no_registered_thing"] },
    Gap {
        why: "it has neither GetConnection nor DeleteConnection and fails with 500",
        clauses: &["a_device_that_nobody_knows_is_not_connected", "a_device_that_nobody_knows_is_disconnected"],
    },
    Gap {
        why: "SES sends to the recipients of the header as well as to those of the call",
        clauses: &["a_letter_goes_to_its_recipient_and_to_nobody_else"],
    },
    Gap {
        why: "SES refuses a stranger in other words than AWS, whose words are all that tells the reason",
        clauses: &["a_sender_who_is_not_verified_is_refused"],
    },
];

/// Mail by SMTP.
pub const SMTP: &[Gap] = &[Gap {
    why: "whose mail a server takes is its own affair, and ours takes everybody's",
    clauses: &["a_sender_who_is_not_verified_is_refused"],
}];

const NO_EXCLUSIVE_THING: Gap =
    Gap { why: "AttachThingPrincipal ignores EXCLUSIVE_THING", clauses: &["a_certificate_is_attached_to_one_thing_only"] };
const NO_ORDER: Gap = Gap {
    why: "ListCertificates ignores isAscendingOrder and begins with the oldest",
    clauses: &["a_list_of_certificates_begins_with_the_newest"],
};
const NO_LIMIT: Gap = Gap { why: "a shadow may have any size", clauses: &["more_than_eight_kilobytes_are_refused"] };

/// Every clause is kept but those in the list, and each of those is broken.
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
    assert!(wrong.is_empty(), "of {} clauses {} are not as they should be:\n{}", verdicts.len(), wrong.len(), wrong.join("\n"));
}
