//! Tests of the HTTP interface of the simulated Echo and of the hub, with valid and invalid requests.

use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::guard::check_problem;
use crate::harness::{PATIENCE, Running, within};

/// Checks that a request with a too large Content-Length is rejected before its body is sent.
pub async fn check_too_large(hub: &Running, path: &str) {
    let host = hub.http.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(host).await.unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 200000\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(PATIENCE, "a refusal", socket.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("content-type: application/problem+json"), "{path}: {answer}");
    assert!(answer.contains("\"status\":413"), "{path}: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_request_is_rejected_with_a_problem() {
    let place = tempfile::tempdir().unwrap();
    let hub = Running::start(place.path());
    let client = hub.client();
    let send = async |method: Method, path: &str, kind: &str, body: Bytes| {
        let request = Request::builder().method(method).uri(format!("{}{path}", hub.http)).header("content-type", kind);
        client.send(request, body).await.unwrap()
    };
    for path in ["/echo", "/link", "/unlink", "/api/users", "/api/device"] {
        for body in ["", "{", "[]", "null", "{}", r#"{"user":7}"#, "\u{0}"] {
            check_problem(&send(Method::POST, path, "application/json", body.into()).await, 400);
        }
        check_problem(&send(Method::POST, path, "text/plain", r#"{"user":"ana"}"#.into()).await, 415);
        check_problem(&send(Method::PUT, path, "application/json", "{}".into()).await, 405);
        check_too_large(&hub, path).await;
    }
    check_too_large(&hub, "/alexa").await;
    check_problem(&client.get("/alexa").await.unwrap(), 405);
    for user in ["", "a b", "../x", "ä"] {
        check_problem(&client.post("/echo", &json!({"user": user, "say": "open my printer"})).await.unwrap(), 400);
    }
    for both in [
        json!({"user": "ana"}),
        json!({"user": "ana", "say": "hello", "request": {"type": "LaunchRequest"}}),
        json!({"user": "ana", "request": "LaunchRequest"}),
        json!({"user": "ana", "say": ["hello"]}),
    ] {
        check_problem(&client.post("/echo", &both).await.unwrap(), 400);
    }
    check_problem(&client.post("/api/device", &json!({"user": "ana", "do": "connect"})).await.unwrap(), 409);
    check_problem(&client.post("/api/users", &json!({"name": "ana"})).await.unwrap(), 409);
    for nothing in ["/nothing", "/api", "/api/mail/nothing", "/api/mail/nothing/attachment", "/api/mail/..%2fhub.db", "/page.js/x"] {
        check_problem(&client.get(nothing).await.unwrap(), 404);
    }
    for query in ["/api/echo", "/api/device", "/api/things?user=a%20b", "/api/mail?user=a%20b"] {
        check_problem(&client.get(query).await.unwrap(), 400);
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapped_request_is_rejected_with_the_expected_form() {
    let place = tempfile::tempdir().unwrap();
    let hub = Running::start(place.path());
    let client = hub.client();
    let launch = json!({"type": "LaunchRequest", "requestId": "amzn1.echo-api.request.1", "locale": "en-US"});
    let envelope = json!({"version": "1.0", "session": {"new": true}, "context": {"System": {}}, "request": launch});
    let event = json!({"version": "2.0", "requestContext": {"http": {"method": "POST"}}, "body": envelope.to_string()});
    for (body, what) in [
        (json!({"user": "ana", "request": envelope}), "inside `request`"),
        (envelope.clone(), "whole envelope"),
        (json!({"user": "ana", "request": envelope.to_string()}), "inside `request`"),
        (json!({"user": "ana", "request": event}), "inside `request.body`"),
        (event.clone(), "inside `body`"),
        (launch.clone(), "without the user"),
        (json!({"user": "ana", "request": {"request": launch}}), "holds a request again"),
    ] {
        let answer = client.post("/echo", &body).await.unwrap();
        check_problem(&answer, 400);
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(what) && detail.contains(r#"{"user":"ana","request":{"type":"LaunchRequest"}}"#), "{body}: {detail}");
    }
    assert_eq!(client.thing("ana").await, Some(Value::Null), "nothing was made");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_request_has_a_response_that_alexa_accepts() {
    let place = tempfile::tempdir().unwrap();
    let hub = Running::start(place.path());
    let client = hub.client();
    client.link("ana").await.unwrap();
    let intent = |name: &str| json!({"type": "IntentRequest", "intent": {"name": name, "confirmationStatus": "NONE", "slots": {}}});
    for request in [
        json!({"type": "LaunchRequest"}),
        intent("StatusIntent"),
        intent("AMAZON.HelpIntent"),
        intent("AMAZON.StopIntent"),
        intent("NobodyKnowsIntent"),
        json!({"type": "IntentRequest"}),
        json!({"type": "CanFulfillIntentRequest", "intent": {"name": "PrintIntent", "slots": {}}}),
        json!({"type": "SessionEndedRequest", "reason": "USER_INITIATED"}),
        json!({"type": "AlexaSkillEvent.SkillEnabled"}),
        json!({"type": "AlexaSkillEvent.SkillAccountLinked", "body": {"accessToken": "of nobody"}}),
        json!({"type": "Display.ElementSelected", "token": "t"}),
        json!({"type": "AudioPlayer.PlaybackStarted"}),
        json!({"type": "Connections.Response", "status": {"code": "200"}}),
        json!({"type": "System.ExceptionEncountered", "error": {"type": "INVALID_RESPONSE"}}),
        json!({"type": "Of.Tomorrow", "strange": [null, {"x": 1}]}),
        json!({}),
    ] {
        let answer = client.post("/echo", &json!({"user": "ana", "request": request})).await.unwrap();
        assert_eq!(answer.status, 200, "{request}: {answer:?}");
        let turn = answer.json();
        assert!(turn["response"]["version"] == "1.0" && turn["response"]["response"].is_object(), "{request}: {turn}");
        assert!(!turn["response"].to_string().contains("null"), "{request}: {turn}");
        assert!(!turn.to_string().contains("Atza|"), "a token is shown");
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_user_has_a_session_of_their_own() {
    let place = tempfile::tempdir().unwrap();
    let hub = Running::start(place.path());
    let client = hub.client();
    for user in ["ana", "ben"] {
        client.link(user).await.unwrap();
    }
    let session = |turn: &Value| turn["request"]["session"]["sessionId"].as_str().unwrap().to_owned();
    let first = client.say("ana", "open my printer").await.unwrap();
    let other = client.say("ben", "open my printer").await.unwrap();
    // Within a session no invocation name is needed, and sessions of different users are independent.
    let second = client.say("ana", "print a vase").await.unwrap();
    assert_eq!((session(&first), second["request"]["session"]["new"] == false), (session(&second), true));
    assert_ne!(session(&first), session(&other));
    assert!(second["heard"]["speech"].as_str().unwrap().starts_with("Printing 1 vase"));
    let desired = async |user: &str| client.thing(user).await.unwrap()["shadow"]["state"]["desired"]["command"]["name"].take();
    assert_eq!((desired("ana").await, desired("ben").await), (json!("print"), Value::Null));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_cannot_see_the_data_of_other_users() {
    let place = tempfile::tempdir().unwrap();
    let hub = Running::start(place.path());
    let client = hub.client();
    for user in ["ana", "ben"] {
        client.link(user).await.unwrap();
    }
    client.say("ana", "ask my printer to print a vase").await.unwrap();
    let (ana, ben) = (client.thing("ana").await.unwrap(), client.thing("ben").await.unwrap());
    for path in ["/api/things", "/api/mail", "/api/echo", "/api/device"] {
        let shown = client.get(&format!("{path}?user=ben")).await.unwrap().json().to_string();
        for secret in [ana["thing"].as_str().unwrap(), ana["certificates"][0]["id"].as_str().unwrap(), "ana", "vase"] {
            assert!(!shown.contains(secret), "{secret} in {path}: {shown}");
        }
        assert!(!shown.contains("PRIVATE KEY") && !shown.contains("Atza|"));
    }
    assert_ne!(ana["thing"], ben["thing"]);
    let users = client.get("/api/users").await.unwrap().json();
    assert!(!users.to_string().contains("ana@example.com"), "addresses are masked: {users}");
    hub.stop().await;
}
