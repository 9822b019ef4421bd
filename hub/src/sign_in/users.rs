//! A local replacement for Login with Amazon: the users of this hub, and the access tokens of linked accounts.
//!
//! A token is random. The database stores it for the simulated Echo, which sends it in requests as Alexa does. A token is looked
//! up by its fingerprint.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use data_encoding::HEXLOWER;
use onething::identifiers::OwnerId;
use onething::login::{AccessToken, EmailAddress, IdentifyError, Login, Profile, ProfileEmail, TokenInfo};
use rusqlite::{OptionalExtension, Row, params};
use thiserror::Error;

use crate::storage::store::{Store, StoreError};

/// The client id for which local tokens are issued.
pub const CLIENT_ID: &str = "amzn1.application-oa2-client.onething-hub";
/// The remaining validity that is reported for every token, in seconds. Tokens of Login with Amazon are valid for an hour; local
/// ones do not expire.
const SECONDS_LEFT: u64 = 3_600;

/// The largest length of a first name, in characters.
const NAME_LENGTH: usize = 40;

/// Why a user could not be created, changed or read.
#[derive(Debug, Error)]
pub enum UserError {
    /// The name has characters that are not allowed, or it is too long.
    #[error("a user is named by 1 to 32 letters, digits, `_` or `-`")]
    Name,
    /// The first name is empty or too long, or it contains control characters.
    #[error("a first name has 1 to {NAME_LENGTH} characters")]
    FirstName,
    /// The last user cannot be removed.
    #[error("this is the only user: the hub needs one")]
    Last,
    /// The mail address is not valid.
    #[error("this is no mail address")]
    Address,
    /// Another user has this first name.
    #[error("there is a user of this name already")]
    Taken,
    /// The operating system returned no random bytes.
    #[error("no token can be made")]
    NoToken,
    /// The database returned an error.
    #[error("the users cannot be read or written")]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for UserError {
    fn from(error: rusqlite::Error) -> Self {
        StoreError::Refused(error).into()
    }
}

/// The name of a user in requests, in lower case. `Ana` and `ana` are the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserName(String);

impl UserName {
    /// Accepts 1 to 32 ASCII letters, digits, `_` and `-`.
    pub fn parse(name: &str) -> Result<Self, UserError> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
        let named = (1..=32).contains(&name.len()) && name.bytes().all(allowed);
        if named { Ok(Self(name.to_ascii_lowercase())) } else { Err(UserError::Name) }
    }

    /// The name in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The user id in place of the one of Amazon. It is derived from the name, so a user has the same thing after every restart
    /// of the hub.
    pub fn owner(&self) -> Option<OwnerId> {
        OwnerId::parse(&format!("amzn1.account.{}", self.0.to_ascii_uppercase()))
    }

    /// The user with this user id. `None` for the user id of another service.
    pub fn of(owner: &OwnerId) -> Option<Self> {
        Self::parse(owner.as_str().strip_prefix("amzn1.account.")?).ok()
    }
}

/// A local user.
#[derive(Clone)]
pub struct User {
    /// The name in requests.
    pub user: UserName,
    /// The first name.
    pub name: String,
    address: String,
    token: Option<String>,
}

impl User {
    /// The complete mail address. Only the user's own pages and mail may contain it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The mail address for display: the first letter and the domain.
    pub fn masked_address(&self) -> String {
        let (local, domain) = self.address.rsplit_once('@').unwrap_or_default();
        format!("{}…@{domain}", local.trim_matches('"').chars().take(1).collect::<String>())
    }

    /// The access token, if the account is linked.
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

/// The local users of this hub. Clones share the database and the cache.
#[derive(Clone)]
pub struct LocalLogin {
    store: Store,
    known: Arc<Known>,
}

/// A cache of users, which are read for every request, and the number of changes. Cached users are as in the database.
#[derive(Default)]
struct Known(Mutex<(HashMap<UserName, User>, u64)>);

impl Known {
    /// After a panic in another thread a user may be missing, and is read again.
    fn lock(&self) -> MutexGuard<'_, (HashMap<UserName, User>, u64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cached user, or else the number of changes, which [`Known::keep`] needs.
    fn recall(&self, user: &UserName) -> Result<User, u64> {
        let known = self.lock();
        known.0.get(user).cloned().ok_or(known.1)
    }

    /// Caches a user, unless a user was changed since the given number of changes.
    fn keep(&self, user: &User, changes: u64) {
        let mut known = self.lock();
        if known.1 == changes {
            known.0.insert(user.user.clone(), user.clone());
        }
    }

    /// Removes a changed user. Call it in the transaction of the change, so that later reads see the change.
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

    /// The user with this name. Creates the user if necessary, with the capitalised name as the first name, and with `address` or
    /// an address of `example.com`.
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

    /// Creates a user with any first name, which must be unique without regard to case. The name in requests consists of the
    /// ASCII letters and digits of the first name.
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

    /// Removes a user and the stored conversation with the Echo.
    pub async fn remove(&self, user: &UserName) -> Result<(), UserError> {
        let (user, known) = (user.clone(), Arc::clone(&self.known));
        let change = move |db: &rusqlite::Connection| {
            db.execute("DELETE FROM local_user WHERE user = ?1", [&user.0])?;
            known.forget(&user);
            Ok(())
        };
        self.store.change(change).await
    }

    /// Reads a user from the database. Creates the user if necessary.
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

    /// All users, sorted by their names in requests.
    pub async fn users(&self) -> Result<Vec<User>, UserError> {
        let read = self.store.read(|db| {
            let mut query = db.prepare_cached("SELECT user, name, address, token FROM local_user ORDER BY user")?;
            let users = query.query_map([], User::read)?.collect::<rusqlite::Result<_>>()?;
            Ok::<_, UserError>(users)
        });
        read.await
    }

    /// Links the account of a user, who is created if necessary. Returns the new access token, which replaces an older one.
    pub async fn link(&self, user: &UserName) -> Result<AccessToken, UserError> {
        let mut random = [0_u8; 32];
        getrandom::fill(&mut random).map_err(|_| UserError::NoToken)?;
        self.user(user, None).await?;
        let token = AccessToken::new(format!("Atza|local-{}", HEXLOWER.encode(&random)));
        self.keep(user, Some(&token)).await?;
        Ok(token)
    }

    /// Removes the link of an account. Its token is not valid any more.
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

/// The ASCII letters and digits of a first name, in lower case and with hyphens: `mr-x` for "Mr X".
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
