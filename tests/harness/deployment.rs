//! The environment variables of one deployment of the function.

use std::collections::BTreeMap;

pub const SKILL_ID: &str = "amzn1.ask.skill.11111111-2222-4333-8444-555555555555";
pub const REGION: &str = "us-east-1";
pub const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
pub const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
pub const MAIL_FROM: &str = "onething@skill.example.com";

/// Variables by name. Every method returns the changed deployment, so that a test names only the differences.
#[derive(Clone, Debug)]
pub struct Deployment(BTreeMap<String, String>);

impl Deployment {
    /// The variables that every deployment on AWS sets, with Login with Amazon and every AWS service at the given URLs.
    pub fn with(login: &str, aws: &str) -> Self {
        Self::empty()
            .set("SKILL_ID", SKILL_ID)
            .set("MAIL_FROM", &format!("Your printer <{MAIL_FROM}>"))
            .set("METRIC_NAMESPACE", "onething/stack")
            .set("LWA_ENDPOINT", login)
            .set("IOT_ENDPOINT", "localhost")
            .set("AWS_ENDPOINT_URL", aws)
    }

    /// The variables that the Lambda service itself sets.
    pub fn empty() -> Self {
        Self(BTreeMap::new())
            .set("AWS_REGION", REGION)
            .set("AWS_DEFAULT_REGION", REGION)
            .set("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .set("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .set("AWS_LAMBDA_FUNCTION_NAME", "onething")
            .set("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .set("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .set("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
            .set("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/onething")
            .set("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/22/[$LATEST]test")
            .set("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .set("AWS_LAMBDA_LOG_LEVEL", "INFO")
            .set("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023")
            .set("LAMBDA_TASK_ROOT", "/var/task")
            .set("LAMBDA_RUNTIME_DIR", "/var/runtime")
            .set("_HANDLER", "bootstrap")
            .set("TZ", ":UTC")
            .set("LANG", "en_US.UTF-8")
            .set("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/bin")
    }

    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// Sets the most verbose log level.
    pub fn logging_everything(self) -> Self {
        self.set("RUST_LOG", "trace").set("AWS_LAMBDA_LOG_LEVEL", "TRACE")
    }

    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}
