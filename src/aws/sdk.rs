//! The shared configuration of all SDK clients: credentials, region, time limits, and the HTTP client of this library.
//!
//! The SDK's own HTTP client reads the root certificates of the system, which takes longer than the rest of a cold start. It also
//! reads a response of any length. [`Https`] does neither, and all calls of this library then share its connections.

use std::time::Duration;

use crate::https::{Https, HttpsError};
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_iot::config::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;

/// The maximum size of a response, in bytes. The largest response is a page of things with their attributes.
const ANSWER_LIMIT: usize = 1024 * 1024;

/// The retries of a call that may be repeated: at most three attempts, with pauses of at most 0.1 s and 0.2 s.
fn attempts() -> RetryConfig {
    let first_pause = Duration::from_millis(100);
    RetryConfig::standard().with_max_attempts(3).with_initial_backoff(first_pause).with_max_backoff(8 * first_pause)
}

/// The time limits of one attempt and of a call with all its attempts. Alexa expects a response within eight seconds, so both are
/// far below the defaults of the SDK.
pub(super) fn limits(attempt: Duration, call: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().operation_attempt_timeout(attempt).operation_timeout(call).build()
}

/// The base configuration of each client.
pub(super) fn config(region: &str, https: &Https, credentials: impl ProvideCredentials + 'static) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(region.to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(SdkHttps(https.clone()))
        .sleep_impl(TokioSleep::new())
        .time_source(SystemTimeSource::new())
        .retry_config(attempts())
        .timeout_config(limits(Duration::from_secs(2), Duration::from_secs(3)))
        // The SDK only gets complete bodies.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build()
}

/// The credentials that Lambda provides to a function, either in environment variables or from a container endpoint
/// (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>).
pub fn credentials(https: &Https) -> impl ProvideCredentials + use<> {
    let container = ProviderConfig::empty()
        .with_http_client(SdkHttps(https.clone()))
        .with_sleep_impl(TokioSleep::new())
        .with_time_source(SystemTimeSource::new());
    CredentialsProviderChain::first_try("Environment", EnvironmentVariableCredentialsProvider::new())
        .or_else("Container", EcsCredentialsProvider::builder().configure(&container).build())
}

/// An adapter that gives the HTTP client of this library to the SDK.
#[derive(Clone, Debug)]
struct SdkHttps(Https);

impl HttpClient for SdkHttps {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for SdkHttps {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let https = self.0.clone();
        HttpConnectorFuture::new(async move {
            let (head, body) = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?.into_parts();
            let body = body.bytes().map(Bytes::copy_from_slice).ok_or_else(|| ConnectorError::user("a body that is a stream".into()))?;
            let answer = https.exchange(http::Request::from_parts(head, body), ANSWER_LIMIT).await.map_err(failed)?;
            HttpResponse::try_from(answer.map(SdkBody::from)).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

fn failed(error: HttpsError) -> ConnectorError {
    match error {
        HttpsError::InvalidRequest(_) => ConnectorError::user(error.into()),
        HttpsError::Silent => ConnectorError::timeout(error.into()),
        HttpsError::Unreachable(_) | HttpsError::BrokenAnswer => ConnectorError::io(error.into()),
        HttpsError::TooLarge => ConnectorError::other(error.into(), None),
    }
}

#[cfg(test)]
#[path = "sdk_tests.rs"]
mod tests;
