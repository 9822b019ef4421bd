//! The credentials that a device registers with, and how they are sent: in the `Authorization` header or in the body.
//!
//! No credential appears in `Debug` output, in a message or in a URL. The body is wiped from memory after it was sent.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use http::HeaderValue;
use serde::Serialize;
use zeroize::Zeroizing;

use super::RegisterError;
use super::renewal_proof;
use crate::bundle;
use crate::bundle::files::{Files, OWN_ROOT};
use crate::cli::name::Name;

/// The largest body that an endpoint accepts, in bytes. The buffer has this capacity, because a buffer that grows would leave
/// copies of secrets in memory.
const BODY_LIMIT: usize = 16 * 1024;

/// A secret text, such as a claim code. `Debug` does not show it, and it is wiped from memory when dropped.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<String>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self(Zeroizing::new(secret))
    }
}

impl Secret {
    /// The text, to be sent to the endpoint only.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The description of a device in its registration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeviceDescription {
    /// The type of the thing, if the endpoint serves several types.
    pub(crate) thing_type: Option<String>,
    /// The version of the software of the device.
    pub(crate) version: String,
    /// Additional attributes for the maker.
    pub(crate) attributes: BTreeMap<String, String>,
}

/// The credential that a device registers with.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    /// A claim code, which an owner got from the skill.
    Code(Secret),
    /// The access token of the owner, in an installer.
    Bearer(Secret),
    /// The token of a fleet, for a thing with the name of the device.
    Token(Secret, DeviceDescription),
    /// A serial number, with its secret if the serial number can be guessed.
    Serial(Secret, Option<Secret>, DeviceDescription),
    /// The files of a bundle whose certificate is to be renewed.
    Certificate(Files),
}

/// The parts of a request that contain the credential.
pub(crate) struct Shown {
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) body: Bytes,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    csr: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thing_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thing_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<&'a BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<u64>,
}

impl Credential {
    /// The header and the body for a certificate request in PEM. `now` is Unix time in seconds, for the proof of a renewal.
    pub(crate) fn show(&self, name: &Name, csr: &str, now: u64) -> Result<Shown, RegisterError> {
        let mut authorization = None;
        let mut body = Body { csr, ..Body::default() };
        let said = |portrait: &DeviceDescription| !portrait.attributes.is_empty();
        let connection;
        match self {
            Credential::Code(code) => body.code = Some(code.as_str()),
            Credential::Bearer(token) => authorization = Some(header("Bearer", token)?),
            Credential::Token(token, portrait) => {
                authorization = Some(header("DeviceToken", token)?);
                body.thing_name = Some(name.as_str());
                body.thing_type = portrait.thing_type.as_deref();
                body.version = Some(&portrait.version);
                body.attributes = said(portrait).then_some(&portrait.attributes);
            }
            Credential::Serial(serial, secret, portrait) => {
                body.serial = Some(serial.as_str());
                body.secret = secret.as_ref().map(Secret::as_str);
                body.attributes = said(portrait).then_some(&portrait.attributes);
            }
            Credential::Certificate(files) => {
                connection = files.connection().map_err(|_| UNUSABLE)?;
                let (certificate, key) = bundle::identity(files, &connection).map_err(|_| UNUSABLE)?;
                body.thing_name = Some(&connection.thing_name);
                body.certificate = Some(str::from_utf8(certificate).map_err(|_| UNUSABLE)?);
                body.proof = Some(renewal_proof::proof(&key, csr, now).ok_or(UNUSABLE)?);
                body.at = Some(now);
            }
        }
        let mut text = Zeroizing::new(Vec::with_capacity(BODY_LIMIT));
        serde_json::to_writer(&mut *text, &body).map_err(|_| TOO_LARGE)?;
        if text.len() > BODY_LIMIT {
            return Err(TOO_LARGE);
        }
        Ok(Shown { authorization, body: Bytes::from_owner(text) })
    }

    /// The only name of a thing that the response may contain, if the device knows it.
    pub(crate) fn thing(&self, name: &Name) -> Option<String> {
        match self {
            Credential::Token(..) => Some(name.to_string()),
            Credential::Certificate(files) => files.connection().ok().map(|connection| connection.thing_name),
            Credential::Code(_) | Credential::Bearer(_) | Credential::Serial(..) => None,
        }
    }

    /// The root certificate that the user has added to the bundle of a renewal.
    pub(crate) fn own_root(&self) -> Option<&[u8]> {
        match self {
            Credential::Certificate(files) => files.content(OWN_ROOT).ok(),
            _ => None,
        }
    }
}

const UNUSABLE: RegisterError = RegisterError::Credential("the stored certificate and its key cannot be used to ask for another one");
const TOO_LARGE: RegisterError = RegisterError::Credential("the registration request of this device is longer than an endpoint accepts");
const NO_TOKEN: RegisterError = RegisterError::Credential("the token has characters that no token has");

fn header(scheme: &str, token: &Secret) -> Result<HeaderValue, RegisterError> {
    if token.as_str().is_empty() || !token.as_str().bytes().all(|c| c.is_ascii_graphic()) {
        return Err(NO_TOKEN);
    }
    let text = Zeroizing::new(format!("{scheme} {}", token.as_str()));
    let mut value = HeaderValue::from_str(&text).map_err(|_| NO_TOKEN)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use onething::registration::request::{Credentials, RegistrationRequest};
    use onething::registry::signing_request::DeviceKey;
    use onething::secrets::Fingerprint;
    use onething_hub::authority::Authority;
    use serde_json::{Value, json};

    use super::super::scripted_endpoint::NOW;
    use super::*;

    fn secret(text: &str) -> Secret {
        text.to_owned().into()
    }

    fn portrait() -> DeviceDescription {
        let attributes = BTreeMap::from([("hardware".to_owned(), "B".to_owned())]);
        DeviceDescription { thing_type: Some("lamp".into()), version: "1.2".into(), attributes }
    }

    #[track_caller]
    fn check(credential: &Credential, authorization: Option<&str>, body: &Value) {
        let name = Name::parse("lamp-7", "--name").unwrap();
        let shown = credential.show(&name, "CSR", 1_800_000_000).unwrap();
        assert_eq!(shown.authorization.as_ref().map(|value| value.to_str().unwrap()), authorization);
        assert!(shown.authorization.is_none_or(|value| value.is_sensitive()));
        assert_eq!(serde_json::from_slice::<Value>(&shown.body).unwrap(), *body);
        let debug = format!("{credential:?}");
        assert!(!debug.contains("K7QF") && !debug.contains("s3cret"), "{debug}");
    }

    #[test]
    fn each_credential_sends_what_it_needs_and_no_more() {
        check(&Credential::Code(secret("K7QF-93PD")), None, &json!({"csr": "CSR", "code": "K7QF-93PD"}));
        check(&Credential::Bearer(secret("Atza|s3cret")), Some("Bearer Atza|s3cret"), &json!({"csr": "CSR"}));
        check(
            &Credential::Token(secret("s3cret"), portrait()),
            Some("DeviceToken s3cret"),
            &json!({"csr": "CSR", "thingName": "lamp-7", "thingType": "lamp", "version": "1.2", "attributes": {"hardware": "B"}}),
        );
        check(&Credential::Serial(secret("s3cret"), None, DeviceDescription::default()), None, &json!({"csr": "CSR", "serial": "s3cret"}));
        check(
            &Credential::Serial(secret("SN-1"), Some(secret("s3cret")), portrait()),
            None,
            &json!({"csr": "CSR", "serial": "SN-1", "secret": "s3cret", "attributes": {"hardware": "B"}}),
        );
    }

    /// Parses the request with the code of the endpoint.
    fn read(credential: &Credential) -> RegistrationRequest {
        let name = Name::parse("lamp-7", "--name").unwrap();
        let csr = DeviceKey::generate().unwrap().request("lamp-7").unwrap();
        let shown = credential.show(&name, &csr, NOW).unwrap();
        let mut request = http::Request::post("/register").header("content-type", "application/json").body(shown.body).unwrap();
        request.headers_mut().extend(shown.authorization.map(|value| (http::header::AUTHORIZATION, value)));
        RegistrationRequest::read(&request).unwrap_or_else(|problem| panic!("{problem:?}"))
    }

    #[test]
    fn the_endpoint_parses_the_request_of_each_credential() {
        assert!(matches!(read(&Credential::Code(secret("K7QF-93PD"))).by, Credentials::Code(code) if code.shown() == "K7QF-93PD"));
        assert!(matches!(read(&Credential::Bearer(secret("Atza|x"))).by, Credentials::Bearer(token) if token.secret() == "Atza|x"));
        let fleet = read(&Credential::Token(secret("s3cret"), portrait()));
        let Credentials::Token { token, thing, version, thing_type } = fleet.by else { panic!() };
        assert!(token.matches(&Fingerprint::of("s3cret")) && fleet.attributes == portrait().attributes && fleet.csr.is_some());
        assert_eq!((thing.as_str(), version.as_str(), thing_type.as_deref()), ("lamp-7", "1.2", Some("lamp")));
        let Credentials::Serial { serial, secret } = read(&Credential::Serial(secret("SN-1"), Some(secret("s3cret")), portrait())).by
        else {
            panic!()
        };
        assert_eq!((serial.as_str(), secret.unwrap().as_str()), ("SN-1", "s3cret"));
    }

    /// The files of a bundle, as far as a renewal uses them.
    fn files(certificate: &str, key: &str) -> Files {
        let key_of = DeviceKey::generate().unwrap();
        let mut connection = super::super::scripted_endpoint::answer(&key_of.request("lamp-7").unwrap(), "lamp-7");
        let fields = [("certificate", json!("c.pem")), ("privateKey", json!("k.pem")), ("rootCas", json!([])), ("version", json!(1))];
        connection.as_object_mut().unwrap().extend(fields.map(|(name, value)| (name.to_owned(), value)));
        let mut files = Files::new();
        for (name, content) in [("connection.json", connection.to_string().as_str()), ("c.pem", certificate), ("k.pem", key)] {
            files.insert(name, content.as_bytes().to_vec()).unwrap();
        }
        files
    }

    #[test]
    fn the_endpoint_accepts_the_proof_of_a_key_of_the_device_or_of_the_authority() {
        let authority = Authority::new(NOW).unwrap();
        let mailed = authority.issue(NOW).unwrap();
        let own = DeviceKey::generate().unwrap();
        let issued = authority.issue_for(&own.request("lamp-7").unwrap(), NOW).unwrap().pem;
        for files in [files(&mailed.pem, mailed.private_key.pem()), files(&issued, own.private_key().pem())] {
            let registration = read(&Credential::Certificate(files));
            let (Credentials::Certificate(renewal), Some(csr)) = (registration.by, registration.csr) else { panic!() };
            assert_eq!((renewal.thing.as_str(), renewal.at), ("lamp-7", NOW));
            assert!(
                renewal.certificate.has_signed(onething::registration::request::Renewal::message(&csr, NOW).as_bytes(), &renewal.proof)
            );
            assert!(
                !renewal
                    .certificate
                    .has_signed(onething::registration::request::Renewal::message(&csr, NOW + 1).as_bytes(), &renewal.proof)
            );
        }
        let stolen = files(&issued, DeviceKey::generate().unwrap().private_key().pem());
        let registration = read(&Credential::Certificate(stolen));
        let (Credentials::Certificate(renewal), Some(csr)) = (registration.by, registration.csr) else { panic!() };
        assert!(!renewal.certificate.has_signed(onething::registration::request::Renewal::message(&csr, NOW).as_bytes(), &renewal.proof));
    }

    #[test]
    fn an_invalid_credential_is_not_sent() {
        let name = Name::parse("lamp-7", "--name").unwrap();
        for token in ["", "two words", "line\nend", "ä"] {
            assert!(Credential::Bearer(secret(token)).show(&name, "CSR", 0).is_err(), "{token:?}");
        }
        assert!(Credential::Code(secret(&"K".repeat(BODY_LIMIT))).show(&name, "CSR", 0).is_err());
        assert!(Credential::Certificate(Files::new()).show(&name, "CSR", 0).is_err());
    }
}
