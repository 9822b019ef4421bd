//! Each call of an onboarding goes wrong in each way, one at a time, and the
//! owner is made ready all the same: one thing, one live certificate, the one
//! in the last mail. Which calls there are is seen on the wire, so a change of
//! their order or kind changes the matrix with it.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::harness::answer::Answer;
use crate::harness::aws::{self, Aws, Conduct};
use crate::harness::http::query_value;
use crate::harness::login::User;
use crate::stack::check_no_stray_certificate_is_live;
use crate::tenant::{SharedAccount, Tenant, is_served, words_of};

/// An attempt takes more than a second on a busy machine.
const LEASE: u64 = 3;
/// So many owners try to come as far as the call that goes wrong. On a machine that is busy with other things
/// a lease may run out before.
const TRIES: usize = 3;
/// The call to Login with Amazon.
const PROFILE: &str = "GET /user/profile";

/// One call on the way: the nth of its operation.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    operation: String,
    nth: usize,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} {}", self.operation, self.nth))
    }
}

/// A way in which a call goes wrong.
#[derive(Clone, Copy)]
struct Fault {
    name: &'static str,
    /// Also for all that follow of the same operation, retries among them.
    lasts: bool,
    conduct: fn(&str) -> Conduct,
}

const FAULTS: &[Fault] = &[
    Fault { name: "silence before its effect", lasts: true, conduct: |_| Conduct::Hangs },
    Fault { name: "silence after its effect", lasts: true, conduct: |_| Conduct::HangsAfterwards },
    Fault { name: "an error before its effect", lasts: false, conduct: |_| ERROR },
    Fault { name: "an error after its effect", lasts: false, conduct: |_| Conduct::FailsAfterwards },
    Fault { name: "errors before its effect", lasts: true, conduct: |_| ERROR },
    Fault { name: "errors after its effect", lasts: true, conduct: |_| Conduct::FailsAfterwards },
    Fault { name: "throttling", lasts: true, conduct: throttling },
    Fault { name: "a refusal", lasts: true, conduct: refusal },
    Fault { name: "killed before its effect", lasts: false, conduct: |_| Conduct::Kills },
    Fault { name: "killed after its effect", lasts: false, conduct: |_| Conduct::KillsAfterwards },
];

const ERROR: Conduct = Conduct::Refuses(500, "InternalFailureException", "out of order");

/// "Slow down", as the service of this operation says it.
fn throttling(operation: &str) -> Conduct {
    match operation {
        PROFILE => Conduct::Refuses(429, "too_many_requests", "slow down"),
        "SendRawEmail" => Conduct::Refuses(400, "Throttling", "Maximum sending rate exceeded."),
        "GetThingShadow" | "UpdateThingShadow" => Conduct::Refuses(429, "ThrottlingException", "Rate exceeded"),
        _ => Conduct::Refuses(400, "ThrottlingException", "Rate exceeded"),
    }
}

/// A definite no, as the service of this operation says it.
fn refusal(operation: &str) -> Conduct {
    match operation {
        PROFILE => Conduct::Refuses(400, "invalid_token", "The request has an invalid parameter : access_token"),
        "SendRawEmail" => Conduct::Refuses(400, "MessageRejected", "Email address is not verified."),
        _ => Conduct::Refuses(403, "AccessDeniedException", "User is not authorized to perform this"),
    }
}

/// What the owner has behind them when the contact begins whose calls go wrong.
#[derive(Clone, Copy)]
enum Past {
    /// Nothing.
    New,
    /// A contact whose process was killed when this had been done.
    KilledAfter(&'static str),
    /// A certificate, and now they want another one.
    Served,
}

impl Past {
    /// Whether it happened.
    async fn happens(self, shared_account: &SharedAccount, home: &mut Tenant) -> bool {
        match self {
            Past::New => return true,
            Past::KilledAfter(operation) => home.gate.makes_once(operation, 1, Conduct::KillsAfterwards),
            Past::Served => {}
        }
        let answer = home.speaks().await;
        home.gate.mends();
        shared_account.lease_passes().await;
        match self {
            Past::Served => answer.is_some_and(|answer| answer.is_a_welcome()),
            _ => answer.is_none(),
        }
    }

    /// The contact whose calls go wrong.
    async fn goes_on(self, home: &mut Tenant) -> Option<Answer> {
        match self {
            Past::Served => home.asks_for_another().await,
            _ => home.speaks().await,
        }
    }

    /// Whether that contact needs no other.
    fn is_content(self, answer: &Answer) -> bool {
        match self {
            Past::Served => answer.speech().contains("new certificate"),
            _ => is_served(answer),
        }
    }
}

/// How one case ended: what the owner had to hear, and what an observer needs.
struct Ending {
    user: User,
    made: Vec<String>,
    wrong: Vec<String>,
    /// What was called and logged, to see how it came to that.
    calls: String,
}

/// The calls of one contact that nothing happens to.
async fn observe(shared_account: &SharedAccount, past: Past) -> Vec<Call> {
    let mut home = shared_account.settles("Observed").await;
    assert!(past.happens(shared_account, &mut home).await, "the function was not killed");
    home.gate.forgets();
    let answer = past.goes_on(&mut home).await.expect("a function that lives");
    assert!(past.is_content(&answer), "{:#}", answer.json());
    let mut calls: Vec<Call> = Vec::new();
    for operation in home.gate.operations() {
        let nth = calls.iter().filter(|call| call.operation == operation).count() + 1;
        calls.push(Call { operation, nth });
    }
    assert_eq!(calls.first().map(|call| &*call.operation), Some(PROFILE));
    calls
}

/// One owner, one call, one fault; nothing where it did not come to that.
async fn live(shared_account: &SharedAccount, name: &str, past: Past, call: &Call, fault: Fault) -> Option<Ending> {
    let mut home = shared_account.settles(name).await;
    if !past.happens(shared_account, &mut home).await {
        return None;
    }
    let conduct = (fault.conduct)(&call.operation);
    if fault.lasts {
        home.gate.makes_from(&call.operation, call.nth, conduct);
    } else {
        home.gate.makes_once(&call.operation, call.nth, conduct);
    }
    let answer = past.goes_on(&mut home).await;
    if !home.gate.mends() {
        return None;
    }
    let mut wrong = Vec::new();
    let kills = matches!(conduct, Conduct::Kills | Conduct::KillsAfterwards);
    match &answer {
        None if !kills => wrong.push("the function died".to_owned()),
        Some(_) if kills => wrong.push("the function outlived its end".to_owned()),
        Some(answer) if answer.card() == Some("LinkAccount") && conduct != refusal(PROFILE) => {
            wrong.push("asked to link, for no fault of the token".to_owned());
        }
        _ => {}
    }
    if !answer.is_some_and(|answer| past.is_content(&answer)) {
        wrong.extend(home.speaks_until_served(shared_account).await.err());
    }
    if matches!(past, Past::Served) {
        wrong.extend(gaps_in_service(&home.gate));
    }
    let calls = format!("{}\n{}", told(&home.gate), home.failures());
    Some(Ending { made: home.gate.certificates_made(), calls, user: home.user, wrong })
}

/// One call, one fault, and as many owners as it takes to come so far.
async fn try_out(shared_account: &SharedAccount, number: usize, past: Past, call: &Call, fault: Fault) -> Ending {
    for try_number in 0..TRIES {
        let ending = live(shared_account, &format!("Owner {number} {try_number}"), past, call, fault).await;
        if let Some(ending) = ending {
            return ending;
        }
    }
    panic!("the call was not made");
}

/// From the first mail on, some certificate that was mailed is ACTIVE and attached at every moment: seen on the
/// wire, by what AWS has done.
fn gaps_in_service(gate: &Aws) -> Vec<String> {
    let (mut mailed, mut active, mut attached) = (Vec::new(), HashSet::new(), HashSet::new());
    let mut gaps = Vec::new();
    for call in gate.calls().into_iter().filter(|call| call.status.is_some_and(|status| status.is_success())) {
        let id = call.path.rsplit('/').next().unwrap_or_default().to_owned();
        let tied = call.principal.as_deref().and_then(|arn| arn.rsplit('/').next()).unwrap_or_default().to_owned();
        match &*call.operation {
            "SendRawEmail" => mailed.extend(std::str::from_utf8(&call.body).ok().and_then(|form| query_value(form, "Tags.member.2.Value"))),
            "UpdateCertificate" if call.query.contains("newStatus=ACTIVE") => drop(active.insert(id)),
            "UpdateCertificate" => drop(active.remove(&id)),
            "AttachThingPrincipal" => drop(attached.insert(tied)),
            "DetachThingPrincipal" => drop(attached.remove(&tied)),
            _ => {}
        }
        if !mailed.is_empty() && !mailed.iter().any(|id| active.contains(id) && attached.contains(id)) {
            gaps.push(format!("no certificate works after {}", call.operation));
        }
    }
    gaps
}

/// The calls in order, each with what AWS made of it.
fn told(gate: &Aws) -> String {
    let tell = |call: aws::Call| match call.status {
        Some(status) => format!("{} {}", call.operation, status.as_u16()),
        None => format!("{} -", call.operation),
    };
    gate.calls().into_iter().map(tell).collect::<Vec<_>>().join(", ")
}

/// Every call in every way, and then the verdict: all that is wrong, as a table.
async fn check(past: Past) {
    let shared_account = Arc::new(SharedAccount::built(LEASE).await);
    let calls = observe(&shared_account, past).await;
    let mut cases = JoinSet::new();
    let mut names = Vec::new();
    for fault in FAULTS {
        for call in &calls {
            let number = names.len();
            names.push(format!("{call:<28} {:<28}", fault.name));
            let (shared_account, call) = (Arc::clone(&shared_account), call.clone());
            cases.spawn(async move {
                let case = tokio::spawn(async move { try_out(&shared_account, number, past, &call, *fault).await });
                (number, case.await)
            });
        }
    }
    let mut table = Vec::new();
    let mut endings = Vec::new();
    while let Some(case) = cases.join_next().await {
        match case.expect("a case that is waited for") {
            (number, Ok(ending)) => endings.push((number, ending)),
            (number, Err(panic)) => table.push((number, words_of(&*panic.into_panic()))),
        }
    }
    let owners: Vec<_> = endings.iter().map(|(_, ending)| (ending.user.clone(), ending.made.clone())).collect();
    let verdicts = shared_account.judges(&owners).await;
    let mut stories = Vec::new();
    for ((number, ending), verdict) in endings.into_iter().zip(verdicts) {
        let wrong = [ending.wrong, verdict].concat();
        if !wrong.is_empty() {
            stories.push((number, ending.calls));
        }
        table.extend(wrong.into_iter().map(|wrong| (number, wrong)));
    }
    let tell = |mut lines: Vec<(usize, String)>| {
        lines.sort();
        lines.iter().map(|(number, line)| format!("{} {line}", names[*number])).collect::<Vec<_>>().join("\n")
    };
    assert!(table.is_empty(), "of {} cases went wrong:\n{}\n\n{}", names.len(), tell(table), tell(stories));
    check_no_stray_certificate_is_live(&shared_account.ministack.holds().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_owner_is_made_ready_whatever_call_goes_wrong_in_whatever_way() {
    check(Past::New).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_is_one_whose_first_contact_died_with_nothing_but_a_thing() {
    check(Past::KilledAfter("CreateThing")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_is_one_whose_first_contact_died_with_a_live_certificate_in_the_mail() {
    check(Past::KilledAfter("SendRawEmail")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_asks_for_another_certificate_is_never_without_one_that_works() {
    check(Past::Served).await;
}
