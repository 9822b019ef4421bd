//! Test certificates and signatures in the form of Alexa's, and a real HTTP server for the certificates.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use onething::https::Https;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_RSA_SHA256, SigningKey,
};
use rustls::pki_types::TrustAnchor;
use time::{Duration, OffsetDateTime};

use super::cache::fetch;
use super::chain::NAME;
use super::chain_url::ChainUrl;
use super::{ChainSource, SourceFault};

/// 2026-11-22T00:00:00Z.
pub(crate) const NOW: u64 = 1_795_305_600;

thread_local! {
    static CLOCK: Cell<u64> = const { Cell::new(NOW) };
}

/// The clock of this test, as Unix time in seconds.
pub(crate) fn clock() -> u64 {
    CLOCK.get()
}

/// Advances the clock of this test.
pub(crate) fn pass(seconds: u64) {
    CLOCK.set(CLOCK.get() + seconds);
}

pub(crate) type Ca = CertifiedIssuer<'static, KeyPair>;

/// The key of Alexa's certificate. Generating an RSA key takes long, so all tests share it.
pub(crate) static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap());

pub(crate) fn days(from: i64, to: i64) -> impl FnOnce(&mut CertificateParams) {
    let now = OffsetDateTime::from_unix_timestamp(i64::try_from(NOW).unwrap()).unwrap();
    move |params| (params.not_before, params.not_after) = (now + Duration::days(from), now + Duration::days(to))
}

fn ca_params(name: &str, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    days(-1_000, 1_000)(&mut params);
    change(&mut params);
    params
}

pub(crate) fn root(name: &str) -> Ca {
    Ca::self_signed(ca_params(name, |_| ()), KeyPair::generate().unwrap()).unwrap()
}

pub(crate) fn intermediate(name: &str, by: &Ca, change: impl FnOnce(&mut CertificateParams)) -> Ca {
    Ca::signed_by(ca_params(name, change), KeyPair::generate().unwrap(), by).unwrap()
}

/// A cross certificate: the name and the key of `of`, issued by another root.
pub(crate) fn cross_certificate(of: &Ca, name: &str, by: &Ca) -> String {
    ca_params(name, |_| ()).signed_by(of.key(), by).unwrap().pem()
}

/// A certificate in the form of Alexa's, with a modification.
pub(crate) fn leaf(by: &Issuer<'_, impl SigningKey>, key: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> String {
    let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, NAME);
    params.is_ca = IsCa::ExplicitNoCa;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    days(-100, 100)(&mut params);
    change(&mut params);
    params.signed_by(key, by).unwrap().pem()
}

pub(crate) fn anchor(root: &Ca) -> TrustAnchor<'static> {
    webpki::anchor_from_trusted_cert(root.der()).unwrap().to_owned()
}

/// A valid chain of Amazon with its authorities.
pub(crate) struct Amazon {
    pub(crate) root: Ca,
    pub(crate) between: Ca,
    pub(crate) chain: String,
}

impl Amazon {
    pub(crate) fn new() -> Self {
        let root = root("root");
        let between = intermediate("between", &root, |_| ());
        let chain = leaf(&between, &KEY, |_| ()) + &between.pem();
        Self { root, between, chain }
    }
}

pub(crate) fn sign(body: &[u8]) -> Vec<u8> {
    KEY.sign(body).unwrap()
}

/// The response of the server to a path.
#[derive(Clone)]
pub(crate) enum Answer {
    Status(u16, Bytes),
    Redirect(&'static str),
    Silence,
}

impl Answer {
    pub(crate) fn ok(body: impl Into<Bytes>) -> Self {
        Self::Status(200, body.into())
    }
}

/// An HTTP server on this machine in place of S3.
pub(crate) struct Server {
    base: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    files: Mutex<HashMap<String, Answer>>,
    asked: AtomicUsize,
}

impl Server {
    /// Starts the server. Call this in a runtime.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared::default());
        let app = axum::Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { base, shared }
    }

    pub(crate) fn put(&self, path: &str, answer: Answer) {
        self.shared.files.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// The number of requests so far.
    pub(crate) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn source(&self) -> Elsewhere {
        Elsewhere { https: Https::default(), base: self.base.clone() }
    }
}

async fn answer(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    shared.asked.fetch_add(1, Ordering::SeqCst);
    let answer = shared.files.lock().unwrap().get(uri.path()).cloned();
    match answer {
        Some(Answer::Status(status, body)) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        Some(Answer::Redirect(to)) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Some(Answer::Silence) => std::future::pending().await,
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A source that fetches from the test server instead of S3.
pub(crate) struct Elsewhere {
    pub(crate) https: Https,
    pub(crate) base: String,
}

impl ChainSource for Elsewhere {
    async fn fetch(&self, url: &ChainUrl) -> Result<Bytes, SourceFault> {
        fetch(&self.https, &self.base, url).await
    }
}
