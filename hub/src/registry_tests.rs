//! What is the hub's own; that it is a registry by AWS IoT's rules, `tests/contract.rs` sees to.

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

async fn settle(registry: &LocalRegistry, name: &str) -> ThingName {
    registry.claim(&thing(name), &owner(name), &Record::default()).await.unwrap();
    thing(name)
}

#[tokio::test]
async fn a_registration_tells_what_became_of_a_certificate() {
    let registry = registry();
    let ana = settle(&registry, "ana").await;
    let id = registry.mint(&ana).await.unwrap().id;
    let new = Registration { status: Status::Inactive, policies: BTreeSet::new(), thing: None, made_for: ana.clone(), made_at: NOW };
    assert_eq!(registry.registrations(), BTreeMap::from([(id.clone(), new.clone())]));

    registry.attach_policy(&id).await.unwrap();
    registry.attach_thing(&id, &ana).await.unwrap();
    registry.activate(&id).await.unwrap();
    let policies = BTreeSet::from(["OneUserOneThing".to_owned()]);
    let served = Registration { status: Status::Active, policies, thing: Some(ana.to_string()), ..new };
    assert_eq!(registry.registrations(), BTreeMap::from([(id, served)]));
    assert_eq!(registry.things(), [ana.as_str()]);
}

fn check_code(outcome: &Result<(), RegistryError>, expected: &str) {
    assert!(matches!(outcome, Err(RegistryError::Refused(code)) if code == expected), "{outcome:?} instead of {expected}");
}

#[tokio::test]
async fn a_refusal_has_the_code_of_aws() {
    let registry = registry();
    let (ana, ben) = (settle(&registry, "ana").await, settle(&registry, "ben").await);
    let id = registry.mint(&ana).await.unwrap().id;
    registry.attach_thing(&id, &ana).await.unwrap();
    check_code(&registry.attach_thing(&id, &thing("eve")).await, "ResourceNotFoundException");
    check_code(&registry.attach_thing(&id, &ben).await, "InvalidRequestException");
    check_code(&registry.activate(&CertificateId::of(b"never made")).await, "ResourceNotFoundException");
    check_code(&registry.attach_policy(&CertificateId::of(b"never made")).await, "ResourceNotFoundException");
}
