//! Tests with real servers on loopback that answer correctly, incorrectly or not at all.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;

const AMPLE: Duration = Duration::from_secs(60);

/// Answers one request with these bytes. The result of the task is the request.
async fn server(answer: impl Into<Vec<u8>>) -> (String, JoinHandle<String>) {
    let (listener, answer) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), answer.into());
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        // The request ends with the JSON object.
        while !heard.ends_with(b"}") {
            assert!(stream.read_buf(&mut heard).await.unwrap() > 0, "the request is incomplete");
        }
        // A client that has read enough may close the connection.
        let _ = stream.write_all(&answer).await;
        String::from_utf8(heard).unwrap()
    });
    (format!("http://{address}/nozzle?unit=c"), task)
}

async fn ask(url: &str, limit: Duration) -> Result<String, String> {
    let url = LoopbackUrl::parse(url).unwrap();
    let said =
        post(&Https::default(), &url, &json!({"property": "nozzleTarget", "value": 200}), limit).await.map_err(|failed| failed.why)?;
    Ok(String::from_utf8(said).unwrap())
}

fn answer(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn the_input_is_the_body_and_the_response_is_returned() {
    let (url, heard) = server(answer("200 OK", r#"{"nozzle":20}"#)).await;
    assert_eq!(ask(&url, AMPLE).await.unwrap(), r#"{"nozzle":20}"#);
    let heard = heard.await.unwrap();
    let (head, body) = heard.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /nozzle?unit=c HTTP/1.1\r\n"), "{head}");
    let head = head.to_lowercase();
    assert!(head.contains("content-type: application/json") && head.contains("connection: close"), "{head}");
    assert!(head.contains(&format!("host: {}", url.trim_start_matches("http://").trim_end_matches("/nozzle?unit=c"))), "{head}");
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), json!({"property": "nozzleTarget", "value": 200}));
}

#[tokio::test]
async fn no_content_is_an_answer() {
    let (url, _) = server("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(ask(&url, AMPLE).await.unwrap(), "");
}

#[tokio::test]
async fn an_error_is_a_failure_and_its_detail_says_why() {
    let (url, _) = server(answer("500 Oops", "<html>stack trace</html>")).await;
    assert_eq!(ask(&url, AMPLE).await.unwrap_err(), format!("{url} answered 500"));
    let (url, _) = server(answer("409 Conflict", r#"{"title":"no","detail":"no\nfilament"}"#)).await;
    assert_eq!(ask(&url, AMPLE).await.unwrap_err(), "no filament");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = elsewhere.local_addr().unwrap();
    for code in ["301", "302", "303", "307", "308"] {
        let (url, _) = server(format!("HTTP/1.1 {code} Elsewhere\r\nLocation: http://{location}/\r\nContent-Length: 0\r\n\r\n")).await;
        assert_eq!(ask(&url, AMPLE).await.unwrap_err(), format!("{url} answered {code}"));
    }
    let nobody = timeout(Duration::ZERO, elsewhere.accept()).await;
    assert!(nobody.is_err(), "the redirect was followed");
}

#[tokio::test]
async fn a_missing_response_is_a_failure_after_the_time_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    assert_eq!(ask(&url, Duration::from_secs(1)).await.unwrap_err(), "it took longer than a second");
}

#[tokio::test]
async fn a_refused_connection_is_a_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(ask(&url, AMPLE).await.unwrap_err(), format!("{url} does not answer"));
}

#[tokio::test]
async fn localhost_is_tried_by_all_its_addresses() {
    let listener = TcpListener::bind("[::1]:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(b"}") {
            assert!(stream.read_buf(&mut heard).await.unwrap() > 0);
        }
        stream.write_all(answer("200 OK", "six").as_bytes()).await.unwrap();
        String::from_utf8(heard).unwrap()
    });
    assert_eq!(ask(&format!("http://localhost:{port}/"), AMPLE).await.unwrap(), "six");
    assert!(serving.await.unwrap().contains(&format!("localhost:{port}\r\n")));
}

#[tokio::test]
async fn a_response_that_is_too_large_or_truncated_is_a_failure() {
    let most = "x".repeat(ANSWER_LIMIT);
    let (url, _) = server(answer("200 OK", &most)).await;
    assert_eq!(ask(&url, AMPLE).await.unwrap().len(), ANSWER_LIMIT);
    let (url, _) = server(answer("200 OK", &format!("{most}x"))).await;
    let told = format!("the answer of {url} has more than 65536 bytes");
    assert_eq!(ask(&url, AMPLE).await.unwrap_err(), told);
    let (url, _) = server("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").await;
    assert_eq!(ask(&url, AMPLE).await.unwrap_err(), format!("the answer of {url} broke off"));
    let (url, _) = server("SSH-2.0-OpenSSH\r\n").await;
    assert_eq!(ask(&url, AMPLE).await.unwrap_err(), format!("{url} does not answer"));
}
