//! The client for Login with Amazon: the profile and the token information for an access token.
//!
//! `GET /user/profile` with a bearer token returns `{user_id, name, email}`. `GET /auth/o2/tokeninfo` returns `{aud, user_id,
//! exp, …}`, where `exp` is the remaining lifetime in seconds. For an invalid token the status is 400 with
//! `{"error":"invalid_token"}`, for a missing scope 401 with `insufficient_scope`
//! (<https://developer.amazon.com/docs/login-with-amazon/documentation-overview.html>).

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::https::{Https, Reply, RequestBuilder};
use crate::identifiers::OwnerId;
use crate::login::{AccessToken, IdentifyError, Login, Profile, ProfileEmail, TokenInfo};

/// The client for Login with Amazon.
#[derive(Clone)]
pub struct LoginWithAmazon {
    https: Https,
    endpoint: String,
}

#[derive(Deserialize)]
struct ProfileReply {
    user_id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    email: Option<String>,
}

#[derive(Deserialize)]
struct TokenInfoReply {
    aud: String,
    user_id: String,
    exp: i64,
}

#[derive(Deserialize)]
struct ErrorReply {
    error: String,
}

impl LoginWithAmazon {
    /// `endpoint` is the base URL: `https://api.amazon.com`, except in tests.
    pub fn new(https: Https, endpoint: &str) -> Self {
        Self { https, endpoint: endpoint.trim_end_matches('/').to_owned() }
    }

    /// Sends a request, and repeats it once after a connection failure or a 5xx status. The requests only read, so a repetition
    /// is safe.
    async fn ask<T: DeserializeOwned>(&self, call: impl Fn() -> RequestBuilder) -> Result<T, IdentifyError> {
        let mut reply = self.https.send(call()).await;
        if reply.as_ref().map_or_else(|e| !matches!(e, crate::https::HttpsError::Silent), |r| r.status >= 500) {
            reply = self.https.send(call()).await;
        }
        let reply = reply.map_err(|error| IdentifyError::Unavailable(crate::fault::chain(&error)))?;
        read(&reply)
    }
}

/// Converts any response to the requested value or to a classified error.
fn read<T: DeserializeOwned>(reply: &Reply) -> Result<T, IdentifyError> {
    let error = || serde_json::from_slice::<ErrorReply>(&reply.body).map(|e| e.error).unwrap_or_default();
    match reply.status {
        // The text of a parse error could quote the body, so only the kind of the error is kept.
        200 => serde_json::from_slice(&reply.body).map_err(|e| unintelligible(format_args!("{:?}", e.classify()))),
        400 if error() == "invalid_token" => Err(IdentifyError::TokenInvalid),
        401 if error() == "insufficient_scope" => Err(IdentifyError::ScopeMissing),
        status => Err(IdentifyError::Unavailable(format!("status {status}"))),
    }
}

fn unintelligible(what: std::fmt::Arguments<'_>) -> IdentifyError {
    IdentifyError::Unavailable(format!("an unintelligible answer ({what})"))
}

fn owner(user_id: &str) -> Result<OwnerId, IdentifyError> {
    OwnerId::parse(user_id).ok_or_else(|| unintelligible(format_args!("user_id")))
}

impl Login for LoginWithAmazon {
    async fn profile(&self, token: &AccessToken) -> Result<Profile, IdentifyError> {
        let address = format!("{}/user/profile", self.endpoint);
        let reply: ProfileReply = self.ask(|| self.https.get(&address).bearer_auth(token.secret())).await?;
        Ok(Profile {
            owner: owner(&reply.user_id)?,
            name: reply.name.filter(|name| !name.trim().is_empty()),
            email: ProfileEmail::read(reply.email.as_deref()),
        })
    }

    async fn token_info(&self, token: &AccessToken) -> Result<TokenInfo, IdentifyError> {
        // This endpoint accepts the token only as a query parameter. The URL is never logged.
        let address = format!("{}/auth/o2/tokeninfo?access_token={}", self.endpoint, url_encoded(token.secret()));
        let reply: TokenInfoReply = self.ask(|| self.https.get(&address)).await?;
        let seconds_left = u64::try_from(reply.exp).unwrap_or_default();
        if seconds_left == 0 {
            return Err(IdentifyError::TokenInvalid);
        }
        Ok(TokenInfo { audience: reply.aud, owner: owner(&reply.user_id)?, seconds_left })
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
fn url_encoded(text: &str) -> String {
    let unreserved = |c: u8| c.is_ascii_alphanumeric() || b"-._~".contains(&c);
    text.bytes().map(|c| if unreserved(c) { char::from(c).to_string() } else { format!("%{c:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str) -> Result<String, IdentifyError> {
        let reply = Reply { status, body: body.to_owned().into() };
        read::<ProfileReply>(&reply).map(|profile| profile.user_id)
    }

    #[test]
    fn only_a_fault_of_the_token_requires_a_new_link() {
        let invalid = r#"{"error_description":"The request has an invalid parameter : access_token","error":"invalid_token"}"#;
        assert!(matches!(check(400, invalid), Err(IdentifyError::TokenInvalid)));
        assert!(matches!(check(401, r#"{"error":"insufficient_scope"}"#), Err(IdentifyError::ScopeMissing)));
        let outages = [
            (400, r#"{"error":"invalid_request"}"#),
            (400, "<html>"),
            (401, ""),
            (429, "{}"),
            (500, r#"{"error":"ServerError"}"#),
            (500, invalid),
            (503, ""),
            (302, ""),
            (200, "<html></html>"),
            (200, r#"{"user_id":"amzn1.acc"#),
            (200, "{}"),
        ];
        for (status, body) in outages {
            assert!(matches!(check(status, body), Err(IdentifyError::Unavailable(_))), "{status} {body}");
        }
        assert_eq!(check(200, r#"{"user_id":"amzn1.account.A","new":1}"#).unwrap(), "amzn1.account.A");
    }

    #[test]
    fn a_token_is_percent_encoded() {
        assert_eq!(url_encoded("Atza|a+b/c=~"), "Atza%7Ca%2Bb%2Fc%3D~");
    }
}
