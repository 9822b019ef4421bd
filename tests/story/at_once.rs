//! One owner speaks to several functions in the same moment, or to others
//! while one is stuck: still one thing, one live certificate, and that one in
//! the last mail.

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

/// Several functions of one owner, behind one gate.
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

    /// "Alexa, open my printer", said to all of them in the same moment. Each answer is valid and in time.
    async fn speaks(&self) -> Vec<Answer> {
        self.speaks_to(&self.functions).await
    }

    /// The same, to some of them.
    async fn speaks_to(&self, functions: &[Arc<Lambda>]) -> Vec<Answer> {
        let mut answers = JoinSet::new();
        for function in functions {
            let (function, mut echo) = (Arc::clone(function), Echo::linked(&self.user.token));
            answers.spawn(async move { function.answer_to(&echo.launch()).await });
        }
        answers.join_all().await
    }

    /// Speaks again, as an owner who was told to: to one of them at a time, one lease apart. On a machine that is too busy for
    /// all of them at once, the same once more would come to the same.
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

    /// Says it once more, when the owner is ready: each of them knows. They do not have to in the same moment.
    async fn is_served_by_all(&self) {
        for functions in self.functions.chunks(5) {
            for answer in self.speaks_to(functions).await {
                assert!(answer.keeps_session_open(), "{:#}", answer.json());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_owner_of_many_echos_is_one_owner() {
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
        assert_eq!(shared_account.ministack.post_office.count_to(address), 1, "mails to the owner of {count}");
        let wrong = shared_account.judges(&[(user, crowd.gate.certificates_made())]).await.concat();
        assert!(wrong.is_empty(), "{count} at once: {wrong:#?}");
    }
    check_no_stray_certificate_is_live(&shared_account.ministack.holds().await);
}

/// One function hangs at a call after it has taken the lease; so many others come when the lease is over.
async fn overtake(shared_account: &SharedAccount, name: &str, operation: &str, conduct: Conduct, others: usize) -> (User, Vec<String>) {
    let mut stuck = shared_account.settles(name).await;
    let crowd = Crowd::gathers(shared_account, &stuck.user, others).await;
    let gate = Arc::clone(&stuck.gate);
    gate.makes(operation, conduct);
    let overtaken = async {
        gate.hears(operation).await;
        shared_account.lease_passes().await;
        crowd.speaks().await
    };
    let (answer, answers) = tokio::join!(stuck.speaks(), overtaken);
    answer.expect("a function that lives").apologises();
    if !answers.iter().any(is_served) {
        crowd.speaks_until_served(shared_account).await;
    }

    // Now it is known to all, also to the one that was stuck, and nothing more is sent.
    let address = stuck.user.email.clone().unwrap_or_default();
    let mails = shared_account.ministack.post_office.count_to(&address);
    gate.mends();
    crowd.is_served_by_all().await;
    let answer = stuck.speaks().await.expect("a function that lives");
    assert!(answer.keeps_session_open(), "{:#}", answer.json());
    assert_eq!(shared_account.ministack.post_office.count_to(&address), mails, "mails to somebody who is ready");
    (stuck.user, [gate.certificates_made(), crowd.gate.certificates_made()].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_is_stuck_is_overtaken_when_its_lease_is_over() {
    let shared_account = Arc::new(SharedAccount::built(2).await);
    let mut first = shared_account.settles("First").await;
    first.speaks().await.expect("a function that lives").welcomes();
    let operations = first.gate.operations();
    let held = operations.iter().skip_while(|operation| *operation != "CreateThing");

    // Each of them is four functions at once.
    let places = Arc::new(Semaphore::new(3));
    let mut cases = JoinSet::new();
    for operation in held {
        for conduct in [Conduct::Hangs, Conduct::HangsAfterwards] {
            let (shared_account, operation, places) = (Arc::clone(&shared_account), operation.clone(), Arc::clone(&places));
            cases.spawn(async move {
                let _place = places.acquire_owned().await.expect("a place");
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
        match case.expect("a case that is waited for") {
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
async fn of_two_six_and_twenty_functions_one_is_stuck_and_the_others_come_after_its_lease() {
    let shared_account = SharedAccount::built(3).await;
    for (count, operation) in [(2, "AttachPolicy"), (6, "SendRawEmail"), (20, "SendRawEmail")] {
        let owner = overtake(&shared_account, &format!("Owner of {count}"), operation, Conduct::HangsAfterwards, count - 1).await;
        let wrong = shared_account.judges(&[owner]).await.concat();
        assert!(wrong.is_empty(), "{count} at once: {wrong:#?}");
    }
    check_no_stray_certificate_is_live(&shared_account.ministack.holds().await);
}

/// What all this stands on, asked by Amazon's own SDK: the emulator behind the gate is as exclusive as AWS.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_different_writes_to_a_thing_one_succeeds() {
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
    assert_eq!(calls(&url, "create_thing", create(winner)).await, Ok(()), "the same once more");

    let (first, second) = tokio::join!(calls(&url, "update_thing", update("c", 1)), calls(&other_url, "update_thing", update("d", 1)));
    let answers = if first.is_ok() { [first, second] } else { [second, first] };
    assert_eq!(answers, [Ok(()), Err("VersionConflictException".to_owned())]);
    assert_eq!(calls(&url, "update_thing", update("e", 2)).await, Ok(()), "the version that it has now");

    // A thing that is made again begins again.
    assert_eq!(calls(&url, "delete_thing", json!({"thingName": "one"})).await, Ok(()));
    assert_eq!(calls(&url, "create_thing", create("f")).await, Ok(()));
    assert_eq!(calls(&url, "update_thing", update("g", 3)).await, Err("VersionConflictException".to_owned()));
    assert_eq!(calls(&url, "update_thing", update("g", 1)).await, Ok(()));
}
