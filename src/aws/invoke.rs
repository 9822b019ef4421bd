//! The operator's hook as a Lambda function (`Invoke`, <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>) or as a
//! URL.

use std::time::Duration;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::operation::invoke::InvokeOutput;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use tokio::time::timeout;

use super::failure::Failure;
use crate::registration::{Hook, HookAddress, HookDecision, HookError, HookQuery, HttpHook};

/// Calls hooks of both kinds.
#[derive(Clone)]
pub struct Hooks {
    functions: Client,
    urls: HttpHook,
}

impl Hooks {
    /// The client must make only one attempt, as for a URL, because the hook may count its calls. It must have no time limit of
    /// its own.
    pub(super) fn new(functions: Client, urls: HttpHook) -> Self {
        Self { functions, urls }
    }

    async fn invoke(&self, function: &str, question: Vec<u8>, within: Duration) -> Result<HookDecision, HookError> {
        let call = self.functions.invoke().function_name(function).invocation_type(InvocationType::RequestResponse);
        let invoked = timeout(within, call.payload(Blob::new(question)).send()).await.map_err(|_| HookError::Silent)?;
        verdict(&invoked.map_err(Failure::from)?)
    }
}

impl Hook for Hooks {
    async fn ask(&self, address: &HookAddress, question: &HookQuery, within: Duration) -> Result<HookDecision, HookError> {
        match address {
            HookAddress::Url(_) => self.urls.ask(address, question, within).await,
            HookAddress::Lambda(function) => {
                let question = serde_json::to_vec(question).map_err(|error| HookError::Failed(error.to_string()))?;
                self.invoke(function, question, within).await
            }
        }
    }
}

impl<E> From<Failure<E>> for HookError {
    fn from(failure: Failure<E>) -> Self {
        HookError::Failed(match failure {
            Failure::Throttled(code) => code,
            Failure::Refused(refusal) => refusal.to_string(),
            Failure::Unsent(why) => why.into(),
            Failure::Unclear(what) => what,
        })
    }
}

/// The decision in the response of a function.
fn verdict(invoked: &InvokeOutput) -> Result<HookDecision, HookError> {
    match invoked.function_error() {
        Some(_) => Err(HookError::Failed("the function failed".into())),
        None => HookDecision::read(invoked.payload().map_or(&[], AsRef::as_ref)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(failed: Option<&str>, answer: &str, expected: &str) {
        let invoked = InvokeOutput::builder().set_function_error(failed.map(str::to_owned)).payload(Blob::new(answer)).build();
        let read = verdict(&invoked);
        let shown = read.map_or_else(|error| error.to_string(), |verdict| verdict.allow.to_string());
        assert_eq!(shown, expected, "{answer}");
    }

    #[test]
    fn a_failed_function_allows_nothing() {
        check(None, r#"{"allow": true}"#, "true");
        check(None, r#"{"allow": false}"#, "false");
        check(Some("Unhandled"), r#"{"allow": true}"#, "the hook failed: the function failed");
        check(None, "null", "an unintelligible answer (Data)");
    }
}
