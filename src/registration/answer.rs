//! The response to a successful registration: everything that the device needs to connect.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use serde::Serialize;
use serde_json::Value;

use super::authentication::Client;
use super::policy::Roots;
use crate::certificate::NewCertificate;
use crate::mail::bundle::{self, Broker};
use crate::registry::signing_request::ShownCertificate;

/// The response body. It may contain a private key, so it is serialised directly into the response and not copied.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    thing_name: &'a str,
    thing_type: &'a str,
    client_id: &'a str,
    endpoint: &'a str,
    port: u16,
    certificate_id: &'a str,
    certificate_pem: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_key: Option<&'a str>,
    root_cas: RootCas<'a>,
    policy: &'a str,
    topics: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
}

#[derive(Serialize)]
struct RootCas<'a> {
    preferred: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<&'a str>,
}

/// The root certificates for the connection to the broker: those of the registration policy, otherwise those of the broker.
fn root_cas<'a>(broker: &'a Broker, roots: Option<&'a Roots>) -> RootCas<'a> {
    match roots {
        Some(roots) => RootCas { preferred: &roots.preferred, backup: roots.backup.as_deref() },
        None => {
            let mut own = broker.roots.iter().map(|(_, pem)| pem.as_str());
            RootCas { preferred: own.next().unwrap_or_default(), backup: own.next() }
        }
    }
}

/// Writes the response.
pub(super) fn write(client: &Client, fresh: &NewCertificate, broker: &Broker, roots: Option<&Roots>) -> Response<Bytes> {
    let (certificate_pem, private_key) = match fresh {
        NewCertificate::WithKey(certificate) => (certificate.pem.as_str(), Some(certificate.private_key.pem())),
        NewCertificate::ForRequest(issued) => (issued.pem.as_str(), None),
    };
    let body = Body {
        thing_name: client.thing.as_str(),
        thing_type: &client.kind.thing_type,
        client_id: client.thing.as_str(),
        endpoint: &broker.host,
        port: broker.port,
        certificate_id: fresh.id().as_str(),
        certificate_pem,
        private_key,
        root_cas: root_cas(broker, roots),
        policy: client.kind.policies.first().map_or("", String::as_str),
        topics: bundle::topics(&client.thing),
        expires_at: ShownCertificate::parse(certificate_pem).map(|certificate| certificate.expires_at()),
    };
    // The serialisation of these fields cannot fail.
    let mut response = Response::new(serde_json::to_vec(&body).map(Bytes::from).unwrap_or_default());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
