//! Tests of the access to the page and to the interface, and of the parts that a hub in use offers.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use crate::harness::{Answer, Running, Starting, hub as onething_hub, in_use, run, serve};

/// Checks that a response is a problem document (RFC 9457).
pub fn check_problem(answer: &Answer, status: u16) {
    assert_eq!((answer.status, answer.kind.as_str()), (status, "application/problem+json"), "{answer:?}");
    let problem = answer.json();
    assert_eq!((&problem["type"], &problem["status"]), (&json!("about:blank"), &json!(status)), "{problem}");
    assert!(["title", "detail"].iter().all(|member| problem[member].as_str().is_some_and(|text| !text.is_empty())), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_password_other_hosts_proxies_and_sites_are_denied() {
    let place = tempfile::tempdir().unwrap();
    let hub = Running::start(place.path());
    let client = hub.client();
    for path in ["/", "/api/things", "/api/mail", "/metrics", "/api/events", "/api/registrations", "/api/audit"] {
        for (name, value) in [("host", "evil.example"), ("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.1")] {
            let request = Request::get(format!("{}{path}", hub.http)).header(name, value);
            check_problem(&client.send(request, Bytes::new()).await.unwrap(), 403);
        }
    }
    for path in ["/echo", "/link", "/unlink", "/token", "/api/users", "/api/device"] {
        for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
            let request = Request::post(format!("{}{path}", hub.http)).header("content-type", "application/json").header("origin", origin);
            check_problem(&client.send(request, r#"{"user":"ana","name":"eve"}"#).await.unwrap(), 403);
        }
    }
    let own = Request::post(format!("{}/link", hub.http)).header("content-type", "application/json").header("origin", &hub.http);
    assert_eq!(client.send(own, r#"{"user":"ana"}"#).await.unwrap().status, 204, "the page itself may");
    let health = Request::get(format!("{}/health", hub.http)).header("host", "hub.example");
    assert_eq!(client.send(health, Bytes::new()).await.unwrap().status, 200, "health is for everybody");
    let users = client.get("/api/users").await.unwrap().json();
    assert!(!users.to_string().contains("eve"));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_password_only_its_holders_have_access() {
    let place = tempfile::tempdir().unwrap();
    let mut command = serve(place.path());
    command.env("ONETHING_PASSWORD", "open sesame");
    let running = Starting::start(command).ready();
    let client = running.client();
    for path in ["/", "/api/things", "/metrics", "/api/registrations"] {
        check_problem(&client.get(path).await.unwrap(), 401);
        for (password, status) in [("open sesame", 200), ("open barley", 401), ("", 401)] {
            let credentials = format!("Basic {}", BASE64_STANDARD.encode(format!("anybody:{password}").as_bytes()));
            let request =
                Request::get(format!("{}{path}", running.http)).header("authorization", credentials).header("host", "hub.example");
            assert_eq!(client.send(request, Bytes::new()).await.unwrap().status, status, "{path} {password}");
        }
    }
    let things = |password: Option<&str>| {
        let mut command = onething_hub();
        command.args(["things", "--hub", &running.http]).envs(password.map(|password| ("ONETHING_PASSWORD", password)));
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(things(Some("open sesame")), (Some(0), String::new()));
    for wrong in [None, Some("wrong")] {
        let (code, complaint) = things(wrong);
        assert!(code == Some(1) && complaint.contains("the password of this hub is needed"), "{complaint}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_in_use_simulates_nothing() {
    let place = tempfile::tempdir().unwrap();
    let mut command = serve(place.path());
    in_use(&mut command);
    let hub = Starting::start(command).ready();
    let client = hub.client();
    let told = |answer: &Answer| {
        check_problem(answer, 404);
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("this hub is in use") && detail.contains("trying mode"), "{detail}");
    };
    for path in ["/api/mail", "/api/mail/x.eml/attachment", "/api/users", "/api/events", "/api/echo?user=ana", "/sign-in"] {
        told(&client.get(path).await.unwrap());
    }
    for path in ["/echo", "/link", "/unlink", "/token", "/api/device", "/api/users"] {
        told(&client.post(path, &json!({"user": "ana", "say": "open my printer"})).await.unwrap());
    }
    check_problem(&client.get("/page.js").await.unwrap(), 404);
    // A request through a proxy on this machine may have no forwarding header, and is then not distinguishable from a request of
    // the operator. So these paths are denied over TCP.
    for path in ["/api/things", "/api/outgoing-mail", "/api/audit"] {
        check_problem(&client.get(path).await.unwrap(), 403);
    }
    let page = client.get("/").await.unwrap();
    assert!(page.status == 200 && String::from_utf8_lossy(&page.body).contains("This hub is in use"), "{page:?}");
    check_problem(&client.post("/alexa", &json!({"version": "1.0", "request": {"type": "LaunchRequest"}})).await.unwrap(), 400);
    assert_eq!(client.get("/health").await.unwrap().status, 200);
    // The registration endpoint is available from any host and through any proxy.
    let registration = Request::post(format!("{}/register", hub.http)).header("content-type", "application/json");
    let registration = registration.header("host", "hub.example").header("x-forwarded-for", "192.0.2.1");
    assert_eq!(client.send(registration, r#"{"code":"K7QF-93PD"}"#).await.unwrap().json()["cause"], "malformed", "a key is missing");
    assert_eq!(client.get("/api/registrations").await.unwrap().json()["events"].as_array().unwrap().len(), 1);
    let audit = |kind: &str| run(onething_hub().args(["events", "--json", "--kind", kind, "--data"]).arg(place.path()));
    let events = |kind: &str| serde_json::from_str::<Value>(&audit(kind).1).unwrap()["events"].as_array().unwrap().len();
    assert_eq!((events("registration"), events("refusal")), (1, 0));
    assert_eq!(audit("nonsense").0, Some(2));
    hub.stop().await;
}
