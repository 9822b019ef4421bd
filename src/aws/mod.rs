//! The AWS implementations of all interfaces: one file per service, one method per call. No other module uses the AWS SDK.
//!
//! Alexa expects the response within seconds, so the time limits are far below the defaults of the SDK. Calls that must not be
//! repeated (creating a certificate, sending a mail) are never retried.

mod claims;
mod failure;
mod invoke;
mod iot;
mod parameters;
mod policy;
mod sdk;
mod ses;
mod shadow;

use std::time::Duration;

use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

/// Static credentials, for tests.
pub use aws_credential_types::Credentials;

pub use self::claims::DynamoClaims;
use self::failure::MarkUnclear;
pub use self::invoke::Hooks;
pub use self::iot::IotRegistry;
pub use self::parameters::{ParameterError, Parameters};
pub use self::policy::StoredPolicy;
pub use self::sdk::credentials;
use self::sdk::limits;
pub use self::ses::Ses;
pub use self::shadow::IotShadows;
use crate::config::Config;
use crate::https::Https;
use crate::registration::HttpHook;

/// The clients of all services.
pub struct Aws {
    /// Things and certificates in AWS IoT Core.
    pub registry: IotRegistry,
    /// Shadows and connections in AWS IoT Core.
    pub shadows: IotShadows,
    /// Mail by Amazon SES.
    pub ses: Ses,
    /// Claim codes in DynamoDB, if a table is configured.
    pub claims: Option<DynamoClaims>,
    /// Configuration in the Parameter Store, outside the configuration of the function.
    pub parameters: Parameters,
    /// The operator's hooks, which decide whether a device may register.
    pub hooks: Hooks,
}

impl Aws {
    /// Creates clients with a shared configuration. No service is called yet.
    pub fn new(config: &Config, https: &Https, credentials: impl ProvideCredentials + 'static) -> Self {
        let sdk = sdk::config(&config.region, https, credentials);
        // Each client has its own configuration type with the same options.
        macro_rules! client {
            ($service:ident, $endpoint:expr) => {
                client!($service, $endpoint, |config| config)
            };
            ($service:ident, $endpoint:expr, |$config:ident| $special:expr) => {{
                let $config = $service::config::Builder::from(&sdk).interceptor(MarkUnclear);
                let $config = match $endpoint {
                    Some(url) => $config.endpoint_url(url.trim_end_matches('/')),
                    None => $config,
                };
                $service::Client::from_conf($special.build())
            }};
        }
        let endpoints = &config.endpoints;
        let mail = limits(Duration::from_secs(3), Duration::from_secs(3));
        let ses = client!(aws_sdk_ses, &endpoints.mail, |ses| ses.retry_config(RetryConfig::disabled()).timeout_config(mail));
        let functions = client!(aws_sdk_lambda, &endpoints.functions, |functions| {
            functions.retry_config(RetryConfig::disabled()).timeout_config(TimeoutConfig::disabled())
        });
        let claims = |table| DynamoClaims::new(client!(aws_sdk_dynamodb, &endpoints.claims), table);
        Self {
            registry: IotRegistry::new(client!(aws_sdk_iot, &endpoints.registry), config),
            shadows: IotShadows::new(client!(aws_sdk_iotdataplane, &endpoints.shadows)),
            ses: Ses::new(ses, config.configuration_set.as_deref()),
            claims: config.claims.as_deref().map(claims),
            parameters: Parameters::new(client!(aws_sdk_ssm, &endpoints.parameters)),
            hooks: Hooks::new(functions, HttpHook(https.clone())),
        }
    }
}
