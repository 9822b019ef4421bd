//! The configuration of the Lambda functions, from environment variables. They are read once, and all faults are reported
//! together.
//!
//! Credentials are not part of the configuration, because they change during the life of the process. Each AWS call reads them.

mod registration;

use std::iter;

use lettre::message::Mailbox;
use thiserror::Error;

pub use self::registration::PolicySource;
use crate::device_model::Model;
use crate::identifiers::{ThingName, ThingPrefix};
use crate::mail::Sender;
use crate::mail::bundle::Broker;
use crate::mail::smtp::Smtp;
use crate::registry::LONGEST_LEASE;

/// The configuration of a function.
#[derive(Debug)]
pub struct Config {
    /// `SKILL_ID`: the ids of the skills that may call this function.
    pub skill_ids: Vec<String>,
    /// `MAIL_FROM` and `MAIL_REPLY_TO`: the sender of mails.
    pub sender: Sender,
    /// `LWA_CLIENT_ID`: the required value of `aud` in the token information.
    pub client_id: Option<String>,
    /// `LWA_ENDPOINT`: the base URL of Login with Amazon.
    pub login_endpoint: String,
    /// `DEVICE_MODEL`: the device model. `THING_TYPE` and `THING_PREFIX` override its values.
    pub model: Model,
    /// `POLICY_NAME`: the name of the IoT policy for all certificates.
    pub policy: String,
    /// `IOT_ENDPOINT`: the host of `iot:Data-ATS`, with a port if it is not 8883 for MQTT. `REGISTER_URL` is part of the broker
    /// data, too.
    pub broker: Broker,
    /// `AWS_REGION`: the AWS region.
    pub region: String,
    /// `AWS_ENDPOINT_URL…`: the base URLs of AWS services.
    pub endpoints: Endpoints,
    /// `LEASE_SECONDS`: the duration of a lease.
    pub lease: u64,
    /// `RETENTION_DAYS`: the number of days after which the sweep deletes the identity of an owner who has disabled the skill.
    pub retention_days: u64,
    /// `SES_CONFIGURATION_SET`: the configuration set through which SES reports bounces and complaints.
    pub configuration_set: Option<String>,
    /// `SMTP_URL`: the SMTP server that sends the mails instead of SES.
    pub smtp: Option<Smtp>,
    /// `REGISTER=on`: this function is the registration endpoint and nothing else. The `REGISTER_TERMS…` variables select the
    /// registration policy.
    pub endpoint: Option<PolicySource>,
    /// `REGISTER_TABLE`: the DynamoDB table of claim codes.
    pub claims: Option<String>,
    /// `FLEET_THINGS`: the prefix of the names of things without an owner that the sweep of this stack may clean up. Empty means
    /// any name.
    pub fleets: String,
    /// `METRIC_NAMESPACE`: the CloudWatch namespace of the metrics, if not the default.
    pub metric_namespace: Option<String>,
}

/// The base URLs of AWS services that differ from the default of the region.
#[derive(Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// `AWS_ENDPOINT_URL_IOT`: AWS IoT, control plane.
    pub registry: Option<String>,
    /// `AWS_ENDPOINT_URL_IOT_DATA_PLANE`, otherwise the host of `IOT_ENDPOINT`: AWS IoT, data plane.
    pub shadows: Option<String>,
    /// `AWS_ENDPOINT_URL_SES`: Amazon SES.
    pub mail: Option<String>,
    /// `AWS_ENDPOINT_URL_DYNAMODB`: Amazon DynamoDB.
    pub claims: Option<String>,
    /// `AWS_ENDPOINT_URL_SSM`: the Parameter Store.
    pub parameters: Option<String>,
    /// `AWS_ENDPOINT_URL_LAMBDA`: AWS Lambda.
    pub functions: Option<String>,
}

/// The services whose base URL can be configured.
const SERVICES: [&str; 6] = ["IOT", "IOT_DATA_PLANE", "SES", "DYNAMODB", "SSM", "LAMBDA"];

/// All faults of the configuration.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the configuration has {} fault(s):\n{}", .0.len(), .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

/// The source of variables and files. Tests use a map.
pub trait Source {
    /// The value of a variable. `None` if it is unset or empty.
    fn variable(&self, name: &str) -> Option<String>;
    /// The content of a file.
    fn file(&self, path: &str) -> std::io::Result<String>;
    /// The content of the device model file beside the executable.
    fn packaged_model(&self) -> std::io::Result<String>;
}

/// The environment variables of the process.
pub struct Environment;

impl Source for Environment {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.trim().is_empty())
    }

    fn file(&self, path: &str) -> std::io::Result<String> {
        std::fs::read_to_string(path)
    }

    fn packaged_model(&self) -> std::io::Result<String> {
        std::fs::read_to_string(std::env::current_exe()?.with_file_name("device.toml"))
    }
}

impl Config {
    /// Reads and validates all variables.
    pub fn read(source: &impl Source) -> Result<Self, ConfigError> {
        let mut faults = Vec::new();
        let mut fault = |name: &str, what: &str| faults.push(format!("{name} {what}"));

        let skill_ids: Vec<String> =
            source.variable("SKILL_ID").unwrap_or_default().split(',').map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()).collect();
        if skill_ids.is_empty() {
            fault("SKILL_ID", "is missing: without it any skill could call");
        } else if !skill_ids.iter().all(|id| id.starts_with("amzn1.ask.skill.")) {
            fault("SKILL_ID", "must be skill ids, `amzn1.ask.skill.…`, separated by commas");
        }
        let mut mailbox = |name: &str| {
            let parsed = source.variable(name).map(|text| text.parse::<Mailbox>());
            parsed.and_then(|parsed| parsed.inspect_err(|_| fault(name, "must be an address or `Name <address>`")).ok())
        };
        let (from, reply_to) = (mailbox("MAIL_FROM"), mailbox("MAIL_REPLY_TO"));
        if source.variable("MAIL_FROM").is_none() {
            fault("MAIL_FROM", "is missing");
        }
        let login_endpoint = source.variable("LWA_ENDPOINT").unwrap_or_else(|| "https://api.amazon.com".into());
        if !is_base_url(&login_endpoint) {
            fault("LWA_ENDPOINT", "must be an http or https URL without a query");
        }
        let policy = source.variable("POLICY_NAME").unwrap_or_else(|| "OneUserOneThing".into());
        let policy_char = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        if policy.len() > 128 || !policy.chars().all(policy_char) {
            fault("POLICY_NAME", "must be 1 to 128 letters, digits and `_+=,.@-`");
        }
        let lease = source.variable("LEASE_SECONDS").map_or(Ok(15), |text| text.trim().parse());
        let lease = lease.ok().filter(|seconds| (1..=LONGEST_LEASE).contains(seconds));
        if lease.is_none() {
            fault("LEASE_SECONDS", "must be a whole number from 1 to 900");
        }
        let retention_days = source.variable("RETENTION_DAYS").map_or(Ok(30), |text| text.trim().parse());
        let retention_days = retention_days.ok().filter(|days| (1..=3_650).contains(days));
        if retention_days.is_none() {
            fault("RETENTION_DAYS", "must be a whole number from 1 to 3650");
        }
        let configuration_set = source.variable("SES_CONFIGURATION_SET");
        let set_char = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if configuration_set.as_ref().is_some_and(|name| name.len() > 64 || !name.chars().all(set_char)) {
            fault("SES_CONFIGURATION_SET", "must be 1 to 64 letters, digits, `_` and `-`");
        }
        let broker = source.variable("IOT_ENDPOINT").and_then(|endpoint| broker(endpoint.trim()));
        match (&broker, source.variable("IOT_ENDPOINT")) {
            (None, None) => fault("IOT_ENDPOINT", "is missing: `aws iot describe-endpoint --endpoint-type iot:Data-ATS` prints it"),
            (None, Some(_)) => fault("IOT_ENDPOINT", "must be a host name, without `https://`"),
            _ => {}
        }
        for name in iter::once("AWS_ENDPOINT_URL".into()).chain(SERVICES.map(|service| format!("AWS_ENDPOINT_URL_{service}"))) {
            if source.variable(&name).is_some_and(|url| !is_base_url(&url)) {
                fault(&name, "must be an http or https URL without a query");
            }
        }
        let region = source.variable("AWS_REGION").or_else(|| source.variable("AWS_DEFAULT_REGION"));
        if region.is_none() {
            fault("AWS_REGION", "is missing");
        }
        let smtp = source.variable("SMTP_URL").map(|url| Smtp::new(&url)).transpose();
        let smtp = smtp.unwrap_or_else(|what| {
            fault("SMTP_URL", what);
            None
        });
        let endpoint = registration::read(source, &mut faults);
        let fleets = match source.variable("FLEET_THINGS").as_deref().map(|names| names.strip_suffix('*')) {
            None => String::new(),
            Some(Some(prefix)) if prefix.is_empty() || ThingName::parse(prefix).is_some() => prefix.to_owned(),
            Some(_) => {
                faults.push("FLEET_THINGS must be the beginning of names and a `*`, such as `Lamp-*`".into());
                String::new()
            }
        };
        let broker = broker.map(|broker| Broker { register: endpoint.url, ..broker });
        let model = model(source, &mut faults);
        match (from, broker, lease.zip(retention_days), region, model) {
            (Some(from), Some(broker), Some((lease, retention_days)), Some(region), Some(model)) if faults.is_empty() => Ok(Self {
                skill_ids,
                sender: Sender { from, reply_to },
                client_id: source.variable("LWA_CLIENT_ID"),
                login_endpoint,
                model,
                policy,
                region,
                endpoints: endpoints(source, &broker),
                broker,
                lease,
                retention_days,
                configuration_set,
                smtp,
                endpoint: endpoint.policy,
                claims: endpoint.claims,
                fleets,
                metric_namespace: source.variable("METRIC_NAMESPACE"),
            }),
            _ => Err(ConfigError(faults)),
        }
    }
}

/// The base URLs, with the rules of the AWS SDKs: the variable of the service, otherwise the general one. Both are ignored if
/// `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` is `true`.
fn endpoints(source: &impl Source, broker: &Broker) -> Endpoints {
    let ignored = source.variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let variable = |name: &str| source.variable(name).filter(|_| !ignored);
    let of = |service: &str| variable(&format!("AWS_ENDPOINT_URL_{service}")).or_else(|| variable("AWS_ENDPOINT_URL"));
    Endpoints {
        registry: of("IOT"),
        shadows: of("IOT_DATA_PLANE").or_else(|| Some(format!("https://{}", broker.host))),
        mail: of("SES"),
        claims: of("DYNAMODB"),
        parameters: of("SSM"),
        functions: of("LAMBDA"),
    }
}

fn is_base_url(url: &str) -> bool {
    let uri = url.parse::<http::Uri>();
    uri.is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty()) && uri.query().is_none()
    })
}

fn broker(endpoint: &str) -> Option<Broker> {
    let (host, port) = match endpoint.split_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (endpoint, 8883),
    };
    let host_char = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    (!host.is_empty() && host.chars().all(host_char)).then(|| Broker::aws(host, port))
}

fn model(source: &impl Source, faults: &mut Vec<String>) -> Option<Model> {
    let toml = match source.variable("DEVICE_MODEL") {
        Some(path) => source.file(&path).map_err(|error| faults.push(format!("DEVICE_MODEL {path} cannot be read: {error}"))).ok()?,
        None => match source.packaged_model() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Model::SAMPLE.to_owned(),
            packaged => packaged.map_err(|error| faults.push(format!("device.toml beside the executable cannot be read: {error}"))).ok()?,
        },
    };
    let mut model =
        Model::parse(&toml).map_err(|error| faults.extend(error.0.into_iter().map(|fault| format!("DEVICE_MODEL {fault}")))).ok()?;
    if let Some(thing_type) = source.variable("THING_TYPE") {
        let legal = |c: char| c.is_ascii_alphanumeric() || "_-:".contains(c);
        if thing_type.len() > 128 || !thing_type.chars().all(legal) {
            faults.push("THING_TYPE must be 1 to 128 letters, digits, `_`, `-` and `:`".into());
        }
        model.thing_type = thing_type;
    }
    if let Some(prefix) = source.variable("THING_PREFIX") {
        match ThingPrefix::parse(&prefix) {
            Some(prefix) => model.thing_prefix = prefix,
            None => faults.push("THING_PREFIX must be at most 38 letters, digits, `_` and `-`".into()),
        }
    }
    Some(model)
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
