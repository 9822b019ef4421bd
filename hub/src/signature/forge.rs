//! Certificates and requests like Alexa's, made at test time, and a real server that has the certificates.

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

/// The clock of this test.
pub(crate) fn clock() -> u64 {
    CLOCK.get()
}

/// Moves the clock of this test on.
pub(crate) fn pass(seconds: u64) {
    CLOCK.set(CLOCK.get() + seconds);
}

pub(crate) type Ca = CertifiedIssuer<'static, KeyPair>;

/// An RSA key takes long; Alexa's is made once.
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

/// The same authority under the name and key of `of`, vouched for by another root.
pub(crate) fn cross_certificate(of: &Ca, name: &str, by: &Ca) -> String {
    ca_params(name, |_| ()).signed_by(of.key(), by).unwrap().pem()
}

/// Alexa's certificate, with a change.
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

/// Amazon's side as it is on a good day.
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

/// What the server does when it is asked for a path.
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

/// A server on this machine that stands where S3 stands.
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
    /// Must be called in a runtime.
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

    /// How often it was asked for anything.
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

/// The way to S3, leading elsewhere.
pub(crate) struct Elsewhere {
    pub(crate) https: Https,
    pub(crate) base: String,
}

impl ChainSource for Elsewhere {
    async fn fetch(&self, url: &ChainUrl) -> Result<Bytes, SourceFault> {
        fetch(&self.https, &self.base, url).await
    }
}
