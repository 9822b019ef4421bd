//! Many owners in one account, each with a function and a gate of their own,
//! so that what befalls one befalls nobody else; and what must be so for each
//! of them in the end, as an observer of account and mailbox sees it.

use std::any::Any;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;

use crate::harness::alexa::Echo;
use crate::harness::answer::Answer;
use crate::harness::aws::Aws;
use crate::harness::deployment::Deployment;
use crate::harness::lambda::Lambda;
use crate::harness::login::{Login, User};
use crate::harness::ministack::Ministack;
use crate::harness::runtime_api::Outcome;
use crate::stack::{broken_promises, list, replaced};

/// So many owners are served in the same moment, because a test machine is small. Nobody keeps a turn while
/// they wait for a lease or a deadline.
static TURNS: Semaphore = Semaphore::const_new(5);
/// As often as an owner may have to speak again before all is well.
pub const PATIENCE: usize = 3;

/// One account that many owners share, and one Login with Amazon that knows them all.
pub struct SharedAccount {
    pub ministack: Ministack,
    login: Login,
    lease: u64,
}

impl SharedAccount {
    /// As the stack of `infra/` leaves it. One attempt keeps others away for so many seconds.
    pub async fn built(lease: u64) -> Self {
        Self { ministack: Ministack::deployed().await, login: Login::open().await, lease }
    }

    /// Someone whom nobody has seen before.
    pub fn welcomes(&self, name: &str) -> User {
        let user = User::named(name);
        self.login.knows(&user);
        user
    }

    /// A gate that sees all that the functions behind it call: Login with Amazon and AWS.
    pub async fn gate(&self) -> Aws {
        self.ministack.gate().await.stands_before_login(&self.login.url())
    }

    /// What a function behind this gate is told.
    fn deployment(&self, gate: &Aws) -> Deployment {
        Deployment::with(&gate.url(), &gate.url())
            .set("LEASE_SECONDS", &self.lease.to_string())
            .set("IOT_ENDPOINT", &format!("localhost:{}", self.ministack.mqtt_port))
    }

    /// A function behind this gate.
    pub async fn starts(&self, gate: &Aws) -> Lambda {
        Lambda::start(&self.deployment(gate)).await
    }

    /// Someone new, with a function and a gate of their own.
    pub async fn settles(&self, name: &str) -> Tenant {
        let gate = self.gate().await;
        let user = self.welcomes(name);
        Tenant { deployment: self.deployment(&gate), echo: Echo::linked(&user.token), lambda: None, gate: Arc::new(gate), user }
    }

    /// Waits until a lease that was taken before has run out. It counts whole seconds, of which one has begun.
    pub async fn lease_passes(&self) {
        tokio::time::sleep(Duration::from_secs(self.lease + 1)).await;
    }

    /// What is wrong with each of these owners in the end, looked at from outside: in the account, and in the
    /// last mail that came to them. `made` are the certificates that AWS made for them.
    pub async fn judges(&self, owners: &[(User, Vec<String>)]) -> Vec<Vec<String>> {
        let last_mail = |user: &User| self.ministack.post_office.last_to(user.email.as_deref().unwrap_or_default());
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

/// Of the certificates that were made for one owner, attached or not, one is ACTIVE, and those that it replaces.
fn live_ones(account: &Value, user: &User, made: &[String]) -> Vec<String> {
    let ours = |certificate: &&Value| made.iter().any(|id| certificate["id"] == id.as_str());
    let live = list(account, "certificates").iter().filter(ours).filter(|certificate| certificate["status"] == "ACTIVE").count();
    let theirs = list(account, "things").iter().find(|thing| thing["attributes"]["UserId"] == user.user_id.as_str());
    let expected = 1 + theirs.map_or(0, |thing| replaced(thing).len());
    if live == expected { Vec::new() } else { vec![format!("{live} certificates made for them are ACTIVE, and not {expected}")] }
}

/// An owner, with a function of their own and a gate in front of all that it calls.
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

    /// "Send my certificate again", and yes.
    pub async fn asks_for_another(&mut self) -> Option<Answer> {
        self.echo.start_over();
        let request = self.echo.intent_in("COMPLETED", "CONFIRMED", "SendCertificateIntent", &[]);
        self.says(&request).await
    }

    /// "Forget me", and yes to both questions.
    pub async fn wants_to_be_forgotten(&mut self) -> Option<Answer> {
        self.echo.start_over();
        let request = self.echo.intent_in("COMPLETED", "CONFIRMED", "ForgetMeIntent", &[]);
        self.says(&request).await?;
        let request = self.echo.intent("AMAZON.YesIntent", &[]);
        self.says(&request).await
    }

    /// One request. A function that was killed is started anew, as Lambda does. The answer is valid and in
    /// time; there is none where the function was killed meanwhile.
    async fn says(&mut self, request: &Value) -> Option<Answer> {
        let turn = TURNS.acquire().await.expect("a turn");
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

    /// What its function has logged as failures.
    pub fn failures(&self) -> String {
        let log = self.lambda.as_ref().map(Lambda::log).unwrap_or_default();
        log.lines().filter(|line| line.contains("\"cause\"")).collect::<Vec<_>>().join("\n")
    }

    /// Speaks again, one lease apart, until all is well.
    pub async fn speaks_until_served(&mut self, shared_account: &SharedAccount) -> Result<(), String> {
        let mut heard = "nothing".to_owned();
        for _ in 0..PATIENCE {
            shared_account.lease_passes().await;
            match self.speaks().await {
                Some(answer) if is_served(&answer) => return Ok(()),
                Some(answer) => heard = answer.speech(),
                None => return Err("the function died".to_owned()),
            }
        }
        Err(format!("not ready after speaking {PATIENCE} times more: {heard:?}"))
    }
}

/// The owner is ready for commands, or has just been sent a mail.
pub fn is_served(answer: &Answer) -> bool {
    answer.keeps_session_open() || answer.is_a_welcome()
}

/// The first words of a panic.
pub fn words_of(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<String>().cloned();
    let words = words.or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned()));
    words.unwrap_or_default().chars().take(300).collect()
}
