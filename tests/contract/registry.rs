//! The clauses of [`Registry`] about things and their records. The rules are those of AWS IoT's control plane
//! (<https://docs.aws.amazon.com/iot/latest/apireference/API_Operations_AWS_IoT.html>); each clause names its operation.

use std::collections::BTreeSet;

use onething::identifiers::{AlexaUser, CertificateId, OwnerId, ThingName};
use onething::registry::{Bounce, Entry, Listing, Record, Registry, RegistryError, Replaced};
use tokio::task::JoinSet;

use super::certificates::served;
use super::{Account, Broken, Kept, MISSING_POLICY, MISSING_TYPE, NewUser, Verdict, holds, judge, refuses, same};

/// The number of concurrent calls.
const CROWD: usize = 20;

pub async fn judge<A: Account>(fresh: impl AsyncFn() -> A) -> Vec<Verdict> {
    judge![fresh;
        a_claim_is_exclusive,
        a_claim_of_another_owner_is_refused,
        a_thing_has_its_owner_and_its_type,
        a_claim_can_be_repeated,
        a_claim_that_is_repeated_later_changes_nothing,
        one_of_many_concurrent_claims_succeeds,
        a_claimed_record_reads_back,
        a_written_record_reads_back,
        every_field_of_a_record_can_be_cleared,
        a_write_needs_the_present_version,
        a_write_increases_the_version,
        a_write_to_a_missing_thing_creates_nothing,
        one_of_many_concurrent_writes_succeeds,
        a_removal_needs_the_present_version,
        a_thing_with_a_certificate_is_not_removed,
        removing_a_missing_thing_succeeds,
        a_removed_thing_can_be_claimed_anew,
        things_are_found_by_their_alexa_user,
        things_are_no_longer_found_when_their_record_changes,
        unfinished_lists_exactly_the_unfinished_things,
        unfinished_lists_things_with_names_of_their_devices,
        the_error_names_a_missing_thing_type,
        the_error_names_a_missing_policy,
    ]
}

// Claims.

fn is_taken(error: &RegistryError) -> bool {
    matches!(error, RegistryError::Taken)
}

pub(super) fn is_refused(error: &RegistryError) -> bool {
    matches!(error, RegistryError::Refused(_) | RegistryError::InUse)
}

pub(super) fn held(run: &str) -> Record {
    Record { run: run.to_owned(), until: 1_795_305_615, ..Record::default() }
}

async fn entry(account: &impl Account, thing: &ThingName) -> Result<Entry, Broken> {
    account.registry().look(thing).await?.ok_or_else(|| Broken::here("there is no thing"))
}

async fn is_at(account: &impl Account, thing: &ThingName, version: i64, record: &Record, when: &'static str) -> Kept {
    let found = entry(account, thing).await?;
    same((found.version, &found.record), (version, record), when)
}

/// A new thing with this record, at version 1.
pub(super) async fn settler(account: &impl Account, record: &Record) -> Result<ThingName, Broken> {
    let NewUser { owner, thing } = account.new_user();
    account.registry().claim(&thing, &owner, record).await?;
    Ok(thing)
}

/// CreateThing: "the same thing name but different configuration: a ResourceAlreadyExistsException is thrown".
async fn a_claim_is_exclusive(account: &impl Account) -> Kept {
    let NewUser { owner, thing } = account.new_user();
    same(account.registry().look(&thing).await?, None, "before the claim")?;
    account.registry().claim(&thing, &owner, &held("one")).await?;
    refuses(&account.registry().claim(&thing, &owner, &held("two")).await, is_taken, "a second claim")?;
    is_at(account, &thing, 1, &held("one"), "after both").await
}

/// CreateThing: the owner is an attribute, and so is part of the configuration.
async fn a_claim_of_another_owner_is_refused(account: &impl Account) -> Kept {
    let thing = settler(account, &held("one")).await?;
    let other = account.new_user().owner;
    refuses(&account.registry().claim(&thing, &other, &held("one")).await, is_taken, "a claim by another")
}

/// DescribeThing: attributes and thing type.
async fn a_thing_has_its_owner_and_its_type(account: &impl Account) -> Kept {
    let NewUser { owner, thing } = account.new_user();
    account.registry().claim(&thing, &owner, &held("one")).await?;
    account.registry().write(&thing, 1, &held("two")).await?;
    let entry = entry(account, &thing).await?;
    same(entry.owner.as_ref(), Some(&owner), "the owner")?;
    holds(entry.thing_type.is_some_and(|thing_type| !thing_type.is_empty()), "the thing has its type")
}

/// CreateThing: "multiple times using the same thing name and configuration, the call will succeed".
async fn a_claim_can_be_repeated(account: &impl Account) -> Kept {
    let NewUser { owner, thing } = account.new_user();
    for _again in 0..2 {
        account.registry().claim(&thing, &owner, &held("one")).await?;
    }
    is_at(account, &thing, 1, &held("one"), "after both").await
}

/// CreateThing, by a client whose first call was delayed: an equal configuration does not create the thing again.
async fn a_claim_that_is_repeated_later_changes_nothing(account: &impl Account) -> Kept {
    let NewUser { owner, thing } = account.new_user();
    account.registry().claim(&thing, &owner, &held("one")).await?;
    account.registry().write(&thing, 1, &held("two")).await?;
    account.registry().write(&thing, 2, &held("one")).await?;
    account.registry().claim(&thing, &owner, &held("one")).await?;
    is_at(account, &thing, 3, &held("one"), "after the repetition").await
}

/// The numbers of the calls that have succeeded; all others must have failed with [`RegistryError::Taken`].
async fn winners(mut crowd: JoinSet<(usize, Result<(), RegistryError>)>) -> Result<Vec<usize>, Broken> {
    let mut winners = Vec::new();
    while let Some(outcome) = crowd.join_next().await {
        match outcome? {
            (number, Ok(())) => winners.push(number),
            (_, Err(RegistryError::Taken)) => {}
            (_, Err(error)) => return Err(error.into()),
        }
    }
    Ok(winners)
}

async fn check_one_winner(account: &impl Account, thing: &ThingName, crowd: JoinSet<(usize, Result<(), RegistryError>)>) -> Kept {
    let winners = winners(crowd).await?;
    same(winners.len(), 1, "winners")?;
    let record = entry(account, thing).await?.record;
    same(record, held(&winners[0].to_string()), "what the winner wrote")
}

async fn one_of_many_concurrent_claims_succeeds(account: &impl Account) -> Kept {
    let NewUser { owner, thing } = account.new_user();
    let mut claims = JoinSet::new();
    for number in 0..CROWD {
        let (registry, owner, thing) = (account.registry(), owner.clone(), thing.clone());
        claims.spawn(async move { (number, registry.claim(&thing, &owner, &held(&number.to_string())).await) });
    }
    check_one_winner(account, &thing, claims).await
}

// Records.

/// A record with a value in every field.
fn full() -> Record {
    let id = |name: &str| CertificateId::of(name.as_bytes());
    Record {
        run: "3f6c".to_owned(),
        until: 1_795_305_615,
        certificate: Some(id("new")),
        delivered: Some(1_795_305_601),
        sent: vec![1_795_305_000, 1_795_305_300, 1_795_305_600],
        replaced: vec![replaced("old", 1_795_392_000), replaced("older", 1_795_392_001)],
        predecessor: Some(id("older")),
        again: true,
        suspended: Some(1_795_305_602),
        bounce: Some(Bounce::Bounced),
        forget: true,
        alexa_user: Some(AlexaUser::of("amzn1.ask.account.A")),
        linked: 1_795_305_599,
        coming: Some(id("coming")),
        said: [("Version".to_owned(), "1.2.3".to_owned())].into(),
    }
}

fn replaced(name: &str, until: u64) -> Replaced {
    Replaced { certificate: CertificateId::of(name.as_bytes()), until }
}

/// The full record with one field at its default, for every field.
fn cleared() -> [(&'static str, Record); 14] {
    [
        ("run", Record { run: String::new(), ..full() }),
        ("until", Record { until: 0, ..full() }),
        ("certificate", Record { certificate: None, ..full() }),
        ("delivered", Record { delivered: None, ..full() }),
        ("sent", Record { sent: Vec::new(), ..full() }),
        ("replaced", Record { replaced: Vec::new(), ..full() }),
        ("predecessor", Record { predecessor: None, ..full() }),
        ("again", Record { again: false, ..full() }),
        ("suspended", Record { suspended: None, ..full() }),
        ("bounce", Record { bounce: None, ..full() }),
        ("forget", Record { forget: false, ..full() }),
        ("alexa_user", Record { alexa_user: None, ..full() }),
        ("linked", Record { linked: 0, ..full() }),
        ("coming", Record { coming: None, ..full() }),
    ]
}

async fn rewrite(account: &impl Account, thing: &ThingName, record: &Record) -> Kept {
    let version = entry(account, thing).await?.version;
    Ok(account.registry().write(thing, version, record).await?)
}

async fn check_rewritten(account: &impl Account, thing: &ThingName, record: &Record, what: &str) -> Kept {
    rewrite(account, thing, record).await?;
    same(&entry(account, thing).await?.record, record, what)
}

async fn a_claimed_record_reads_back(account: &impl Account) -> Kept {
    let thing = settler(account, &full()).await?;
    same(entry(account, &thing).await?.record, full(), "a full record")
}

async fn a_written_record_reads_back(account: &impl Account) -> Kept {
    let thing = settler(account, &Record::default()).await?;
    same(entry(account, &thing).await?.record, Record::default(), "an empty record")?;
    check_rewritten(account, &thing, &full(), "a full record").await?;
    let complained = Record { bounce: Some(Bounce::Complained), ..full() };
    check_rewritten(account, &thing, &complained, "a record of a complaint").await
}

/// UpdateThing with `merge`: "to remove an attribute, call UpdateThing with an empty attribute value".
async fn every_field_of_a_record_can_be_cleared(account: &impl Account) -> Kept {
    let thing = settler(account, &full()).await?;
    for (field, record) in cleared() {
        check_rewritten(account, &thing, &record, field).await?;
        check_rewritten(account, &thing, &full(), field).await?;
    }
    // Values that a device has registered with are never removed.
    check_rewritten(account, &thing, &Record { said: full().said, ..Record::default() }, "all fields").await
}

/// UpdateThing: "if the version of the record in the registry does not match the expected version specified in
/// the request, the request is rejected with a VersionConflictException".
async fn a_write_needs_the_present_version(account: &impl Account) -> Kept {
    let thing = settler(account, &held("one")).await?;
    refuses(&account.registry().write(&thing, 2, &held("two")).await, is_taken, "a write at a future version")?;
    account.registry().write(&thing, 1, &held("two")).await?;
    refuses(&account.registry().write(&thing, 1, &held("three")).await, is_taken, "a write at an earlier version")?;
    same(entry(account, &thing).await?.record, held("two"), "in the end")
}

/// DescribeThing: the version is that of the record; it starts at 1 and increases by one with each change.
async fn a_write_increases_the_version(account: &impl Account) -> Kept {
    let thing = settler(account, &held("0")).await?;
    for version in 1..4 {
        same(entry(account, &thing).await?.version, version, "before the write")?;
        account.registry().write(&thing, version, &held(&version.to_string())).await?;
    }
    is_at(account, &thing, 4, &held("3"), "in the end").await
}

/// UpdateThing: ResourceNotFoundException.
async fn a_write_to_a_missing_thing_creates_nothing(account: &impl Account) -> Kept {
    let NewUser { thing, .. } = account.new_user();
    refuses(&account.registry().write(&thing, 1, &held("one")).await, is_taken, "a write to no thing")?;
    same(account.registry().look(&thing).await?, None, "after it")
}

async fn one_of_many_concurrent_writes_succeeds(account: &impl Account) -> Kept {
    let thing = settler(account, &held("none")).await?;
    let mut writes = JoinSet::new();
    for number in 0..CROWD {
        let (registry, thing) = (account.registry(), thing.clone());
        writes.spawn(async move { (number, registry.write(&thing, 1, &held(&number.to_string())).await) });
    }
    check_one_winner(account, &thing, writes).await
}

// The end of a thing.

/// DeleteThing with `expectedVersion`: VersionConflictException.
async fn a_removal_needs_the_present_version(account: &impl Account) -> Kept {
    let thing = settler(account, &held("one")).await?;
    account.registry().write(&thing, 1, &held("two")).await?;
    for version in [1, 3] {
        refuses(&account.registry().remove(&thing, version).await, is_taken, "removed at another version")?;
    }
    is_at(account, &thing, 2, &held("two"), "still there").await?;
    account.registry().remove(&thing, 2).await?;
    same(account.registry().look(&thing).await?, None, "after the removal")
}

/// DeleteThing: InvalidRequestException while a principal is attached
/// (<https://docs.aws.amazon.com/iot/latest/developerguide/thing-registry.html#delete-thing>).
async fn a_thing_with_a_certificate_is_not_removed(account: &impl Account) -> Kept {
    let (thing, id) = served(account).await?;
    refuses(&account.registry().remove(&thing, 1).await, is_refused, "removed with a certificate")?;
    same(entry(account, &thing).await?.record, held("one"), "still there")?;
    account.registry().detach_thing(&id, &thing).await?;
    account.waits().await;
    account.registry().remove(&thing, 1).await?;
    same(account.registry().look(&thing).await?, None, "after the removal")
}

/// DeleteThing: "returns successfully with no error if you specify a thing that doesn't exist".
async fn removing_a_missing_thing_succeeds(account: &impl Account) -> Kept {
    let thing = settler(account, &held("one")).await?;
    for _again in 0..2 {
        account.registry().remove(&thing, 1).await?;
    }
    Ok(account.registry().remove(&account.new_user().thing, 7).await?)
}

async fn a_removed_thing_can_be_claimed_anew(account: &impl Account) -> Kept {
    let NewUser { owner, thing } = account.new_user();
    account.registry().claim(&thing, &owner, &full()).await?;
    account.registry().remove(&thing, 1).await?;
    account.registry().claim(&thing, &owner, &held("two")).await?;
    is_at(account, &thing, 1, &held("two"), "the new one").await
}

// Searches.

/// All items of a list, page by page.
pub(super) async fn pages<T>(mut page: impl AsyncFnMut(Option<String>) -> Result<Listing<T>, RegistryError>) -> Result<Vec<T>, Broken> {
    let (mut all, mut next) = (Vec::new(), None);
    loop {
        let listing = page(next).await?;
        all.extend(listing.items);
        next = listing.next;
        if next.is_none() {
            return Ok(all);
        }
    }
}

fn finished() -> Record {
    Record { certificate: Some(CertificateId::of(b"new")), delivered: Some(1_795_305_601), ..held("one") }
}

/// ListThings with `attributeName` and `attributeValue`.
async fn things_are_found_by_their_alexa_user(account: &impl Account) -> Kept {
    let NewUser { owner, thing } = account.new_user();
    let user = AlexaUser::of(&format!("user of {thing}"));
    same(account.registry().things_of(&user).await?, [], "before there is one")?;
    account.registry().claim(&thing, &owner, &Record { alexa_user: Some(user.clone()), ..held("one") }).await?;
    same(account.registry().things_of(&user).await?, [thing], "the things of the user")?;
    same(account.registry().things_of(&AlexaUser::of("somebody else")).await?, [], "the things of another user")
}

async fn things_are_no_longer_found_when_their_record_changes(account: &impl Account) -> Kept {
    let thing = settler(account, &held("one")).await?;
    let user = AlexaUser::of(&format!("user of {thing}"));
    let (theirs, nobodys) = (Record { alexa_user: Some(user.clone()), ..held("two") }, held("three"));
    rewrite(account, &thing, &theirs).await?;
    same(account.registry().things_of(&user).await?, std::slice::from_ref(&thing), "while the record names the user")?;
    rewrite(account, &thing, &nobodys).await?;
    same(account.registry().things_of(&user).await?, [], "when the record no longer names the user")?;
    rewrite(account, &thing, &theirs).await?;
    let version = entry(account, &thing).await?.version;
    account.registry().remove(&thing, version).await?;
    same(account.registry().things_of(&user).await?, [], "when the thing is gone")
}

/// ListThings, by an attribute that only unfinished records have.
async fn unfinished_lists_exactly_the_unfinished_things(account: &impl Account) -> Kept {
    let thing = settler(account, &finished()).await?;
    let registry = account.registry();
    let unfinished = async || -> Result<BTreeSet<String>, Broken> {
        let listed = pages(async |page| registry.unfinished(page.as_deref()).await).await?;
        let names: BTreeSet<_> = listed.iter().map(ThingName::to_string).collect();
        same(names.len(), listed.len(), "things that are listed once")?;
        Ok(names)
    };
    let others = unfinished().await?;
    holds(!others.contains(thing.as_str()), "a finished record is not listed")?;
    let with_this_one = others.iter().cloned().chain([thing.to_string()]).collect();
    let states = [
        ("no certificate was delivered", Record { delivered: None, ..finished() }),
        ("another certificate is wanted", Record { again: true, ..finished() }),
        ("a certificate is being replaced", Record { replaced: vec![replaced("old", 9)], ..finished() }),
        ("the skill is disabled", Record { suspended: Some(7), ..finished() }),
        ("the owner wants to be forgotten", Record { forget: true, ..finished() }),
    ];
    for (what, record) in states {
        rewrite(account, &thing, &record).await?;
        same(&unfinished().await?, &with_this_one, what)?;
        rewrite(account, &thing, &finished()).await?;
        same(&unfinished().await?, &others, "afterwards")?;
    }
    let bounce = Record { bounce: Some(Bounce::Bounced), ..finished() };
    rewrite(account, &thing, &bounce).await?;
    same(unfinished().await?, others, "a returned mail does not make a record unfinished")
}

// Missing parts of the stack.

fn check_told(outcome: &Result<(), RegistryError>, expected: &RegistryError) -> Kept {
    refuses(outcome, |error| error.to_string() == expected.to_string(), "without its stack")
}

/// CreateThing: ResourceNotFoundException.
async fn the_error_names_a_missing_thing_type(account: &impl Account) -> Kept {
    let (registry, NewUser { owner, thing }) = (account.registry_without_its_stack(), account.new_user());
    let outcome = registry.claim(&thing, &owner, &held("one")).await;
    check_told(&outcome, &RegistryError::ThingTypeMissing(MISSING_TYPE.to_owned()))?;
    same(account.registry().look(&thing).await?, None, "the thing")
}

/// AttachPolicy: ResourceNotFoundException.
async fn the_error_names_a_missing_policy(account: &impl Account) -> Kept {
    let (registry, NewUser { thing, .. }) = (account.registry_without_its_stack(), account.new_user());
    let id = registry.create_certificate(&thing).await?.id;
    check_told(&registry.attach_policy(&id).await, &RegistryError::PolicyMissing(MISSING_POLICY.to_owned()))
}

/// The names of these things do not start with our prefix; their owner shows that they are ours.
async fn unfinished_lists_things_with_names_of_their_devices(account: &impl Account) -> Kept {
    let registry = account.registry();
    let name = |thing: &ThingName| {
        let chosen = ThingName::parse(&format!("press-{}", &thing.as_str()[thing.as_str().len() - 26..]));
        chosen.ok_or_else(|| Broken::here("a device cannot have such a name"))
    };
    let (ours, other) = (account.new_user(), account.new_user());
    let (chosen, foreign) = (name(&ours.thing)?, name(&other.thing)?);
    let fleet = OwnerId::of_fleet("factory-1").ok_or_else(|| Broken::here("a fleet cannot have such a name"))?;
    registry.claim(&chosen, &fleet, &held("one")).await?;
    registry.claim(&foreign, &other.owner, &held("one")).await?;
    let listed = pages(async |page| registry.unfinished(page.as_deref()).await).await?;
    holds(listed.contains(&chosen), "a thing named by a device of a fleet is listed")?;
    holds(!listed.contains(&foreign), "a foreign thing is not listed")
}
