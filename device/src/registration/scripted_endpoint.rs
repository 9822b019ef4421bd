//! A scripted registration endpoint for tests: TLS and HTTP on loopback, with certificates that are generated for the test.

use std::sync::{Arc, Mutex};

use onething_hub::authority::Authority;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::address::Address;

pub(super) const NOW: u64 = 1_795_305_600;

/// A request as the endpoint received it.
#[derive(Clone, Debug)]
pub(super) struct ReceivedRequest {
    pub(super) head: String,
    pub(super) body: Value,
}

impl ReceivedRequest {
    pub(super) fn csr(&self) -> &str {
        self.body["csr"].as_str().unwrap()
    }
}

/// The reaction of the endpoint to a request.
pub(super) enum Reaction {
    /// Writes these bytes and closes the connection.
    Says(Vec<u8>),
    /// Never responds.
    Silence,
}

/// A response with this status, additional header lines, and this body.
pub(super) fn says(status: u16, headers: &str, body: &str) -> Reaction {
    let length = body.len();
    Reaction::Says(format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}").into_bytes())
}

pub(super) struct ScriptedEndpoint {
    pub(super) address: Address,
    /// The root certificate of the endpoint, in PEM.
    pub(super) root: Vec<u8>,
    received: Arc<Mutex<Vec<ReceivedRequest>>>,
    task: JoinHandle<()>,
}

impl ScriptedEndpoint {
    /// Starts an endpoint that reacts to each request by the script, which gets the number of the request.
    pub(super) async fn open(script: impl Fn(usize, &ReceivedRequest) -> Reaction + Send + Sync + 'static) -> Self {
        let (root, tls) = identity();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::parse(&format!("https://localhost:{}/register", listener.local_addr().unwrap().port())).unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (hears, script) = (Arc::clone(&received), Arc::new(script));
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(tls.clone(), socket, Arc::clone(&hears), Arc::clone(&script)));
            }
        });
        Self { address, root, received, task }
    }

    pub(super) fn received(&self) -> Vec<ReceivedRequest> {
        self.received.lock().unwrap().clone()
    }
}

impl Drop for ScriptedEndpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn identity() -> (Vec<u8>, TlsAcceptor) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let root = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let own_key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&own_key, &issuer).unwrap();
    let own_key = PrivateKeyDer::from_pem_slice(own_key.serialize_pem().as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider())).with_safe_default_protocol_versions();
    let config = config.unwrap().with_no_client_auth().with_single_cert(vec![own.der().clone()], own_key).unwrap();
    (root.pem().into_bytes(), TlsAcceptor::from(Arc::new(config)))
}

async fn serve(
    tls: TlsAcceptor,
    socket: TcpStream,
    received: Arc<Mutex<Vec<ReceivedRequest>>>,
    script: Arc<impl Fn(usize, &ReceivedRequest) -> Reaction>,
) -> Option<()> {
    let mut stream = BufReader::new(tls.accept(socket).await.ok()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        // Data that was sent through the TLS connection must be a complete request.
        assert!(stream.read_line(&mut head).await.ok()? > 0);
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let registration = ReceivedRequest { head, body: serde_json::from_slice(&body).unwrap() };
    let number = {
        let mut received = received.lock().unwrap();
        received.push(registration.clone());
        received.len() - 1
    };
    match script(number, &registration) {
        Reaction::Says(bytes) => {
            stream.write_all(&bytes).await.ok()?;
            stream.shutdown().await.ok()
        }
        Reaction::Silence => std::future::pending().await,
    }
}

/// A valid response to a certificate request.
pub(super) fn answer(csr: &str, thing: &str) -> Value {
    let authority = Authority::new(NOW).unwrap();
    let topic = |rest: &str| format!("$aws/things/{thing}/shadow/{rest}");
    json!({
        "thingName": thing, "thingType": "lamp", "clientId": thing, "endpoint": "broker.example", "port": 8883,
        "certificatePem": authority.issue_for(csr, NOW).unwrap().pem,
        "rootCas": {"preferred": authority.root_pem(), "backup": Authority::new(NOW).unwrap().root_pem()},
        "policy": "LampPolicy", "expiresAt": 2_524_607_999_u64,
        "topics": {
            "get": topic("get"), "getAccepted": topic("get/accepted"), "getRejected": topic("get/rejected"),
            "update": topic("update"), "updateAccepted": topic("update/accepted"), "updateRejected": topic("update/rejected"),
            "updateDelta": topic("update/delta"),
        },
    })
}
