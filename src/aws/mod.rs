//! The AWS side of every port: one file per service, one method per call. Nothing outside this folder speaks its protocols.
//!
//! The answer is due in seconds, so calls are bounded far below the SDKs' defaults, and those that must not
//! happen twice (minting a certificate, sending a mail) are never retried.

mod claims;
mod invoke;
mod iot;
mod parameters;
mod ses;
mod shadow;
mod signed;
mod terms;

pub use self::claims::DynamoClaims;
pub use self::invoke::Hooks;
pub use self::iot::IotRegistry;
pub use self::parameters::{ParameterError, Parameters};
pub use self::ses::Ses;
pub use self::shadow::IotShadows;
use self::signed::Service;
pub use self::signed::Variable;
pub use self::terms::StoredTerms;
use crate::config::Config;
use crate::https::Https;
use crate::register::HttpHook;

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
    pub fn new(config: &Config, https: &Https, variable: Variable) -> Self {
        let region = config.region.as_str();
        let service = |name, host, endpoint: &Option<String>| match endpoint {
            Some(endpoint) => Service::new(https, endpoint, region, name, variable),
            None => Service::new(https, &regional(host, region), region, name, variable),
        };
        let endpoints = &config.endpoints;
        Self {
            registry: IotRegistry::new(service("iot", "iot", &endpoints.registry), config),
            shadows: IotShadows::new(service("iotdata", "data-ats.iot", &endpoints.shadows)),
            ses: Ses::new(service("ses", "email", &endpoints.mail), config.configuration_set.as_deref()),
            claims: config.claims.as_ref().map(|table| DynamoClaims::new(service("dynamodb", "dynamodb", &endpoints.claims), table)),
            parameters: Parameters::new(service("ssm", "ssm", &endpoints.parameters)),
            hooks: Hooks::new(service("lambda", "lambda", &endpoints.functions), HttpHook(https.clone())),
        }
    }
}

/// Where a service is in a region (<https://docs.aws.amazon.com/general/latest/gr/rande.html>).
fn regional(host: &str, region: &str) -> String {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://{host}.{region}.{domain}")
}
