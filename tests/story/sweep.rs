//! The sweep, invoked with the scheduled event: it deletes certificates that are provably ours and unused, and nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::alexa::Echo;
use crate::harness::aws::Conduct;
use crate::harness::device::{Device, Identity};
use crate::harness::lambda::Lambda;
use crate::harness::ministack::calls;
use crate::stack::{Owner, Stack, certificate, check_one_owner_one_thing, list, now, thing};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
const DISABLED: &str = include_str!("../fixtures/alexa/skill_disabled.json");

fn report(cleaned_up: u64, forgotten: u64, orphans: u64) -> Value {
    json!({"cleaned_up": cleaned_up, "forgotten": forgotten, "orphans": orphans, "failed": 0, "complete": true})
}

fn ids(account: &Value) -> BTreeSet<String> {
    list(account, "certificates").iter().filter_map(|certificate| certificate["id"].as_str().map(str::to_owned)).collect()
}

/// A new certificate for the owner, in the mail number 1.
async fn gets_another(stack: &Stack, owner: &mut Owner) -> Identity {
    owner.echo.start_over();
    let request = owner.echo.intent_in("COMPLETED", "CONFIRMED", "SendCertificateIntent", &[]);
    stack.ask(&mut owner.echo, &request).await.says(&["new certificate"]);
    let (_, bundle) = stack.ministack.open_mail(1).await;
    Identity::of_bundle(&bundle, &stack.ministack.root)
}

async fn disables(stack: &Stack, echo: &Echo) {
    stack.lease_passes().await;
    let answer = stack.function.lambda.answer_to(&echo.documented_event(DISABLED, now())).await;
    assert!(answer.is_empty(), "{:#}", answer.json());
}

/// A new user, whose function is killed right after `operation`.
async fn dies(stack: &Stack, name: &str, operation: &str) -> (Lambda, Echo) {
    let user = stack.function.welcomes(name);
    let lambda = stack.another_function().await;
    stack.function.aws.aims_at(lambda.reaper());
    stack.function.aws.makes_once(operation, 1, Conduct::KillsAfterwards);
    let mut echo = Echo::linked(&user.token);
    let invocation = lambda.invoke(&echo.launch()).await;
    assert!(stack.function.aws.mends() && !lambda.is_running(), "{invocation:?}");
    echo.start_over();
    (lambda, echo)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_deletes_only_old_unused_certificates_of_ours() {
    let stack = Stack::of_short_leases().await;
    let url = &stack.function.aws.url();
    let owner = stack.onboards(&stack.function.welcomes("Owner"), 0).await;

    // More certificates, whose responses were lost, so that no one has their keys.
    stack.function.aws.makes("CreateCertificateFromCsr", Conduct::FailsAfterwards);
    for name in ["Old", "Ancient", "Young", "Live", "Tied"] {
        let user = stack.function.welcomes(name);
        let mut echo = Echo::linked(&user.token);
        let request = echo.launch();
        stack.ask(&mut echo, &request).await.apologises();
    }
    stack.function.aws.mends();
    let made = stack.function.aws.certificates_made();
    let [_, old, ancient, young, live, tied] = made.as_slice() else { panic!("{made:?}") };
    let owners = BTreeSet::from([owner.certificate_id()]);

    // The sweep keeps a certificate that is ACTIVE or attached.
    assert_eq!(calls(url, "update_certificate", json!({"certificateId": live, "newStatus": "ACTIVE"})).await, Ok(()));
    assert_eq!(calls(url, "create_thing", json!({"thingName": "lamp"})).await, Ok(()));
    let arn = certificate(&stack.ministack.holds().await, tied)["arn"].clone();
    assert_eq!(calls(url, "attach_thing_principal", json!({"thingName": "lamp", "principal": arn})).await, Ok(()));
    // The sweep keeps certificates of other software, even if INACTIVE and unattached.
    let before = ids(&stack.ministack.holds().await);
    assert_eq!(calls(url, "create_keys_and_certificate", json!({"setAsActive": false})).await, Ok(()));
    let account = stack.ministack.holds().await;
    let foreign: Vec<String> = ids(&account).difference(&before).cloned().collect();
    // The sweep keeps a certificate that the record of an unfinished thing names.
    let (_, named) = dies(&stack, "Named", "CreateThing").await;
    let in_use = stack.function.aws.certificates_made().pop().expect("the id of a certificate");

    for id in ids(&stack.ministack.holds().await) {
        stack.ministack.ages(&id, 2 * HOUR);
    }
    stack.ministack.ages(young, HOUR - 120);
    stack.ministack.ages(ancient, 6 * DAY);

    assert_eq!(stack.sweeps().await, report(0, 0, 2));
    let left = ids(&stack.ministack.holds().await);
    let expected = [vec![young.clone(), live.clone(), tied.clone(), in_use], foreign].concat();
    assert_eq!(left, owners.union(&expected.into_iter().collect()).cloned().collect());
    assert!(!left.contains(old) && !left.contains(ancient));
    drop(Device::connect(&owner.identity).await);

    // The next sweep has nothing to do, and the unfinished owner becomes ready.
    assert_eq!(stack.sweeps().await, report(0, 0, 0));
    let mut echo = named;
    stack.serves(&mut echo).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_certificate_is_deleted_after_a_day() {
    let stack = Stack::of_short_leases().await;
    let ada = stack.function.welcomes("Ada");
    let mut owner = stack.onboards(&ada, 0).await;
    let anew = gets_another(&stack, &mut owner).await;
    stack.lease_passes().await;

    // Both work within the day.
    assert_eq!(stack.sweeps().await, report(0, 0, 0));
    drop(Device::connect(&owner.identity).await);
    drop(Device::connect(&anew).await);

    stack.rewrites(&owner.thing, json!({"ReplacedUntil": (now() - 1).to_string()})).await;
    assert_eq!(stack.sweeps().await, report(1, 0, 0));
    let mailed = std::fs::read_to_string(&anew.certificate).expect("the certificate of the bundle");
    let account = stack.ministack.holds().await;
    check_one_owner_one_thing(&account, &ada, &mailed);
    assert_eq!(list(&account, "certificates").len(), 1);
    Device::dial(&owner.identity).await.is_refused().await;
    drop(Device::connect(&anew).await);

    // The next request finds nothing to do, and the one after it does not look at the record.
    for looks in [true, false] {
        stack.lease_passes().await;
        stack.function.aws.forgets();
        let (other, mut echo) = (stack.another_function().await, Echo::linked(&ada.token));
        let request = echo.launch();
        assert!(other.answer(&mut echo, &request).await.keeps_session_open());
        assert_eq!(stack.function.aws.operations().contains(&"DescribeThing".to_owned()), looks, "{:?}", stack.function.aws.operations());
    }
    assert_eq!(stack.sweeps().await, report(0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_deleted_after_the_retention() {
    let stack = Stack::of_short_leases().await;
    let ada = stack.function.welcomes("Ada");
    let mut gone = stack.onboards(&ada, 0).await;
    let away = stack.onboards(&stack.function.welcomes("Bob"), 1).await;
    let here = stack.onboards(&stack.function.welcomes("Cleo"), 2).await;
    disables(&stack, &gone.echo).await;
    disables(&stack, &away.echo).await;
    assert_eq!(stack.sweeps().await, report(0, 0, 0));

    // The default of RETENTION_DAYS is 30.
    stack.rewrites(&gone.thing, json!({"PausedAt": (now() - 30 * DAY).to_string()})).await;
    stack.rewrites(&away.thing, json!({"PausedAt": (now() - 30 * DAY + HOUR).to_string()})).await;
    assert_eq!(stack.sweeps().await, report(0, 1, 0));
    let account = stack.ministack.holds().await;
    assert!(thing(&account, &gone.thing).is_null(), "{account:#}");
    assert_eq!(ids(&account), BTreeSet::from([away.certificate_id(), here.certificate_id()]));
    assert_eq!(certificate(&account, &away.certificate_id())["status"], "INACTIVE");
    Device::dial(&gone.identity).await.is_refused().await;
    drop(Device::connect(&here.identity).await);
    assert_eq!(stack.ministack.smtp_server.count(), 3, "no mail was sent");

    // An owner who comes back later starts again: the shadow was deleted, too.
    let other = stack.another_function().await;
    gone.echo.start_over();
    other.answer(&mut gone.echo, &Echo::linked(&ada.token).launch()).await.welcomes();
    let (_, bundle) = stack.ministack.open_mail(3).await;
    let anew = Identity::of_bundle(&bundle, &stack.ministack.root);
    let mailed = std::fs::read_to_string(&anew.certificate).expect("the certificate of the bundle");
    check_one_owner_one_thing(&stack.ministack.holds().await, &ada, &mailed);
    drop(Device::connect(&anew).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_of_an_onboarding_are_deleted_unless_they_may_have_been_mailed() {
    let stack = Stack::of_short_leases().await;
    let (_, half) = dies(&stack, "Half", "CreateThing").await;
    let (_, mailed) = dies(&stack, "Mailed", "SendRawEmail").await;
    let made = stack.function.aws.certificates_made();
    let things: Vec<String> = list(&stack.ministack.holds().await, "things").iter().map(|thing| thing["name"].to_string()).collect();
    let things: Vec<&str> = things.iter().map(|name| name.trim_matches('"')).collect();

    // As long as a process may still hold the lease, the sweep changes nothing.
    assert_eq!(stack.sweeps().await, report(0, 0, 0));
    for name in &things {
        stack.rewrites(name, json!({"LeaseUntil": (now() - HOUR + 60).to_string()})).await;
    }
    assert_eq!(stack.sweeps().await, report(0, 0, 0));
    assert_eq!(ids(&stack.ministack.holds().await), made.iter().cloned().collect());

    for name in &things {
        stack.rewrites(name, json!({"LeaseUntil": (now() - 2 * HOUR).to_string()})).await;
    }
    assert_eq!(stack.sweeps().await, report(1, 0, 0));
    let account = stack.ministack.holds().await;
    assert_eq!(ids(&account), made[1..].iter().cloned().collect(), "the certificate that may have been mailed stays");
    assert_eq!(certificate(&account, &made[1])["status"], "ACTIVE");
    assert_eq!(list(&account, "things").len(), 2);

    for (name, mut echo) in [("Half", half), ("Mailed", mailed)] {
        stack.serves(&mut echo).await;
        let user = crate::harness::login::User::named(name);
        let (_, bundle) = stack.ministack.open_last_mail(&user).await;
        let identity = Identity::of_bundle(&bundle, &stack.ministack.root);
        let mailed = std::fs::read_to_string(&identity.certificate).expect("the certificate of the bundle");
        check_one_owner_one_thing(&stack.ministack.holds().await, &user, &mailed);
        drop(Device::connect(&identity).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_continues_after_a_failure_and_reports_it() {
    let stack = Stack::of_short_leases().await;
    stack.function.aws.makes("CreateCertificateFromCsr", Conduct::FailsAfterwards);
    for name in ["One", "Two"] {
        let user = stack.function.welcomes(name);
        let mut echo = Echo::linked(&user.token);
        let request = echo.launch();
        stack.ask(&mut echo, &request).await.apologises();
    }
    stack.function.aws.mends();
    for id in stack.function.aws.certificates_made() {
        stack.ministack.ages(&id, 2 * HOUR);
    }
    let failing = json!({"cleaned_up": 0, "forgotten": 0, "orphans": 1, "failed": 1, "complete": true});
    stack.function.aws.makes_once("DeleteCertificate", 1, Conduct::Refuses(403, "AccessDeniedException", "no"));
    let report_of_failing = stack.sweeps().await;
    stack.function.aws.mends();
    assert_eq!(report_of_failing, failing, "a missing permission is not treated as a pending detachment");
    assert_eq!(stack.sweeps().await, report(0, 0, 1));
    assert!(ids(&stack.ministack.holds().await).is_empty());

    // A list that cannot be read is a failure, not an empty account.
    stack.function.aws.makes("ListCertificates", Conduct::Refuses(403, "AccessDeniedException", "no"));
    let blind = stack.sweeps().await;
    assert_eq!((&blind["failed"], &blind["complete"]), (&json!(1), &json!(false)), "{blind}");
}

/// The event of the IoT rule for a report (a test in `tests/infra` checks that the rule gives this form).
fn in_use(thing: &str, certificate: &str) -> Value {
    let mut event: Value = serde_json::from_str(include_str!("../fixtures/iot/certificate_in_use.json")).expect("an event");
    (event["thing"], event["certificateId"]) = (thing.into(), certificate.into());
    event
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_certificate_is_deleted_when_the_rule_reports_the_new_one() {
    let stack = Stack::of_short_leases().await;
    let mut owner = stack.onboards(&stack.function.welcomes("Owner"), 0).await;
    let (name, old) = (owner.thing.clone(), owner.certificate_id());
    stack.lease_passes().await;
    gets_another(&stack, &mut owner).await;
    stack.lease_passes().await;
    let made = stack.function.aws.certificates_made();
    let new = made.last().expect("the id of a certificate").clone();
    let lambda = stack.another_function().await;
    let told = async |event: Value| lambda.reports(&event, Duration::from_secs(60)).await;
    // A report of any other id than that of the newest certificate revokes nothing.
    for other in [old.as_str(), &"0".repeat(64), "nonsense"] {
        assert_eq!(told(in_use(&name, other)).await, json!({"revoked": 0}), "{other}");
    }
    assert_eq!(told(in_use("3D_Printer-nobodys", &new)).await, json!({"revoked": 0}));
    assert_eq!(ids(&stack.ministack.holds().await), BTreeSet::from([old.clone(), new.clone()]));
    assert_eq!(told(in_use(&name, &new)).await, json!({"revoked": 1}));
    // A report of the old device arrives late, and the event is delivered twice.
    assert_eq!(told(in_use(&name, &old)).await, json!({"revoked": 0}));
    assert_eq!(told(in_use(&name, &new)).await, json!({"revoked": 0}));
    let account = stack.ministack.holds().await;
    assert_eq!(ids(&account), BTreeSet::from([new.clone()]));
    assert_eq!(certificate(&account, &new)["status"], "ACTIVE");
}
