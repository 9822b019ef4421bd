//! The function on ministack, with a proxy that records every call between them, and queries about the account.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::harness::alexa::Echo;
use crate::harness::answer::Answer;
use crate::harness::deployment::Deployment;
use crate::harness::device::{Identity, connection};
use crate::harness::function::Function;
use crate::harness::lambda::Lambda;
use crate::harness::login::User;
use crate::harness::ministack::{Account, Ministack, POLICY, calls, prepare};

pub struct Stack {
    pub ministack: Ministack,
    pub function: Function,
}

impl Stack {
    /// A deployed stack with the default variables.
    pub async fn built() -> Self {
        Self::with(&Account::deployed(), |deployment| deployment).await
    }

    /// A stack with the given account and changed variables.
    pub async fn with(account: &Account, special: impl FnOnce(Deployment) -> Deployment) -> Self {
        let ministack = Ministack::start().await;
        prepare(&ministack.url, account).await;
        let gate = ministack.gate().await;
        let endpoint = format!("localhost:{}", ministack.mqtt_port);
        let function = Function::deployed(gate, |deployment| special(deployment.set("IOT_ENDPOINT", &endpoint))).await;
        Self { ministack, function }
    }

    /// A deployed stack with leases of one second.
    pub async fn of_short_leases() -> Self {
        Self::with(&Account::deployed(), |deployment| deployment.set("LEASE_SECONDS", "1")).await
    }

    /// Waits until a lease of one second has expired. A lease counts whole seconds, of which one has begun.
    pub async fn lease_passes(&self) {
        tokio::time::sleep(Duration::from_secs(2)).await;
    }

    /// Changes attributes of a thing, to make a state look old. The call passes through the proxy, which counts the versions.
    pub async fn rewrites(&self, thing: &str, attributes: Value) {
        let change = json!({"thingName": thing, "attributePayload": {"attributes": attributes, "merge": true}});
        assert_eq!(calls(&self.function.aws.url(), "update_thing", change).await, Ok(()));
    }

    /// Invokes a new function with the scheduled event of EventBridge; returns its report.
    pub async fn sweeps(&self) -> Value {
        sweeps(&self.another_function().await).await
    }

    /// Another function in front of the same account, with empty caches.
    pub async fn another_function(&self) -> Lambda {
        let deployment = Deployment::with(&self.function.login.url(), &self.function.aws.url());
        Lambda::start(&deployment.set("IOT_ENDPOINT", &format!("localhost:{}", self.ministack.mqtt_port)).set("LEASE_SECONDS", "1")).await
    }

    /// The response of the skill to one request of the Echo.
    pub async fn ask(&self, echo: &mut Echo, request: &Value) -> Answer {
        self.function.lambda.answer(echo, request).await
    }

    /// Launches the skill again and again, until the skill is ready for commands or has sent a mail.
    pub async fn serves(&self, echo: &mut Echo) {
        let started = Instant::now();
        loop {
            let request = echo.launch();
            let answer = self.ask(echo, &request).await;
            if answer.keeps_session_open() || answer.is_a_welcome() {
                return;
            }
            echo.start_over();
            assert!(started.elapsed() < Duration::from_secs(20), "never ready; the log:\n{}", self.function.lambda.log());
        }
    }

    /// Onboards a user and opens the mail with this number.
    pub async fn onboards(&self, user: &User, mail: usize) -> Owner {
        let mut echo = Echo::linked(&user.token);
        let request = echo.launch();
        let answer = self.ask(&mut echo, &request).await;
        answer.welcomes();
        let (read, bundle) = self.ministack.open_mail(mail).await;
        let identity = Identity::of_bundle(&bundle, &self.ministack.root);
        let thing = identity.client_id.clone();
        Owner { echo, mail: read, bundle, identity, thing }
    }
}

/// Invokes this function with the scheduled event. Lambda gives it more time than a request of Alexa.
pub async fn sweeps(lambda: &Lambda) -> Value {
    let event = serde_json::from_str(include_str!("../fixtures/eventbridge/scheduled.json")).expect("a documented event");
    lambda.reports(&event, Duration::from_secs(60)).await
}

/// Unix time in seconds.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// The thing with this name; null if there is none.
pub fn thing<'a>(account: &'a Value, name: &str) -> &'a Value {
    list(account, "things").iter().find(|thing| thing["name"] == name).unwrap_or(&Value::Null)
}

/// The certificate with this id; null if there is none.
pub fn certificate<'a>(account: &'a Value, id: &str) -> &'a Value {
    list(account, "certificates").iter().find(|certificate| certificate["id"] == id).unwrap_or(&Value::Null)
}

/// An owner who has received a bundle.
pub struct Owner {
    pub echo: Echo,
    /// The output of the foreign parser for the mail.
    pub mail: Value,
    pub bundle: std::path::PathBuf,
    pub identity: Identity,
    pub thing: String,
}

impl Owner {
    /// The topic of the shadow of this owner's thing.
    pub fn topic(&self, rest: &str) -> String {
        topic(&self.thing, rest)
    }

    /// The path of the bundle that was attached to the mail.
    pub fn zip(&self) -> std::path::PathBuf {
        self.bundle.with_extension("zip")
    }

    /// The id of the certificate in the bundle.
    pub fn certificate_id(&self) -> String {
        connection(&self.bundle)["certificateId"].as_str().expect("the id of the certificate").to_owned()
    }

    pub fn certificate(&self) -> String {
        std::fs::read_to_string(&self.identity.certificate).expect("the certificate of the bundle")
    }
}

pub fn topic(thing: &str, rest: &str) -> String {
    format!("$aws/things/{thing}/shadow/{rest}")
}

/// Checks the first promise of the README: one thing has the user id as an attribute; one certificate of the owner is ACTIVE, is
/// attached to that thing and to no other, has the policy, and is exactly `mailed`. Only the certificates that it replaces may be
/// ACTIVE too.
pub fn check_one_owner_one_thing(account: &Value, user: &User, mailed: &str) {
    let broken = broken_promises(account, user, mailed);
    assert!(broken.is_empty(), "{broken:#?} in {account:#}");
}

/// The violations of the first promise.
pub fn broken_promises(account: &Value, user: &User, mailed: &str) -> Vec<String> {
    let things: Vec<&Value> =
        list(account, "things").iter().filter(|thing| thing["attributes"]["UserId"] == user.user_id.as_str()).collect();
    let [thing] = things.as_slice() else {
        return vec![format!("{} things of one owner", things.len())];
    };
    let mut broken = Vec::new();
    if !thing["shadow"].is_object() {
        broken.push("the thing has no shadow".to_owned());
    }
    let live: Vec<&Value> = list(account, "certificates")
        .iter()
        .filter(|certificate| certificate["status"] == "ACTIVE" && list(certificate, "things").contains(&thing["name"]))
        .collect();
    for certificate in &live {
        if list(certificate, "things").len() != 1 {
            broken.push(format!("the certificate is attached to {}", certificate["things"]));
        }
        if list(certificate, "policies") != [Value::from(POLICY)] {
            broken.push(format!("the certificate has the policies {}", certificate["policies"]));
        }
    }
    if list(thing, "principals").len() != live.len() {
        broken.push(format!("{} certificates are attached, and {} are live", list(thing, "principals").len(), live.len()));
    }
    // Certificates that were replaced stay ACTIVE for a day.
    let replaced = replaced(thing);
    let (old, new): (Vec<&Value>, Vec<&Value>) =
        live.iter().partition(|certificate| replaced.iter().any(|id| certificate["id"] == id.as_str()));
    if old.len() != replaced.len() {
        broken.push(format!("{} of {} replaced certificates are live", old.len(), replaced.len()));
    }
    let [certificate] = new.as_slice() else {
        broken.push(format!("{} live certificates of one owner", new.len()));
        return broken;
    };
    if certificate["pem"].as_str().map(str::trim) != Some(mailed.trim()) {
        broken.push("the live certificate is not the one in the last mail".to_owned());
    }
    broken
}

/// The ids of the replaced certificates in the attributes of the thing.
pub fn replaced(thing: &Value) -> Vec<String> {
    let ids = thing["attributes"]["Replaced"].as_str().unwrap_or_default();
    ids.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect()
}

/// Requires that every ACTIVE certificate is attached to a thing.
pub fn check_no_stray_certificate_is_live(account: &Value) {
    for certificate in list(account, "certificates") {
        let stray = list(certificate, "things").is_empty();
        assert!(!stray || certificate["status"] != "ACTIVE", "{certificate:#}");
    }
}

pub fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}
