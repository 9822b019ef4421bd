//! Tests that `docs/register.openapi.json` agrees with the behaviour of the endpoint.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value;

use super::answer;
use super::authentication::Client;
use super::claims::Code;
use super::problem::{Cause, Problem};
use super::request::{Credentials, RegistrationRequest};
use crate::certificate::{Certificate, NewCertificate};
use crate::identifiers::{CertificateId, OwnerId, ThingName};
use crate::mail::bundle::Broker;
use crate::registry::Kind;
use crate::secrets::PrivateKey;

fn document() -> Value {
    serde_json::from_str(include_str!("../../docs/register.openapi.json")).unwrap()
}

fn at<'a>(document: &'a Value, pointer: &str) -> &'a Value {
    document.pointer(pointer).unwrap_or_else(|| panic!("there is no {pointer}"))
}

fn keys(object: &Value) -> BTreeSet<String> {
    object.as_object().unwrap().keys().cloned().collect()
}

fn texts(list: &Value) -> BTreeSet<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn body(problem: &Problem) -> Value {
    serde_json::from_slice(problem.response("POST").body()).unwrap()
}

#[test]
fn every_refusal_agrees_with_its_documentation() {
    let document = document();
    let responses = at(&document, "/paths/~1register/post/responses");
    let mut documented = BTreeSet::new();
    for (status, response) in responses.as_object().unwrap() {
        let Some(examples) = response.pointer("/content/application~1problem+json/examples") else { continue };
        for (name, example) in examples.as_object().unwrap() {
            let cause = Cause::ALL.into_iter().find(|cause| cause.name() == name).unwrap_or_else(|| panic!("{name}"));
            let problem = match cause {
                Cause::Malformed => Problem::field("csr", "is missing: the private key has to be the device's own"),
                cause => cause.into(),
            };
            assert_eq!(example["value"], body(&problem), "{name}");
            assert_eq!(*status, cause.status().as_u16().to_string(), "{name}");
            for header in ["retry-after", "www-authenticate", "allow"] {
                // `TooMany` gets its `Retry-After` where the requests are counted.
                let problem = if cause == Cause::TooMany { Problem::too_many(1) } else { problem.clone() };
                let told = problem.response("POST").headers().contains_key(header);
                let documented =
                    response["headers"].as_object().is_some_and(|all| all.keys().any(|name| name.eq_ignore_ascii_case(header)));
                assert_eq!(told, documented, "{header} of {name}");
            }
            documented.insert(name.clone());
        }
    }
    let all: BTreeSet<String> = Cause::ALL.map(|cause| cause.name().to_owned()).into();
    assert_eq!(documented, all);
    assert_eq!(texts(at(&document, "/components/schemas/Problem/properties/cause/enum")), all);
    let statuses: BTreeSet<String> = Cause::ALL.map(|cause| cause.status().as_u16().to_string()).into();
    assert_eq!(keys(responses), statuses.into_iter().chain(["200".to_owned()]).collect());
    assert_eq!(keys(at(&document, "/components/schemas/Problem/properties")), keys(&body(&Problem::field("csr", ""))));
}

#[test]
fn every_request_example_is_parsed_as_its_kind() {
    let document = document();
    let examples = at(&document, "/paths/~1register/post/requestBody/content/application~1json/examples").as_object().unwrap();
    assert_eq!(examples.len(), 5);
    for (name, example) in examples {
        let mut request = Request::post("/register").header(CONTENT_TYPE, "application/json");
        match name.as_str() {
            "bearer" => request = request.header(AUTHORIZATION, "Bearer Atza|x"),
            "token" => request = request.header(AUTHORIZATION, "DeviceToken x"),
            _ => {}
        }
        let request = request.body(Bytes::from(example["value"].to_string())).unwrap();
        let registration = RegistrationRequest::read(&request).unwrap_or_else(|problem| panic!("{name}: {problem:?}"));
        assert_eq!(registration.by.name(), name);
        assert!(registration.csr.is_some());
        match (&registration.by, &registration.csr) {
            (Credentials::Certificate(renewal), Some(request)) => {
                let message = super::request::Renewal::message(request, renewal.at);
                assert!(renewal.certificate.has_signed(message.as_bytes(), &renewal.proof), "the example proves what it says");
            }
            (Credentials::Code(code), _) => assert_eq!(code.fingerprint(), Code::parse("K7QF93PD").unwrap().fingerprint()),
            _ => {}
        }
    }
}

/// For each field with a value of the wrong type, the response names the field, and the document lists the field name.
#[test]
fn every_field_of_a_request_is_one_that_a_refusal_may_name() {
    let document = document();
    let named = texts(at(&document, "/components/schemas/Problem/properties/field/enum"));
    let schemas = ["ByCode", "ByBearer", "ByToken", "BySerial", "ByCertificate"];
    let fields = schemas.iter().flat_map(|name| keys(at(&document, &format!("/components/schemas/{name}/properties"))));
    let mut expected: BTreeSet<String> = fields.collect();
    expected.extend(["body".to_owned(), "Authorization".to_owned()]);
    assert_eq!(named, expected);

    let examples = at(&document, "/paths/~1register/post/requestBody/content/application~1json/examples");
    for (name, example) in examples.as_object().unwrap() {
        for field in keys(&example["value"]) {
            let mut body = example["value"].clone();
            body[&field] = serde_json::json!([{}]);
            let mut request = Request::post("/register").header(CONTENT_TYPE, "application/json");
            if name == "token" {
                request = request.header(AUTHORIZATION, "DeviceToken x");
            }
            let problem = RegistrationRequest::read(&request.body(Bytes::from(body.to_string())).unwrap()).err().unwrap();
            let told: Value = serde_json::from_slice(problem.response("POST").body()).unwrap();
            assert_eq!(told["field"], field, "{name}");
        }
    }
}

#[test]
fn the_response_has_the_documented_fields() {
    let document = document();
    let thing = ThingName::parse("lamp-7").unwrap();
    let kind = Kind { thing_type: "lamp".into(), policies: vec!["LampPolicy".into()] };
    let owner = OwnerId::of_fleet("factory-1").unwrap();
    let client = Client {
        owner,
        thing,
        kind,
        chosen: true,
        said: Default::default(),
        attributes: Vec::new(),
        serial: None,
        label: None,
        code: None,
        predecessor: None,
    };
    let example = at(&document, "/paths/~1register/post/responses/200/content/application~1json/examples/registered/value");
    let certificate = Certificate {
        id: CertificateId::of(b"lamp"),
        pem: example["certificatePem"].as_str().unwrap().to_owned(),
        public_key: String::new(),
        private_key: PrivateKey::new("key".into()),
    };
    let broker = Broker::aws("abc-ats.iot.eu-west-1.amazonaws.com", 8883);
    let answer = answer::write(&client, &NewCertificate::WithKey(certificate), &broker, None);
    let mut body: Value = serde_json::from_slice(answer.body()).unwrap();
    let schema = at(&document, "/components/schemas/Registered");
    assert_eq!(keys(&body), keys(&schema["properties"]));
    let optional = ["privateKey".to_owned(), "expiresAt".to_owned()].into();
    assert_eq!(&keys(&body) - &texts(&schema["required"]), optional);
    for inner in ["rootCas", "topics"] {
        assert_eq!(keys(&body[inner]), keys(&schema["properties"][inner]["properties"]), "{inner}");
    }
    body.as_object_mut().unwrap().remove("privateKey");
    for varies in ["certificateId", "expiresAt"] {
        body[varies] = example[varies].clone();
    }
    assert_eq!(&body, example);
}
