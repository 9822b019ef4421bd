//! A local stand-in for Login with Amazon: users of this hub, and the access tokens that link them.
//!
//! A token is random, is shown once to the one who links, and is kept as its fingerprint only.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use data_encoding::HEXLOWER;
use onething::identify::{AccessToken, EmailAddress, IdentifyError, Login, Profile, TokenInfo};
use onething::thing::{Fingerprint, OwnerId};

/// The client id that local tokens are made for.
pub const CLIENT_ID: &str = "amzn1.application-oa2-client.onething-hub";
/// Tokens of Login with Amazon last an hour; local ones are always as good as new.
const SECONDS_LEFT: u64 = 3_600;

/// Somebody with an account on this hub.
#[derive(Clone)]
pub struct User {
    name: String,
    address: String,
    profile: Profile,
}

impl User {
    /// A user with a name and a mail address; `None` where no account can be made of them. The user id is
    /// made of the name, so the same user has the same thing at every start of the hub.
    pub fn new(name: &str, address: &str) -> Option<Self> {
        let owner = OwnerId::parse(&format!("amzn1.account.{}", name.to_ascii_uppercase()))?;
        let profile = Profile { owner, name: Some(name.to_owned()), email: Some(EmailAddress::parse(address)?) };
        Some(Self { name: name.to_owned(), address: address.to_owned(), profile })
    }

    /// What others call them.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id that stands for them.
    pub fn owner(&self) -> &OwnerId {
        &self.profile.owner
    }

    /// The mail address as it may be shown: its first letter and its domain.
    pub fn masked_address(&self) -> String {
        let (local, domain) = self.address.split_once('@').unwrap_or_default();
        format!("{}…@{domain}", local.chars().take(1).collect::<String>())
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "User({})", self.name)
    }
}

/// Who is signed in.
#[derive(Default)]
pub struct LocalLogin {
    links: Mutex<HashMap<Fingerprint, Profile>>,
}

impl LocalLogin {
    /// Links a user: the token is what Alexa sends along from now on. `None` without the kernel's
    /// randomness.
    pub fn link(&self, user: &User) -> Option<AccessToken> {
        let mut random = [0_u8; 32];
        getrandom::fill(&mut random).ok()?;
        let token = AccessToken::new(format!("Atza|local-{}", HEXLOWER.encode(&random)));
        self.lock().insert(token.fingerprint(), user.profile.clone());
        Some(token)
    }

    /// Takes a link back: its token is no good any more.
    pub fn unlink(&self, token: &AccessToken) {
        self.lock().remove(&token.fingerprint());
    }

    fn holder(&self, token: &AccessToken) -> Result<Profile, IdentifyError> {
        self.lock().get(&token.fingerprint()).cloned().ok_or(IdentifyError::TokenInvalid)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Fingerprint, Profile>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Login for LocalLogin {
    async fn profile(&self, token: &AccessToken) -> Result<Profile, IdentifyError> {
        self.holder(token)
    }

    async fn token_info(&self, token: &AccessToken) -> Result<TokenInfo, IdentifyError> {
        let owner = self.holder(token)?.owner;
        Ok(TokenInfo { audience: CLIENT_ID.to_owned(), owner, seconds_left: SECONDS_LEFT })
    }
}

#[cfg(test)]
mod tests {
    use onething::identify::identify;

    use super::*;

    fn ana() -> User {
        User::new("Ana", "ana@example.com").unwrap()
    }

    #[tokio::test]
    async fn a_token_stands_for_the_user_who_linked() {
        let login = LocalLogin::default();
        let token = login.link(&ana()).unwrap();
        let identity = identify(&login, Some(CLIENT_ID), &token).await.unwrap();
        assert_eq!(identity.profile.owner.as_str(), "amzn1.account.ANA");
        assert_eq!(identity.profile.name.as_deref(), Some("Ana"));
    }

    #[tokio::test]
    async fn a_token_that_nobody_was_given_or_that_was_taken_back_is_invalid() {
        let login = LocalLogin::default();
        let token = login.link(&ana()).unwrap();
        login.unlink(&token);
        for token in [token, AccessToken::new("Atza|made-up".into())] {
            assert!(matches!(login.profile(&token).await, Err(IdentifyError::TokenInvalid)));
            assert!(matches!(login.token_info(&token).await, Err(IdentifyError::TokenInvalid)));
        }
    }

    #[test]
    fn every_link_has_a_token_of_its_own() {
        let login = LocalLogin::default();
        assert_ne!(login.link(&ana()).unwrap().secret(), login.link(&ana()).unwrap().secret());
    }

    #[test]
    fn an_address_is_shown_by_its_first_letter_and_domain() {
        assert_eq!(ana().masked_address(), "a…@example.com");
        assert_eq!(format!("{:?}", ana()), "User(Ana)");
        assert!(User::new("Ana", "nowhere").is_none());
        assert!(User::new("two words", "a@example.com").is_none());
    }
}
