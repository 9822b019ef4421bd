//! The function between the servers that a test opened for it.

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
    /// With an AWS of the test's choice, as everybody deploys it.
    pub async fn with(aws: Aws) -> Self {
        Self::deployed(aws, |deployment| deployment).await
    }

    /// With an AWS and some variables of the test's choice.
    pub async fn deployed(aws: Aws, special: impl FnOnce(Deployment) -> Deployment) -> Self {
        let login = Login::open().await;
        let deployment = special(Deployment::with(&login.url(), &aws.url()));
        let lambda = Lambda::start(&deployment).await;
        Self { login, aws, lambda }
    }

    /// Someone whom Login with Amazon knows from now on.
    pub fn welcomes(&self, name: &str) -> User {
        let user = User::named(name);
        self.login.knows(&user);
        user
    }
}
