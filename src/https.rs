//! The one HTTP client of the library: small calls to Amazon's servers, over pooled connections.
//!
//! It takes `http://` addresses, too, for servers on the same machine. Answers are bounded in size and
//! every call in time; redirects are not followed, so a bearer token goes to the host it is meant for.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{HttpConnector, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use thiserror::Error;

use crate::identify::AccessToken;

const ANSWER_LIMIT: usize = 64 * 1024;
const CALL_LIMIT: Duration = Duration::from_millis(2_500);
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
const IDLE_LIMIT: Duration = Duration::from_secs(50);

type Broken = hyper_util::client::legacy::Error;

/// A client; clones share the connections.
#[derive(Clone)]
pub struct Https {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// A request in the making.
pub struct Call {
    request: http::request::Builder,
    body: Bytes,
}

/// A whole answer.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum HttpsError {
    /// The address or a header is not one.
    #[error("the request cannot be made")]
    Unsendable(#[source] http::Error),
    /// No connection, or it broke.
    #[error("no connection")]
    Unreachable(#[source] Broken),
    /// The answer broke off or was too large.
    #[error("the answer broke off")]
    BrokenAnswer,
    /// Nothing in time.
    #[error("no answer in time")]
    Silent,
}

impl Default for Https {
    /// A client that trusts the roots Mozilla trusts, compiled in: reading the system's takes longer than
    /// all else at start.
    fn default() -> Self {
        let roots = rustls::RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let tls = rustls::ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .map(|config| config.with_root_certificates(roots).with_no_client_auth());
        let connector = match tls {
            Ok(tls) => hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls),
            // The provider named above has these versions: this cannot happen.
            Err(_) => unreachable!("the TLS provider supports TLS 1.2 and 1.3"),
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_LIMIT));
        let connector = connector.https_or_http().enable_http1().wrap_connector(tcp);
        // The timer is what closes idle connections before a frozen process finds them dead.
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_LIMIT).build(connector);
        Self { client }
    }
}

impl Https {
    /// Sends a call and reads the whole answer, whatever its status.
    pub async fn send(&self, call: Call) -> Result<Reply, HttpsError> {
        self.send_within(call, CALL_LIMIT).await
    }

    /// The same, with a time limit of its own.
    pub async fn send_within(&self, call: Call, within: Duration) -> Result<Reply, HttpsError> {
        let request = call.request.body(Full::new(call.body)).map_err(HttpsError::Unsendable)?;
        let exchange = tokio::time::timeout(within, self.exchange(request, ANSWER_LIMIT));
        let answer = exchange.await.unwrap_or(Err(HttpsError::Silent))?;
        Ok(Reply { status: answer.status().as_u16(), body: answer.into_body() })
    }

    /// One exchange without a time limit of its own: the whole answer, of at most `limit` bytes.
    pub async fn exchange(&self, mut request: http::Request<Full<Bytes>>, limit: usize) -> Result<http::Response<Bytes>, HttpsError> {
        let connection = capture_connection(&mut request);
        let answer = self.client.request(request).await.map_err(HttpsError::Unreachable)?;
        if answer.status().is_server_error() {
            // A repetition is to go to another server than the one that has stumbled.
            connection.connection_metadata().as_ref().inspect(|connected| connected.poison());
        }
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, limit).collect().await.map_err(|_| HttpsError::BrokenAnswer)?;
        Ok(http::Response::from_parts(head, body.to_bytes()))
    }

    /// Makes the TLS handshake with a host, so that the first call finds a connection. What becomes of it
    /// shows when that call is made.
    pub async fn connect_early(&self, base: &str) {
        if base.starts_with("https://") {
            let _ = self.send(Call::new("HEAD", base, "/")).await;
        }
    }
}

impl Call {
    fn new(method: &str, base: &str, path: &str) -> Self {
        let uri = format!("{}{path}", base.trim_end_matches('/'));
        Self { request: http::Request::builder().method(method).uri(uri), body: Bytes::new() }
    }

    /// `GET base/path`.
    pub fn get(base: &str, path: &str) -> Self {
        Self::new("GET", base, path)
    }

    /// `POST base/path`.
    pub fn post(base: &str, path: &str) -> Self {
        Self::new("POST", base, path)
    }

    /// `POST` to a whole address, as it stands.
    pub fn post_to(url: &str) -> Self {
        Self { request: http::Request::builder().method("POST").uri(url), body: Bytes::new() }
    }

    /// With `Authorization: Bearer`.
    pub fn bearer(mut self, token: &AccessToken) -> Self {
        let value = http::HeaderValue::try_from(format!("Bearer {}", token.secret()));
        self.request = match value {
            Ok(mut value) => {
                value.set_sensitive(true);
                self.request.header(http::header::AUTHORIZATION, value)
            }
            // The builder keeps the fault, without the value, until the call is sent.
            Err(_) => self.request.header(http::header::AUTHORIZATION, "\n"),
        };
        self
    }

    /// With a JSON body.
    pub fn json(mut self, body: &serde_json::Value) -> Self {
        self.body = body.to_string().into();
        self.request = self.request.header(http::header::CONTENT_TYPE, "application/json");
        self
    }
}
