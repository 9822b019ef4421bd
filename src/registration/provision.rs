//! Issues the certificate for an authenticated client with [`crate::onboarding`]. The response takes the place of the mail.

use std::sync::Mutex;

use tokio::time::Instant;

use super::authentication::Client;
use super::problem::{Cause, Problem};
use super::{Endpoint, Ports};
use crate::certificate::NewCertificate;
use crate::fault::{ClassifiedError, Fault, chain};
use crate::mail::{Delivery, MailError};
use crate::onboarding::lease::Lease;
use crate::onboarding::{Context, OnboardError, OnboardingRequest, OnboardingTarget, Trigger, next, onboard};
use crate::registry::Registry;
use crate::registry::signing_request::CertificateRequest;
use crate::shadow::NoShadows;

/// Keeps the new certificate for the response.
#[derive(Default)]
struct ResponseDelivery(Mutex<Option<NewCertificate>>);

impl Delivery for &ResponseDelivery {
    async fn deliver(&self, fresh: NewCertificate) -> Result<(), MailError> {
        let mut tray = self.0.lock().map_err(|_| MailError::Unwritable("nobody waits for the answer".into()))?;
        *tray = Some(fresh);
        Ok(())
    }
}

/// Issues a certificate for the client's thing. It is returned only if the record of the thing names it.
pub(super) async fn provision<P: Ports>(
    endpoint: &Endpoint<P>,
    client: &Client,
    csr: Option<&CertificateRequest>,
    deadline: Instant,
) -> Result<NewCertificate, Problem> {
    let tray = ResponseDelivery::default();
    let means = Context {
        registry: &endpoint.registry.of_kind(client.kind.clone()),
        shadows: &NoShadows,
        lease: Lease::new(endpoint.lease, endpoint.now),
        deadline,
        measure: endpoint.measure,
        decide: next,
    };
    let target = OnboardingTarget {
        owner: &client.owner,
        thing: &client.thing,
        request: OnboardingRequest { at: (endpoint.now)(), trigger: Trigger::Registers, alexa_user: None, shadow: None },
        wanted: None,
        thing_type: client.chosen.then_some(client.kind.thing_type.as_str()),
        csr,
        predecessor: client.predecessor.as_ref(),
        said: &client.said,
        delivery: &tray,
    };
    onboard(&means, &target).await.map_err(|error| problem(&error, client))?;
    tray.0.into_inner().ok().flatten().ok_or_else(|| Cause::Busy.into())
}

fn problem(error: &OnboardError, client: &Client) -> Problem {
    let (step, fault, cause, thing) = (error.step(), error.fault(), error.cause(), &client.thing);
    match fault {
        Fault::Speaker => tracing::info!(%step, %fault, cause, %thing, "{}", chain(error)),
        Fault::Again => tracing::warn!(%step, %fault, cause, %thing, "{}", chain(error)),
        Fault::Maker => tracing::error!(%step, %fault, cause, %thing, "{}", chain(error)),
    }
    match error {
        OnboardError::NotTheirs => Cause::NotTheirs.into(),
        // The thing of a device is never suspended. The sweep is deleting the remains of a registration that failed a day ago.
        OnboardError::OutOfService if client.owner.stands_for_devices() => Cause::Busy.into(),
        OnboardError::OutOfService => Cause::OutOfService.into(),
        _ if fault == Fault::Maker => Cause::RegistryRefused.into(),
        _ => Cause::Busy.into(),
    }
}
