//! The life of an identity after the onboarding: disabled and enabled again, deleted, and asked about. Each test ends with a
//! check of the account, of the mailbox and of a foreign MQTT client.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::alexa::Echo;
use crate::harness::answer::Answer;
use crate::harness::aws::Conduct;
use crate::harness::device::{Device, Identity};
use crate::harness::login::{User, token_for};
use crate::stack::{
    Owner, Stack, broken_promises, certificate, check_no_stray_certificate_is_live, check_one_owner_one_thing, list, now, sweeps, thing,
};
use crate::tenant::{PATIENCE, SharedAccount, Tenant, is_served, words_of};

const LINKED: &str = include_str!("../fixtures/alexa/skill_account_linked.json");
const DISABLED: &str = include_str!("../fixtures/alexa/skill_disabled.json");
const FORGET: &str = "ForgetMeIntent";

/// Sends a skill event, to which the response must be empty.
async fn told(stack: &Stack, echo: &Echo, fixture: &str, at: u64) {
    let answer = stack.function.lambda.answer_to(&echo.documented_event(fixture, at)).await;
    assert!(answer.is_empty(), "{:#}", answer.json());
}

/// Onboards a new owner by the event of linking the account, at this Unix time.
async fn links(stack: &Stack, user: &User, at: u64) -> Owner {
    let echo = Echo::linked(&user.token);
    told(stack, &echo, LINKED, at).await;
    let (mail, bundle) = stack.ministack.open_last_mail(user).await;
    let identity = Identity::of_bundle(&bundle, &stack.ministack.root);
    let thing = identity.client_id.clone();
    Owner { echo, mail, bundle, identity, thing }
}

async fn status(stack: &Stack, id: &str) -> Value {
    certificate(&stack.ministack.holds().await, id)["status"].clone()
}

/// "Forget me", confirmed in the dialog; the second question is open afterwards.
async fn asks_to_be_forgotten(stack: &Stack, echo: &mut Echo) -> Answer {
    echo.start_over();
    let request = echo.intent_in("STARTED", "NONE", FORGET, &[]);
    let answer = stack.ask(echo, &request).await;
    assert_eq!(answer.directives(), ["Dialog.ConfirmIntent"], "{:#}", answer.json());
    let request = echo.intent_in("COMPLETED", "CONFIRMED", FORGET, &[]);
    let answer = stack.ask(echo, &request).await;
    assert!(answer.keeps_session_open() && answer.directives().is_empty(), "{:#}", answer.json());
    answer.says(&["yes or no"]);
    answer
}

async fn says_yes(stack: &Stack, echo: &mut Echo) -> Answer {
    let request = echo.intent("AMAZON.YesIntent", &[]);
    stack.ask(echo, &request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn disabling_the_skill_deactivates_the_certificate_until_the_account_is_linked_again() {
    let stack = Stack::of_short_leases().await;
    let ada = stack.function.welcomes("Ada");
    let began = now();
    let owner = links(&stack, &ada, began - 1_000).await;
    let id = owner.certificate_id();
    drop(Device::connect(&owner.identity).await);

    told(&stack, &owner.echo, DISABLED, began - 900).await;
    let account = stack.ministack.holds().await;
    assert_eq!(certificate(&account, &id)["status"], "INACTIVE");
    assert_eq!(certificate(&account, &id)["things"], json!([owner.thing]), "the certificate stays attached");
    assert_eq!(thing(&account, &owner.thing)["attributes"]["PausedAt"], (began - 900).to_string());
    Device::dial(&owner.identity).await.is_refused().await;
    // The connection of the device is closed.
    let cut_off = stack.function.aws.calls().into_iter().find(|call| call.operation == "DeleteConnection");
    assert!(cut_off.is_some_and(|call| call.path.ends_with(&owner.thing)), "{:?}", stack.function.aws.operations());

    told(&stack, &owner.echo, LINKED, began - 800).await;
    check_one_owner_one_thing(&stack.ministack.holds().await, &ada, &owner.certificate());
    drop(Device::connect(&owner.identity).await);
    assert_eq!(stack.ministack.smtp_server.count(), 1, "the same certificate, and no new mail");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_after_enabling_the_skill_again_activates_the_same_certificate() {
    let stack = Stack::of_short_leases().await;
    let ada = stack.function.welcomes("Ada");
    let began = now();
    let mut owner = links(&stack, &ada, began - 1_000).await;
    let old_echo = owner.echo.clone();
    told(&stack, &old_echo, DISABLED, began - 900).await;
    Device::dial(&owner.identity).await.is_refused().await;

    // Enabling the skill again changes the access token and the Alexa user id.
    let again = User { token: token_for("ada.anew"), ..ada.clone() };
    stack.function.login.knows(&again);
    owner.echo = Echo::linked(&again.token);
    let request = owner.echo.launch();
    let answer = stack.ask(&mut owner.echo, &request).await;
    assert!(answer.keeps_session_open(), "{:#}", answer.json());
    check_one_owner_one_thing(&stack.ministack.holds().await, &ada, &owner.certificate());
    drop(Device::connect(&owner.identity).await);
    assert_eq!(stack.ministack.smtp_server.count(), 1);

    // An event of the earlier Alexa user changes nothing; one of the present Alexa user does.
    told(&stack, &old_echo, DISABLED, began + 500).await;
    assert_eq!(status(&stack, &owner.certificate_id()).await, "ACTIVE");
    told(&stack, &owner.echo, DISABLED, began + 500).await;
    assert_eq!(status(&stack, &owner.certificate_id()).await, "INACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn late_repeated_and_reordered_events_are_handled() {
    let stack = Stack::of_short_leases().await;
    let ada = stack.function.welcomes("Ada");
    let began = now();
    let owner = links(&stack, &ada, began - 1_000).await;
    let id = owner.certificate_id();
    let stranger = Echo::linked(&stack.function.welcomes("Stranger").token);

    let told_in_this_order = [
        ("disabled before the link", &owner.echo, DISABLED, 1_100, "ACTIVE"),
        ("disabled", &owner.echo, DISABLED, 900, "INACTIVE"),
        ("disabled, the same again", &owner.echo, DISABLED, 900, "INACTIVE"),
        ("linked, before it was disabled", &owner.echo, LINKED, 950, "INACTIVE"),
        ("linked", &owner.echo, LINKED, 800, "ACTIVE"),
        ("disabled, the same much later", &owner.echo, DISABLED, 900, "ACTIVE"),
        ("linked, the same again", &owner.echo, LINKED, 800, "ACTIVE"),
        ("disabled by somebody else", &stranger, DISABLED, 700, "ACTIVE"),
        ("disabled once more", &owner.echo, DISABLED, 600, "INACTIVE"),
        ("linked, the same much later", &owner.echo, LINKED, 800, "INACTIVE"),
        ("linked once more", &owner.echo, LINKED, 500, "ACTIVE"),
    ];
    for (what, echo, fixture, ago, expected) in told_in_this_order {
        told(&stack, echo, fixture, began - ago).await;
        assert_eq!(status(&stack, &id).await, expected, "{what}; the log:\n{}", stack.function.lambda.log());
    }
    check_one_owner_one_thing(&stack.ministack.holds().await, &ada, &owner.certificate());
    drop(Device::connect(&owner.identity).await);
    assert_eq!(stack.ministack.smtp_server.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_who_confirms_twice_is_deleted_and_can_start_again() {
    let stack = Stack::of_short_leases().await;
    let ada = stack.function.welcomes("Ada");
    let bob = stack.onboards(&stack.function.welcomes("Bob"), 0).await;
    let mut owner = stack.onboards(&ada, 1).await;
    asks_to_be_forgotten(&stack, &mut owner.echo).await;
    let answer = says_yes(&stack, &mut owner.echo).await;
    answer.says(&["forgotten you", "start afresh"]);
    assert!(answer.ends_session() && !answer.speech().contains("Code"), "{:#}", answer.json());

    let account = stack.ministack.holds().await;
    assert!(thing(&account, &owner.thing).is_null(), "{account:#}");
    assert!(certificate(&account, &owner.certificate_id()).is_null(), "{account:#}");
    assert_eq!((list(&account, "things").len(), list(&account, "certificates").len()), (1, 1), "the resources of Bob remain");
    Device::dial(&owner.identity).await.is_refused().await;
    drop(Device::connect(&bob.identity).await);
    let (farewell, _) = stack.ministack.open_mail(2).await;
    assert_eq!(farewell["recipients"], json!([ada.email]));
    assert_eq!((&farewell["attachments"], &farewell["defects"]), (&json!([]), &json!([])), "{farewell:#}");
    assert!(farewell["text"].as_str().is_some_and(|text| text.contains("deleted") && text.contains("last mail")), "{farewell:#}");

    // The shadow was deleted with its thing.
    owner.echo.start_over();
    let request = owner.echo.launch();
    stack.ask(&mut owner.echo, &request).await.welcomes();
    let (_, bundle) = stack.ministack.open_mail(3).await;
    let anew = Identity::of_bundle(&bundle, &stack.ministack.root);
    let mailed = std::fs::read_to_string(&anew.certificate).expect("the certificate of the bundle");
    assert_ne!(mailed, owner.certificate());
    check_one_owner_one_thing(&stack.ministack.holds().await, &ada, &mailed);
    drop(Device::connect(&anew).await);
    Device::dial(&owner.identity).await.is_refused().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_who_does_not_confirm_twice_is_not_deleted() {
    let stack = Stack::of_short_leases().await;
    let ada = stack.function.welcomes("Ada");
    let mut owner = stack.onboards(&ada, 0).await;
    stack.function.aws.forgets();

    let request = owner.echo.intent_in("COMPLETED", "DENIED", FORGET, &[]);
    stack.ask(&mut owner.echo, &request).await.says(&["leave it"]);
    asks_to_be_forgotten(&stack, &mut owner.echo).await;
    let request = owner.echo.intent("AMAZON.NoIntent", &[]);
    stack.ask(&mut owner.echo, &request).await.says(&["leave it"]);
    // The question was answered with no: a later yes answers no question.
    says_yes(&stack, &mut owner.echo).await.says(&["did not get that"]);
    // Nor does a yes in another session, or after another intent.
    asks_to_be_forgotten(&stack, &mut owner.echo).await;
    owner.echo.start_over();
    says_yes(&stack, &mut owner.echo).await.says(&["did not get that"]);
    asks_to_be_forgotten(&stack, &mut owner.echo).await;
    let request = owner.echo.intent("AMAZON.HelpIntent", &[]);
    stack.ask(&mut owner.echo, &request).await;
    says_yes(&stack, &mut owner.echo).await.says(&["did not get that"]);
    // Nor does the yes of another user in the same session.
    asks_to_be_forgotten(&stack, &mut owner.echo).await;
    owner.echo.token = Some(stack.function.welcomes("Bob").token);
    says_yes(&stack, &mut owner.echo).await.says(&["did not get that"]);

    let called = stack.function.aws.operations();
    assert!(called.is_empty(), "{called:?}");
    check_one_owner_one_thing(&stack.ministack.holds().await, &ada, &owner.certificate());
    drop(Device::connect(&owner.identity).await);
}

/// What happens after a deletion with a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Onwards {
    AsksAgain,
    Speaks,
    IsSweptUp,
}

/// A deletion in which one call fails.
struct Farewell {
    name: String,
    home: Tenant,
    answer: Option<Answer>,
    onwards: Onwards,
}

const ERROR: Conduct = Conduct::Refuses(500, "InternalFailureException", "out of order");
const REFUSAL: Conduct = Conduct::Refuses(403, "AccessDeniedException", "User is not authorized to perform this");
/// Name, whether later calls of the operation fail too, and how the call is treated.
const FAULTS: [(&str, bool, Conduct); 6] = [
    ("errors before its effect", true, ERROR),
    ("an error after its effect", false, Conduct::FailsAfterwards),
    ("a refusal", true, REFUSAL),
    ("silence after its effect", true, Conduct::HangsAfterwards),
    ("killed before its effect", false, Conduct::Kills),
    ("killed after its effect", false, Conduct::KillsAfterwards),
];

/// A new owner who is ready and whose lease has expired.
async fn onboards(shared_account: &SharedAccount, name: &str) -> Tenant {
    let mut home = shared_account.new_tenant(name).await;
    let answer = home.speaks().await.expect("a function that was not killed");
    answer.welcomes();
    shared_account.lease_passes().await;
    home
}

/// The resources of an owner that remain: things, and certificates that are ACTIVE or attached.
fn remains(account: &Value, user: &User, made: &[String]) -> Vec<String> {
    let things = list(account, "things").iter().filter(|thing| thing["attributes"]["UserId"] == user.user_id.as_str());
    let mut remains: Vec<String> = things.map(|thing| format!("the thing {}", thing["name"])).collect();
    for id in made {
        let certificate = certificate(account, id);
        let dead = certificate.is_null() || (certificate["status"] == "INACTIVE" && list(certificate, "things").is_empty());
        if !dead {
            remains.push(format!("a certificate that is {}", certificate["status"]));
        }
    }
    remains
}

/// The claims of the response that are false.
fn is_honest(account: &Value, farewell: &Farewell) -> Vec<String> {
    let said = farewell.answer.as_ref().map(Answer::speech).unwrap_or_default();
    let left = remains(account, &farewell.home.user, &farewell.home.gate.certificates_made());
    if said.contains("I have forgotten you and") && !left.is_empty() {
        return vec![format!("{said:?}, but there is {left:?}")];
    }
    let live = left.iter().any(|left| left.contains("\"ACTIVE\""));
    if said.contains("nothing of your") && live { vec![format!("{said:?}, but there is {left:?}")] } else { Vec::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_with_a_fault_at_any_call_completes() {
    let shared_account = Arc::new(SharedAccount::built(3).await);
    let mut observed = onboards(&shared_account, "Observed").await;
    observed.gate.forgets();
    observed.wants_to_be_forgotten().await.expect("a function that was not killed").says(&["forgotten you"]);
    let mut calls: Vec<(String, usize)> = Vec::new();
    for operation in observed.gate.operations() {
        let nth = calls.iter().filter(|(called, _)| *called == operation).count() + 1;
        calls.push((operation, nth));
    }

    let mut cases = JoinSet::new();
    for (what, lasts, conduct) in FAULTS {
        for (operation, nth) in calls.clone() {
            let turn = cases.len();
            let each = [Onwards::AsksAgain, Onwards::Speaks, Onwards::IsSweptUp];
            // After the worst fault, a kill, all three cases run; after the other faults one of them in turn.
            let some = if conduct == Conduct::Kills { each.to_vec() } else { vec![each[(turn / calls.len() + turn) % 3]] };
            for onwards in some {
                let (number, operation, shared_account) = (cases.len(), operation.clone(), Arc::clone(&shared_account));
                cases.spawn(async move {
                    let mut home = onboards(&shared_account, &format!("Owner {number}")).await;
                    match lasts {
                        true => home.gate.makes_from(&operation, nth, conduct),
                        false => home.gate.makes_once(&operation, nth, conduct),
                    }
                    let answer = home.wants_to_be_forgotten().await;
                    assert!(home.gate.mends(), "{operation} {nth} was not called: {:?}", home.gate.operations());
                    Farewell { name: format!("{operation:<24} {nth} {what:<28} {onwards:?}"), home, answer, onwards }
                });
            }
        }
    }
    let mut farewells = cases.join_all().await;
    let account = shared_account.ministack.holds().await;
    let mut wrong: Vec<String> = Vec::new();
    for farewell in &farewells {
        wrong.extend(is_honest(&account, farewell).into_iter().map(|lie| format!("{} {lie}", farewell.name)));
    }

    // Some owners ask again, some launch the skill; the sweep deletes what remains then.
    let mut going_on = JoinSet::new();
    for mut farewell in farewells.drain(..) {
        let shared_account = Arc::clone(&shared_account);
        going_on.spawn(async move {
            let name = farewell.name.clone();
            let went = tokio::spawn(async move {
                go_on(&shared_account, &mut farewell).await;
                farewell
            });
            (name, went.await)
        });
    }
    let mut farewells = Vec::new();
    for (name, went) in going_on.join_all().await {
        match went {
            Ok(farewell) => farewells.push(farewell),
            Err(panic) => wrong.push(format!("{name} {}", words_of(&*panic.into_panic()))),
        }
    }
    shared_account.lease_passes().await;
    let gate = shared_account.gate().await;
    let report = sweeps(&shared_account.starts(&gate).await).await;
    assert_eq!((&report["failed"], &report["complete"]), (&json!(0), &json!(true)), "{report}");

    let account = shared_account.ministack.holds().await;
    let served: Vec<_> = farewells.iter().filter(|farewell| farewell.onwards == Onwards::Speaks).collect();
    let owners: Vec<_> = served.iter().map(|farewell| (farewell.home.user.clone(), farewell.home.gate.certificates_made())).collect();
    for (farewell, verdict) in served.iter().zip(shared_account.judges(&owners).await) {
        wrong.extend(verdict.iter().map(|verdict| format!("{} {verdict}", farewell.name)));
    }
    for farewell in farewells.iter().filter(|farewell| farewell.onwards != Onwards::Speaks) {
        let left = remains(&account, &farewell.home.user, &farewell.home.gate.certificates_made());
        let untouched = farewell.onwards == Onwards::IsSweptUp && is_untouched(&shared_account, &account, &farewell.home.user).await;
        if !left.is_empty() && !untouched {
            wrong.push(format!("{} {left:?}", farewell.name));
        }
    }
    wrong.sort();
    assert!(wrong.is_empty(), "{} violations:\n{}", wrong.len(), wrong.join("\n"));
    check_no_stray_certificate_is_live(&account);
}

async fn go_on(shared_account: &SharedAccount, farewell: &mut Farewell) {
    let Farewell { home, onwards, .. } = farewell;
    let mut heard = String::new();
    for _ in 0..PATIENCE {
        shared_account.lease_passes().await;
        let answer = match onwards {
            Onwards::AsksAgain => home.wants_to_be_forgotten().await,
            Onwards::Speaks => home.speaks().await,
            Onwards::IsSweptUp => return,
        };
        let answer = answer.expect("a function that was not killed");
        heard = answer.speech();
        if is_served(&answer) || heard.contains("forgotten you") {
            return;
        }
    }
    panic!("not done after {PATIENCE} times: {heard:?}");
}

/// Whether the request did not get as far as the record, so that the owner is still served.
async fn is_untouched(shared_account: &SharedAccount, account: &Value, user: &User) -> bool {
    let (_, bundle) = shared_account.ministack.open_last_mail(user).await;
    let mailed = std::fs::read_to_string(bundle.join("certificate.pem")).unwrap_or_default();
    broken_promises(account, user, &mailed).is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_skill_tells_the_state_of_connection_mail_and_report() {
    let stack = Stack::of_short_leases().await;
    let ada = stack.function.welcomes("Ada");
    let mut owner = stack.onboards(&ada, 0).await;
    let mut heard = Vec::new();
    let millis = |ago: u64| (now() - ago) * 1_000;

    // AWS does not know the client, and the device has not reported yet.
    heard.push(asks_about_connection(&stack, &mut owner).await);
    heard[0].says(&["cannot tell", "never reported", "a***a@mail.example.com", "sent your certificate"]);

    let mut device = Device::connect(&owner.identity).await;
    device.subscribe(&owner.topic("update/accepted")).await;
    device.publish(&owner.topic("update"), &json!({"state": {"reported": {"status": "printing"}}})).await;
    device.receive(&owner.topic("update/accepted")).await;
    heard.push(asks_about_connection(&stack, &mut owner).await);
    heard[1].says(&["cannot tell", "last reported", "second", "state was printing"]);

    let connected = json!({"connected": true, "connectedSince": millis(180), "clientId": owner.thing, "thingName": owner.thing});
    stack.ministack.says_of(&owner.thing, connected);
    heard.push(asks_about_connection(&stack, &mut owner).await);
    heard[2].says(&["is connected, for 3 minutes", "state was printing", "a***a@mail.example.com"]);

    let gone = json!({"connected": false, "disconnectedSince": millis(3 * 3_600), "clientId": owner.thing, "thingName": owner.thing});
    stack.ministack.says_of(&owner.thing, gone);
    heard.push(asks_about_connection(&stack, &mut owner).await);
    heard[3].says(&["is not connected", "3 hours ago", "state was printing"]);

    // An AWS that is out of order does not prevent the rest of the response.
    for conduct in [ERROR, REFUSAL, Conduct::Hangs] {
        stack.function.aws.makes("GetConnection", conduct);
        heard.push(asks_about_connection(&stack, &mut owner).await);
        heard.last().expect("a response").says(&["cannot tell", "state was printing", "a***a@mail.example.com"]);
    }
    for answer in heard {
        assert!(!answer.json().to_string().contains("ada@"), "{:#}", answer.json());
        assert!(!answer.speech().contains("Code"), "a code without a failure: {:#}", answer.json());
    }
    assert_eq!(stack.ministack.smtp_server.count(), 1);
}

async fn asks_about_connection(stack: &Stack, owner: &mut Owner) -> Answer {
    owner.echo.start_over();
    let request = owner.echo.intent("ConnectionIntent", &[]);
    stack.ask(&mut owner.echo, &request).await
}

/// The first request of a new owner is the question about the device.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_question_about_the_device_onboards_the_owner() {
    let stack = Stack::of_short_leases().await;
    let ada = stack.function.welcomes("Ada");
    let mut echo = Echo::linked(&ada.token);
    let request = echo.intent("ConnectionIntent", &[]);
    stack.ask(&mut echo, &request).await.welcomes();
    let (_, bundle) = stack.ministack.open_mail(0).await;
    drop(Device::connect(&Identity::of_bundle(&bundle, &stack.ministack.root)).await);
}
