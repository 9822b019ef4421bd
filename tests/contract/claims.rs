//! The clauses of [`Claims`]. The clauses pass the time, so that no test has to wait until a code expires.

use std::collections::BTreeSet;
use std::sync::Arc;

use onething::identifiers::OwnerId;
use onething::registration::claims::{CODE_LIFETIME, Claim, Claims, Code, new_code};
use onething::secrets::Fingerprint;
use tokio::task::JoinSet;

use super::{Broken, Kept, Verdict, holds, judge, same};

pub async fn judge<C: Claims + 'static>(fresh: impl AsyncFn() -> Arc<C>) -> Vec<Verdict> {
    judge![fresh;
        a_claim_is_returned_as_it_was_stored,
        a_name_without_a_claim_returns_none,
        a_name_is_taken_while_its_claim_is_valid,
        a_name_is_free_when_its_claim_has_expired,
        one_of_many_concurrent_claims_gets_the_name,
        a_claim_expires,
        every_attempt_is_counted,
        concurrent_attempts_are_counted_one_by_one,
        the_first_device_redeems_the_claim,
        redeeming_resets_the_attempts,
        a_refused_device_changes_nothing,
        one_of_many_concurrent_devices_redeems_the_claim,
        one_device_may_redeem_many_times_at_once,
        a_reset_of_the_attempts_keeps_the_claim,
        a_missing_claim_cannot_be_redeemed,
        a_code_is_stored_for_its_owner,
        events_are_counted,
        events_of_another_kind_are_counted_separately,
        every_window_starts_at_zero,
        concurrent_events_are_counted_one_by_one,
    ]
}

/// A multiple of every window in which events are counted.
const NOW: u64 = 1_763_760_000;
const MANY: u64 = 20;

fn claim(secret: &str) -> Claim {
    let owner = OwnerId::parse("amzn1.account.A").unwrap();
    Claim { fingerprint: Fingerprint::of(secret), owner, until: NOW + CODE_LIFETIME, tries: 0, used_by: None }
}

fn device(name: &str) -> Fingerprint {
    Fingerprint::of(name)
}

async fn kept(claims: &impl Claims, name: &str) -> Kept {
    same(claims.keep(name, &claim("K7QF93PD"), NOW).await?, true, "a new name")
}

/// The results of [`MANY`] concurrent calls, in any order.
async fn at_once<C: Claims + 'static, T: Send + 'static, F>(claims: &Arc<C>, call: impl Fn(Arc<C>, u64) -> F) -> Result<Vec<T>, Broken>
where
    F: Future<Output = Result<T, onething::registration::claims::ClaimsError>> + Send + 'static,
{
    let mut calls = JoinSet::new();
    for number in 0..MANY {
        calls.spawn(call(Arc::clone(claims), number));
    }
    let mut came = Vec::new();
    for outcome in calls.join_all().await {
        came.push(outcome?);
    }
    Ok(came)
}

async fn a_claim_is_returned_as_it_was_stored<C: Claims>(claims: &Arc<C>) -> Kept {
    kept(claims.as_ref(), "K7QF").await?;
    let told = claims.attempt("K7QF", NOW).await?;
    same(told, Some(Claim { tries: 1, ..claim("K7QF93PD") }), "the claim, with its first attempt")
}

async fn a_name_without_a_claim_returns_none<C: Claims>(claims: &Arc<C>) -> Kept {
    kept(claims.as_ref(), "K7QF").await?;
    same(claims.attempt("K7QG", NOW).await?, None, "another name")?;
    same(claims.keep("K7QG", &claim("K7QG93PD"), NOW).await?, true, "the name, which an attempt has not taken")
}

async fn a_name_is_taken_while_its_claim_is_valid<C: Claims>(claims: &Arc<C>) -> Kept {
    kept(claims.as_ref(), "K7QF").await?;
    same(claims.keep("K7QF", &claim("K7QF0000"), NOW + CODE_LIFETIME - 1).await?, false, "a second claim of the name")?;
    let told = claims.attempt("K7QF", NOW).await?.map(|claim| claim.fingerprint);
    same(told, Some(Fingerprint::of("K7QF93PD")), "the claim that was first")
}

async fn a_name_is_free_when_its_claim_has_expired<C: Claims>(claims: &Arc<C>) -> Kept {
    kept(claims.as_ref(), "K7QF").await?;
    claims.attempt("K7QF", NOW).await?;
    claims.redeem("K7QF", &device("a"), NOW).await?;
    let later = NOW + CODE_LIFETIME;
    let next = Claim { until: later + CODE_LIFETIME, ..claim("K7QF0000") };
    same(claims.keep("K7QF", &next, later).await?, true, "a name that has become free")?;
    same(claims.attempt("K7QF", later).await?, Some(Claim { tries: 1, ..next }), "the new claim without any state of the old one")
}

async fn one_of_many_concurrent_claims_gets_the_name<C: Claims + 'static>(claims: &Arc<C>) -> Kept {
    let keep =
        |claims: Arc<C>, number: u64| async move { claims.keep("K7QF", &claim(&number.to_string()), NOW).await.map(|kept| (kept, number)) };
    let came = at_once(claims, keep).await?;
    let winners: Vec<u64> = came.into_iter().filter_map(|(kept, number)| kept.then_some(number)).collect();
    same(winners.len(), 1, "the calls that got the name")?;
    let told = claims.attempt("K7QF", NOW).await?.map(|claim| claim.fingerprint);
    same(told, Some(Fingerprint::of(&winners[0].to_string())), "the claim of the call that got the name")
}

async fn a_claim_expires<C: Claims>(claims: &Arc<C>) -> Kept {
    kept(claims.as_ref(), "K7QF").await?;
    let end = NOW + CODE_LIFETIME;
    holds(claims.attempt("K7QF", end - 1).await?.is_some(), "the claim is valid in its last second")?;
    same(claims.attempt("K7QF", end).await?, None, "the claim after its end")?;
    same(claims.redeem("K7QF", &device("a"), end).await?, false, "redeemed after its end")
}

/// The caller limits the number of attempts.
async fn every_attempt_is_counted<C: Claims>(claims: &Arc<C>) -> Kept {
    kept(claims.as_ref(), "K7QF").await?;
    for number in 1..=8 {
        same(claims.attempt("K7QF", NOW).await?.map(|claim| claim.tries), Some(number), "the attempts")?;
    }
    Ok(())
}

async fn concurrent_attempts_are_counted_one_by_one<C: Claims + 'static>(claims: &Arc<C>) -> Kept {
    kept(claims.as_ref(), "K7QF").await?;
    let attempt = |claims: Arc<C>, _| async move { claims.attempt("K7QF", NOW).await.map(|claim| claim.map_or(0, |claim| claim.tries)) };
    let came: BTreeSet<u32> = at_once(claims, attempt).await?.into_iter().collect();
    same(came, (1..=20).collect::<BTreeSet<_>>(), "the attempts that were returned")
}

async fn the_first_device_redeems_the_claim<C: Claims>(claims: &Arc<C>) -> Kept {
    kept(claims.as_ref(), "K7QF").await?;
    for (name, expected) in [("a", true), ("b", false), ("a", true), ("b", false)] {
        same(claims.redeem("K7QF", &device(name), NOW).await?, expected, name)?;
    }
    same(claims.attempt("K7QF", NOW).await?.and_then(|claim| claim.used_by), Some(device("a")), "the device that redeemed the claim")
}

async fn redeeming_resets_the_attempts<C: Claims>(claims: &Arc<C>) -> Kept {
    kept(claims.as_ref(), "K7QF").await?;
    for _again in 0..2 {
        claims.attempt("K7QF", NOW).await?;
        claims.attempt("K7QF", NOW).await?;
        claims.redeem("K7QF", &device("a"), NOW).await?;
        same(claims.attempt("K7QF", NOW).await?.map(|claim| claim.tries), Some(1), "the attempts")?;
    }
    Ok(())
}

async fn a_reset_of_the_attempts_keeps_the_claim<C: Claims>(claims: &Arc<C>) -> Kept {
    kept(claims.as_ref(), "K7QF").await?;
    claims.attempt("K7QF", NOW).await?;
    claims.reset_attempts("K7QF", NOW).await?;
    same(claims.attempt("K7QF", NOW).await?, Some(Claim { tries: 1, ..claim("K7QF93PD") }), "the claim")?;
    claims.reset_attempts("K7QF", NOW + CODE_LIFETIME).await?;
    same(claims.attempt("K7QF", NOW).await?.map(|claim| claim.tries), Some(2), "the attempts after a reset at the end of the claim")?;
    claims.reset_attempts("93PD", NOW).await?;
    same(claims.attempt("93PD", NOW).await?, None, "a claim that does not exist")
}

async fn a_refused_device_changes_nothing<C: Claims>(claims: &Arc<C>) -> Kept {
    kept(claims.as_ref(), "K7QF").await?;
    claims.redeem("K7QF", &device("a"), NOW).await?;
    claims.attempt("K7QF", NOW).await?;
    claims.redeem("K7QF", &device("b"), NOW).await?;
    let expected = Claim { tries: 2, used_by: Some(device("a")), ..claim("K7QF93PD") };
    same(claims.attempt("K7QF", NOW).await?, Some(expected), "the claim")
}

async fn one_of_many_concurrent_devices_redeems_the_claim<C: Claims + 'static>(claims: &Arc<C>) -> Kept {
    kept(claims.as_ref(), "K7QF").await?;
    let redeem = |claims: Arc<C>, number: u64| async move { claims.redeem("K7QF", &device(&number.to_string()), NOW).await };
    let winners = at_once(claims, redeem).await?.into_iter().filter(|won| *won).count();
    same(winners, 1, "the devices that redeemed the claim")
}

async fn one_device_may_redeem_many_times_at_once<C: Claims + 'static>(claims: &Arc<C>) -> Kept {
    kept(claims.as_ref(), "K7QF").await?;
    let redeem = |claims: Arc<C>, _| async move { claims.redeem("K7QF", &device("a"), NOW).await };
    holds(at_once(claims, redeem).await?.into_iter().all(|won| won), "the device redeems the claim every time")
}

async fn a_missing_claim_cannot_be_redeemed<C: Claims>(claims: &Arc<C>) -> Kept {
    same(claims.redeem("K7QF", &device("a"), NOW).await?, false, "redeemed")?;
    same(claims.attempt("K7QF", NOW).await?, None, "the claim")
}

async fn a_code_is_stored_for_its_owner<C: Claims>(claims: &Arc<C>) -> Kept {
    let owner = OwnerId::parse("amzn1.account.A").unwrap();
    let code = new_code(claims.as_ref(), &owner, NOW).await?;
    let read = Code::parse(&code.shown()).ok_or_else(|| Broken::here("what is shown is no code"))?;
    let told = claims.attempt(read.name(), NOW).await?;
    let expected = Claim { fingerprint: read.fingerprint(), owner, until: NOW + CODE_LIFETIME, tries: 1, used_by: None };
    same(told, Some(expected), "the claim")
}

async fn events_are_counted<C: Claims>(claims: &Arc<C>) -> Kept {
    for number in 1..=3 {
        same(claims.count("source:a", 60, NOW + number).await?, number, "the number of events")?;
    }
    Ok(())
}

async fn events_of_another_kind_are_counted_separately<C: Claims>(claims: &Arc<C>) -> Kept {
    claims.count("source:a", 60, NOW).await?;
    same(claims.count("source:b", 60, NOW).await?, 1, "the number of events of the other kind")?;
    // A claim code with the same name is not counted as an event.
    kept(claims.as_ref(), "source:a").await?;
    same(claims.count("source:a", 60, NOW).await?, 2, "the number of events of the first kind")
}

async fn every_window_starts_at_zero<C: Claims>(claims: &Arc<C>) -> Kept {
    claims.count("source:a", 60, NOW).await?;
    same(claims.count("source:a", 60, NOW + 59).await?, 2, "in the last second of a window")?;
    same(claims.count("source:a", 60, NOW + 60).await?, 1, "in the first second of the next one")?;
    same(claims.count("source:a", 60, NOW + 119).await?, 2, "in the last second of that one")
}

async fn concurrent_events_are_counted_one_by_one<C: Claims + 'static>(claims: &Arc<C>) -> Kept {
    let count = |claims: Arc<C>, _| async move { claims.count("source:a", 60, NOW).await };
    let came: BTreeSet<u64> = at_once(claims, count).await?.into_iter().collect();
    same(came, (1..=MANY).collect::<BTreeSet<_>>(), "the counts that were seen")
}
