//! The maker's word, from a Lambda function or from a URL: `Invoke`
//! (<https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>).

use std::time::Duration;

use http::Method;
use serde_json::Value;
use tokio::time::timeout;

use super::signed::{Call, Failure, Patience, Reply, Service};
use crate::register::{Hook, HookAddress, HookError, HttpHook, Question, Verdict};

/// Is there when the function was called and failed.
const FUNCTION_FAILED: &str = "x-amz-function-error";

/// Hooks of both kinds.
#[derive(Clone)]
pub struct Hooks {
    functions: Service,
    urls: HttpHook,
}

impl Hooks {
    pub(super) fn new(functions: Service, urls: HttpHook) -> Self {
        Self { functions, urls }
    }

    async fn invoke(&self, function: &str, question: &Value, within: Duration) -> Result<Verdict, HookError> {
        let call = Call::new(Method::POST, &["2015-03-31", "functions", function, "invocations"]);
        // Once, as with a URL: the maker may count who asks.
        let patience = Patience { attempts: 1, each: within, in_all: within };
        let call = call.header("x-amz-invocation-type", "RequestResponse").json(question).patience(patience);
        let reply = timeout(within, self.functions.send(call)).await.map_err(|_| HookError::Silent)?.map_err(read)?;
        verdict(&reply)
    }
}

impl Hook for Hooks {
    async fn ask(&self, address: &HookAddress, question: &Question, within: Duration) -> Result<Verdict, HookError> {
        match address {
            HookAddress::Url(_) => self.urls.ask(address, question, within).await,
            HookAddress::Lambda(function) => {
                let question = serde_json::to_value(question).map_err(|error| HookError::Failed(error.to_string()))?;
                self.invoke(function, &question, within).await
            }
        }
    }
}

fn read(failure: Failure) -> HookError {
    HookError::Failed(match failure {
        Failure::Throttled(code) => code,
        Failure::Refused(refusal) => refusal.to_string(),
        Failure::Unsent(why) => why.into(),
        Failure::Unclear(what) => what,
    })
}

/// What a function has answered; that it failed stands in a header.
fn verdict(reply: &Reply) -> Result<Verdict, HookError> {
    if reply.has(FUNCTION_FAILED) { Err(HookError::Failed("the function failed".into())) } else { Verdict::read(reply.body()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&str, &str)], body: &'static str, expected: &str) {
        let mut answer = http::Response::builder();
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        let read = verdict(&Reply::of(answer.body(body.into()).unwrap()));
        let shown = read.map_or_else(|error| error.to_string(), |verdict| verdict.allow.to_string());
        assert_eq!(shown, expected, "{body}");
    }

    #[test]
    fn only_a_function_that_did_not_fail_allows() {
        check(&[], r#"{"allow": true}"#, "true");
        check(&[], r#"{"allow": false}"#, "false");
        check(&[("X-Amz-Function-Error", "Unhandled")], r#"{"allow": true}"#, "the hook failed: the function failed");
        check(&[], "null", "an unintelligible answer (Data)");
    }
}
