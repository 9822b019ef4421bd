use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;

/// Starts a hook on this machine that responds with `answers`. Returns its URL.
async fn hook_server(answers: fn(Value) -> (StatusCode, String)) -> String {
    let answer = move |body: Bytes| async move { answers(serde_json::from_slice(&body).unwrap()) };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/devices/?env=prod", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/devices/", post(answer))).await });
    address
}

async fn ask(address: &str, within: Duration) -> Result<HookDecision, HookError> {
    let question = HookQuery { serial: Some("SN-1".into()), thing_type: "lamp".into(), source: "192.0.2.1".into() };
    HttpHook(Https::default()).ask(&HookAddress::parse(address).unwrap(), &question, within).await
}

const LONG: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_hook_with_a_url_receives_the_query_as_json() {
    let address = hook_server(|question| {
        assert_eq!(question, json!({"serial": "SN-1", "thingType": "lamp", "source": "192.0.2.1"}));
        (StatusCode::OK, json!({"allow": true, "attributes": {"hardware": "b"}, "new": 1}).to_string())
    });
    let verdict = ask(&address.await, LONG).await.unwrap();
    assert_eq!(verdict, HookDecision { allow: true, attributes: [("hardware".into(), "b".into())].into() });
}

#[tokio::test]
async fn a_refusal_of_the_hook_is_returned() {
    let address = hook_server(|_| (StatusCode::OK, r#"{"allow": false}"#.into())).await;
    assert_eq!(ask(&address, LONG).await.unwrap(), HookDecision::default());
}

#[tokio::test]
async fn only_a_valid_response_is_accepted() {
    let failed = |outcome: Result<HookDecision, HookError>| outcome.unwrap_err().to_string();
    let address = hook_server(|_| (StatusCode::INTERNAL_SERVER_ERROR, r#"{"allow": true}"#.into())).await;
    assert_eq!(failed(ask(&address, LONG).await), "the hook failed: status 500");
    let address = hook_server(|_| (StatusCode::FOUND, r#"{"allow": true}"#.into())).await;
    assert_eq!(failed(ask(&address, LONG).await), "the hook failed: status 302");
    for answer in ["", "null", "{}", r#"{"allow": "true"}"#, r#"{"allow": true, "attributes": {"a": 1}}"#, r#"{"allow": tr"#] {
        assert!(matches!(HookDecision::read(answer.as_bytes()), Err(HookError::InvalidResponse(_))), "{answer}");
    }
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert!(matches!(ask(&format!("http://{nobody}/"), LONG).await, Err(HookError::Failed(_))));
    let lambda = ask("lambda:vetting", LONG).await;
    assert!(matches!(lambda, Err(HookError::Unsupported)));
}

#[tokio::test]
async fn a_silent_hook_times_out() {
    // The server accepts the connection but never reads from it.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    assert!(matches!(ask(&address, Duration::from_millis(50)).await, Err(HookError::Silent)));
}
