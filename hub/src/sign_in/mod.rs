//! The sign-in of owners: Login with Amazon, or the local users in trying mode.

mod users;

use onething::login::amazon::LoginWithAmazon;
use onething::login::{AccessToken, IdentifyError, Login, Profile, TokenInfo};

pub use self::users::{CLIENT_ID, LocalLogin, User, UserError, UserName};

/// The service that verifies access tokens and returns the profiles of owners.
#[derive(Clone)]
pub enum SignIn {
    /// Login with Amazon.
    Amazon(LoginWithAmazon),
    /// The local users of this hub, in trying mode.
    Local(LocalLogin),
}

impl Login for SignIn {
    async fn profile(&self, token: &AccessToken) -> Result<Profile, IdentifyError> {
        match self {
            SignIn::Amazon(amazon) => amazon.profile(token).await,
            SignIn::Local(local) => local.profile(token).await,
        }
    }

    async fn token_info(&self, token: &AccessToken) -> Result<TokenInfo, IdentifyError> {
        match self {
            SignIn::Amazon(amazon) => amazon.token_info(token).await,
            SignIn::Local(local) => local.token_info(token).await,
        }
    }
}
