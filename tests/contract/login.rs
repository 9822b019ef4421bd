//! The clauses of [`Login`]. The rules are those of Login with Amazon
//! (<https://developer.amazon.com/docs/login-with-amazon/obtain-customer-profile.html>).

use onething::login::{AccessToken, IdentifyError, Login, Profile};

use super::{Kept, Verdict, holds, judge, refuses, same};

/// Who signs people in, and people who can be signed in.
pub trait Accounts {
    type Login: Login;

    fn login(&self) -> &Self::Login;
    /// Links somebody new; their token, and what is known about them.
    async fn links(&self, name: &str) -> (AccessToken, Profile);
    /// The client id that tokens are made for.
    fn client_id(&self) -> &str;
}

pub async fn judge<D: Accounts>(fresh: impl AsyncFn() -> D) -> Vec<Verdict> {
    judge![fresh;
        a_token_has_the_profile_of_its_holder,
        a_token_tells_its_client_and_how_long_it_is_good,
        a_token_that_nobody_was_given_is_invalid,
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

async fn a_token_tells_its_client_and_how_long_it_is_good(accounts: &impl Accounts) -> Kept {
    let (token, holder) = accounts.links("Ana").await;
    let info = accounts.login().token_info(&token).await?;
    same((info.audience.as_str(), info.owner), (accounts.client_id(), holder.owner), "whose token it is")?;
    holds((1..=3_600).contains(&info.seconds_left), "it is good for an hour at most")
}

/// 400 `invalid_token`, and no outage: only this costs the owner a new link.
async fn a_token_that_nobody_was_given_is_invalid(accounts: &impl Accounts) -> Kept {
    accounts.links("Ana").await;
    let token = AccessToken::new("Atza|nobody-was-given-this".to_owned());
    let is_invalid = |error: &IdentifyError| matches!(error, IdentifyError::TokenInvalid);
    refuses(&accounts.login().profile(&token).await, is_invalid, "its profile")?;
    refuses(&accounts.login().token_info(&token).await, is_invalid, "what it is")
}
