//! Identification of the owner: from an access token to a profile of Login with Amazon.
//!
//! Only a response that says that the token is invalid counts as a fault of the token, after which the owner has to link the
//! account again. All other failures (an outage, HTML, incomplete JSON, a timeout) count as an outage and do not affect the link.

pub mod amazon;
mod email_address;

use std::fmt;

use thiserror::Error;
use zeroize::Zeroizing;

use crate::fault::{ClassifiedError, Fault, Step};
use crate::identifiers::OwnerId;
pub use crate::login::email_address::EmailAddress;
use crate::secrets::Fingerprint;

/// An OAuth access token, in memory only. It has no `Display`, and `Debug` does not print it.
#[derive(Clone)]
pub struct AccessToken(Zeroizing<String>);

impl AccessToken {
    /// Takes the token as received.
    pub fn new(token: String) -> Self {
        Self(Zeroizing::new(token))
    }

    /// The token, for the request that needs it.
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// The SHA-256 of the token, which may be stored and compared.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.secret())
    }

    /// Whether the token can be one of Login with Amazon: 1 to 2,048 bytes of visible ASCII.
    fn is_plausible(&self) -> bool {
        (1..=2_048).contains(&self.0.len()) && self.0.bytes().all(|c| c.is_ascii_graphic())
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(redacted)")
    }
}

/// The mail address in a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProfileEmail {
    /// No address: the scope was not granted, or the account has no address.
    Missing,
    /// An address that mail cannot be sent to.
    Unusable,
    /// A valid address.
    Address(EmailAddress),
}

impl ProfileEmail {
    /// Parses the `email` field of a profile.
    pub fn read(email: Option<&str>) -> Self {
        match email.filter(|email| !email.trim().is_empty()) {
            None => ProfileEmail::Missing,
            Some(email) => EmailAddress::parse(email).map_or(ProfileEmail::Unusable, ProfileEmail::Address),
        }
    }

    /// The address, if it is valid.
    pub fn address(&self) -> Option<&EmailAddress> {
        match self {
            ProfileEmail::Address(address) => Some(address),
            ProfileEmail::Missing | ProfileEmail::Unusable => None,
        }
    }
}

/// The profile of the holder of a token.
#[derive(Clone, Debug)]
pub struct Profile {
    /// `user_id`: the id of the holder.
    pub owner: OwnerId,
    /// `name`, as the holder wrote it: untrusted input.
    pub name: Option<String>,
    /// `email`, if the scope `profile` was granted: untrusted input.
    pub email: ProfileEmail,
}

/// The information about a token.
#[derive(Clone, Debug)]
pub struct TokenInfo {
    /// `aud`: the client id that the token was issued for.
    pub audience: String,
    /// `user_id`: the id of the holder.
    pub owner: OwnerId,
    /// `exp`: the remaining lifetime in seconds.
    pub seconds_left: u64,
}

/// The identity provider of the owners.
pub trait Login: Send + Sync {
    /// The profile of the holder of a token.
    fn profile(&self, token: &AccessToken) -> impl Future<Output = Result<Profile, IdentifyError>> + Send;
    /// The audience and the lifetime of a token.
    fn token_info(&self, token: &AccessToken) -> impl Future<Output = Result<TokenInfo, IdentifyError>> + Send;
}

/// Why a token could not be resolved to an owner.
#[derive(Debug, Error)]
pub enum IdentifyError {
    /// The request has no token.
    #[error("the account is not linked")]
    NotLinked,
    /// The token is expired, revoked or malformed.
    #[error("the access token is not valid")]
    TokenInvalid,
    /// The token was issued for another client.
    #[error("the access token belongs to another client")]
    TokenForOtherClient,
    /// The owner did not grant the required scope.
    #[error("the access token lacks the scope `profile`")]
    ScopeMissing,
    /// Login with Amazon did not respond, or the response was not valid.
    #[error("Login with Amazon is out of reach: {0}")]
    Unavailable(String),
}

impl IdentifyError {
    /// Whether the owner has to link the account again. Only in this case the response has a LinkAccount card.
    pub fn requires_link(&self) -> bool {
        !matches!(self, IdentifyError::Unavailable(_))
    }
}

impl ClassifiedError for IdentifyError {
    fn step(&self) -> Step {
        Step::Identify
    }

    fn fault(&self) -> Fault {
        if self.requires_link() { Fault::Speaker } else { Fault::Again }
    }

    fn cause(&self) -> &'static str {
        match self {
            IdentifyError::NotLinked => "not_linked",
            IdentifyError::TokenInvalid => "token_invalid",
            IdentifyError::TokenForOtherClient => "token_foreign",
            IdentifyError::ScopeMissing => "scope_missing",
            IdentifyError::Unavailable(_) => "login_unavailable",
        }
    }
}

/// A profile with the time for which it may be cached.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The profile of the owner.
    pub profile: Profile,
    /// The time in seconds for which the profile may be used without another request: at most five minutes, and at most the
    /// remaining lifetime of the token.
    pub cache_seconds: u64,
}

/// The longest time for which information about a token is cached, in seconds.
pub const LONGEST_CACHE_SECONDS: u64 = 300;

/// Resolves a token to its holder. With a client id, the token must have been issued for this client, because the profile can be
/// read with a bearer token of any client.
pub async fn identify(login: &impl Login, client_id: Option<&str>, token: &AccessToken) -> Result<Identity, IdentifyError> {
    if !token.is_plausible() {
        return Err(IdentifyError::TokenInvalid);
    }
    let Some(client_id) = client_id else {
        return Ok(Identity { profile: login.profile(token).await?, cache_seconds: LONGEST_CACHE_SECONDS });
    };
    let (profile, info) = tokio::join!(login.profile(token), login.token_info(token));
    // A fault of the token in either response takes precedence over an outage in the other.
    let (profile, info) = match (profile, info) {
        (Ok(profile), Ok(info)) => (profile, info),
        (Err(fault), _) | (_, Err(fault)) if fault.requires_link() => return Err(fault),
        (_, Err(fault)) if fault.requires_link() => return Err(fault),
        (Err(outage), _) | (_, Err(outage)) => return Err(outage),
    };
    if info.audience != client_id || info.owner != profile.owner {
        return Err(IdentifyError::TokenForOtherClient);
    }
    Ok(Identity { profile, cache_seconds: info.seconds_left.min(LONGEST_CACHE_SECONDS) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unusable_address_differs_from_a_missing_one() {
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
