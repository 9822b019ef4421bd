//! Tests that the hub fulfils the contract of the ports. The AWS implementation is tested with the same clauses.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code: a panic is a failed test")]

#[path = "../../tests/contract/mod.rs"]
mod contract;

use std::cell::Cell;
use std::fs;
use std::sync::{Arc, Mutex};

use onething::identifiers::{OwnerId, ThingName, ThingPrefix};
use onething::login::{AccessToken, Profile, ProfileEmail};
use onething_hub::authority::Authority;
use onething_hub::mail::mailbox::MailFolder;
use onething_hub::policy::DEVICE_DOCUMENT;
use onething_hub::registration::LocalClaims;
use onething_hub::registry::{LocalRegistry, Stack};
use onething_hub::shadow::{LocalShadows, Operation};
use onething_hub::sign_in::{CLIENT_ID, LocalLogin, UserName};
use onething_hub::storage::store::Store;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::contract::login::Accounts;
use crate::contract::mailer::{Arrived, Post};
use crate::contract::{Account, MISSING_POLICY, MISSING_TYPE, NewUser, gaps};

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(1_795_305_600) };
}

/// A clock that only the test advances.
fn now() -> u64 {
    NOW.get()
}

struct Hub {
    database: Database,
    authority: Arc<Authority>,
    registry: Arc<LocalRegistry>,
    shadows: LocalShadows,
    new_users: Cell<usize>,
}

/// A new database in a temporary folder.
struct Database {
    store: Store,
    _folder: TempDir,
}

impl Database {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { store: Store::open(&folder.path().join("hub.db")).unwrap(), _folder: folder }
    }
}

impl Hub {
    async fn new() -> Self {
        let (database, authority) = (Database::new(), Arc::new(Authority::new(now()).unwrap()));
        let stack = stack("3d-printer", "OneUserOneThing");
        let registry = LocalRegistry::new(database.store.clone(), Arc::clone(&authority), stack, now);
        registry.create_thing_type("3d-printer").await.unwrap();
        registry.create_policy("OneUserOneThing", DEVICE_DOCUMENT).await.unwrap();
        let shadows = LocalShadows::new(database.store.clone(), now);
        Self { database, authority, registry: Arc::new(registry), shadows, new_users: Cell::default() }
    }
}

fn stack(thing_type: &str, policy: &str) -> Stack {
    Stack {
        kind: onething::registry::Kind { thing_type: thing_type.to_owned(), policies: vec![policy.to_owned()] },
        thing_prefix: prefix(),
    }
}

fn prefix() -> ThingPrefix {
    ThingPrefix::parse("3D_Printer-").unwrap()
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
        let stack = stack(MISSING_TYPE, MISSING_POLICY);
        Arc::new(LocalRegistry::new(self.database.store.clone(), Arc::clone(&self.authority), stack, now))
    }

    fn new_user(&self) -> NewUser {
        let number = self.new_users.get();
        self.new_users.set(number + 1);
        let owner = OwnerId::parse(&format!("amzn1.account.OWNER{number}")).unwrap();
        let thing = ThingName::of(&prefix(), &owner);
        NewUser { owner, thing }
    }

    fn now(&self) -> u64 {
        now()
    }

    async fn waits(&self) {
        NOW.set(now() + 60);
    }

    async fn reports(&self, thing: &ThingName, reported: Value) {
        let update = json!({"state": {"reported": reported}}).to_string();
        let answers = self.shadows.ask(thing.into(), Operation::Update, update.into_bytes()).await.unwrap();
        assert!(answers[0].topic.ends_with("/accepted"), "{answers:?}");
    }

    async fn desired(&self, thing: &ThingName) -> Value {
        let document = self.shadows.document(thing).await.unwrap();
        document.map(|document| document["state"]["desired"].clone()).unwrap_or_default()
    }
}

struct Mailbox {
    folder: MailFolder,
    _temporary: TempDir,
}

impl Mailbox {
    fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        Self { folder: MailFolder::open(temporary.path()).unwrap(), _temporary: temporary }
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

struct SignIn {
    login: LocalLogin,
    _database: Database,
}

impl SignIn {
    fn new() -> Self {
        let database = Database::new();
        Self { login: LocalLogin::new(database.store.clone()), _database: database }
    }
}

impl Accounts for SignIn {
    type Login = LocalLogin;

    fn login(&self) -> &LocalLogin {
        &self.login
    }

    async fn links(&self, name: &str) -> (AccessToken, Profile) {
        let (user, address) = (UserName::parse(name).unwrap(), format!("{name}@example.com"));
        self.login.user(&user, Some(&address)).await.unwrap();
        let profile = Profile { owner: user.owner().unwrap(), name: Some(name.to_owned()), email: ProfileEmail::read(Some(&address)) };
        (self.login.link(&user).await.unwrap(), profile)
    }

    fn client_id(&self) -> &'static str {
        CLIENT_ID
    }
}

#[tokio::test]
async fn the_hub_fulfils_the_contract() {
    // Each clause has a database of its own. The folders are kept until all clauses have run.
    let databases = Mutex::new(Vec::new());
    let claims = async || {
        let database = Database::new();
        let claims = Arc::new(LocalClaims::new(database.store.clone()));
        databases.lock().unwrap().push(database);
        claims
    };
    let mut verdicts = contract::registry::judge(async || Hub::new().await).await;
    verdicts.extend(contract::certificates::judge(async || Hub::new().await).await);
    verdicts.extend(contract::shadows::judge(async || Hub::new().await).await);
    verdicts.extend(contract::mailer::judge(async || Mailbox::new()).await);
    verdicts.extend(contract::login::judge(async || SignIn::new()).await);
    verdicts.extend(contract::claims::judge(claims).await);
    gaps::check(&verdicts, gaps::HUB);
}
