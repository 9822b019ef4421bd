//! Tests of the variables and of their faults.

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
    let shadows = Some("https://abc-ats.iot.eu-west-1.amazonaws.com".into());
    let own = Endpoints { registry: None, shadows, mail: None, claims: None, parameters: None, functions: None };
    assert_eq!((config.region.as_str(), config.endpoints), ("eu-west-1", own));
}

#[test]
fn endpoint_variables_are_read_as_in_the_aws_sdks() {
    let read = |more: &[(&'static str, &'static str)]| {
        let mut given = HashMap::from(GOOD);
        given.extend(more.iter().copied());
        let Endpoints { registry, shadows, mail, claims, parameters, functions } = Config::read(&Given(given)).unwrap().endpoints;
        [registry, shadows, mail, claims, parameters, functions].map(Option::unwrap_or_default)
    };
    let own = "https://abc-ats.iot.eu-west-1.amazonaws.com";
    assert_eq!(read(&[("AWS_ENDPOINT_URL", "http://a")]), ["http://a"; 6]);
    assert_eq!(
        read(&[("AWS_ENDPOINT_URL", "http://a"), ("AWS_ENDPOINT_URL_IOT_DATA_PLANE", "http://b")]),
        ["http://a", "http://b", "http://a", "http://a", "http://a", "http://a"]
    );
    assert_eq!(read(&[("AWS_ENDPOINT_URL_SES", "http://c")]), ["", own, "http://c", "", "", ""]);
    assert_eq!(
        read(&[("AWS_ENDPOINT_URL_DYNAMODB", "http://d"), ("AWS_ENDPOINT_URL_SSM", "http://e"), ("AWS_ENDPOINT_URL_LAMBDA", "http://f")]),
        ["", own, "", "http://d", "http://e", "http://f"]
    );
    assert_eq!(read(&[("AWS_ENDPOINT_URL", "http://a"), ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")]), ["", own, "", "", "", ""]);
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
fn a_function_is_the_endpoint_only_if_configured() {
    let read = |more: &[(&'static str, &'static str)]| {
        let mut given = HashMap::from(GOOD);
        given.extend(more.iter().copied());
        Config::read(&Given(given)).unwrap().endpoint
    };
    assert!(read(&[("REGISTER_TABLE", "claims"), ("REGISTER_TERMS_PARAMETER", "/a")]).is_none());
    let on = [("REGISTER", "on"), ("REGISTER_TABLE", "claims")];
    assert!(matches!(read(&on), Some(PolicySource::Given(_))));
    let policy = read(&[on[0], on[1], ("REGISTER_TERMS_PARAMETER", "/onething/register")]);
    assert!(matches!(policy, Some(PolicySource::Parameters(path)) if path == "/onething/register"));

    check(&[("REGISTER", "yes")], &["REGISTER must be `on` or `off`"]);
    check(&[("REGISTER", "on")], &["REGISTER_TABLE is missing: without it nobody counts who tries what"]);
    check(
        &[on[0], on[1], ("REGISTER_TERMS", "a = 1"), ("REGISTER_TERMS_FILE", "a.toml")],
        &["REGISTER_TERMS, REGISTER_TERMS_FILE, REGISTER_TERMS_PARAMETER say the same: set one of them at most"],
    );
    check(&[on[0], on[1], ("REGISTER_TERMS_FILE", "no.toml")], &["REGISTER_TERMS_FILE no.toml cannot be read: entity not found"]);
    for path in ["onething", "/onething/", "/one thing"] {
        let said = "REGISTER_TERMS_PARAMETER must be a path, such as /onething/prod/register";
        check(&[on[0], on[1], ("REGISTER_TERMS_PARAMETER", path)], &[said]);
    }
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
    check(&[("AWS_ENDPOINT_URL_SSM", "ftp://a")], &["AWS_ENDPOINT_URL_SSM must be an http or https URL without a query"]);
    check(&[("REGISTER_TABLE", "onething-claims")], &[]);
    check(&[("REGISTER_TABLE", "a/b")], &["REGISTER_TABLE must be 3 to 255 letters, digits and `_.-`"]);
    check(&[("REGISTER_URL", "https://abc.execute-api.eu-west-1.amazonaws.com/register")], &[]);
    check(&[("REGISTER_URL", "http://example.com/register")], &["REGISTER_URL must be an https URL without a query"]);
    check(&[("SMTP_URL", "smtps://user:secret@mail.example.com")], &[]);
    check(&[("SMTP_URL", "https://user:secret@mail.example.com")], &["SMTP_URL must be an SMTP URL, such as smtps://user:password@host"]);
}
