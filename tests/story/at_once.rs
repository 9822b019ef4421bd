//! One owner sends requests to several functions at the same time, or to others while one gets no response: there is still one
//! thing, and one ACTIVE certificate, which is in the last mail.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::harness::alexa::Echo;
use crate::harness::answer::Answer;
use crate::harness::aws::{Aws, Conduct};
use crate::harness::lambda::Lambda;
use crate::harness::login::User;
use crate::harness::ministack::{THING_TYPE, calls};
use crate::stack::check_no_stray_certificate_is_live;
use crate::tenant::{PATIENCE, SharedAccount, is_served, words_of};

/// Several functions for one owner, behind one proxy.
struct Crowd {
    user: User,
    gate: Aws,
    functions: Vec<Arc<Lambda>>,
}

impl Crowd {
    async fn gathers(shared_account: &SharedAccount, user: &User, count: usize) -> Self {
        let gate = shared_account.gate().await;
        let mut functions = Vec::new();
        for _ in 0..count {
            functions.push(Arc::new(shared_account.starts(&gate).await));
        }
        Self { user: user.clone(), gate, functions }
    }

    /// "Alexa, open my printer", sent to all functions at the same time. Every response is checked.
    async fn speaks(&self) -> Vec<Answer> {
        self.speaks_to(&self.functions).await
    }

    /// Like [`speaks`](Self::speaks), with some of the functions.
    async fn speaks_to(&self, functions: &[Arc<Lambda>]) -> Vec<Answer> {
        let mut answers = JoinSet::new();
        for function in functions {
            let (function, mut echo) = (Arc::clone(function), Echo::linked(&self.user.token));
            answers.spawn(async move { function.answer_to(&echo.launch()).await });
        }
        answers.join_all().await
    }

    /// Launches the skill again in one function at a time, one lease apart, until the owner is ready. All functions at once could
    /// again be too much for a busy machine.
    async fn speaks_until_served(&self, shared_account: &SharedAccount) {
        let mut speeches = Vec::new();
        for function in self.functions.chunks(1).cycle().take(PATIENCE) {
            shared_account.lease_passes().await;
            let answers = self.speaks_to(function).await;
            if answers.iter().any(is_served) {
                return;
            }
            speeches.extend(answers.iter().map(Answer::speech));
        }
        panic!("not ready: {speeches:#?}");
    }

    /// Requires that every function treats the owner as ready. The functions are asked a few at a time.
    async fn is_served_by_all(&self) {
        for functions in self.functions.chunks(5) {
            for answer in self.speaks_to(functions).await {
                assert!(answer.keeps_session_open(), "{:#}", answer.json());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_first_requests_create_one_thing() {
    let shared_account = SharedAccount::built(15).await;
    for count in [2, 6, 20] {
        let user = shared_account.welcomes(&format!("Owner of {count}"));
        let crowd = Crowd::gathers(&shared_account, &user, count).await;
        let answers = crowd.speaks().await;
        let speeches: Vec<String> = answers.iter().map(Answer::speech).collect();
        assert!(answers.iter().any(is_served), "none of {count} was served: {speeches:#?}");
        assert_eq!(answers.iter().filter(|answer| answer.is_a_welcome()).count(), 1, "{speeches:#?}");
        crowd.is_served_by_all().await;

        let address = user.email.as_deref().unwrap_or_default();
        assert_eq!(shared_account.ministack.smtp_server.count_to(address), 1, "mails to the owner of {count}");
        let wrong = shared_account.judges(&[(user, crowd.gate.certificates_made())]).await.concat();
        assert!(wrong.is_empty(), "{count} at once: {wrong:#?}");
    }
    check_no_stray_certificate_is_live(&shared_account.ministack.holds().await);
}

/// One function waits for a response after it has taken the lease; `others` further functions get requests when the lease has
/// expired.
async fn overtake(shared_account: &SharedAccount, name: &str, operation: &str, conduct: Conduct, others: usize) -> (User, Vec<String>) {
    let mut stuck = shared_account.new_tenant(name).await;
    let crowd = Crowd::gathers(shared_account, &stuck.user, others).await;
    let gate = Arc::clone(&stuck.gate);
    gate.makes(operation, conduct);
    let overtaken = async {
        gate.hears(operation).await;
        shared_account.lease_passes().await;
        crowd.speaks().await
    };
    let (answer, answers) = tokio::join!(stuck.speaks(), overtaken);
    answer.expect("a function that was not killed").apologises();
    if !answers.iter().any(is_served) {
        crowd.speaks_until_served(shared_account).await;
    }

    // Now all functions know the owner, including the one that waited, and no further mail is sent.
    let address = stuck.user.email.clone().unwrap_or_default();
    let mails = shared_account.ministack.smtp_server.count_to(&address);
    gate.mends();
    crowd.is_served_by_all().await;
    let answer = stuck.speaks().await.expect("a function that was not killed");
    assert!(answer.keeps_session_open(), "{:#}", answer.json());
    assert_eq!(shared_account.ministack.smtp_server.count_to(&address), mails, "mails to an owner who is ready");
    (stuck.user, [gate.certificates_made(), crowd.gate.certificates_made()].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_lease_holder_is_overtaken_after_its_lease() {
    let shared_account = Arc::new(SharedAccount::built(2).await);
    let mut first = shared_account.new_tenant("First").await;
    first.speaks().await.expect("a function that was not killed").welcomes();
    let operations = first.gate.operations();
    let held = operations.iter().skip_while(|operation| *operation != "CreateThing");

    // Each case runs four functions at the same time.
    let places = Arc::new(Semaphore::new(3));
    let mut cases = JoinSet::new();
    for operation in held {
        for conduct in [Conduct::Hangs, Conduct::HangsAfterwards] {
            let (shared_account, operation, places) = (Arc::clone(&shared_account), operation.clone(), Arc::clone(&places));
            cases.spawn(async move {
                let _place = places.acquire_owned().await.expect("a permit");
                let name = format!("{conduct:?} {operation}");
                let case =
                    tokio::spawn(
                        async move { overtake(&shared_account, &format!("{conduct:?} {operation}"), &operation, conduct, 3).await },
                    );
                (name, case.await)
            });
        }
    }
    let (mut wrong, mut names, mut owners) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(case) = cases.join_next().await {
        match case.expect("a case that does not panic outside its task") {
            (name, Ok(owner)) => {
                names.push(name);
                owners.push(owner);
            }
            (name, Err(panic)) => wrong.push(format!("{name}: {}", words_of(&*panic.into_panic()))),
        }
    }
    let verdicts = shared_account.judges(&owners).await;
    for (name, verdict) in names.iter().zip(verdicts) {
        wrong.extend(verdict.iter().map(|verdict| format!("{name}: {verdict}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    check_no_stray_certificate_is_live(&shared_account.ministack.holds().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_six_and_twenty_functions_hangs_and_is_overtaken() {
    let shared_account = SharedAccount::built(3).await;
    for (count, operation) in [(2, "AttachPolicy"), (6, "SendRawEmail"), (20, "SendRawEmail")] {
        let owner = overtake(&shared_account, &format!("Owner of {count}"), operation, Conduct::HangsAfterwards, count - 1).await;
        let wrong = shared_account.judges(&[owner]).await.concat();
        assert!(wrong.is_empty(), "{count} at once: {wrong:#?}");
    }
    check_no_stray_certificate_is_live(&shared_account.ministack.holds().await);
}

/// The premise of these tests, checked with Amazon's own SDK: the emulator behind the proxy is as exclusive as AWS.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_concurrent_writes_to_a_thing_succeeds() {
    let shared_account = SharedAccount::built(1).await;
    let gate = shared_account.gate().await;
    let other_gate = shared_account.gate().await;
    let run = |run: &str| json!({"attributes": {"Run": run}, "merge": true});
    let create = |of: &str| json!({"thingName": "one", "thingTypeName": THING_TYPE, "attributePayload": run(of)});
    let update = |of: &str, version: u64| json!({"thingName": "one", "attributePayload": run(of), "expectedVersion": version});
    let (url, other_url) = (gate.url(), other_gate.url());

    let (first, second) = tokio::join!(calls(&url, "create_thing", create("a")), calls(&other_url, "create_thing", create("b")));
    let (winner, answers) = if first == Ok(()) { ("a", [first, second]) } else { ("b", [second, first]) };
    assert_eq!(answers, [Ok(()), Err("ResourceAlreadyExistsException".to_owned())]);
    assert_eq!(calls(&url, "create_thing", create(winner)).await, Ok(()), "the same call again");

    let (first, second) = tokio::join!(calls(&url, "update_thing", update("c", 1)), calls(&other_url, "update_thing", update("d", 1)));
    let answers = if first.is_ok() { [first, second] } else { [second, first] };
    assert_eq!(answers, [Ok(()), Err("VersionConflictException".to_owned())]);
    assert_eq!(calls(&url, "update_thing", update("e", 2)).await, Ok(()), "the present version");

    // A thing that is created again starts at version 1.
    assert_eq!(calls(&url, "delete_thing", json!({"thingName": "one"})).await, Ok(()));
    assert_eq!(calls(&url, "create_thing", create("f")).await, Ok(()));
    assert_eq!(calls(&url, "update_thing", update("g", 3)).await, Err("VersionConflictException".to_owned()));
    assert_eq!(calls(&url, "update_thing", update("g", 1)).await, Ok(()));
}
