//! The door where devices register themselves: `POST /register`.

pub mod audit;
pub mod claims;
pub mod hook;
pub mod terms;

use bytes::Bytes;
use tokio::time::Instant;

pub use self::audit::{Audit, Event, LogAudit};
pub use self::claims::Claims;
pub use self::hook::{Hook, HookAddress, HookError, HttpHook, Question, Verdict};
pub use self::terms::{Terms, TermsError};
use crate::bundle::Broker;
use crate::identify::Login;
use crate::metrics::Meter;
use crate::registry::{Kind, Registry};
use crate::thing::ThingPrefix;

/// The skill's own things: those of its owners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// Their type and the policies of their certificates.
    pub kind: Kind,
    /// What their names begin with.
    pub prefix: ThingPrefix,
}

/// The door, and the ports it works through.
pub struct Door<L, R, C, H, A> {
    /// Who signs owners in.
    pub login: L,
    /// The client id that owners' tokens must be made for.
    pub client_id: Option<String>,
    /// Things and certificates.
    pub registry: R,
    /// Claim codes and counters.
    pub claims: C,
    /// The maker's word.
    pub hook: H,
    /// What became of every knock.
    pub audit: A,
    /// The things of owners.
    pub own: Own,
    /// Where devices connect.
    pub broker: Broker,
    /// How long one knock keeps others away from its thing, in seconds.
    pub lease: u64,
    /// Seconds since the epoch.
    pub now: fn() -> u64,
    /// Counts and times what happens.
    pub measure: Meter,
}

/// Answers a request to the door. `source` is the address it came from, `request_id` what the log calls it, and `answer_by`
/// is when the answer must be ready.
pub async fn register<L: Login, R: Registry, C: Claims, H: Hook, A: Audit>(
    door: &Door<L, R, C, H, A>,
    terms: &Terms,
    request: http::Request<Bytes>,
    source: &str,
    request_id: &str,
    answer_by: Instant,
) -> http::Response<Bytes> {
    let _ = (door, terms, request, source, request_id, answer_by);
    let mut response = http::Response::new(Bytes::new());
    *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
    response
}
