//! The audit log: the outcome of each registration request, and the interface [`Audit`] that records it.

use crate::identifiers::{CertificateId, ThingName};

/// The outcome of one request. It contains no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The time of the request, as Unix time in seconds.
    pub at: u64,
    /// The request id of the gateway or the web server.
    pub request_id: String,
    /// The IP address of the client.
    pub source: String,
    /// The kind of authentication: `code`, `bearer`, `token`, `serial`, `certificate`, or `unknown` if the request has none.
    pub by: &'static str,
    /// `registered`, or the cause of the refusal as named in the response.
    pub outcome: &'static str,
    /// The HTTP status of the response.
    pub status: u16,
    /// The name of the thing, if the client was authenticated.
    pub thing: Option<ThingName>,
    /// The issued certificate.
    pub certificate: Option<CertificateId>,
    /// The name of the device token, if the request has one.
    pub label: Option<String>,
}

/// Records the outcome of each request.
pub trait Audit: Send + Sync {
    /// Records an event. A failure must not prevent the registration; the implementation logs it.
    fn note(&self, event: &Event) -> impl Future<Output = ()> + Send;
}

/// Writes one log line per request, marked with `audit = true`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogAudit;

impl Audit for LogAudit {
    async fn note(&self, event: &Event) {
        let Event { at, request_id, source, by, outcome, status, thing, certificate, label } = event;
        tracing::info!(
            audit = true,
            at,
            request_id,
            source,
            by,
            outcome,
            status,
            thing = thing.as_ref().map(ThingName::as_str),
            certificate = certificate.as_ref().map(CertificateId::as_str),
            label = label.as_deref(),
            "a registration request"
        );
    }
}
