use super::*;

/// The SHA-256 of `token-1` and of `secret`, and the HMAC-SHA-256 of `SN-7` with 32 zero bytes, computed with `sha256sum` and
/// `openssl dgst -sha256 -mac HMAC -macopt hexkey:00…`.
const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const SN7: &str = "a6348fe358338508f54641d7b7eefa1d32a4818a65fe81d0de98d173724da90f";
const LONG: &str = "unguessable-serial-0123456789";

fn whole() -> String {
    format!(
        r#"
[registration]
origin = "https://setup.example.com"
hook = "lambda:vetting"
hook_seconds = 3
keys = "either"
per_source = 100
[roots]
preferred = "AmazonRootCA3"
backup = "AmazonRootCA1"
[type.lamp]
prefix = "Lamp-"
policies = ["LampPolicy", "Jobs"]
attributes = ["version", "hardware"]
[[token]]
name = "factory-1"
sha256 = "{token}"
types = ["lamp"]
[[serial]]
sha256 = "{long}"
type = "lamp"
[[serial]]
sha256 = "{short}"
type = "lamp"
[[serial]]
serial = "SN-0001"
secret_sha256 = "{secret}"
type = "lamp"
[[serial_key]]
key = "{KEY}"
prefix = "SN-"
type = "lamp"
"#,
        token = Fingerprint::of("token-1").hex(),
        long = Fingerprint::of(LONG).hex(),
        short = Fingerprint::of("nineteen-characters").hex(),
        secret = Fingerprint::of("secret").hex(),
    )
}

#[test]
fn without_a_file_only_devices_of_owners_can_register() {
    for policy in [RegistrationPolicy::default(), RegistrationPolicy::parse("").unwrap()] {
        assert!(policy.token(&Fingerprint::of("")).is_none() && policy.serial("", None).is_none());
        assert_eq!((policy.keys, policy.per_source, policy.hook, policy.origin), (Keys::Device, 20, None, None));
    }
}

#[test]
fn a_complete_policy_is_parsed() {
    let policy = RegistrationPolicy::parse(&whole()).unwrap();
    assert_eq!(policy.origin.as_ref().unwrap(), "https://setup.example.com");
    assert_eq!(policy.hook, Some(HookAddress::Lambda("vetting".into())));
    assert_eq!((policy.hook_within, policy.keys, policy.per_source), (Duration::from_secs(3), Keys::Either, 100));
    assert!(policy.roots.as_ref().unwrap().preferred.starts_with("-----BEGIN CERTIFICATE-----"));
    assert_ne!(Some(&policy.roots.as_ref().unwrap().preferred), policy.roots.as_ref().unwrap().backup.as_ref());
    assert_eq!(policy.types["lamp"].kind.policies, ["LampPolicy", "Jobs"]);
    let token = policy.token(&Fingerprint::of("token-1")).unwrap();
    assert_eq!((token.name.as_str(), token.owner.as_str()), ("factory-1", "fleet:factory-1"));
    assert!(policy.token(&Fingerprint::of("token-2")).is_none());
}

#[test]
fn a_serial_without_a_secret_must_be_unguessable() {
    let policy = RegistrationPolicy::parse(&whole()).unwrap();
    assert_eq!(policy.serial(LONG, None), Some("lamp"));
    assert_eq!(policy.serial("nineteen-characters", None), None, "its hash is on the list, and it could be guessed");
    assert_eq!(policy.serial("SN-0001", None), None);
    assert_eq!(policy.serial("SN-0001", Some("wrong")), None);
    assert_eq!(policy.serial("SN-0001", Some("secret")), Some("lamp"));
    assert_eq!(policy.serial("SN-0002", Some("secret")), None);
}

#[test]
fn a_secret_may_be_derived_from_the_serial() {
    let policy = RegistrationPolicy::parse(&whole()).unwrap();
    assert_eq!(policy.serial("SN-7", Some(SN7)), Some("lamp"));
    assert_eq!(policy.serial("SN-8", Some(SN7)), None);
    assert_eq!(policy.serial("SN-7", Some(&SN7.to_uppercase())), None);
    let other = HEXLOWER.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[0; 32]), b"XX-7").as_ref());
    assert_eq!(policy.serial("XX-7", Some(&other)), None, "the key is for another prefix");
}

#[test]
fn the_debug_output_contains_no_secret() {
    let shown = format!("{:?}", RegistrationPolicy::parse(&whole()).unwrap());
    for secret in [KEY, "factory-1", "SN-0001", &Fingerprint::of("secret").hex()[..10]] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

fn check(change: (&str, &str), expected: &[&str]) {
    let toml = whole();
    assert!(toml.contains(change.0), "{}", change.0);
    let faults = RegistrationPolicy::parse(&toml.replace(change.0, change.1)).err().map(|error| error.0).unwrap_or_default();
    assert_eq!(faults, expected, "{change:?}");
}

#[test]
fn each_field_is_checked() {
    let origin = "registration.origin: must be the origin of a page, such as `https://setup.example.com`";
    for bad in ["*", "setup.example.com", "https://setup.example.com/", "ftp://setup.example.com", "https://a@b.com", "https://A.com"] {
        check(("https://setup.example.com", bad), &[origin]);
    }
    let hook = "registration.hook: must be an https URL, an http URL on this machine, or `lambda:` and the name or ARN of a function";
    for bad in ["http://example.com/", "lambda:", "lambda:a b", "ftp://x", "https://user:secret@example.com"] {
        check(("lambda:vetting", bad), &[hook]);
    }
    for good in [
        "https://example.com/x",
        "http://127.0.0.1:1/",
        "http://[::1]/",
        "http://localhost:1",
        "lambda:arn:aws:lambda:eu-west-1:1:function:f",
    ] {
        check(("lambda:vetting", good), &[]);
    }
    check(("hook_seconds = 3", "hook_seconds = 0"), &["registration.hook_seconds: must be 1 to 10"]);
    check(("per_source = 100", "per_source = 10001"), &["registration.per_source: must be 1 to 10000"]);
    check(("\"either\"", "\"cloud\""), &["registration.keys: must be `device` or `either`"]);
    check(("\"AmazonRootCA1\"", "\"x\""), &["roots.backup: must be `AmazonRootCA1`, `AmazonRootCA3` or a certificate in PEM"]);
    check(("\"Lamp-\"", "\"Lamp 1\""), &["type.lamp.prefix: must be letters, digits, `_` and `-`, at most 38"]);
    check(("[\"LampPolicy\", \"Jobs\"]", "[]"), &["type.lamp.policies: must be 1 to 10 names"]);
    check(("\"Jobs\"", "\"a b\""), &["type.lamp.policies: `a b` is not a name a policy can have"]);
    check(("\"hardware\"", "\"UserId\""), &["type.lamp.attributes: `UserId` is not a name such an attribute can have"]);
    check(("\"hardware\"", "\"hard ware\""), &["type.lamp.attributes: `hard ware` is not a name such an attribute can have"]);
    check(("types = [\"lamp\"]", "types = [\"lamb\"]"), &["token 1: there is no [type.lamb]"]);
    check(("types = [\"lamp\"]", "types = []"), &["token 1: types must be 1 to 20 names"]);
    check(("factory-1", "factory 1"), &["token 1: name must be 1 to 64 letters, digits, `_`, `-` and `.`"]);
    check((&Fingerprint::of("token-1").hex(), "0"), &["token 1: sha256: must be a SHA-256 in 64 lower-case hexadecimal digits"]);
    check(("serial = \"SN-0001\"", ""), &["serial 3: must have either `sha256` or both `serial` and `secret_sha256`"]);
    check((&Fingerprint::of("nineteen-characters").hex(), &Fingerprint::of(LONG).hex()), &["serial 2: there is a row like this already"]);
    check((KEY, "AAAA"), &["serial_key 1: key: must be base64 of 32 bytes or more"]);
}

#[test]
fn all_faults_are_reported_at_once() {
    let toml = whole().replace("hook_seconds = 3", "hook_seconds = 11").replace("factory-1", "").replace(KEY, "");
    let faults = RegistrationPolicy::parse(&toml).unwrap_err().0;
    assert_eq!(faults.len(), 3, "{faults:?}");
}

#[test]
fn a_syntax_error_does_not_quote_the_file() {
    for toml in [
        format!("[[serial_key]]\nkey = {KEY}\n"),
        format!("[[serial_key]]\nkey = [\"{KEY}\"]\n"),
        format!("[registration]\nper_source = \"{KEY}\"\n"),
    ] {
        let fault = RegistrationPolicy::parse(&toml).unwrap_err().to_string();
        assert!(!fault.contains("AAAA") && fault.contains("line 2"), "{fault}");
    }
}

#[test]
fn the_table_of_version_0_1_has_another_name() {
    let [old, new] = ["door", "registration"].map(|table| RegistrationPolicy::parse(&format!("[{table}]\nper_source = 7\n")).unwrap());
    assert_eq!((old.per_source, new.per_source), (7, 7));
    assert!(RegistrationPolicy::parse("[door]\nper_source = 7\n[registration]\nper_source = 8\n").is_err());
}
