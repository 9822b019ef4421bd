//! Tests of behaviour that only the hub has. `tests/contract.rs` tests the rules of AWS IoT.

use tokio::sync::mpsc::unbounded_channel;

use super::*;

const NOW: u64 = 1_795_305_600;
const POLICY: &str = "OneUserOneThing";

struct Hub {
    registry: LocalRegistry,
    place: tempfile::TempDir,
}

async fn hub() -> Hub {
    let place = tempfile::tempdir().unwrap();
    let registry = over(&place);
    registry.create_thing_type("3d-printer").await.unwrap();
    registry.create_policy(POLICY, "{}").await.unwrap();
    Hub { registry, place }
}

fn over(place: &tempfile::TempDir) -> LocalRegistry {
    let store = Store::open(&place.path().join("hub.db")).unwrap();
    let stack = Stack { kind: Kind { thing_type: "3d-printer".into(), policies: vec![POLICY.into()] }, thing_prefix: prefix() };
    LocalRegistry::new(store, Arc::new(Authority::new(NOW).unwrap()), stack, || NOW)
}

fn prefix() -> ThingPrefix {
    ThingPrefix::parse("3D_Printer-").unwrap()
}

fn owner(name: &str) -> OwnerId {
    OwnerId::parse(&format!("amzn1.account.{name}")).unwrap()
}

fn thing(name: &str) -> ThingName {
    ThingName::of(&prefix(), &owner(name))
}

async fn set_up(registry: &LocalRegistry, name: &str) -> ThingName {
    registry.claim(&thing(name), &owner(name), &Record::default()).await.unwrap();
    thing(name)
}

#[tokio::test]
async fn leases_end_at_the_start_of_a_hub() {
    let Hub { registry, place } = hub().await;
    let held = Record { run: "a run".into(), until: NOW + 15, ..Record::default() };
    registry.claim(&thing("ana"), &owner("ana"), &held).await.unwrap();
    let ben = set_up(&registry, "ben").await;
    drop(registry);

    let registry = over(&place);
    registry.end_leases().await.unwrap();
    let free = registry.look(&thing("ana")).await.unwrap().unwrap();
    assert_eq!((free.version, free.record), (2, Record { until: NOW, ..held }));
    assert!(!Record { until: NOW, ..Record::default() }.is_held(NOW));
    assert_eq!(registry.look(&ben).await.unwrap().unwrap().version, 1, "a thing without a lease does not change");
}

#[tokio::test]
async fn certificates_survive_a_restart() {
    let Hub { registry, place } = hub().await;
    let ana = set_up(&registry, "ana").await;
    let id = registry.create_certificate(&ana).await.unwrap().id;
    let new = Registration { status: Status::Inactive, policies: Default::default(), thing: None, made_for: ana.to_string(), made_at: NOW };
    assert_eq!(registry.registrations().await.unwrap(), BTreeMap::from([(id.clone(), new.clone())]));

    registry.attach_policy(&id).await.unwrap();
    registry.attach_thing(&id, &ana).await.unwrap();
    registry.activate(&id).await.unwrap();
    drop(registry);

    let registry = over(&place);
    let served = Registration { status: Status::Active, policies: [POLICY.to_owned()].into(), thing: Some(ana.to_string()), ..new };
    assert_eq!(registry.registrations().await.unwrap(), BTreeMap::from([(id.clone(), served)]));
    let things = registry.things().await.unwrap();
    assert_eq!((things.len(), things[0].name.as_str(), things[0].owner.as_ref()), (1, ana.as_str(), Some(&owner("ana"))));

    let certificate_status = registry.certificate_status(&id).await.unwrap().unwrap();
    let attachment = certificate_status.attachment.unwrap();
    assert_eq!((certificate_status.status, certificate_status.policies), (Status::Active, vec!["{}".to_owned()]));
    assert_eq!((attachment.thing.as_str(), attachment.thing_type.as_str()), (ana.as_str(), "3d-printer"));
    assert_eq!(attachment.attributes[USER_ID], "amzn1.account.ana");
}

#[tokio::test]
async fn a_watcher_is_notified_of_every_change_of_a_certificate() {
    let Hub { registry, .. } = hub().await;
    let (changed, mut heard) = unbounded_channel();
    registry.watch(changed);
    let ana = set_up(&registry, "ana").await;
    let id = registry.create_certificate(&ana).await.unwrap().id;
    assert!(heard.try_recv().is_err(), "no device can be connected with a new certificate");
    registry.attach_policy(&id).await.unwrap();
    registry.attach_thing(&id, &ana).await.unwrap();
    registry.activate(&id).await.unwrap();
    registry.deactivate(&id).await.unwrap();
    registry.detach_policy(&id).await.unwrap();
    registry.detach_thing(&id, &ana).await.unwrap();
    registry.delete(&id).await.unwrap();
    for _change in 0..7 {
        assert_eq!(heard.try_recv().unwrap(), id);
    }
}

fn check_code(outcome: &Result<(), RegistryError>, expected: &str) {
    assert!(matches!(outcome, Err(RegistryError::Refused(code)) if code == expected), "{outcome:?} instead of {expected}");
}

#[tokio::test]
async fn a_refusal_has_the_error_code_of_aws() {
    let Hub { registry, .. } = hub().await;
    let (ana, ben) = (set_up(&registry, "ana").await, set_up(&registry, "ben").await);
    let id = registry.create_certificate(&ana).await.unwrap().id;
    registry.attach_thing(&id, &ana).await.unwrap();
    check_code(&registry.attach_thing(&id, &thing("eve")).await, "ResourceNotFoundException");
    check_code(&registry.attach_thing(&id, &ben).await, "InvalidRequestException");
    check_code(&registry.activate(&CertificateId::of(b"never made")).await, "ResourceNotFoundException");
    check_code(&registry.attach_policy(&CertificateId::of(b"never made")).await, "ResourceNotFoundException");
}
