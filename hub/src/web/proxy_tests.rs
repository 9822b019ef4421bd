//! Tests of the reverse proxies in `examples/`, with the real programs in front of a real hub. A signed request arrives
//! unchanged, and only `/alexa` and `/register` can be reached.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;

use super::alexa::tests::{CHAIN, Stage};
use crate::audit::{Event, Kind};
use crate::signature::forge::{NOW, sign};

const PATIENCE: Duration = Duration::from_secs(20);
/// The host name in the examples, and the address of the hub in them.
const NAME: &str = "hub.example.com";
const HUB: &str = "127.0.0.1:8080";

/// A running proxy and the TLS settings of its client. Dropping the value kills the proxy.
struct Proxy {
    process: Child,
    port: u16,
    tls: TlsConnector,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Writes the configuration for a port, and returns the command that starts the proxy with it.
type Setup = fn(&Path, u16, &str) -> Command;

fn example(name: &str, changes: &[(&str, &str)]) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    let mut text = std::fs::read_to_string(file).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{from} is not in {name}");
        text = text.replace(from, to);
    }
    text
}

fn nginx(place: &Path, port: u16, hub: &str) -> Command {
    let (certificate, key) = (place.join("certificate.pem"), place.join("key.pem"));
    let site = example(
        "nginx.conf",
        &[
            ("listen 443 ssl;", &format!("listen 127.0.0.1:{port} ssl;")),
            ("listen [::]:443 ssl;", ""),
            ("/etc/letsencrypt/live/hub.example.com/fullchain.pem", certificate.to_str().unwrap()),
            ("/etc/letsencrypt/live/hub.example.com/privkey.pem", key.to_str().unwrap()),
            (HUB, hub),
        ],
    );
    std::fs::write(place.join("site.conf"), site).unwrap();
    let at = place.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|what| format!("{what}_temp_path {at}/{what};")).join(" ");
    // A single process, which ends with the test.
    let main = format!(
        "daemon off; master_process off; pid {at}/pid; error_log stderr; events {{}} http {{ access_log off; {temporary} include {at}/site.conf; }}"
    );
    std::fs::write(place.join("nginx.conf"), main).unwrap();
    let mut command = Command::new("nginx");
    command
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .arg("-c")
        .arg(place.join("nginx.conf"))
        .arg("-p")
        .arg(place)
        .args(["-e", "stderr"]);
    command
}

fn caddy(place: &Path, port: u16, hub: &str) -> Command {
    let at = place.display();
    let own = format!("https://{NAME}:{port} {{\n\tbind 127.0.0.1\n\ttls {at}/certificate.pem {at}/key.pem");
    let site = example("Caddyfile", &[("hub.example.com {", &own), (HUB, hub)]);
    std::fs::write(place.join("Caddyfile"), format!("{{\n\tadmin off\n\tauto_https off\n}}\n\n{site}")).unwrap();
    let mut command = Command::new("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(place.join("Caddyfile"));
    command.env("HOME", place).env("XDG_DATA_HOME", place).env("XDG_CONFIG_HOME", place);
    command
}

/// A port that was free at the time of the call. The proxies cannot use port 0.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Proxy {
    async fn start(setup: Setup, place: &Path, hub: &str) -> Self {
        let own = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
        std::fs::write(place.join("certificate.pem"), own.cert.pem()).unwrap();
        std::fs::write(place.join("key.pem"), own.signing_key.serialize_pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(own.cert.der().clone()).unwrap();
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
        let tls = tls.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots).with_no_client_auth();
        let tls = TlsConnector::from(Arc::new(tls));
        for _ in 0..5 {
            let port = free_port();
            let process = setup(place, port, hub).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
            let mut proxy = Self { process: process.expect("`.ci/run` installs nginx and caddy"), port, tls: tls.clone() };
            let answers = async {
                loop {
                    if proxy.process.try_wait().unwrap().is_some() {
                        return false;
                    }
                    if proxy.ask(Request::get("/"), Bytes::new()).await.is_some() {
                        return true;
                    }
                    tokio::task::yield_now().await;
                }
            };
            // A proxy that has exited did not get its port.
            if tokio::time::timeout(PATIENCE, answers).await.expect("a proxy that answers") {
                return proxy;
            }
        }
        panic!("the proxy does not start");
    }

    /// Sends a request from 127.0.0.2, which is not an address of the proxy. Returns the status and the body.
    async fn ask(&self, request: http::request::Builder, body: Bytes) -> Option<(u16, Bytes)> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let stream = socket.connect(([127, 0, 0, 1], self.port).into()).await.ok()?;
        let stream = self.tls.connect(ServerName::try_from(NAME).unwrap(), stream).await.ok()?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
        tokio::spawn(connection);
        let answer = sender.send_request(request.header("host", NAME).body(Full::new(body)).unwrap()).await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.into_body().collect().await.ok()?.to_bytes()))
    }
}

async fn check(setup: Setup) {
    let stage = Stage::with(|asked| asked.behind_proxy = true).await;
    let hub = stage.address.strip_prefix("http://").unwrap().strip_suffix("/alexa").unwrap().to_owned();
    let place = tempfile::tempdir().unwrap();
    let proxy = Proxy::start(setup, place.path(), &hub).await;
    let post = |path: &str| Request::builder().method(Method::POST).uri(path).header("content-type", "application/json; charset=utf-8");
    let signed = |body: &str| {
        post("/alexa").header("SignatureCertChainUrl", CHAIN).header("Signature-256", BASE64_STANDARD.encode(sign(body.as_bytes())))
    };

    // The signature covers white space and characters outside of ASCII.
    let launch = stage.launch("one", NOW).await.to_string().replacen('{', "{ \n\t\"ä\" : \"€ 🖨\" ,", 1);
    let (status, answer) = proxy.ask(signed(&launch), launch.clone().into()).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert!(status == 200 && answer["version"] == "1.0", "{status} {answer}");
    assert_eq!(stage.hub.registry.things().await.unwrap().len(), 1);
    let (status, _) = proxy.ask(signed(&launch), format!("{launch} ").into()).await.unwrap();
    assert_eq!(status, 400, "the body is not the signed one");
    let (status, _) = proxy.ask(post("/alexa"), launch.into()).await.unwrap();
    assert_eq!(status, 400, "the request has no signature");

    let registration = post("/register").header("x-forwarded-for", "203.0.113.9");
    let (status, answer) = proxy.ask(registration, json!({"code": "K7QF-93PD"}).to_string().into()).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!((status, &answer["cause"]), (400, &json!("malformed")), "the request has no public key: {answer}");
    let events = stage.hub.audit(Some(Kind::Registration), 9).await.unwrap();
    let Some(Event::Registration(last)) = events.last() else { panic!("{events:?}") };
    assert_eq!(last.source, "127.0.0.2", "the proxy ignores the header of the client");

    for path in [
        "/",
        "/health",
        "/metrics",
        "/api/things",
        "/api/outgoing-mail",
        "/api/audit",
        "/api/registrations",
        "/echo",
        "/link",
        "/sign-in",
        "/alexa/",
        "/alexa/x",
        "/register/",
        "/register/../metrics",
        "/alexa/../metrics",
        "/alexa/%2e%2e/metrics",
        "//metrics",
        "/./metrics",
        "/database",
    ] {
        for method in [Method::GET, Method::POST] {
            let request = Request::builder().method(method.clone()).uri(path).header("content-type", "application/json");
            let (status, body) = proxy.ask(request, Bytes::from_static(b"{\"user\":\"ana\"}")).await.unwrap();
            let body = String::from_utf8_lossy(&body);
            assert!((300..500).contains(&status) && !body.contains("onething"), "{method} {path}: {status} {body}");
        }
    }
}

#[tokio::test]
async fn nginx_forwards_only_requests_of_alexa_and_registrations() {
    check(nginx).await;
}

#[tokio::test]
async fn caddy_forwards_only_requests_of_alexa_and_registrations() {
    check(caddy).await;
}
