//! Each call of an onboarding fails in each way, one at a time, and the owner still becomes ready: one thing, and one ACTIVE
//! certificate, which is in the last mail. The calls are recorded from a run without faults, so a change of their order or kind
//! changes the cases, too.

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

/// The lease in seconds. An attempt takes more than a second on a busy machine.
const LEASE: u64 = 3;
/// The number of owners that are tried until one reaches the call that fails. On a busy machine a lease may expire earlier.
const TRIES: usize = 8;
/// The call to Login with Amazon.
const PROFILE: &str = "GET /user/profile";

/// One call of an onboarding: the nth call of its operation.
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

/// A way in which a call fails.
#[derive(Clone, Copy)]
struct Fault {
    name: &'static str,
    /// Whether all later calls of the operation fail too, including retries.
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

/// A throttling error, in the form of the service of this operation.
fn throttling(operation: &str) -> Conduct {
    match operation {
        PROFILE => Conduct::Refuses(429, "too_many_requests", "slow down"),
        "SendRawEmail" => Conduct::Refuses(400, "Throttling", "Maximum sending rate exceeded."),
        "GetThingShadow" | "UpdateThingShadow" => Conduct::Refuses(429, "ThrottlingException", "Rate exceeded"),
        _ => Conduct::Refuses(400, "ThrottlingException", "Rate exceeded"),
    }
}

/// A definite refusal, in the form of the service of this operation.
fn refusal(operation: &str) -> Conduct {
    match operation {
        PROFILE => Conduct::Refuses(400, "invalid_token", "The request has an invalid parameter : access_token"),
        "SendRawEmail" => Conduct::Refuses(400, "MessageRejected", "Email address is not verified."),
        _ => Conduct::Refuses(403, "AccessDeniedException", "User is not authorized to perform this"),
    }
}

/// The state of the owner before the request whose calls fail.
#[derive(Clone, Copy)]
enum Past {
    /// Unknown to the account.
    New,
    /// The process of the first request was killed after this operation.
    KilledAfter(&'static str),
    /// The owner has a certificate, and now asks for another one.
    Served,
}

impl Past {
    /// Brings the owner into this state. Returns whether that succeeded.
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

    /// Sends the request whose calls fail.
    async fn goes_on(self, home: &mut Tenant) -> Option<Answer> {
        match self {
            Past::Served => home.asks_for_another().await,
            _ => home.speaks().await,
        }
    }

    /// Whether the request has achieved its purpose, so that no further one is needed.
    fn is_content(self, answer: &Answer) -> bool {
        match self {
            Past::Served => answer.speech().contains("new certificate"),
            _ => is_served(answer),
        }
    }
}

/// The end of one case: the violations, and the data for the final check.
struct Ending {
    user: User,
    made: Vec<String>,
    wrong: Vec<String>,
    /// The calls and the failures in the log, to understand a violation.
    calls: String,
}

/// The calls of one request without faults.
async fn observe(shared_account: &SharedAccount, past: Past) -> Vec<Call> {
    let mut home = shared_account.new_tenant("Observed").await;
    assert!(past.happens(shared_account, &mut home).await, "the state before was not reached");
    home.gate.forgets();
    let answer = past.goes_on(&mut home).await.expect("a function that was not killed");
    assert!(past.is_content(&answer), "{:#}", answer.json());
    let mut calls: Vec<Call> = Vec::new();
    for operation in home.gate.operations() {
        let nth = calls.iter().filter(|call| call.operation == operation).count() + 1;
        calls.push(Call { operation, nth });
    }
    assert_eq!(calls.first().map(|call| &*call.operation), Some(PROFILE));
    calls
}

/// Runs one case with a new owner. None if the call that should fail was not reached.
async fn live(shared_account: &SharedAccount, name: &str, past: Past, call: &Call, fault: Fault) -> Option<Ending> {
    let mut home = shared_account.new_tenant(name).await;
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
        None if !kills => wrong.push("the function ended".to_owned()),
        Some(_) if kills => wrong.push("the function was not killed".to_owned()),
        Some(answer) if answer.card() == Some("LinkAccount") && conduct != refusal(PROFILE) => {
            wrong.push("asked to link, although the token is valid".to_owned());
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

/// Runs one case, with up to [`TRIES`] owners until one reaches the call.
async fn try_out(shared_account: &SharedAccount, number: usize, past: Past, call: &Call, fault: Fault) -> Ending {
    for try_number in 0..TRIES {
        let ending = live(shared_account, &format!("Owner {number} {try_number}"), past, call, fault).await;
        if let Some(ending) = ending {
            return ending;
        }
    }
    panic!("the call was not made");
}

/// Requires that, from the first mail on, at least one mailed certificate is ACTIVE and attached at every moment, by the
/// successful calls to AWS.
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

/// The calls in order, each with the status that AWS returned.
fn told(gate: &Aws) -> String {
    let tell = |call: aws::Call| match call.status {
        Some(status) => format!("{} {}", call.operation, status.as_u16()),
        None => format!("{} -", call.operation),
    };
    gate.calls().into_iter().map(tell).collect::<Vec<_>>().join(", ")
}

/// Runs all cases for one state, and fails with a table of all violations.
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
        match case.expect("a case that does not panic outside its task") {
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
async fn a_new_owner_becomes_ready_after_any_fault_of_any_call() {
    check(Past::New).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_with_only_a_thing_becomes_ready_after_any_fault() {
    check(Past::KilledAfter("CreateThing")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_with_a_mailed_certificate_becomes_ready_after_any_fault() {
    check(Past::KilledAfter("SendRawEmail")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_who_asks_for_another_certificate_always_has_one_that_works() {
    check(Past::Served).await;
}
