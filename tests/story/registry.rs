//! The contract of the ports, kept by the AWS clients on two emulators that others wrote, and by the clients of Login with Amazon
//! and of a mail server. `contract::gaps` lists the clauses that an emulator does not keep, with the reasons; no other test in
//! this folder may rely on such a clause.

#[path = "../contract/mod.rs"]
mod contract;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{SystemTime, UNIX_EPOCH};

use onething::aws::{Aws, Credentials, DynamoClaims, IotRegistry, IotShadows, Ses};
use onething::config::{Config, Source};
use onething::https::Https;
use onething::identifiers::{OwnerId, ThingName};
use onething::login::amazon::LoginWithAmazon;
use onething::login::{AccessToken, Profile, ProfileEmail};
use onething::mail::Mailer;
use onething::mail::smtp::Smtp;
use serde_json::Value;

use self::contract::login::Accounts;
use self::contract::mailer::{Arrived, Post};
use self::contract::{Account, MISSING_POLICY, MISSING_TYPE, NewUser, Verdict, gaps};
use crate::harness::deployment::{Deployment, MAIL_FROM};
use crate::harness::login::{CLIENT_ID, Login, User};
use crate::harness::ministack::{self, Ministack, describe, prepare, report, tables};
use crate::harness::moto::Moto;
use crate::harness::smtp_server::SmtpServer;
use crate::stack::list;

/// The environment of a function as a source of its configuration.
struct Given(Deployment);

impl Source for Given {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.variables().find(|(variable, _)| *variable == name).map(|(_, value)| value.to_owned())
    }

    fn file(&self, _: &str) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    fn packaged_model(&self) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

fn configuration(url: &str, special: impl FnOnce(Deployment) -> Deployment) -> Config {
    Config::read(&Given(special(Deployment::with("http://localhost", url)))).expect("a valid configuration")
}

/// The AWS clients of a function with this configuration.
fn clients(config: &Config) -> Aws {
    Aws::new(config, &Https::default(), Credentials::new("test", "test", None, None, "test"))
}

/// The AWS clients of a function in front of an emulator.
struct Cloud<'a> {
    /// The URL of the emulator itself.
    url: &'a str,
    /// The URL that the clients call.
    called: &'a str,
    registry: Arc<IotRegistry>,
    shadows: IotShadows,
}

/// The number of users that were created so far, on all emulators.
static NEWCOMERS: AtomicUsize = AtomicUsize::new(0);

impl<'a> Cloud<'a> {
    fn new(url: &'a str, called: &'a str) -> Self {
        let Aws { registry, shadows, .. } = clients(&configuration(called, |deployment| deployment));
        Self { url, called, registry: Arc::new(registry), shadows }
    }
}

impl Account for Cloud<'_> {
    type Registry = IotRegistry;
    type Shadows = IotShadows;

    fn registry(&self) -> Arc<IotRegistry> {
        Arc::clone(&self.registry)
    }

    fn shadows(&self) -> &IotShadows {
        &self.shadows
    }

    fn registry_without_its_stack(&self) -> Arc<IotRegistry> {
        let missing = |deployment: Deployment| deployment.set("THING_TYPE", MISSING_TYPE).set("POLICY_NAME", MISSING_POLICY);
        Arc::new(clients(&configuration(self.called, missing)).registry)
    }

    fn new_user(&self) -> NewUser {
        let owner = OwnerId::parse(&format!("amzn1.account.OWNER{}", NEWCOMERS.fetch_add(1, SeqCst))).expect("a valid owner id");
        let thing = ThingName::of(&configuration(self.called, |deployment| deployment).model.thing_prefix, &owner);
        NewUser { owner, thing }
    }

    fn now(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs()
    }

    /// The clock of the emulators cannot be set; but they do no work in the background either.
    async fn waits(&self) {}

    async fn reports(&self, thing: &ThingName, reported: Value) {
        report(self.url, thing.as_str(), &reported).await;
    }

    async fn desired(&self, thing: &ThingName) -> Value {
        let account = describe(self.url).await;
        let described = list(&account, "things").iter().find(|described| described["name"] == thing.as_str());
        described.map(|thing| thing["shadow"]["state"]["desired"].clone()).unwrap_or_default()
    }
}

async fn judge(url: &str, called: &str) -> Vec<Verdict> {
    let mut verdicts = contract::registry::judge(async || Cloud::new(url, called)).await;
    verdicts.extend(contract::certificates::judge(async || Cloud::new(url, called)).await);
    verdicts.extend(contract::shadows::judge(async || Cloud::new(url, called)).await);
    verdicts
}

/// The claim codes in this table.
pub fn claims(url: &str, table: &str) -> DynamoClaims {
    clients(&configuration(url, |deployment| deployment.set("REGISTER_TABLE", table))).claims.expect("the claim codes of the configuration")
}

/// Every clause gets its own table.
async fn judge_claims(url: &str) -> Vec<Verdict> {
    let names: Vec<String> = (0..30).map(|number| format!("claims-{number}")).collect();
    tables(url, &names).await;
    let next = AtomicUsize::new(0);
    contract::claims::judge(async || Arc::new(claims(url, &names[next.fetch_add(1, SeqCst)]))).await
}

fn ses(called: &str) -> Ses {
    clients(&configuration(called, |deployment| deployment)).ses
}

/// A mail client, and the SMTP server that finally gets its mail.
struct Relay<'a, M> {
    mailer: M,
    smtp_server: &'a SmtpServer,
}

impl<M: Mailer> Post for Relay<'_, M> {
    type Mailer = M;

    fn mailer(&self) -> &M {
        &self.mailer
    }

    fn sender(&self) -> &'static str {
        MAIL_FROM
    }

    async fn arrived(&self, at_least: usize) -> Vec<Arrived> {
        if let Some(last) = at_least.checked_sub(1) {
            self.smtp_server.mail(last).await;
        }
        let mails = self.smtp_server.watches().borrow().clone();
        mails.into_iter().map(|mail| Arrived { recipients: mail.recipients, message: mail.message }).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ministack_keeps_the_contract_behind_the_proxy_but_for_its_gaps() {
    let ministack = Ministack::deployed().await;
    let gate = ministack.gate().await;
    let called = gate.url();
    let mut verdicts = judge(&ministack.url, &called).await;
    verdicts.extend(contract::mailer::judge(async || Relay { mailer: ses(&called), smtp_server: &ministack.smtp_server }).await);
    gaps::check(&verdicts, gaps::MINISTACK_BEHIND_A_GATE);
}

#[tokio::test(flavor = "multi_thread")]
async fn ministack_keeps_the_contract_but_for_its_gaps() {
    let ministack = Ministack::deployed().await;
    let mut verdicts = judge(&ministack.url, &ministack.url).await;
    verdicts.extend(contract::mailer::judge(async || Relay { mailer: ses(&ministack.url), smtp_server: &ministack.smtp_server }).await);
    verdicts.extend(judge_claims(&ministack.url).await);
    gaps::check(&verdicts, gaps::MINISTACK);
}

/// SES of moto, which keeps all mail to itself.
struct Pile<'a> {
    ses: Ses,
    moto: &'a Moto,
}

impl Post for Pile<'_> {
    type Mailer = Ses;

    fn mailer(&self) -> &Ses {
        &self.ses
    }

    fn sender(&self) -> &'static str {
        MAIL_FROM
    }

    async fn arrived(&self, at_least: usize) -> Vec<Arrived> {
        let mails = self.moto.mails().await;
        assert!(mails.len() >= at_least, "{} mails", mails.len());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let arrived = mails.iter().map(|mail| Arrived {
            recipients: list(mail, "destinations").iter().map(text).collect(),
            message: text(&mail["raw_data"]).into_bytes(),
        });
        arrived.collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn moto_keeps_the_contract_but_for_its_gaps() {
    let moto = Moto::start().await;
    prepare(&moto.url, &ministack::Account::deployed()).await;
    let mut verdicts = judge(&moto.url, &moto.url).await;
    verdicts.extend(contract::mailer::judge(async || Pile { ses: ses(&moto.url), moto: &moto }).await);
    verdicts.extend(judge_claims(&moto.url).await);
    let judged = verdicts.len();
    verdicts.retain(|verdict| !gaps::RACES_OF_MOTO.contains(&verdict.clause));
    assert_eq!(judged - verdicts.len(), gaps::RACES_OF_MOTO.len(), "each of them is a clause");
    gaps::check(&verdicts, gaps::MOTO);
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_by_smtp_keeps_the_contract() {
    let smtp_server = SmtpServer::open().await;
    let url = format!("smtp://{}", smtp_server.address);
    let fresh = async || Relay { mailer: Smtp::new(&url).expect("a valid URL"), smtp_server: &smtp_server };
    gaps::check(&contract::mailer::judge(fresh).await, gaps::SMTP);
}

/// The client of Login with Amazon, and a server that responds as Amazon does.
struct SignIn {
    server: Login,
    client: LoginWithAmazon,
}

impl SignIn {
    async fn new() -> Self {
        let server = Login::open().await;
        let client = LoginWithAmazon::new(Https::default(), &server.url());
        Self { server, client }
    }
}

impl Accounts for SignIn {
    type Login = LoginWithAmazon;

    fn login(&self) -> &LoginWithAmazon {
        &self.client
    }

    async fn links(&self, name: &str) -> (AccessToken, Profile) {
        let user = User::named(name);
        self.server.knows(&user);
        let owner = OwnerId::parse(&user.user_id).expect("a valid owner id");
        (AccessToken::new(user.token), Profile { owner, name: user.name, email: ProfileEmail::read(user.email.as_deref()) })
    }

    fn client_id(&self) -> &'static str {
        CLIENT_ID
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn login_with_amazon_keeps_the_contract() {
    gaps::check(&contract::login::judge(SignIn::new).await, &[]);
}
