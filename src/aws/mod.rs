//! The AWS side of every port. Nothing outside this folder names the SDK.
//!
//! The answer is due in seconds, so calls are bounded far below the SDK's defaults, and those that must
//! not happen twice (minting a certificate, sending a mail) are never retried.

mod http;
mod iot;
mod ses;
mod shadow;

use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_iot::config::{IdentityCache, SharedCredentialsProvider, StalledStreamProtectionConfig};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

use self::http::SdkHttps;
pub use self::iot::IotRegistry;
pub use self::ses::Ses;
pub use self::shadow::IotShadows;
use crate::config::Config;
use crate::https::Https;

/// What all clients share. Credentials come from the environment, where Lambda puts them: the SDK's whole
/// chain of other sources (profiles, STS, metadata services) would be a tenth of the binary for nothing.
fn sdk_config(region: &str, https: &Https) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(Duration::from_millis(2_000))
        .operation_timeout(Duration::from_millis(3_000))
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(3)
        .with_initial_backoff(Duration::from_millis(100))
        .with_max_backoff(Duration::from_millis(800));
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(region.to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
        .http_client(SdkHttps(https.clone()))
        // Reading the environment is quicker than asking a cache for it, and each attempt has its time limit.
        .identity_cache(IdentityCache::no_cache())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(timeouts)
        .retry_config(retries)
        .build()
}

/// The three services.
pub struct Aws {
    /// Things and certificates.
    pub registry: IotRegistry,
    /// Shadows.
    pub shadows: IotShadows,
    /// Mail.
    pub ses: Ses,
}

impl Aws {
    /// Clients that share what the environment says. Nothing is called yet.
    pub fn new(config: &Config, https: &Https) -> Self {
        let sdk = sdk_config(&config.region, https);
        let at = |endpoint: &Option<String>| {
            let mut sdk = sdk.to_builder();
            sdk.set_endpoint_url(endpoint.clone());
            sdk.build()
        };
        Self {
            registry: IotRegistry::new(&at(&config.endpoints.registry), &config.model.thing_type, &config.policy),
            shadows: IotShadows::new(&at(&config.endpoints.shadows)),
            ses: Ses::new(&at(&config.endpoints.mail)),
        }
    }
}

/// A failed call, as far as all services agree. Only codes are kept: messages quote mail addresses.
enum Failure {
    /// Over a quota; nothing was done.
    Throttled(String),
    /// Refused with this code; nothing was done.
    Refused(String),
    /// No answer that says whether it was done.
    Unclear(String),
}

fn failure<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Failure {
    match error {
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            let code = answer.err().code().unwrap_or("an unknown error");
            let code = format!("{code} ({status})");
            match status {
                _ if code.starts_with("Throttling") || code.starts_with("TooManyRequests") => Failure::Throttled(code),
                429 => Failure::Throttled(code),
                400..500 => Failure::Refused(code),
                _ => Failure::Unclear(code),
            }
        }
        SdkError::ConstructionFailure(_) => Failure::Refused("a request that cannot be made".into()),
        SdkError::TimeoutError(_) => Failure::Unclear("no answer in time".into()),
        SdkError::DispatchFailure(_) => Failure::Unclear("the connection failed".into()),
        SdkError::ResponseError(answer) => Failure::Unclear(format!("an unintelligible answer ({})", answer.raw().status())),
        _ => Failure::Unclear("an unknown failure".into()),
    }
}

/// One attempt, whatever the client's configuration says.
fn once() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(1)
}
