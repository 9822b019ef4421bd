//! Tests of claims under concurrency and after restarts, which the contract tests of the port do not cover.

use futures_util::future::join_all;
use onething::registration::claims::{CODE_LIFETIME, Code};

use super::*;

const NOW: u64 = 1_795_305_600;

fn place() -> (tempfile::TempDir, LocalClaims) {
    let place = tempfile::tempdir().unwrap();
    let claims = LocalClaims::new(Store::open(&place.path().join("hub.db")).unwrap());
    (place, claims)
}

fn new_claim(code: &Code) -> Claim {
    let owner = OwnerId::parse("amzn1.account.A").unwrap();
    Claim { fingerprint: code.fingerprint(), owner, until: NOW + CODE_LIFETIME, tries: 0, used_by: None }
}

#[tokio::test]
async fn concurrent_attempts_are_all_counted() {
    let (_place, claims) = place();
    let code = Code::new().unwrap();
    assert!(claims.keep(code.name(), &new_claim(&code), NOW).await.unwrap());
    let tried = join_all((0..100).map(|_| claims.attempt(code.name(), NOW))).await;
    let mut tries: Vec<u32> = tried.into_iter().map(|tried| tried.unwrap().unwrap().tries).collect();
    tries.sort_unstable();
    assert_eq!(tries, (1..=100).collect::<Vec<_>>());
    let counts = join_all((0..100).map(|_| claims.count("k", 60, NOW))).await;
    let mut counts: Vec<u64> = counts.into_iter().map(Result::unwrap).collect();
    counts.sort_unstable();
    assert_eq!(counts, (1..=100).collect::<Vec<_>>());
}

#[tokio::test]
async fn only_one_of_many_concurrent_devices_redeems_a_code() {
    let (_place, claims) = place();
    let code = Code::new().unwrap();
    claims.keep(code.name(), &new_claim(&code), NOW).await.unwrap();
    let devices: Vec<Fingerprint> = (0..50).map(|number| Fingerprint::of(&format!("key {number}"))).collect();
    let redeemed = join_all(devices.iter().map(|device| claims.redeem(code.name(), device, NOW))).await;
    assert_eq!(redeemed.into_iter().filter(|redeemed| *redeemed.as_ref().unwrap()).count(), 1);
}

#[tokio::test]
async fn codes_survive_a_restart_and_are_deleted_after_they_expire() {
    let (place, claims) = place();
    let code = Code::new().unwrap();
    claims.keep(code.name(), &new_claim(&code), NOW).await.unwrap();
    claims.count("k", 60, NOW).await.unwrap();
    drop(claims);
    let claims = LocalClaims::new(Store::open(&place.path().join("hub.db")).unwrap());
    claims.clean_up(NOW + CODE_LIFETIME - 1).await.unwrap();
    let there = claims.attempt(code.name(), NOW).await.unwrap().unwrap();
    assert_eq!(there, Claim { tries: 1, ..new_claim(&code) });
    claims.clean_up(NOW + CODE_LIFETIME).await.unwrap();
    assert_eq!(claims.attempt(code.name(), NOW).await.unwrap(), None);
    let rows = "SELECT (SELECT count(*) FROM claim) + (SELECT count(*) FROM claim_count)";
    let left = claims.store.read::<_, StoreError>(|db| Ok(db.query_row(rows, [], |row| row.get::<_, i64>(0))?)).await.unwrap();
    assert_eq!(left, 0);
}
