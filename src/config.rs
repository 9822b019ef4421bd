//! The variables of the Lambda: read once, judged as a whole, every fault reported.
//!
//! Credentials are no part of it: they change while the process lives, and each call reads them anew.

use lettre::message::Mailbox;
use thiserror::Error;

use crate::bundle::Broker;
use crate::deliver::Sender;
use crate::model::Model;
use crate::registry::LONGEST_LEASE;
use crate::smtp::Smtp;
use crate::thing::ThingPrefix;

/// The configuration of a process.
#[derive(Debug)]
pub struct Config {
    /// `SKILL_ID`: the skill ids that may call.
    pub skill_ids: Vec<String>,
    /// `MAIL_FROM` and `MAIL_REPLY_TO`.
    pub sender: Sender,
    /// `LWA_CLIENT_ID`: what the token's `aud` must be.
    pub client_id: Option<String>,
    /// `LWA_ENDPOINT`: base URL of Login with Amazon.
    pub login_endpoint: String,
    /// `DEVICE_MODEL`, with `THING_TYPE` and `THING_PREFIX` in place of its own where they are set.
    pub model: Model,
    /// `POLICY_NAME`: the IoT policy of every certificate.
    pub policy: String,
    /// `IOT_ENDPOINT`: the host of `iot:Data-ATS`, with a port where MQTT is not at 8883.
    pub broker: Broker,
    /// `AWS_REGION`.
    pub region: String,
    /// `AWS_ENDPOINT_URL…`.
    pub endpoints: Endpoints,
    /// `LEASE_SECONDS`.
    pub lease: u64,
    /// `RETENTION_DAYS`: after so many days of a disabled skill the sweep deletes an identity.
    pub retention_days: u64,
    /// `SES_CONFIGURATION_SET`: through which SES tells what becomes of a mail.
    pub configuration_set: Option<String>,
    /// `SMTP_URL`: mail goes out by this server instead of SES.
    pub smtp: Option<Smtp>,
}

/// Base URLs of the services, where they are not the region's own.
#[derive(Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// `AWS_ENDPOINT_URL_IOT`.
    pub registry: Option<String>,
    /// `AWS_ENDPOINT_URL_IOT_DATA_PLANE`, else the host of `IOT_ENDPOINT`.
    pub shadows: Option<String>,
    /// `AWS_ENDPOINT_URL_SES`.
    pub mail: Option<String>,
}

/// Everything that is wrong with the configuration.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the configuration has {} fault(s):\n{}", .0.len(), .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

/// Where variables and files come from; a map stands in for it in tests.
pub trait Source {
    /// A variable; one that is empty counts as not set.
    fn variable(&self, name: &str) -> Option<String>;
    /// A file.
    fn file(&self, path: &str) -> std::io::Result<String>;
    /// The device model beside the executable.
    fn packaged_model(&self) -> std::io::Result<String>;
}

/// The environment of the process.
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
    /// Reads everything, then judges everything.
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
        for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_IOT", "AWS_ENDPOINT_URL_IOT_DATA_PLANE", "AWS_ENDPOINT_URL_SES"] {
            if source.variable(name).is_some_and(|url| !is_base_url(&url)) {
                fault(name, "must be an http or https URL without a query");
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
            }),
            _ => Err(ConfigError(faults)),
        }
    }
}

/// As every AWS SDK reads them: the service's own variable, else the general one, unless
/// `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` says to look at neither.
fn endpoints(source: &impl Source, broker: &Broker) -> Endpoints {
    let ignored = source.variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let variable = |name: &str| source.variable(name).filter(|_| !ignored);
    let of = |service: &str| variable(&format!("AWS_ENDPOINT_URL_{service}")).or_else(|| variable("AWS_ENDPOINT_URL"));
    Endpoints { registry: of("IOT"), shadows: of("IOT_DATA_PLANE").or_else(|| Some(format!("https://{}", broker.host))), mail: of("SES") }
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
mod tests {
    use std::collections::HashMap;

    use super::*;

    struct Given(HashMap<&'static str, &'static str>);

    impl Source for Given {
        fn variable(&self, name: &str) -> Option<String> {
            self.0.get(name).map(|value| (*value).to_owned())
        }

        fn file(&self, path: &str) -> std::io::Result<String> {
            if path == "broken.toml" { Ok("[device]\nname = 1".into()) } else { Err(std::io::ErrorKind::NotFound.into()) }
        }

        fn packaged_model(&self) -> std::io::Result<String> {
            Err(std::io::ErrorKind::NotFound.into())
        }
    }

    const GOOD: [(&str, &str); 4] = [
        ("AWS_REGION", "eu-west-1"),
        ("SKILL_ID", "amzn1.ask.skill.a, amzn1.ask.skill.b"),
        ("MAIL_FROM", "My Printer <printer@example.com>"),
        ("IOT_ENDPOINT", "abc-ats.iot.eu-west-1.amazonaws.com"),
    ];

    fn check(changes: &[(&'static str, &'static str)], expected: &[&str]) {
        let mut given = HashMap::from(GOOD);
        given.extend(changes.iter().copied());
        given.retain(|_, value| !value.is_empty());
        let faults = Config::read(&Given(given)).err().map(|error| error.0).unwrap_or_default();
        assert_eq!(faults, expected, "{changes:?}");
    }

    #[test]
    fn three_variables_are_enough() {
        let config = Config::read(&Given(HashMap::from(GOOD))).unwrap();
        assert_eq!(config.skill_ids, ["amzn1.ask.skill.a", "amzn1.ask.skill.b"]);
        assert_eq!((config.lease, config.policy.as_str(), config.broker.port), (15, "OneUserOneThing", 8883));
        assert_eq!(config.login_endpoint, "https://api.amazon.com");
        let own = Endpoints { registry: None, shadows: Some("https://abc-ats.iot.eu-west-1.amazonaws.com".into()), mail: None };
        assert_eq!((config.region.as_str(), config.endpoints), ("eu-west-1", own));
    }

    #[test]
    fn endpoint_variables_are_read_as_every_sdk_reads_them() {
        let read = |more: &[(&'static str, &'static str)]| {
            let mut given = HashMap::from(GOOD);
            given.extend(more.iter().copied());
            let Endpoints { registry, shadows, mail } = Config::read(&Given(given)).unwrap().endpoints;
            [registry, shadows, mail].map(Option::unwrap_or_default)
        };
        let own = "https://abc-ats.iot.eu-west-1.amazonaws.com";
        assert_eq!(read(&[("AWS_ENDPOINT_URL", "http://a")]), ["http://a", "http://a", "http://a"]);
        assert_eq!(
            read(&[("AWS_ENDPOINT_URL", "http://a"), ("AWS_ENDPOINT_URL_IOT_DATA_PLANE", "http://b")]),
            ["http://a", "http://b", "http://a"]
        );
        assert_eq!(read(&[("AWS_ENDPOINT_URL_SES", "http://c")]), ["", own, "http://c"]);
        assert_eq!(read(&[("AWS_ENDPOINT_URL", "http://a"), ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")]), ["", own, ""]);
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        check(
            &[
                ("SKILL_ID", ""),
                ("MAIL_FROM", "nobody"),
                ("IOT_ENDPOINT", "https://x"),
                ("LEASE_SECONDS", "0"),
                ("THING_PREFIX", "a b"),
                ("LWA_ENDPOINT", "api.amazon.com"),
            ],
            &[
                "SKILL_ID is missing: without it any skill could call",
                "MAIL_FROM must be an address or `Name <address>`",
                "LWA_ENDPOINT must be an http or https URL without a query",
                "LEASE_SECONDS must be a whole number from 1 to 900",
                "IOT_ENDPOINT must be a host name, without `https://`",
                "THING_PREFIX must be at most 38 letters, digits, `_` and `-`",
            ],
        );
    }

    #[test]
    fn each_variable_is_checked() {
        check(&[("LEASE_SECONDS", "900")], &[]);
        check(&[("LEASE_SECONDS", "901")], &["LEASE_SECONDS must be a whole number from 1 to 900"]);
        check(&[("RETENTION_DAYS", "3650")], &[]);
        check(&[("RETENTION_DAYS", "0")], &["RETENTION_DAYS must be a whole number from 1 to 3650"]);
        check(&[("SES_CONFIGURATION_SET", "onething-mail_1")], &[]);
        check(&[("SES_CONFIGURATION_SET", "a b")], &["SES_CONFIGURATION_SET must be 1 to 64 letters, digits, `_` and `-`"]);
        check(&[("SKILL_ID", "my-skill")], &["SKILL_ID must be skill ids, `amzn1.ask.skill.…`, separated by commas"]);
        check(&[("MAIL_FROM", "")], &["MAIL_FROM is missing"]);
        check(&[("MAIL_REPLY_TO", "x y")], &["MAIL_REPLY_TO must be an address or `Name <address>`"]);
        check(&[("POLICY_NAME", "a b")], &["POLICY_NAME must be 1 to 128 letters, digits and `_+=,.@-`"]);
        check(&[("DEVICE_MODEL", "no.toml")], &["DEVICE_MODEL no.toml cannot be read: entity not found"]);
        check(&[("THING_TYPE", "a/b")], &["THING_TYPE must be 1 to 128 letters, digits, `_`, `-` and `:`"]);
        check(&[("IOT_ENDPOINT", "localhost:18883")], &[]);
        check(&[("AWS_ENDPOINT_URL_IOT", "localhost:4566")], &["AWS_ENDPOINT_URL_IOT must be an http or https URL without a query"]);
        check(&[("SMTP_URL", "smtps://user:secret@mail.example.com")], &[]);
        check(
            &[("SMTP_URL", "https://user:secret@mail.example.com")],
            &["SMTP_URL must be an SMTP URL, such as smtps://user:password@host"],
        );
    }
}
