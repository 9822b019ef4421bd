//! The HTTP client of the library: small requests to servers of Amazon over pooled connections.
//!
//! `http://` URLs are accepted, too, for servers on the same machine. The size of a response and the duration of a call are
//! limited. Redirects are not followed, so a bearer token is sent only to the host that it is meant for.

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

/// An HTTP client. Clones share the connection pool.
#[derive(Clone, Debug)]
pub struct Https {
    client: reqwest::Client,
}

/// A complete HTTP response without headers.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

/// Why there is no response. Neither the messages nor their sources contain the URL, because its query may be secret.
#[derive(Debug, Error)]
pub enum HttpsError {
    /// The URL or a header is invalid.
    #[error("the request cannot be made")]
    InvalidRequest(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The connection failed or was closed before the response headers.
    #[error("no connection")]
    Unreachable(#[source] reqwest::Error),
    /// The connection was closed within the response body.
    #[error("the answer broke off")]
    BrokenAnswer,
    /// The response body is longer than the limit.
    #[error("the answer is too large")]
    TooLarge,
    /// The time limit has passed.
    #[error("no answer in time")]
    Silent,
}

/// A PEM file for additional root certificates contains no valid certificate.
#[derive(Debug, Error)]
#[error("it holds no certificate that can be read")]
pub struct NoValidRoots;

impl Default for Https {
    /// A client that trusts Mozilla's root certificates. They are compiled in, because reading the system's takes longer than the
    /// rest of the start.
    fn default() -> Self {
        Self::with_roots(mozilla(), CONNECT_LIMIT)
    }
}

fn mozilla() -> RootCertStore {
    RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned())
}

impl Https {
    /// A client for slow networks: with its own connect timeout and, optionally, additional trusted root certificates in PEM.
    pub fn patient(connect_within: Duration, roots: Option<&[u8]>) -> Result<Self, NoValidRoots> {
        let mut trusted = mozilla();
        if let Some(pem) = roots {
            let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
            let (added, _) = trusted.add_parsable_certificates(read.map_err(|_| NoValidRoots)?);
            if added == 0 {
                return Err(NoValidRoots);
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
                // Connections are dead after a Lambda function was frozen for longer than this.
                .pool_idle_timeout(IDLE_LIMIT)
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .no_proxy()
                .build()
        });
        match client {
            Ok(Ok(client)) => Self { client },
            // This cannot happen: the provider above supports these TLS versions, and nothing is read from the system.
            _ => unreachable!("the TLS provider supports TLS 1.2 and 1.3"),
        }
    }

    /// A `GET` request for [`send`](Self::send), which reports an invalid URL.
    pub fn get(&self, url: &str) -> RequestBuilder {
        self.client.get(url)
    }

    /// A `POST` request for [`send`](Self::send), which reports an invalid URL.
    pub fn post(&self, url: &str) -> RequestBuilder {
        self.client.post(url)
    }

    /// Sends a request and reads the whole response, whatever its status. The default time limit is 2.5 seconds.
    pub async fn send(&self, request: RequestBuilder) -> Result<Reply, HttpsError> {
        self.send_within(request, CALL_LIMIT).await
    }

    /// Same as [`send`](Self::send), with the time limit `within`.
    pub async fn send_within(&self, request: RequestBuilder, within: Duration) -> Result<Reply, HttpsError> {
        let exchange = async { self.execute(request.build().map_err(unsendable)?, ANSWER_LIMIT).await };
        let answer = tokio::time::timeout(within, exchange).await.unwrap_or(Err(HttpsError::Silent))?;
        Ok(Reply { status: answer.status().as_u16(), body: answer.into_body() })
    }

    /// Sends a request and reads a response body of at most `limit` bytes. There is no time limit except the connect timeout.
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

    /// Opens a TLS connection to a host in advance, so that the first request needs no handshake. Errors are ignored; the first
    /// request reports them.
    pub async fn preconnect(&self, base: &str) {
        if base.starts_with("https://") {
            let _ = self.send(self.client.head(base)).await;
        }
    }
}

fn unsendable(error: reqwest::Error) -> HttpsError {
    HttpsError::InvalidRequest(error.without_url().into())
}

impl From<http::Error> for HttpsError {
    fn from(error: http::Error) -> Self {
        Self::InvalidRequest(error.into())
    }
}
