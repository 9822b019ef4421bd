//! What became of every request, for whoever has to account for it; port [`Audit`], and the log.

use crate::identifiers::{CertificateId, ThingName};

/// What became of one request. There is no secret in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, in seconds since the epoch.
    pub at: u64,
    /// The request, as whatever brought it names it.
    pub request_id: String,
    /// The address it came from.
    pub source: String,
    /// With what: `code`, `bearer`, `token`, `serial`, `certificate`, or `unknown` where the request did not say.
    pub by: &'static str,
    /// `registered`, or the cause of the refusal as the problem names it.
    pub outcome: &'static str,
    /// The status of the answer.
    pub status: u16,
    /// The thing it was about, where that was known.
    pub thing: Option<ThingName>,
    /// The certificate that was handed out.
    pub certificate: Option<CertificateId>,
    /// The name of the device token, where one was shown.
    pub label: Option<String>,
}

/// Keeps what became of every request.
pub trait Audit: Send + Sync {
    /// Notes an event. What cannot be noted keeps nobody from registering: it is logged.
    fn note(&self, event: &Event) -> impl Future<Output = ()> + Send;
}

/// Writes one line of the log per registration, marked with `audit = true`.
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
            "a request"
        );
    }
}
