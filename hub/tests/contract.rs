//! The contract of the ports, kept by the hub: the same clauses as AWS's.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code: a panic is a failed test")]

#[path = "../../tests/contract/mod.rs"]
mod contract;

use std::cell::Cell;
use std::fs;
use std::sync::Arc;

use onething::identify::{AccessToken, EmailAddress, Profile};
use onething::thing::{OwnerId, ThingName, ThingPrefix};
use onething_hub::authority::Authority;
use onething_hub::mailbox::MailFolder;
use onething_hub::registry::LocalRegistry;
use onething_hub::shadow::LocalShadows;
use onething_hub::sign_in::{CLIENT_ID, LocalLogin, User};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::contract::login::Doors;
use crate::contract::mailer::{Arrived, Post};
use crate::contract::{Account, MISSING_POLICY, MISSING_TYPE, Newcomer, gaps};

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(1_795_305_600) };
}

/// A clock that only the test turns.
fn now() -> u64 {
    NOW.get()
}

struct Hub {
    authority: Arc<Authority>,
    registry: Arc<LocalRegistry>,
    shadows: LocalShadows,
    newcomers: Cell<usize>,
}

impl Hub {
    fn new() -> Self {
        let authority = Arc::new(Authority::new(now()).unwrap());
        let registry = LocalRegistry::new(Arc::clone(&authority), "3d-printer", "OneUserOneThing", now);
        registry.create_thing_type("3d-printer");
        registry.create_policy("OneUserOneThing");
        Self { authority, registry: Arc::new(registry), shadows: LocalShadows::new(now), newcomers: Cell::default() }
    }
}

impl Account for Hub {
    type Registry = LocalRegistry;
    type Shadows = LocalShadows;

    fn registry(&self) -> Arc<LocalRegistry> {
        Arc::clone(&self.registry)
    }

    fn shadows(&self) -> &LocalShadows {
        &self.shadows
    }

    fn registry_without_its_stack(&self) -> Arc<LocalRegistry> {
        Arc::new(LocalRegistry::new(Arc::clone(&self.authority), MISSING_TYPE, MISSING_POLICY, now))
    }

    fn newcomer(&self) -> Newcomer {
        let number = self.newcomers.get();
        self.newcomers.set(number + 1);
        let owner = OwnerId::parse(&format!("amzn1.account.OWNER{number}")).unwrap();
        let thing = ThingName::of(&ThingPrefix::parse("3D_Printer-").unwrap(), &owner);
        Newcomer { owner, thing }
    }

    fn now(&self) -> u64 {
        now()
    }

    async fn waits(&self) {
        NOW.set(now() + 60);
    }

    async fn reports(&self, thing: &ThingName, reported: Value) {
        self.shadows.take(thing, &json!({"state": {"reported": reported}})).unwrap();
    }

    async fn desired(&self, thing: &ThingName) -> Value {
        self.shadows.document(thing).map(|document| document.read(now())["state"]["desired"].clone()).unwrap_or_default()
    }
}

struct Mailbox {
    folder: MailFolder,
    _place: TempDir,
}

impl Mailbox {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        Self { folder: MailFolder::open(place.path()).unwrap(), _place: place }
    }
}

impl Post for Mailbox {
    type Mailer = MailFolder;

    fn mailer(&self) -> &MailFolder {
        &self.folder
    }

    fn sender(&self) -> &'static str {
        "onething@skill.example.com"
    }

    async fn arrived(&self, at_least: usize) -> Vec<Arrived> {
        let messages = self.folder.sent();
        assert!(messages.len() >= at_least, "{messages:?}");
        messages.iter().map(|path| Arrived { recipients: Vec::new(), message: fs::read(path).unwrap() }).collect()
    }
}

#[derive(Default)]
struct SignIn(LocalLogin);

impl Doors for SignIn {
    type Login = LocalLogin;

    fn login(&self) -> &LocalLogin {
        &self.0
    }

    fn links(&self, name: &str) -> (AccessToken, Profile) {
        let address = format!("{name}@example.com");
        let user = User::new(name, &address).unwrap();
        let profile = Profile { owner: user.owner().clone(), name: Some(name.to_owned()), email: EmailAddress::parse(&address) };
        (self.0.link(&user).unwrap(), profile)
    }

    fn client_id(&self) -> &'static str {
        CLIENT_ID
    }
}

#[tokio::test]
async fn the_hub_keeps_the_contract() {
    let mut verdicts = contract::registry::judge(async || Hub::new()).await;
    verdicts.extend(contract::certificates::judge(async || Hub::new()).await);
    verdicts.extend(contract::shadows::judge(async || Hub::new()).await);
    verdicts.extend(contract::mailer::judge(async || Mailbox::new()).await);
    verdicts.extend(contract::login::judge(async || SignIn::default()).await);
    gaps::check(&verdicts, gaps::HUB);
}
