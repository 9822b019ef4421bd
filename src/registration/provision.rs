//! From a caller to a certificate: the way of [`crate::onboarding`], with the answer in place of a mail.

use std::sync::Mutex;

use tokio::time::Instant;

use super::caller::Caller;
use super::problem::{Cause, Problem};
use super::{Door, Ports};
use crate::fault::{Blame, Fault, chain};
use crate::mail::{Delivery, MailError};
use crate::onboarding::lease::Lease;
use crate::onboarding::{Applicant, Means, Occasion, OnboardError, Visit, next, onboard};
use crate::registry::Registry;
use crate::registry::signing_request::CertificateRequest;
use crate::shadow::NoShadows;
use crate::thing::Fresh;

/// Brings a certificate to whoever waits for the answer.
#[derive(Default)]
struct Tray(Mutex<Option<Fresh>>);

impl Delivery for &Tray {
    async fn deliver(&self, fresh: Fresh) -> Result<(), MailError> {
        let mut tray = self.0.lock().map_err(|_| MailError::Unwritable("nobody waits for the answer".into()))?;
        *tray = Some(fresh);
        Ok(())
    }
}

/// Gives a caller's thing another certificate. It is handed out only when the thing's record says that it is.
pub(super) async fn provision<P: Ports>(
    door: &Door<P>,
    caller: &Caller,
    request: Option<&CertificateRequest>,
    deadline: Instant,
) -> Result<Fresh, Problem> {
    let tray = Tray::default();
    let means = Means {
        registry: &door.registry.of_kind(caller.kind.clone()),
        shadows: &NoShadows,
        lease: Lease::new(door.lease, door.now),
        deadline,
        measure: door.measure,
        decide: next,
    };
    let applicant = Applicant {
        owner: &caller.owner,
        thing: &caller.thing,
        visit: Visit { at: (door.now)(), occasion: Occasion::Registers, alexa_user: None, shadow: None },
        wanted: None,
        thing_type: caller.chosen.then_some(caller.kind.thing_type.as_str()),
        request,
        predecessor: caller.predecessor.as_ref(),
        said: &caller.said,
        delivery: &tray,
    };
    onboard(&means, &applicant).await.map_err(|error| problem(&error, caller))?;
    tray.0.into_inner().ok().flatten().ok_or_else(|| Cause::Busy.into())
}

fn problem(error: &OnboardError, caller: &Caller) -> Problem {
    let (step, fault, cause, thing) = (error.step(), error.fault(), error.cause(), &caller.thing);
    match fault {
        Fault::Speaker => tracing::info!(%step, %fault, cause, %thing, "{}", chain(error)),
        Fault::Again => tracing::warn!(%step, %fault, cause, %thing, "{}", chain(error)),
        Fault::Maker => tracing::error!(%step, %fault, cause, %thing, "{}", chain(error)),
    }
    match error {
        OnboardError::NotTheirs => Cause::NotTheirs.into(),
        // No device is ever away: the sweep takes away what another one left a day ago.
        OnboardError::OutOfService if caller.owner.is_of_devices() => Cause::Busy.into(),
        OnboardError::OutOfService => Cause::OutOfService.into(),
        _ if fault == Fault::Maker => Cause::RegistryRefused.into(),
        _ => Cause::Busy.into(),
    }
}
