//! The registry by AWS IoT's rules, call by call.

use onething::thing::ThingPrefix;

use super::*;

const NOW: u64 = 1_795_305_600;

fn registry() -> LocalRegistry {
    let registry = LocalRegistry::new(Arc::new(Authority::new(NOW).unwrap()), "3d-printer", "OneUserOneThing", || NOW);
    registry.create_thing_type("3d-printer");
    registry.create_policy("OneUserOneThing");
    registry
}

fn owner(name: &str) -> OwnerId {
    OwnerId::parse(&format!("amzn1.account.{name}")).unwrap()
}

fn thing(name: &str) -> ThingName {
    ThingName::of(&ThingPrefix::parse("3D_Printer-").unwrap(), &owner(name))
}

fn held(run: &str) -> Record {
    Record { run: run.into(), until: NOW + 15, ..Record::default() }
}

/// The name of an outcome.
fn told<T>(outcome: Result<T, RegistryError>) -> String {
    match outcome {
        Ok(_) => "done".into(),
        Err(RegistryError::Refused(code)) => code,
        Err(error) => format!("{error:?}"),
    }
}

#[tokio::test]
async fn a_claim_is_exclusive_and_repeatable() {
    let (registry, ana) = (registry(), thing("ana"));
    assert_eq!(registry.look(&ana).await.unwrap(), None);
    let claim = async |name: &str, run: &str| told(registry.claim(&ana, &owner(name), &held(run)).await);
    assert_eq!(claim("ana", "one").await, "done");
    assert_eq!(claim("ana", "one").await, "done");
    assert_eq!(claim("ana", "two").await, "Taken");
    assert_eq!(claim("eve", "one").await, "Taken");
    let record = registry.look(&ana).await.unwrap().unwrap();
    assert_eq!(record, Entry { version: 1, record: held("one") });
}

#[tokio::test]
async fn a_write_needs_the_present_version() {
    let (registry, ana) = (registry(), thing("ana"));
    assert_eq!(told(registry.write(&ana, 1, &held("one")).await), "Taken", "there is no thing");
    registry.claim(&ana, &owner("ana"), &held("one")).await.unwrap();
    assert_eq!(told(registry.write(&ana, 2, &held("two")).await), "Taken");
    assert_eq!(told(registry.write(&ana, 1, &held("two")).await), "done");
    assert_eq!(told(registry.write(&ana, 1, &held("one")).await), "Taken");
    let record = registry.look(&ana).await.unwrap().unwrap();
    assert_eq!(record, Entry { version: 2, record: held("two") });
}

#[tokio::test]
async fn of_many_claims_at_once_one_wins() {
    let (registry, ana) = (Arc::new(registry()), thing("ana"));
    let mut claims = tokio::task::JoinSet::new();
    for run in 0..20 {
        let (registry, ana) = (Arc::clone(&registry), ana.clone());
        claims.spawn(async move { registry.claim(&ana, &owner("ana"), &held(&run.to_string())).await.is_ok() });
    }
    assert_eq!(claims.join_all().await.into_iter().filter(|won| *won).count(), 1);
}

#[tokio::test]
async fn a_certificate_begins_inactive_and_tied_to_nothing() {
    let registry = registry();
    let minted = registry.mint(&thing("ana")).await.unwrap();
    let expected = Registration { status: Status::Inactive, policies: BTreeSet::new(), thing: None, made_for: thing("ana"), made_at: NOW };
    assert_eq!(registry.registrations(), BTreeMap::from([(minted.id, expected)]));
}

#[tokio::test]
async fn a_certificate_is_tied_to_one_thing_only() {
    let registry = registry();
    let mine = registry.mint(&thing("ana")).await.unwrap().id;
    assert_eq!(told(registry.attach_thing(&mine, &thing("ana")).await), "ResourceNotFoundException");
    for name in ["ana", "ben"] {
        registry.claim(&thing(name), &owner(name), &held(name)).await.unwrap();
    }
    assert_eq!(told(registry.attach_thing(&mine, &thing("ana")).await), "done");
    assert_eq!(told(registry.attach_thing(&mine, &thing("ana")).await), "done");
    assert_eq!(told(registry.attach_thing(&mine, &thing("ben")).await), "InvalidRequestException");
    assert_eq!(registry.attached(&thing("ana")).await.unwrap(), std::slice::from_ref(&mine));
    assert_eq!(registry.attached(&thing("ben")).await.unwrap(), []);
    registry.detach_thing(&mine, &thing("ben")).await.unwrap();
    assert_eq!(registry.attached(&thing("ana")).await.unwrap(), std::slice::from_ref(&mine), "detached from another thing");
    registry.detach_thing(&mine, &thing("ana")).await.unwrap();
    assert_eq!(told(registry.attach_thing(&mine, &thing("ben")).await), "done");
}

#[tokio::test]
async fn a_certificate_is_deleted_only_out_of_service() {
    let (registry, ana) = (registry(), thing("ana"));
    registry.claim(&ana, &owner("ana"), &held("one")).await.unwrap();
    let mine = registry.mint(&thing("ana")).await.unwrap().id;
    registry.attach_policy(&mine).await.unwrap();
    registry.attach_thing(&mine, &ana).await.unwrap();
    registry.activate(&mine).await.unwrap();
    let delete = async || told(registry.delete(&mine).await);
    assert_eq!(delete().await, "CertificateStateException");
    registry.deactivate(&mine).await.unwrap();
    assert_eq!(delete().await, "DeleteConflictException");
    registry.detach_thing(&mine, &ana).await.unwrap();
    assert_eq!(delete().await, "DeleteConflictException");
    registry.detach_policy(&mine).await.unwrap();
    assert_eq!(delete().await, "done");
    assert!(registry.registrations().is_empty());
}

#[tokio::test]
async fn what_is_gone_needs_no_undoing() {
    let registry = registry();
    let gone = CertificateId::of(b"never made");
    for outcome in [
        registry.deactivate(&gone).await,
        registry.detach_policy(&gone).await,
        registry.detach_thing(&gone, &thing("ana")).await,
        registry.delete(&gone).await,
    ] {
        assert_eq!(told(outcome), "done");
    }
    assert_eq!(told(registry.activate(&gone).await), "ResourceNotFoundException");
    assert_eq!(told(registry.attach_policy(&gone).await), "ResourceNotFoundException");
}

#[tokio::test]
async fn what_the_stack_lacks_is_told_by_its_name() {
    let bare = LocalRegistry::new(Arc::new(Authority::new(NOW).unwrap()), "3d-printer", "OneUserOneThing", || NOW);
    assert_eq!(told(bare.claim(&thing("ana"), &owner("ana"), &held("one")).await), "ThingTypeMissing(\"3d-printer\")");
    let mine = bare.mint(&thing("ana")).await.unwrap().id;
    assert_eq!(told(bare.attach_policy(&mine).await), "PolicyMissing(\"OneUserOneThing\")");
}
