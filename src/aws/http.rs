//! The SDK's HTTP client: the library's own one.
//!
//! The SDK's default client reads the system's trust store at start (longer than all else together) and
//! keeps connections apart by client and time limit. This one trusts the roots that are compiled in, and
//! a connection made during init serves whatever call comes first.

use std::fmt;

use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};

use crate::https::Https;

/// [`Https`] in the SDK's words.
#[derive(Clone)]
pub(super) struct SdkHttps(pub(super) Https);

impl fmt::Debug for SdkHttps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SdkHttps")
    }
}

impl HttpClient for SdkHttps {
    /// The settings hold time limits only: the client bounds connecting, the SDK each attempt.
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for SdkHttps {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let https = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let (head, body) = request.into_parts();
            // Every call here is built in memory; a body that is a stream has no bytes to show.
            let body = body.bytes().map(Bytes::copy_from_slice).ok_or_else(|| ConnectorError::user("a body that is a stream".into()))?;
            let mut request = http::Request::from_parts(head, body.into());
            let connection = capture_connection(&mut request);
            if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
                capture.set_connection_retriever(move || describe(&connection));
            }
            match https.exchange(request).await {
                Ok(answer) => {
                    HttpResponse::try_from(answer.map(SdkBody::from_body_1_x)).map_err(|error| ConnectorError::other(error.into(), None))
                }
                // Broken or not made: as an I/O fault, which the SDK retries where retries are allowed.
                Err(error) => Err(ConnectorError::io(error.into())),
            }
        })
    }
}

/// Lets the SDK put a connection out of use on which a server has stumbled.
fn describe(connection: &CaptureConnection) -> Option<ConnectionMetadata> {
    let connection = connection.clone();
    let proxied = connection.connection_metadata().as_ref()?.is_proxied();
    let poison = move || {
        if let Some(connected) = connection.connection_metadata().as_ref() {
            connected.poison();
        }
    };
    Some(ConnectionMetadata::builder().proxied(proxied).poison_fn(poison).build())
}
