//! A local stand-in for Login with Amazon: users of this hub, and the access tokens that link them.
//!
//! A token is random. It is kept for the simulated Echo, which sends it along as Alexa would, and is found by its
//! fingerprint.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use data_encoding::HEXLOWER;
use onething::identifiers::OwnerId;
use onething::login::{AccessToken, EmailAddress, IdentifyError, Login, Profile, ProfileEmail, TokenInfo};
use rusqlite::{OptionalExtension, Row, params};
use thiserror::Error;

use crate::storage::store::{Store, StoreError};

/// The client id that local tokens are made for.
pub const CLIENT_ID: &str = "amzn1.application-oa2-client.onething-hub";
/// Tokens of Login with Amazon last an hour; local ones are always as good as new.
const SECONDS_LEFT: u64 = 3_600;

/// In characters: the longest first name.
const NAME_LENGTH: usize = 40;

/// Why there is no such user.
#[derive(Debug, Error)]
pub enum UserError {
    /// It cannot be a name.
    #[error("a user is named by 1 to 32 letters, digits, `_` or `-`")]
    Name,
    /// It cannot be what somebody is called.
    #[error("a first name has 1 to {NAME_LENGTH} characters")]
    FirstName,
    /// Somebody has to be there.
    #[error("this is the only user: the hub needs one")]
    Last,
    /// No mail address can be made of it.
    #[error("this is no mail address")]
    Address,
    /// There is a user of this name.
    #[error("there is a user of this name already")]
    Taken,
    /// The kernel gives no randomness.
    #[error("no token can be made")]
    NoToken,
    /// The database.
    #[error("the users cannot be read or written")]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for UserError {
    fn from(error: rusqlite::Error) -> Self {
        StoreError::Refused(error).into()
    }
}

/// By what a user is named in requests: lower-case, the same for `Ana` and `ana`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserName(String);

impl UserName {
    /// Accepts 1 to 32 letters, digits, `_` and `-`.
    pub fn parse(name: &str) -> Result<Self, UserError> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
        let named = (1..=32).contains(&name.len()) && name.bytes().all(allowed);
        if named { Ok(Self(name.to_ascii_lowercase())) } else { Err(UserError::Name) }
    }

    /// The name, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The user id that stands for them, where Amazon's would: made of the name, so the same user has the
    /// same thing at every start of the hub.
    pub fn owner(&self) -> Option<OwnerId> {
        OwnerId::parse(&format!("amzn1.account.{}", self.0.to_ascii_uppercase()))
    }

    /// Who an owner is, where they are one of these.
    pub fn of(owner: &OwnerId) -> Option<Self> {
        Self::parse(owner.as_str().strip_prefix("amzn1.account.")?).ok()
    }
}

/// Somebody with an account on this hub.
#[derive(Clone)]
pub struct User {
    /// By what they are named.
    pub user: UserName,
    /// What others call them.
    pub name: String,
    address: String,
    token: Option<String>,
}

impl User {
    /// Their mail address, which only they and their mail may see whole.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The mail address as it may be shown: its first letter and its domain.
    pub fn masked_address(&self) -> String {
        let (local, domain) = self.address.rsplit_once('@').unwrap_or_default();
        format!("{}…@{domain}", local.trim_matches('"').chars().take(1).collect::<String>())
    }

    /// The token of the account, while it is linked.
    pub fn token(&self) -> Option<AccessToken> {
        self.token.clone().map(AccessToken::new)
    }

    fn profile(&self) -> Option<Profile> {
        Some(Profile { owner: self.user.owner()?, name: Some(self.name.clone()), email: ProfileEmail::read(Some(&self.address)) })
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { user: UserName(row.get(0)?), name: row.get(1)?, address: row.get(2)?, token: row.get(3)? })
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "User({})", self.user.as_str())
    }
}

/// The users of this hub, and who of them is linked.
#[derive(Clone)]
pub struct LocalLogin {
    store: Store,
    known: Arc<Known>,
}

/// Users who were read before: whoever speaks is not looked up again. They are as they are on the disk.
#[derive(Default)]
struct Known(Mutex<(HashMap<UserName, User>, u64)>);

impl Known {
    /// A panic elsewhere leaves at most a user to be read again.
    fn lock(&self) -> MutexGuard<'_, (HashMap<UserName, User>, u64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The user, or until how many changes what is read now may be kept.
    fn recall(&self, user: &UserName) -> Result<User, u64> {
        let known = self.lock();
        known.0.get(user).cloned().ok_or(known.1)
    }

    /// Keeps a user, unless somebody was changed since they were read.
    fn keep(&self, user: &User, changes: u64) {
        let mut known = self.lock();
        if known.1 == changes {
            known.0.insert(user.user.clone(), user.clone());
        }
    }

    /// The user is somebody else now. It is said where the change is made, so who reads later reads the change.
    fn forget(&self, user: &UserName) {
        let mut known = self.lock();
        known.0.remove(user);
        known.1 += 1;
    }
}

impl LocalLogin {
    /// The users in this database.
    pub fn new(store: Store) -> Self {
        Self { store, known: Arc::default() }
    }

    /// The user of this name, who is made where there is none: called as the name says, with the address
    /// given or one that leads nowhere.
    pub async fn user(&self, user: &UserName, address: Option<&str>) -> Result<User, UserError> {
        match self.known.recall(user) {
            Ok(known) if address.is_none_or(is_address) => Ok(known),
            Ok(_) => Err(UserError::Address),
            Err(changes) => {
                let found = self.make(user, address).await?;
                self.known.keep(&found, changes);
                Ok(found)
            }
        }
    }

    /// Makes a user of this first name, whatever its letters are; nobody else may be called so. In requests they are named by what is
    /// left of it in Latin letters and digits.
    pub async fn add(&self, name: &str, address: Option<&str>) -> Result<User, UserError> {
        let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
        if name.is_empty() || name.chars().count() > NAME_LENGTH || name.chars().any(char::is_control) {
            return Err(UserError::FirstName);
        }
        if !address.is_none_or(is_address) {
            return Err(UserError::Address);
        }
        let address = address.map(str::to_owned);
        let change = move |db: &rusqlite::Connection| {
            let mut query = db.prepare_cached("SELECT user, name, address, token FROM local_user")?;
            let there = query.query_map([], User::read)?.collect::<rusqlite::Result<Vec<_>>>()?;
            if there.iter().any(|user| user.name.to_lowercase() == name.to_lowercase()) {
                return Err(UserError::Taken);
            }
            let latin = in_latin(&name);
            let mut names = std::iter::once(latin.clone()).chain((2_u32..).map(|number| format!("{latin}-{number}")));
            let free = names.find(|candidate| there.iter().all(|user| user.user.0 != *candidate)).unwrap_or_default();
            let address = address.unwrap_or_else(|| format!("{free}@example.com"));
            db.execute("INSERT INTO local_user (user, name, address) VALUES (?1, ?2, ?3)", params![free, name, address])?;
            Ok(User { user: UserName(free), name, address, token: None })
        };
        self.store.change(change).await
    }

    /// Removes a user, with what was said to their Echo.
    pub async fn remove(&self, user: &UserName) -> Result<(), UserError> {
        let (user, known) = (user.clone(), Arc::clone(&self.known));
        let change = move |db: &rusqlite::Connection| {
            db.execute("DELETE FROM local_user WHERE user = ?1", [&user.0])?;
            known.forget(&user);
            Ok(())
        };
        self.store.change(change).await
    }

    /// The user of this name out of the database, who is made where there is none.
    async fn make(&self, user: &UserName, address: Option<&str>) -> Result<User, UserError> {
        if !address.is_none_or(is_address) {
            return Err(UserError::Address);
        }
        let mut name = user.0.clone();
        if let Some(first) = name.get_mut(0..1) {
            first.make_ascii_uppercase();
        }
        let address = address.map_or_else(|| format!("{}@example.com", user.0), str::to_owned);
        let user = user.0.clone();
        let found = self.store.change(move |db| {
            db.execute("INSERT OR IGNORE INTO local_user (user, name, address) VALUES (?1, ?2, ?3)", params![user, name, address])?;
            let sql = "SELECT user, name, address, token FROM local_user WHERE user = ?1";
            Ok::<_, UserError>(db.query_row(sql, [&user], User::read)?)
        });
        found.await
    }

    /// All users, by name.
    pub async fn users(&self) -> Result<Vec<User>, UserError> {
        let read = self.store.read(|db| {
            let mut query = db.prepare_cached("SELECT user, name, address, token FROM local_user ORDER BY user")?;
            let users = query.query_map([], User::read)?.collect::<rusqlite::Result<_>>()?;
            Ok::<_, UserError>(users)
        });
        read.await
    }

    /// Links a user, who is made where there is none: the token is what Alexa sends along from now on.
    pub async fn link(&self, user: &UserName) -> Result<AccessToken, UserError> {
        let mut random = [0_u8; 32];
        getrandom::fill(&mut random).map_err(|_| UserError::NoToken)?;
        self.user(user, None).await?;
        let token = AccessToken::new(format!("Atza|local-{}", HEXLOWER.encode(&random)));
        self.keep(user, Some(&token)).await?;
        Ok(token)
    }

    /// Takes a link back: its token is no good any more.
    pub async fn unlink(&self, user: &UserName) -> Result<(), UserError> {
        self.keep(user, None).await
    }

    async fn keep(&self, user: &UserName, token: Option<&AccessToken>) -> Result<(), UserError> {
        let (user, known, fingerprint) = (user.clone(), Arc::clone(&self.known), token.map(|token| token.fingerprint().hex()));
        let token = token.map(|token| token.secret().to_owned());
        let sql = "UPDATE local_user SET token = ?2, fingerprint = ?3 WHERE user = ?1";
        let change = move |db: &rusqlite::Connection| {
            let changed = db.execute(sql, params![user.0, token, fingerprint]);
            known.forget(&user);
            Ok(changed.map(drop)?)
        };
        self.store.change(change).await
    }

    async fn holder(&self, token: &AccessToken) -> Result<Profile, IdentifyError> {
        let fingerprint = token.fingerprint().hex();
        let sql = "SELECT user, name, address, token FROM local_user WHERE fingerprint = ?1";
        let found = self.store.read::<_, UserError>(move |db| Ok(db.query_row(sql, [fingerprint], User::read).optional()?)).await;
        let found = found.map_err(|error| IdentifyError::Unavailable(error.to_string()))?;
        found.and_then(|user| user.profile()).ok_or(IdentifyError::TokenInvalid)
    }
}

/// What is left of a first name in lower-case Latin letters and digits: `mr-x` of "Mr X".
fn in_latin(name: &str) -> String {
    let mut latin = String::new();
    for letter in name.chars() {
        match letter {
            letter if letter.is_ascii_alphanumeric() => latin.push(letter.to_ascii_lowercase()),
            ' ' | '-' | '_' if !latin.is_empty() && !latin.ends_with('-') => latin.push('-'),
            _ => {}
        }
    }
    latin.truncate(24);
    let latin = latin.trim_end_matches('-');
    if latin.is_empty() { "user".to_owned() } else { latin.to_owned() }
}

fn is_address(address: &str) -> bool {
    EmailAddress::parse(address).is_some()
}

impl Login for LocalLogin {
    async fn profile(&self, token: &AccessToken) -> Result<Profile, IdentifyError> {
        self.holder(token).await
    }

    async fn token_info(&self, token: &AccessToken) -> Result<TokenInfo, IdentifyError> {
        let owner = self.holder(token).await?.owner;
        Ok(TokenInfo { audience: CLIENT_ID.to_owned(), owner, seconds_left: SECONDS_LEFT })
    }
}

#[cfg(test)]
#[path = "users_tests.rs"]
mod tests;
