//! The clauses of [`Login`]. The rules are those of Login with Amazon
//! (<https://developer.amazon.com/docs/login-with-amazon/obtain-customer-profile.html>).

use onething::login::{AccessToken, IdentifyError, Login, Profile};

use super::{Kept, Verdict, holds, judge, refuses, same};

/// A login service, and accounts that a test can link.
pub trait Accounts {
    type Login: Login;

    fn login(&self) -> &Self::Login;
    /// Links a new user; returns the access token and the profile.
    async fn links(&self, name: &str) -> (AccessToken, Profile);
    /// The client id that the tokens are issued for.
    fn client_id(&self) -> &str;
}

pub async fn judge<D: Accounts>(fresh: impl AsyncFn() -> D) -> Vec<Verdict> {
    judge![fresh;
        a_token_has_the_profile_of_its_holder,
        a_token_has_its_client_and_its_remaining_time,
        a_token_that_was_never_issued_is_invalid,
    ]
}

async fn a_token_has_the_profile_of_its_holder(accounts: &impl Accounts) -> Kept {
    let people = [accounts.links("Ana").await, accounts.links("Ben").await];
    for (token, expected) in people {
        let found = accounts.login().profile(&token).await?;
        same((found.owner, found.name, found.email), (expected.owner, expected.name, expected.email), "the profile")?;
    }
    Ok(())
}

async fn a_token_has_its_client_and_its_remaining_time(accounts: &impl Accounts) -> Kept {
    let (token, holder) = accounts.links("Ana").await;
    let info = accounts.login().token_info(&token).await?;
    same((info.audience.as_str(), info.owner), (accounts.client_id(), holder.owner), "the client and the owner of the token")?;
    holds((1..=3_600).contains(&info.seconds_left), "the token is valid for an hour at most")
}

/// 400 `invalid_token`, and not an outage: only for this error does the owner have to link the account again.
async fn a_token_that_was_never_issued_is_invalid(accounts: &impl Accounts) -> Kept {
    accounts.links("Ana").await;
    let token = AccessToken::new("Atza|nobody-was-given-this".to_owned());
    let is_invalid = |error: &IdentifyError| matches!(error, IdentifyError::TokenInvalid);
    refuses(&accounts.login().profile(&token).await, is_invalid, "its profile")?;
    refuses(&accounts.login().token_info(&token).await, is_invalid, "its token info")
}
