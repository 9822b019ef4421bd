//! The one HTTP client of the library: small calls to Amazon's servers, over pooled connections.
//!
//! It takes `http://` addresses, too, for servers on the same machine. Answers are bounded in size and
//! every call in time; redirects are not followed, so a bearer token goes to the host it is meant for.

use std::time::Duration;

use bytes::Bytes;
pub use reqwest::RequestBuilder;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use thiserror::Error;

const ANSWER_LIMIT: usize = 64 * 1024;
const CALL_LIMIT: Duration = Duration::from_millis(2_500);
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
const IDLE_LIMIT: Duration = Duration::from_secs(50);

/// A client; clones share the connections.
#[derive(Clone, Debug)]
pub struct Https {
    client: reqwest::Client,
}

/// A whole answer.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

/// Why there is no answer. The text and the causes of none of them hold the address, whose query may be a secret.
#[derive(Debug, Error)]
pub enum HttpsError {
    /// The address or a header is not one.
    #[error("the request cannot be made")]
    Unsendable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No connection, or it broke.
    #[error("no connection")]
    Unreachable(#[source] reqwest::Error),
    /// The answer broke off.
    #[error("the answer broke off")]
    BrokenAnswer,
    /// The answer is longer than anybody would wait for.
    #[error("the answer is too large")]
    TooLarge,
    /// Nothing in time.
    #[error("no answer in time")]
    Silent,
}

/// A file that should hold root certificates, and holds none that can be read.
#[derive(Debug, Error)]
#[error("it holds no certificate that can be read")]
pub struct NoRoots;

impl Default for Https {
    /// A client that trusts the roots Mozilla trusts, compiled in: reading the system's takes longer than
    /// all else at start.
    fn default() -> Self {
        Self::with_roots(mozilla(), CONNECT_LIMIT)
    }
}

fn mozilla() -> RootCertStore {
    RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned())
}

impl Https {
    /// A client for a network that may be slow, which trusts the roots in PEM as well, if there are any.
    pub fn patient(connect_within: Duration, roots: Option<&[u8]>) -> Result<Self, NoRoots> {
        let mut trusted = mozilla();
        if let Some(pem) = roots {
            let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
            let (added, _) = trusted.add_parsable_certificates(read.map_err(|_| NoRoots)?);
            if added == 0 {
                return Err(NoRoots);
            }
        }
        Ok(Self::with_roots(trusted, connect_within))
    }

    fn with_roots(roots: RootCertStore, connect_within: Duration) -> Self {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let tls = rustls::ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .map(|config| config.with_root_certificates(roots).with_no_client_auth());
        let client = tls.map(|tls| {
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls)
                .http1_only()
                .connect_timeout(connect_within)
                // A Lambda function that is frozen for longer finds its connections dead.
                .pool_idle_timeout(IDLE_LIMIT)
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .no_proxy()
                .build()
        });
        match client {
            Ok(Ok(client)) => Self { client },
            // The provider named above has these versions, and nothing is read from outside: this cannot happen.
            _ => unreachable!("the TLS provider supports TLS 1.2 and 1.3"),
        }
    }

    /// A `GET`, to be [sent](Self::send). An address that is none shows there.
    pub fn get(&self, url: &str) -> RequestBuilder {
        self.client.get(url)
    }

    /// A `POST`, to be [sent](Self::send). An address that is none shows there.
    pub fn post(&self, url: &str) -> RequestBuilder {
        self.client.post(url)
    }

    /// Sends a request and reads the whole answer, whatever its status.
    pub async fn send(&self, request: RequestBuilder) -> Result<Reply, HttpsError> {
        self.send_within(request, CALL_LIMIT).await
    }

    /// The same, with a time limit of its own.
    pub async fn send_within(&self, request: RequestBuilder, within: Duration) -> Result<Reply, HttpsError> {
        let exchange = async { self.execute(request.build().map_err(unsendable)?, ANSWER_LIMIT).await };
        let answer = tokio::time::timeout(within, exchange).await.unwrap_or(Err(HttpsError::Silent))?;
        Ok(Reply { status: answer.status().as_u16(), body: answer.into_body() })
    }

    /// One exchange without a time limit of its own: the whole answer, of at most `limit` bytes.
    pub async fn exchange(&self, request: http::Request<Bytes>, limit: usize) -> Result<http::Response<Bytes>, HttpsError> {
        self.execute(request.try_into().map_err(unsendable)?, limit).await
    }

    async fn execute(&self, request: reqwest::Request, limit: usize) -> Result<http::Response<Bytes>, HttpsError> {
        let mut answer = self.client.execute(request).await.map_err(|error| HttpsError::Unreachable(error.without_url()))?;
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|_| HttpsError::BrokenAnswer)? {
            if part.len() > limit - body.len() {
                return Err(HttpsError::TooLarge);
            }
            body.extend_from_slice(&part);
        }
        let mut whole = http::Response::new(Bytes::from(body));
        *whole.status_mut() = answer.status();
        *whole.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(whole)
    }

    /// Makes the TLS handshake with a host, so that the first call finds a connection. What becomes of it
    /// shows when that call is made.
    pub async fn connect_early(&self, base: &str) {
        if base.starts_with("https://") {
            let _ = self.send(self.client.head(base)).await;
        }
    }
}

fn unsendable(error: reqwest::Error) -> HttpsError {
    HttpsError::Unsendable(error.without_url().into())
}

impl From<http::Error> for HttpsError {
    fn from(error: http::Error) -> Self {
        Self::Unsendable(error.into())
    }
}
