//! Access token to owner: who speaks, as Login with Amazon knows them.
//!
//! Only an answer that says "this token is bad" is a token fault, which costs the owner a new link.
//! Everything else (an outage, HTML, half a JSON, silence) is an outage, and nobody's link is touched.

pub mod amazon;
mod email_address;

use std::fmt;

use thiserror::Error;
use zeroize::Zeroizing;

use crate::fault::{ClassifiedError, Fault, Step};
use crate::identifiers::OwnerId;
pub use crate::login::email_address::EmailAddress;
use crate::secrets::Fingerprint;

/// An OAuth access token, in memory only: it has no `Display`, and `Debug` shows nothing of it.
#[derive(Clone)]
pub struct AccessToken(Zeroizing<String>);

impl AccessToken {
    /// Takes the token as it came.
    pub fn new(token: String) -> Self {
        Self(Zeroizing::new(token))
    }

    /// The token, for the call that needs it.
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// What may be kept and compared.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.secret())
    }

    /// Login with Amazon's tokens are visible ASCII of at most 2,048 bytes.
    fn is_plausible(&self) -> bool {
        (1..=2_048).contains(&self.0.len()) && self.0.bytes().all(|c| c.is_ascii_graphic())
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(redacted)")
    }
}

/// What a profile says of the holder's mail address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProfileEmail {
    /// Nothing: the scope was not granted, or the account has none.
    Missing,
    /// Something that mail cannot be sent to.
    Unusable,
    /// An address.
    Address(EmailAddress),
}

impl ProfileEmail {
    /// Reads `email` of a profile.
    pub fn read(email: Option<&str>) -> Self {
        match email.filter(|email| !email.trim().is_empty()) {
            None => ProfileEmail::Missing,
            Some(email) => EmailAddress::parse(email).map_or(ProfileEmail::Unusable, ProfileEmail::Address),
        }
    }

    /// The address, where mail can be sent to it.
    pub fn address(&self) -> Option<&EmailAddress> {
        match self {
            ProfileEmail::Address(address) => Some(address),
            ProfileEmail::Missing | ProfileEmail::Unusable => None,
        }
    }
}

/// What Login with Amazon tells about the holder of a token.
#[derive(Clone, Debug)]
pub struct Profile {
    /// `user_id`.
    pub owner: OwnerId,
    /// `name`, as the holder wrote it: hostile input.
    pub name: Option<String>,
    /// `email`, where the scope `profile` was granted: hostile input, too.
    pub email: ProfileEmail,
}

/// What Login with Amazon tells about a token itself.
#[derive(Clone, Debug)]
pub struct TokenInfo {
    /// `aud`: the client id the token was made for.
    pub audience: String,
    /// `user_id`.
    pub owner: OwnerId,
    /// `exp`: the seconds the token is still good for.
    pub seconds_left: u64,
}

/// Who signs owners in.
pub trait Login: Send + Sync {
    /// The profile behind a token.
    fn profile(&self, token: &AccessToken) -> impl Future<Output = Result<Profile, IdentifyError>> + Send;
    /// The audience and lifetime of a token.
    fn token_info(&self, token: &AccessToken) -> impl Future<Output = Result<TokenInfo, IdentifyError>> + Send;
}

/// Why a token did not become an owner.
#[derive(Debug, Error)]
pub enum IdentifyError {
    /// The request holds no token.
    #[error("the account is not linked")]
    NotLinked,
    /// The token is expired, revoked or none.
    #[error("the access token is not valid")]
    TokenInvalid,
    /// The token was made for another client.
    #[error("the access token belongs to another client")]
    TokenForeign,
    /// The owner did not grant what the skill needs.
    #[error("the access token lacks the scope `profile`")]
    ScopeMissing,
    /// Login with Amazon did not answer, or not sensibly.
    #[error("Login with Amazon is out of reach: {0}")]
    Unavailable(String),
}

impl IdentifyError {
    /// Whether linking the account again helps: the only case for a LinkAccount card.
    pub fn wants_link(&self) -> bool {
        !matches!(self, IdentifyError::Unavailable(_))
    }
}

impl ClassifiedError for IdentifyError {
    fn step(&self) -> Step {
        Step::Identify
    }

    fn fault(&self) -> Fault {
        if self.wants_link() { Fault::Speaker } else { Fault::Again }
    }

    fn cause(&self) -> &'static str {
        match self {
            IdentifyError::NotLinked => "not_linked",
            IdentifyError::TokenInvalid => "token_invalid",
            IdentifyError::TokenForeign => "token_foreign",
            IdentifyError::ScopeMissing => "scope_missing",
            IdentifyError::Unavailable(_) => "login_unavailable",
        }
    }
}

/// A profile with the time, in seconds, for which it may be believed without asking again.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Who it is.
    pub profile: Profile,
    /// At most five minutes, never past the token's end.
    pub good_for: u64,
}

/// How long what is known about a token is believed.
pub const BELIEF_SECONDS: u64 = 300;

/// Asks Login with Amazon who holds the token. With a client id, the token must have been made for it:
/// a bearer token of any other client would open the profile just as well.
pub async fn identify(login: &impl Login, client_id: Option<&str>, token: &AccessToken) -> Result<Identity, IdentifyError> {
    if !token.is_plausible() {
        return Err(IdentifyError::TokenInvalid);
    }
    let Some(client_id) = client_id else {
        return Ok(Identity { profile: login.profile(token).await?, good_for: BELIEF_SECONDS });
    };
    let (profile, info) = tokio::join!(login.profile(token), login.token_info(token));
    // A token fault in either answer outranks an outage in the other.
    let (profile, info) = match (profile, info) {
        (Ok(profile), Ok(info)) => (profile, info),
        (Err(fault), _) | (_, Err(fault)) if fault.wants_link() => return Err(fault),
        (_, Err(fault)) if fault.wants_link() => return Err(fault),
        (Err(outage), _) | (_, Err(outage)) => return Err(outage),
    };
    if info.audience != client_id || info.owner != profile.owner {
        return Err(IdentifyError::TokenForeign);
    }
    Ok(Identity { profile, good_for: info.seconds_left.min(BELIEF_SECONDS) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_mail_cannot_carry_is_another_matter_than_none() {
        for none in [None, Some(""), Some(" ")] {
            assert_eq!(ProfileEmail::read(none), ProfileEmail::Missing, "{none:?}");
        }
        for unusable in ["nobody", "a@example.com, b@example.com", "a@exa mple.com"] {
            assert_eq!(ProfileEmail::read(Some(unusable)), ProfileEmail::Unusable, "{unusable}");
        }
        for usable in ["jörg@example.com", "ana.@docomo.ne.jp", "ana..b@ezweb.ne.jp", "ana+printer@bücher.example"] {
            assert!(ProfileEmail::read(Some(usable)).address().is_some(), "{usable}");
        }
    }

    #[test]
    fn a_token_does_not_show_in_debug_output() {
        assert_eq!(format!("{:?}", AccessToken::new("Atza|x".into())), "AccessToken(redacted)");
    }
}
