//! Tests of health, metrics, and HTTPS with the operator's own certificate files.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::guard::check_problem;
use crate::harness::{PATIENCE, Running, Starting, serve, within};

#[tokio::test(flavor = "multi_thread")]
async fn health_reports_what_fails() {
    let place = tempfile::tempdir().unwrap();
    let hub = Running::start(place.path());
    let client = hub.client();
    let healthy = client.get("/health").await.unwrap();
    assert_eq!((healthy.status, healthy.json()), (200, serde_json::json!({"status": "ok"})));
    let (mail, elsewhere) = (place.path().join("mail"), place.path().join("elsewhere"));
    std::fs::rename(&mail, &elsewhere).unwrap();
    let ill = client.get("/health").await.unwrap();
    check_problem(&ill, 503);
    assert!(ill.json()["detail"].as_str().unwrap().contains("mailbox"), "{ill:?}");
    std::fs::rename(&elsewhere, &mail).unwrap();
    assert_eq!(client.get("/health").await.unwrap().status, 200, "mended without a restart");
    hub.stop().await;
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Checks a line of the exposition format, version 0.0.4
/// (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-format-details>).
fn check_line(line: &str) {
    if let Some(comment) = line.strip_prefix("# ") {
        let mut words = comment.splitn(3, ' ');
        let (keyword, name, rest) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        assert!(is_name(name) && (keyword == "HELP" || keyword == "TYPE" && ["counter", "gauge"].contains(&rest)), "{line}");
        return;
    }
    let (series, value) = line.rsplit_once(' ').unwrap();
    assert!(value.parse::<f64>().is_ok(), "{line}");
    let (name, labels) = series.split_once('{').map_or((series, None), |(name, labels)| (name, Some(labels)));
    assert!(is_name(name), "{line}");
    for label in labels.iter().flat_map(|labels| labels.strip_suffix('}').expect("no closing brace").split(',')) {
        let (name, value) = label.split_once('=').unwrap();
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).expect("the value is not quoted");
        assert!(is_name(name) && !value.contains(['"', '\\']), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_the_prometheus_format_and_no_names() {
    let place = tempfile::tempdir().unwrap();
    let hub = Running::start(place.path());
    let client = hub.client();
    client.link("ana").await.unwrap();
    client.say("ana", "ask my printer to print a vase").await.unwrap();
    client.get("/nothing").await.unwrap();
    let metrics = client.get("/metrics").await.unwrap();
    assert_eq!((metrics.status, metrics.kind.as_str()), (200, "text/plain; version=0.0.4"));
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(text.ends_with('\n'));
    text.lines().for_each(check_line);
    for counted in ["onething_relayed_total 1", "onething_http_requests_total{outcome=\"refused\"} 1"] {
        assert!(text.lines().any(|line| line == counted), "{counted} is not in {text}");
    }
    let thing = client.thing("ana").await.unwrap();
    for secret in ["ana", "ANA", "3D_Printer-", thing["certificates"][0]["id"].as_str().unwrap()] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn https_works_with_the_operators_own_certificate_files() {
    let place = tempfile::tempdir().unwrap();
    let (certificate, key) = (place.path().join("certificate.pem"), place.path().join("key.pem"));
    let own = rcgen::generate_simple_self_signed(["hub.example".to_owned()]).unwrap();
    std::fs::write(&certificate, own.cert.pem()).unwrap();
    std::fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    let with = |key: &std::path::Path| {
        let mut command = serve(&place.path().join("data"));
        command.arg("--tls-certificate").arg(&certificate).arg("--tls-key").arg(key);
        command
    };
    let hub = Starting::start(with(&key)).ready();
    let address = hub.http.strip_prefix("https://").expect("not an HTTPS URL").to_owned();
    let mut roots = RootCertStore::empty();
    roots.add(own.cert.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let tls = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots).with_no_client_auth();
    let socket = TcpStream::connect(&address).await.unwrap();
    let mut socket = TlsConnector::from(Arc::new(tls)).connect(ServerName::try_from("hub.example").unwrap(), socket).await.unwrap();
    socket.write_all(b"GET /health HTTP/1.1\r\nHost: hub.example\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    within(PATIENCE, "a response", socket.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with(r#"{"status":"ok"}"#), "{answer}");
    hub.stop().await;

    std::fs::write(&key, "no key").unwrap();
    let refused = with(&key).output().unwrap();
    let complaint = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(complaint.starts_with("onething-hub: the TLS certificate ") && complaint.trim_end().lines().count() == 1, "{complaint}");
}
