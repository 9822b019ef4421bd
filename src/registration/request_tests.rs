use http::Request;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn request(authorization: Option<&str>, body: impl Into<Bytes>) -> Request<Bytes> {
    let mut request = Request::post("/register").header(CONTENT_TYPE, "application/json; charset=utf-8");
    if let Some(value) = authorization {
        request = request.header(AUTHORIZATION, value);
    }
    request.body(body.into()).unwrap()
}

fn csr() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap()
}

fn certificate() -> String {
    rcgen::CertificateParams::default().self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
}

/// The result of parsing: the kind of credentials, or the status, the cause and the field of the refusal.
fn read(authorization: Option<&str>, body: &Value) -> String {
    match RegistrationRequest::read(&request(authorization, body.to_string())) {
        Ok(registration) => registration.by.name().to_owned(),
        Err(problem) => {
            let answer = problem.response("POST");
            let body: Value = serde_json::from_slice(answer.body()).unwrap();
            format!("{} {} {}", answer.status().as_u16(), problem.cause(), body["field"].as_str().unwrap_or("-"))
        }
    }
}

#[test]
fn all_five_kinds_of_credentials_are_parsed() {
    let (csr, certificate) = (csr(), certificate());
    for (authorization, body, by) in [
        (None, json!({"code": "k7qf 93pd", "new": 1, "serial": null}), "code"),
        (Some("bearer Atza|x"), json!({}), "bearer"),
        (Some("DeviceToken t"), json!({"thingName": "press-7", "version": "1.2", "attributes": {"hardware": "b"}}), "token"),
        (None, json!({"serial": "SN-1"}), "serial"),
        (None, json!({"serial": "ü".repeat(128)}), "serial"),
        (None, json!({"serial": "SN-1", "secret": "x", "csr": csr}), "serial"),
        (None, json!({"certificate": certificate, "thingName": "a", "proof": "AAAA", "at": 1, "csr": csr}), "certificate"),
    ] {
        assert_eq!(read(authorization, &body), by, "{body}");
    }
}

#[test]
fn a_fault_names_its_field() {
    let (csr, certificate) = (csr(), certificate());
    let renewal = json!({"certificate": certificate, "thingName": "a", "proof": "AAAA", "at": 1, "csr": csr});
    let without = |field: &str, value: Value| {
        let mut body = renewal.clone();
        body[field] = value;
        body
    };
    let fleet = Some("DeviceToken t");
    for (authorization, body, expected) in [
        (None, json!({}), "401 not_recognised -"),
        (None, json!({"code": "K7QF-93P"}), "400 malformed code"),
        (None, json!({"code": 1}), "400 malformed code"),
        (None, json!({"code": "K7QF-93PD", "serial": "x"}), "400 ambiguous -"),
        (Some("Bearer x"), json!({"code": "K7QF-93PD"}), "400 ambiguous -"),
        (Some("Bearer"), json!({}), "400 malformed Authorization"),
        (Some("Basic eDp5"), json!({}), "400 malformed Authorization"),
        (fleet, json!({"version": "1"}), "400 malformed thingName"),
        (fleet, json!({"version": "1", "thingName": "a/b"}), "400 malformed thingName"),
        (fleet, json!({"version": "1", "thingName": "a".repeat(65)}), "400 malformed thingName"),
        (fleet, json!({"thingName": "a"}), "400 malformed version"),
        (fleet, json!({"thingName": "a", "version": "1 2"}), "400 malformed version"),
        (fleet, json!({"thingName": "a", "version": "1", "thingType": 1}), "400 malformed thingType"),
        (fleet, json!({"thingName": "a", "version": "1", "attributes": []}), "400 malformed attributes"),
        (None, json!({"serial": "a", "attributes": {"x": 1}}), "400 malformed attributes"),
        (None, json!({"serial": "a", "attributes": {"x": ""}}), "400 malformed attributes"),
        (None, json!({"serial": "a", "attributes": {"x": "a b"}}), "400 malformed attributes"),
        (None, json!({"serial": ""}), "400 malformed serial"),
        (None, json!({"serial": "ü".repeat(129)}), "400 malformed serial"),
        (None, json!({"serial": "a", "secret": []}), "400 malformed secret"),
        (None, json!({"serial": "a", "csr": "x"}), "400 malformed csr"),
        (None, json!({"serial": "a", "csr": {}}), "400 malformed csr"),
        (None, json!({"serial": "a", "csr": certificate}), "400 malformed csr"),
        (None, without("csr", Value::Null), "400 malformed csr"),
        (None, without("certificate", json!("x")), "400 malformed certificate"),
        (None, without("proof", json!("-")), "400 malformed proof"),
        (None, without("at", json!(-1)), "400 malformed at"),
        (None, without("thingName", Value::Null), "400 malformed thingName"),
        (None, json!([]), "400 malformed body"),
    ] {
        assert_eq!(read(authorization, &body), expected, "{authorization:?} {body}");
    }
}

#[test]
fn a_body_that_is_too_long_or_not_json_is_refused() {
    let cause = |request: &Request<Bytes>| RegistrationRequest::read(request).err().map(|problem| problem.cause());
    let filled = |length: usize| request(None, format!("{}{{\"serial\":\"a\"}}", " ".repeat(length - 14)));
    assert_eq!(cause(&filled(LONGEST_BODY)), None);
    assert_eq!(cause(&filled(LONGEST_BODY + 1)), Some("too_large"));
    for kind in ["text/plain", "application/jsonx", ""] {
        let other = Request::post("/").header(CONTENT_TYPE, kind).body(Bytes::from_static(b"{}")).unwrap();
        assert_eq!(cause(&other), Some("not_json"), "{kind}");
    }
    assert_eq!(cause(&Request::post("/").body(Bytes::from_static(b"{}")).unwrap()), Some("not_json"));
    assert_eq!(cause(&request(None, "")), Some("malformed"));
}

#[test]
fn two_authorization_headers_are_ambiguous() {
    let mut twice = request(Some("Bearer a"), "{}");
    twice.headers_mut().append(AUTHORIZATION, "DeviceToken b".parse().unwrap());
    assert_eq!(RegistrationRequest::read(&twice).err().map(|problem| problem.cause()), Some("ambiguous"));
}

proptest! {
    #[test]
    fn no_body_makes_the_parser_panic(body in proptest::collection::vec(any::<u8>(), 0..400), header in "\\PC{0,40}") {
        let header = http::HeaderValue::from_str(&header).ok();
        let mut odd = request(None, body);
        odd.headers_mut().extend(header.map(|value| (AUTHORIZATION, value)));
        let _ = RegistrationRequest::read(&odd);
    }

    #[test]
    fn no_field_makes_the_parser_panic(
        field in "code|serial|secret|csr|certificate|proof|at|thingName|thingType|version|attributes",
        other in "code|serial|certificate|version",
        text in "\\PC{0,60}",
        number in any::<i64>(),
        token in "(Bearer|DeviceToken|x) [!-~]{0,20}",
    ) {
        for value in [json!(text), json!(number), json!([text]), json!({&text: text}), json!({&text: number}), Value::Null] {
            for authorization in [None, Some(token.as_str())] {
                let _ = RegistrationRequest::read(&request(authorization, json!({&field: value, &other: text}).to_string()));
            }
        }
    }
}
