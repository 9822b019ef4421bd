//! The AWS side of every port: one file per service, one method per call. Nothing outside this folder speaks its protocols.
//!
//! The answer is due in seconds, so calls are bounded far below the SDKs' defaults, and those that must not
//! happen twice (creating a certificate, sending a mail) are never retried.

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

/// Credentials that are given, for a test.
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

/// The services.
pub struct Aws {
    /// Things and certificates.
    pub registry: IotRegistry,
    /// Shadows.
    pub shadows: IotShadows,
    /// Mail.
    pub ses: Ses,
    /// Claim codes, where there is a table for them.
    pub claims: Option<DynamoClaims>,
    /// Configuration that is kept apart from the function's own.
    pub parameters: Parameters,
    /// The maker's word on who registers.
    pub hooks: Hooks,
}

impl Aws {
    /// Clients that share what the configuration says. Nothing is called yet.
    pub fn new(config: &Config, https: &Https, credentials: impl ProvideCredentials + 'static) -> Self {
        let sdk = sdk::config(&config.region, https, credentials);
        // Each client has a configuration type of its own, in which the same is said.
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
