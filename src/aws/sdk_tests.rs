//! Tests of SDK calls against a local HTTP server: attempts, time limits and failures.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use aws_credential_types::Credentials;
use aws_sdk_iot::operation::list_things::ListThingsError;

use super::*;
use crate::aws::failure::{Failure, MarkUnclear};

/// A response: the status, the value of the header `x-amzn-errortype`, and the body.
type Answer = (u16, &'static str, &'static str);

/// A local server that sends these responses in order, and then never responds. Also returns the counter of its requests.
async fn server(answers: &[Answer]) -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (answers, asked) = (answers.to_vec(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    let answer = move || {
        let answer = answers.get(count.fetch_add(1, SeqCst)).copied();
        async move {
            match answer {
                Some((status, code, body)) => {
                    let header = Some(("x-amzn-errortype", code)).filter(|_| !code.is_empty());
                    (http::StatusCode::from_u16(status).unwrap(), axum::response::AppendHeaders(header), body)
                }
                None => std::future::pending().await,
            }
        }
    };
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    (base, asked)
}

fn config_of(base: &str, limits: TimeoutConfig) -> aws_sdk_iot::config::Builder {
    let credentials = Credentials::new("id", "secret", None, None, "test");
    let sdk = config("us-east-1", &Https::default(), credentials);
    aws_sdk_iot::config::Builder::from(&sdk).endpoint_url(base).interceptor(MarkUnclear).timeout_config(limits)
}

/// The outcome of a call as text.
async fn call(config: aws_sdk_iot::config::Builder) -> String {
    let client = aws_sdk_iot::Client::from_conf(config.build());
    match client.list_things().send().await.map_err(Failure::<ListThingsError>::from) {
        Ok(_) => "done".to_owned(),
        Err(failure) => format!("{failure:?}"),
    }
}

async fn check_attempts(answers: &[Answer], expected: &str, attempts: usize) {
    let (base, asked) = server(answers).await;
    let outcome = call(config_of(&base, usual())).await;
    assert_eq!((outcome.as_str(), asked.load(SeqCst)), (expected, attempts), "{answers:?}");
}

fn usual() -> TimeoutConfig {
    limits(Duration::from_secs(2), Duration::from_secs(3))
}

const FINE: Answer = (200, "", "{}");
const OUT: Answer = (503, "ServiceUnavailableException", "{}");
const THROTTLED: Answer = (429, "ThrottlingException", "{}");

#[tokio::test]
async fn transient_failures_are_retried_and_final_ones_are_not() {
    check_attempts(&[OUT, FINE], "done", 2).await;
    check_attempts(&[THROTTLED; 3], "Throttled(\"ThrottlingException (429)\")", 3).await;
    check_attempts(&[OUT; 4], "Unclear(\"ServiceUnavailableException (503)\")", 3).await;
    check_attempts(&[(403, "ForbiddenException", "{}"), FINE], "Refused(ForbiddenException (403))", 1).await;
}

#[tokio::test]
async fn a_call_without_retries_is_attempted_once() {
    let (base, asked) = server(&[OUT, FINE]).await;
    let outcome = call(config_of(&base, usual()).retry_config(RetryConfig::disabled())).await;
    assert_eq!((outcome.as_str(), asked.load(SeqCst)), ("Unclear(\"ServiceUnavailableException (503)\")", 1));
}

/// An attempt without a clear response may have had an effect.
#[tokio::test]
async fn throttling_after_an_unclear_attempt_leaves_the_outcome_unclear() {
    let unclear = "Unclear(\"ThrottlingException (429)\")";
    check_attempts(&[(500, "InternalFailureException", "{}"), THROTTLED, THROTTLED], unclear, 3).await;
    check_attempts(&[THROTTLED, OUT, THROTTLED], unclear, 3).await;
}

#[tokio::test]
async fn a_call_without_a_response_times_out() {
    let no_answer = "Unclear(\"no answer in time\")";
    for (attempt, in_all, attempts) in [(300, 3_000, 3), (300, 200, 1)] {
        let (base, asked) = server(&[]).await;
        let outcome = call(config_of(&base, limits(Duration::from_millis(attempt), Duration::from_millis(in_all)))).await;
        assert_eq!((outcome.as_str(), asked.load(SeqCst)), (no_answer, attempts));
    }
}

#[tokio::test]
async fn a_failure_has_the_error_code_of_the_response_but_not_its_message() {
    let missing = "Refused(ResourceNotFoundException (404))";
    check_attempts(&[(404, "ResourceNotFoundException:http://internal.amazon.com/coral/", "{}")], missing, 1).await;
    check_attempts(&[(404, "", r#"{"__type":"a.b#ResourceNotFoundException","message":"No a@example.com"}"#)], missing, 1).await;
    check_attempts(&[(501, "", "")], "Refused(an unknown error (501))", 1).await;
    check_attempts(&[(302, "", "")], "Unclear(\"an unknown error (302)\")", 1).await;
    check_attempts(&[(200, "", "<html>")], "Unclear(\"an answer that cannot be read\")", 1).await;
}

#[tokio::test]
async fn a_response_above_the_size_limit_is_not_read() {
    let endless = "x".repeat(ANSWER_LIMIT + 1).leak();
    check_attempts(&[(200, "", endless)], "Unclear(\"the connection failed\")", 1).await;
}

#[tokio::test]
async fn without_credentials_nothing_is_sent() {
    let (base, asked) = server(&[FINE]).await;
    let empty = CredentialsProviderChain::first_try("empty", aws_config::environment::EnvironmentVariableCredentialsProvider::new());
    let outcome = call(config_of(&base, usual()).credentials_provider(empty)).await;
    assert_eq!((outcome.as_str(), asked.load(SeqCst)), ("Unsent(\"no credentials in the environment\")", 0));
}
