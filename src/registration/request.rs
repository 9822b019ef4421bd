//! Parses a request to the endpoint: the credentials of the client and the requested certificate. Each fault names its field.
//!
//! This module does not verify the credentials. Unknown fields are ignored, and `null` counts as absent.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::claims::Code;
use super::problem::{Cause, Problem};
use crate::identifiers::ThingName;
use crate::login::AccessToken;
use crate::registry::signing_request::{CertificateRequest, ShownCertificate};
use crate::secrets::Fingerprint;

/// The maximum length of a body, in bytes.
pub const LONGEST_BODY: usize = 16 * 1024;
/// The maximum number of attributes in a request.
const MOST_ATTRIBUTES: usize = 20;
/// The maximum length of an attribute value in AWS IoT.
const LONGEST_ATTRIBUTE: usize = 800;
/// The maximum length of a serial number or a secret, in characters.
const LONGEST_SERIAL: usize = 128;

/// A parsed request, not yet authenticated.
pub struct RegistrationRequest {
    /// The credentials of the client.
    pub by: Credentials,
    /// The certificate signing request, if the device has its own key.
    pub csr: Option<CertificateRequest>,
    /// The attributes that the device reports about itself. They are parsed only for fleet devices and devices with a
    /// serial number.
    pub attributes: BTreeMap<String, String>,
}

/// The credentials of a client, by kind.
pub enum Credentials {
    /// A device of an owner, with a claim code.
    Code(Code),
    /// An installer of an owner, with the owner's access token.
    Bearer(AccessToken),
    /// A device of a fleet, with the fleet's token.
    Token {
        /// The SHA-256 of the token that the fleet shares.
        token: Fingerprint,
        /// The thing name that the device has chosen.
        thing: ThingName,
        /// The version of the device software.
        version: String,
        /// The requested thing type. `None` selects the default of the token.
        thing_type: Option<String>,
    },
    /// A device with a serial number.
    Serial {
        /// The serial number.
        serial: Zeroizing<String>,
        /// The secret of the device, if it has one.
        secret: Option<Zeroizing<String>>,
    },
    /// A device that renews its certificate.
    Certificate(Renewal),
}

/// A request for a new certificate, authenticated with the current one.
pub struct Renewal {
    /// The thing of the device.
    pub thing: ThingName,
    /// The current certificate of the device.
    pub certificate: ShownCertificate,
    /// The signature over [`Renewal::message`] with the key of the current certificate.
    pub proof: Vec<u8>,
    /// The time of the signature, as Unix time in seconds.
    pub at: u64,
}

impl Renewal {
    /// The signed message: the digest of the signing request and the time. It binds the signature to this signing request.
    pub fn message(request: &CertificateRequest, at: u64) -> String {
        format!("onething-renew\n{}\n{at}", request.digest().hex())
    }
}

impl Credentials {
    /// The name of the kind for the audit log.
    pub fn name(&self) -> &'static str {
        match self {
            Credentials::Code(_) => "code",
            Credentials::Bearer(_) => "bearer",
            Credentials::Token { .. } => "token",
            Credentials::Serial { .. } => "serial",
            Credentials::Certificate(_) => "certificate",
        }
    }

    /// The detail of the refusal if the client is not recognised. It is the same for all reasons.
    pub(super) fn unknown(&self) -> &'static str {
        match self {
            Credentials::Code(_) => {
                "the code is not good here: it is wrong, another device's, older than ten minutes, or was tried too often"
            }
            Credentials::Bearer(_) => "the access token is not one of an owner of this skill",
            Credentials::Token { .. } => "the device token is not known here",
            Credentials::Serial { .. } => "the serial is not known here, or the secret is not its own",
            Credentials::Certificate(_) => {
                "the certificate is not renewed: it is unknown, replaced, over or out of service, or the proof is not its key's"
            }
        }
    }
}

/// The content of the `Authorization` header.
enum Authorization {
    Bearer(AccessToken),
    DeviceToken(Fingerprint),
}

impl RegistrationRequest {
    /// Parses a request. The HTTP method is not checked.
    pub fn read(request: &http::Request<Bytes>) -> Result<Self, Problem> {
        if request.body().len() > LONGEST_BODY {
            return Err(Cause::TooLarge.into());
        }
        if !is_json(request.headers()) {
            return Err(Cause::NotJson.into());
        }
        let Ok(Value::Object(body)) = serde_json::from_slice(request.body()) else {
            return Err(Problem::field("body", "has to be a JSON object"));
        };
        let body = Body(body);
        let csr = body.text("csr", usize::MAX)?.map(|pem| CertificateRequest::parse(&pem)).transpose();
        let csr = csr.map_err(|fault| Problem::field("csr", &format!("is refused: {fault}")))?;
        let by = by(authorization(request.headers())?, &body)?;
        if matches!(by, Credentials::Certificate(_)) && csr.is_none() {
            return Err(Problem::field("csr", "is missing: a certificate is renewed for a key of the device's own"));
        }
        let attributes =
            if matches!(by, Credentials::Token { .. } | Credentials::Serial { .. }) { body.attributes()? } else { BTreeMap::new() };
        Ok(Self { by, csr, attributes })
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

fn authorization(headers: &HeaderMap) -> Result<Option<Authorization>, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Cause::Ambiguous.into());
    }
    let malformed = || Problem::field("Authorization", "has to be `Bearer` or `DeviceToken` and a token");
    let (scheme, token) = value.to_str().ok().and_then(|value| value.trim().split_once(' ')).ok_or_else(malformed)?;
    let token = token.trim();
    if token.is_empty() {
        return Err(malformed());
    }
    match () {
        () if scheme.eq_ignore_ascii_case("Bearer") => Ok(Some(Authorization::Bearer(AccessToken::new(token.to_owned())))),
        () if scheme.eq_ignore_ascii_case("DeviceToken") => Ok(Some(Authorization::DeviceToken(Fingerprint::of(token)))),
        () => Err(malformed()),
    }
}

fn by(authorization: Option<Authorization>, body: &Body) -> Result<Credentials, Problem> {
    let ways = ["code", "serial", "certificate"].into_iter().filter(|field| body.has(field));
    if ways.count() + usize::from(authorization.is_some()) > 1 {
        return Err(Cause::Ambiguous.into());
    }
    match authorization {
        Some(Authorization::Bearer(token)) => return Ok(Credentials::Bearer(token)),
        Some(Authorization::DeviceToken(token)) => {
            let version = body.need("version", LONGEST_ATTRIBUTE)?;
            if !is_attribute(&version) {
                return Err(Problem::field("version", "may have letters, digits and `_.,@/:#=[]-`"));
            }
            let thing_type = body.text("thingType", LONGEST_SERIAL)?.map(|text| text.to_string());
            return Ok(Credentials::Token { token, thing: body.thing()?, version: version.to_string(), thing_type });
        }
        None => {}
    }
    if let Some(code) = body.text("code", LONGEST_SERIAL)? {
        let code = Code::parse(&code).ok_or_else(|| Problem::field("code", "has to be eight letters and digits, such as K7QF-93PD"))?;
        return Ok(Credentials::Code(code));
    }
    if let Some(serial) = body.text("serial", LONGEST_SERIAL)? {
        if serial.is_empty() {
            return Err(Problem::field("serial", "must not be empty"));
        }
        return Ok(Credentials::Serial { serial, secret: body.text("secret", LONGEST_SERIAL)? });
    }
    if let Some(pem) = body.text("certificate", usize::MAX)? {
        let certificate = ShownCertificate::parse(&pem).ok_or_else(|| Problem::field("certificate", "has to be a certificate in PEM"))?;
        let proof = BASE64_STANDARD.decode(body.need("proof", LONGEST_BODY)?.as_bytes());
        let proof = proof.map_err(|_| Problem::field("proof", "has to be a signature in base64"))?;
        let at = body.0.get("at").and_then(Value::as_u64).ok_or_else(|| Problem::field("at", "has to be a time in seconds"))?;
        return Ok(Credentials::Certificate(Renewal { thing: body.thing()?, certificate, proof, at }));
    }
    Err(Problem::unsaid())
}

/// Checks the rule of AWS IoT for attribute values. An empty value is invalid here, because it would delete the attribute.
pub(super) fn is_attribute(value: &str) -> bool {
    (1..=LONGEST_ATTRIBUTE).contains(&value.len()) && value.bytes().all(|c| c.is_ascii_alphanumeric() || b"_.,@/:#=[]-".contains(&c))
}

/// The JSON object of a request body.
struct Body(Map<String, Value>);

impl Body {
    fn has(&self, field: &str) -> bool {
        self.0.get(field).is_some_and(|value| !value.is_null())
    }

    fn text(&self, field: &'static str, longest: usize) -> Result<Option<Zeroizing<String>>, Problem> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.chars().count() <= longest => Ok(Some(Zeroizing::new(text.clone()))),
            Some(Value::String(_)) => Err(Problem::field(field, "is too long")),
            Some(_) => Err(Problem::field(field, "has to be a text")),
        }
    }

    fn need(&self, field: &'static str, longest: usize) -> Result<Zeroizing<String>, Problem> {
        self.text(field, longest)?.ok_or_else(|| Problem::field(field, "is missing"))
    }

    fn thing(&self) -> Result<ThingName, Problem> {
        let name = self.need("thingName", LONGEST_SERIAL)?;
        ThingName::parse(&name).ok_or_else(|| Problem::field("thingName", "has to be 1 to 64 letters, digits, `:`, `_` and `-`"))
    }

    fn attributes(&self) -> Result<BTreeMap<String, String>, Problem> {
        let malformed = || Problem::field("attributes", "has to be at most 20 texts of letters, digits and `_.,@/:#=[]-`, by name");
        let attributes = match self.0.get("attributes") {
            None | Some(Value::Null) => return Ok(BTreeMap::new()),
            Some(Value::Object(attributes)) if attributes.len() <= MOST_ATTRIBUTES => attributes,
            Some(_) => return Err(malformed()),
        };
        let read = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str().filter(|text| is_attribute(text))?.to_owned()));
        attributes.iter().map(read).collect::<Option<_>>().ok_or_else(malformed)
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
