//! Many owners in one account, each with its own function and its own proxy, so that the faults of one do not affect the others;
//! and the conditions for each of them in the end, checked in the account and in the mailbox.

use std::any::Any;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;

use crate::harness::alexa::Echo;
use crate::harness::answer::Answer;
use crate::harness::aws::{self, Aws};
use crate::harness::deployment::Deployment;
use crate::harness::lambda::Lambda;
use crate::harness::login::{Login, User};
use crate::harness::ministack::Ministack;
use crate::harness::runtime_api::Outcome;
use crate::stack::{broken_promises, list, replaced};

/// The number of requests that run at the same time, because a test machine is small. A request gives its permit back while it
/// waits for a response that does not come.
static TURNS: Semaphore = Semaphore::const_new(5);
/// The number of further requests after which an owner must be ready.
pub const PATIENCE: usize = 4;
/// Operations that change nothing.
const READS: [&str; 4] = ["GET ", "Get", "Describe", "List"];

/// One account that many owners share, and one Login with Amazon for all of them.
pub struct SharedAccount {
    pub ministack: Ministack,
    login: Login,
    lease: u64,
}

impl SharedAccount {
    /// A deployed stack. A lease lasts `lease` seconds.
    pub async fn built(lease: u64) -> Self {
        Self { ministack: Ministack::deployed().await, login: Login::open().await, lease }
    }

    /// A new user whose access token Login with Amazon accepts.
    pub fn welcomes(&self, name: &str) -> User {
        let user = User::named(name);
        self.login.knows(&user);
        user
    }

    /// A proxy that records all calls of the functions behind it, to Login with Amazon and to AWS.
    pub async fn gate(&self) -> Aws {
        self.ministack.gate().await.stands_before_login(&self.login.url())
    }

    /// The variables of a function behind this proxy.
    fn deployment(&self, gate: &Aws) -> Deployment {
        Deployment::with(&gate.url(), &gate.url())
            .set("LEASE_SECONDS", &self.lease.to_string())
            .set("IOT_ENDPOINT", &format!("localhost:{}", self.ministack.mqtt_port))
    }

    /// Starts a function behind this proxy.
    pub async fn starts(&self, gate: &Aws) -> Lambda {
        Lambda::start(&self.deployment(gate)).await
    }

    /// A new user with its own function and proxy.
    pub async fn new_tenant(&self, name: &str) -> Tenant {
        let gate = self.gate().await;
        let user = self.welcomes(name);
        Tenant { deployment: self.deployment(&gate), echo: Echo::linked(&user.token), lambda: None, gate: Arc::new(gate), user }
    }

    /// Waits until an earlier lease has expired. A lease counts whole seconds, of which one has begun.
    pub async fn lease_passes(&self) {
        tokio::time::sleep(Duration::from_secs(self.lease + 1)).await;
    }

    /// The violations for each of these owners, as seen in the account and in their last mails. The ids beside each user are the
    /// certificates that AWS has created for that user.
    pub async fn judges(&self, owners: &[(User, Vec<String>)]) -> Vec<Vec<String>> {
        let last_mail = |user: &User| self.ministack.smtp_server.last_to(user.email.as_deref().unwrap_or_default());
        let mails: Vec<_> = owners.iter().filter_map(|(user, _)| last_mail(user)).collect();
        let mut opened = self.ministack.open_all(&mails).await.into_iter();
        let account = self.ministack.holds().await;
        let judge = |(user, made): &(User, Vec<String>)| {
            let mut wrong = live_ones(&account, user, made);
            let Some((read, bundle)) = last_mail(user).and_then(|_| opened.next()) else {
                wrong.push("no mail has come".to_owned());
                return wrong;
            };
            if list(&read, "attachments").first().is_none_or(|zip| zip["fits"] != true) {
                wrong.push("the key in the last mail is not that of its certificate".to_owned());
            }
            let mailed = std::fs::read_to_string(bundle.join("certificate.pem")).unwrap_or_default();
            wrong.extend(broken_promises(&account, user, &mailed));
            wrong
        };
        owners.iter().map(judge).collect()
    }
}

/// Requires that exactly one of the certificates of an owner is ACTIVE, attached or not, besides those that it replaces.
fn live_ones(account: &Value, user: &User, made: &[String]) -> Vec<String> {
    let ours = |certificate: &&Value| made.iter().any(|id| certificate["id"] == id.as_str());
    let live = list(account, "certificates").iter().filter(ours).filter(|certificate| certificate["status"] == "ACTIVE").count();
    let theirs = list(account, "things").iter().find(|thing| thing["attributes"]["UserId"] == user.user_id.as_str());
    let expected = 1 + theirs.map_or(0, |thing| replaced(thing).len());
    if live == expected { Vec::new() } else { vec![format!("{live} certificates of the owner are ACTIVE instead of {expected}")] }
}

/// An owner with its own function and a proxy in front of Login with Amazon and AWS.
pub struct Tenant {
    pub user: User,
    pub gate: Arc<Aws>,
    deployment: Deployment,
    lambda: Option<Lambda>,
    echo: Echo,
}

impl Tenant {
    /// "Alexa, open my printer."
    pub async fn speaks(&mut self) -> Option<Answer> {
        self.echo.start_over();
        let request = self.echo.launch();
        self.says(&request).await
    }

    /// "Send my certificate again", confirmed.
    pub async fn asks_for_another(&mut self) -> Option<Answer> {
        self.echo.start_over();
        let request = self.echo.intent_in("COMPLETED", "CONFIRMED", "SendCertificateIntent", &[]);
        self.says(&request).await
    }

    /// "Forget me", with both confirmations.
    pub async fn wants_to_be_forgotten(&mut self) -> Option<Answer> {
        self.echo.start_over();
        let request = self.echo.intent_in("COMPLETED", "CONFIRMED", "ForgetMeIntent", &[]);
        self.says(&request).await?;
        let request = self.echo.intent("AMAZON.YesIntent", &[]);
        self.says(&request).await
    }

    /// Sends one request. A function that was killed is started again, as Lambda does. The response is checked; it is None if the
    /// function was killed during the request.
    async fn says(&mut self, request: &Value) -> Option<Answer> {
        let turn = TURNS.acquire().await.expect("a permit");
        let lambda = match self.lambda.take().filter(Lambda::is_running) {
            Some(lambda) => lambda,
            None => Lambda::start(&self.deployment).await,
        };
        self.gate.aims_at(lambda.reaper());
        let invocation = {
            let mut invocation = pin!(lambda.invoke(request));
            tokio::select! {
                ended = &mut invocation => ended,
                () = self.gate.falls_silent() => {
                    drop(turn);
                    invocation.await
                }
            }
        };
        let answer = match invocation.outcome {
            Outcome::Died(_) => None,
            _ => Some(lambda.expect_answer(invocation)),
        };
        answer.iter().for_each(|answer| self.echo.hear(answer));
        self.lambda = Some(lambda);
        answer
    }

    /// The lines of the log of the function that report a failure.
    pub fn failures(&self) -> String {
        let log = self.lambda.as_ref().map(Lambda::log).unwrap_or_default();
        log.lines().filter(|line| line.contains("\"cause\"")).collect::<Vec<_>>().join("\n")
    }

    /// Whether a request whose calls begin at this index has written nothing, or has written the end of its work: the record of the thing.
    fn is_finished(&self, first: usize) -> bool {
        let calls = self.gate.calls();
        let mut writes = calls[first..].iter().filter(|call| !READS.iter().any(|read| call.operation.starts_with(read)));
        let done = |call: &aws::Call| call.operation.starts_with("UpdateThing") && call.status.is_some_and(|status| status.is_success());
        writes.next_back().is_none_or(done)
    }

    /// Speaks again, one lease apart, until the owner is ready and nothing is left unfinished. A request of a ready owner is answered in
    /// time, although the rest of an earlier one may take longer; on a busy machine the rest is then left to the next request.
    pub async fn speaks_until_served(&mut self, shared_account: &SharedAccount) -> Result<(), String> {
        let mut heard = "nothing".to_owned();
        for _ in 0..PATIENCE {
            shared_account.lease_passes().await;
            let before = self.gate.calls().len();
            match self.speaks().await {
                Some(answer) if is_served(&answer) && self.is_finished(before) => return Ok(()),
                Some(answer) => heard = answer.speech(),
                None => return Err("the function ended".to_owned()),
            }
        }
        Err(format!("not ready after speaking {PATIENCE} times more: {heard:?}"))
    }
}

/// Whether the response shows that the owner is ready for commands or has just been sent a mail.
pub fn is_served(answer: &Answer) -> bool {
    answer.keeps_session_open() || answer.is_a_welcome()
}

/// The first 300 characters of a panic message.
pub fn words_of(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<String>().cloned();
    let words = words.or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned()));
    words.unwrap_or_default().chars().take(300).collect()
}
