//! The function with the Login with Amazon server and the AWS of one test.

use super::aws::Aws;
use super::deployment::Deployment;
use super::lambda::Lambda;
use super::login::{Login, User};

pub struct Function {
    pub login: Login,
    pub aws: Aws,
    pub lambda: Lambda,
}

impl Function {
    /// The function with the given AWS and the usual variables.
    pub async fn with(aws: Aws) -> Self {
        Self::deployed(aws, |deployment| deployment).await
    }

    /// The function with the given AWS and changed variables.
    pub async fn deployed(aws: Aws, special: impl FnOnce(Deployment) -> Deployment) -> Self {
        let login = Login::open().await;
        let deployment = special(Deployment::with(&login.url(), &aws.url()));
        let lambda = Lambda::start(&deployment).await;
        Self { login, aws, lambda }
    }

    /// A new user whose access token Login with Amazon accepts from now on.
    pub fn welcomes(&self, name: &str) -> User {
        let user = User::named(name);
        self.login.knows(&user);
        user
    }
}
