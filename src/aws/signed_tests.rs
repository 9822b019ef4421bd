//! A call on the wire: its signature, its repetitions, its limits, and what a refusal means.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::*;

fn service(name: &'static str) -> Service {
    Service::new(&Https::default(), "https://example.amazonaws.com", "us-east-1", name, |_| None)
}

fn check_signature(call: &Call, expected: &str) {
    let credentials = Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None, None, "test");
    // 20150830T123600Z
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_440_938_160);
    let request = service("service").request(call, credentials, now).unwrap();
    let authorization = request.headers()[header::AUTHORIZATION].to_str().unwrap();
    assert!(authorization.ends_with(expected), "{authorization}");
}

/// `get-vanilla` and `get-vanilla-query-order-key-case` of AWS's Signature Version 4 test suite.
#[test]
fn a_call_is_signed_as_in_the_test_suite_of_aws() {
    check_signature(
        &Call::new(Method::GET, &[]),
        "SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    );
    check_signature(
        &Call::new(Method::GET, &[]).query("Param2", "value2").query("Param1", "value1"),
        "SignedHeaders=host;x-amz-date, Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    );
}

#[test]
fn names_are_encoded_where_they_are_no_part_of_the_address() {
    let call = Call::new(Method::GET, &["things", "a/b?c"]).query("nextToken", "a+b/c=").query("pageSize", "2");
    assert_eq!(call.path_and_query, "/things/a%2Fb%3Fc?nextToken=a%2Bb%2Fc%3D&pageSize=2");
    let form = Call::new(Method::POST, &[]).form(&[("Action", "SendRawEmail".into()), ("Source", "a@example.com".into())]);
    assert_eq!((form.path_and_query.as_str(), &form.body[..]), ("/", &b"Action=SendRawEmail&Source=a%40example.com"[..]));
}

#[test]
fn an_action_is_named_in_a_header() {
    let call = Call::new(Method::POST, &[]).action("1.0", "DynamoDB_20120810.GetItem", &serde_json::json!({"TableName": "a"}));
    let named = |name: &str| call.headers.get(name).and_then(|value| value.to_str().ok());
    assert_eq!((call.path_and_query.as_str(), &call.body[..]), ("/", &br#"{"TableName":"a"}"#[..]));
    assert_eq!(named("x-amz-target"), Some("DynamoDB_20120810.GetItem"));
    assert_eq!((call.headers.get_all("content-type").iter().count(), named("content-type")), (1, Some("application/x-amz-json-1.0")));
}

fn check_failure(status: u16, header: Option<&str>, body: &str, expected: &str) {
    let headers = header.map(|code| (header::HeaderName::from_static("x-amzn-errortype"), HeaderValue::from_str(code).unwrap()));
    let failure = read(status, &headers.into_iter().collect(), &Bytes::copy_from_slice(body.as_bytes()));
    assert_eq!(format!("{failure:?}"), expected, "{status} {header:?} {body}");
}

#[test]
fn a_failure_has_the_code_of_the_answer_and_not_its_words() {
    let missing = "Refused(ResourceNotFoundException (404))";
    check_failure(404, Some("ResourceNotFoundException:http://internal.amazon.com/coral/"), "{}", missing);
    check_failure(404, None, r#"{"__type":"a.b#ResourceNotFoundException","message":"No a@example.com"}"#, missing);
    check_failure(404, None, r#"{"code":"ResourceNotFoundException","__type":"Other"}"#, missing);
    let refused = "<ErrorResponse><Error><Code>MessageRejected</Code><Message>a@example.com</Message></Error></ErrorResponse>";
    check_failure(400, None, refused, "Refused(MessageRejected (400))");
    check_failure(400, Some("ThrottlingException"), "", "Throttled(\"ThrottlingException (400)\")");
    let busy = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}"#;
    check_failure(400, None, busy, "Throttled(\"ProvisionedThroughputExceededException (400)\")");
    check_failure(429, None, "", "Throttled(\"an unknown error (429)\")");
    check_failure(500, None, "<html>", "Unclear(\"an unknown error (500)\")");
    check_failure(501, None, "", "Refused(an unknown error (501))");
    check_failure(302, None, "", "Unclear(\"an unknown error (302)\")");
}

#[test]
fn a_refusal_can_be_asked_for_words() {
    let refusal = Refusal::new(400, "MessageRejected", &"Email address is not verified: a@example.com".into());
    assert!(refusal.says("not verified") && !refusal.says("paused"));
}

/// A server on this machine that gives these answers, one after the other, and after them none.
async fn server(answers: &[(u16, &'static str)]) -> (Service, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (answers, asked) = (answers.to_vec(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    let answer = move || {
        let answer = answers.get(count.fetch_add(1, SeqCst)).copied();
        async move {
            match answer {
                Some((status, code)) => (http::StatusCode::from_u16(status).unwrap(), [("x-amzn-errortype", code)], "{}"),
                None => std::future::pending().await,
            }
        }
    };
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    (Service::new(&Https::default(), &base, "us-east-1", "iot", |name| Some(name.to_owned())), asked)
}

async fn check_attempts(answers: &[(u16, &'static str)], patience: Patience, expected: &str, attempts: usize) {
    let (service, asked) = server(answers).await;
    let outcome = service.send(Call::new(Method::GET, &["things"]).patience(patience)).await;
    assert_eq!((format!("{outcome:?}").as_str(), asked.load(SeqCst)), (expected, attempts), "{answers:?}");
}

const IMPATIENT: Patience = Patience { each: Duration::from_millis(300), ..Patience::USUAL };

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_is_settled_is_not() {
    let (fine, out) = ((200, ""), (503, "ServiceUnavailableException"));
    let throttled = (429, "ThrottlingException");
    check_attempts(&[out, fine], Patience::USUAL, "Ok(Reply(200))", 2).await;
    check_attempts(&[throttled; 3], Patience::USUAL, "Err(Throttled(\"ThrottlingException (429)\"))", 3).await;
    check_attempts(&[out; 4], Patience::USUAL, "Err(Unclear(\"ServiceUnavailableException (503)\"))", 3).await;
    check_attempts(&[(403, "Forbidden"), fine], Patience::USUAL, "Err(Refused(Forbidden (403)))", 1).await;
    check_attempts(&[out, fine], Patience::ONCE, "Err(Unclear(\"ServiceUnavailableException (503)\"))", 1).await;
}

/// An attempt that nobody answered may have done it.
#[tokio::test]
async fn being_throttled_does_not_make_an_unclear_attempt_undone() {
    let (out, throttled) = ((500, "InternalFailureException"), (429, "ThrottlingException"));
    check_attempts(&[out, throttled, throttled], Patience::USUAL, "Err(Unclear(\"ThrottlingException (429)\"))", 3).await;
}

#[tokio::test]
async fn silence_ends() {
    check_attempts(&[], IMPATIENT, "Err(Unclear(\"no answer in time\"))", 3).await;
    let short = Patience { in_all: Duration::from_millis(200), ..IMPATIENT };
    check_attempts(&[], short, "Err(Unclear(\"no answer in time\"))", 1).await;
}

#[tokio::test]
async fn without_credentials_nothing_is_sent() {
    let outcome = service("iot").send(Call::new(Method::GET, &[])).await;
    assert_eq!(format!("{outcome:?}"), "Err(Unsent(\"no credentials in the environment\"))");
}

#[test]
fn pauses_grow_and_stay_below_their_limit() {
    assert!(pause_after(1) <= FIRST_PAUSE && pause_after(2) <= FIRST_PAUSE * 2);
    assert!((3..40).all(|attempt| pause_after(attempt) <= LONGEST_PAUSE));
}
