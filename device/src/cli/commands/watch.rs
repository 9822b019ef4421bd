//! Supervises a running device: writes its status for other processes, renews the certificate in time, and decides when
//! continuing is pointless.

use std::time::Duration;

use onething::fault::chain;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::bundle::Bundle;
use crate::clock;
use crate::connection::reach::{refused, unreachable, unverified};
use crate::event_loop::{Connection, Control, Status as Living};
use crate::failure::Failure;
use crate::local::requests::{Answer, Asked, Request, Requests};
use crate::local::status::{LastCommand, Online, Status};
use crate::registration::credential::Credential;
use crate::registration::renewal::Renewal;
use crate::registration::{Endpoint, register};
use crate::state::Held;

/// The time limit for a renewal on request.
const RENEW_WITHIN: Duration = Duration::from_secs(120);
const NOT_STORED: &str = "the running agent has a bundle that is not stored, and cannot renew it: store it by `onething-device setup`";

/// The supervisor of a running device.
pub(super) struct Supervisor<'a> {
    announcer: Announcer<'a>,
    wait: Option<Duration>,
    /// The state folder, if the credentials in use are stored in it.
    stored: Option<&'a Held>,
    endpoint: Option<&'a Endpoint>,
    requests: Option<Requests>,
    /// Resolves the URL of a request to an endpoint.
    endpoints: Option<&'a Endpoints<'a>>,
}

/// Returns the endpoint of a URL, or the known one if there is no URL.
pub(super) type Endpoints<'a> = dyn Fn(Option<String>) -> Result<Option<Endpoint>, Failure> + 'a;

/// The deadline for the first connection.
#[derive(Clone, Copy)]
struct Limit {
    wait: Duration,
    end: Instant,
}

impl<'a> Supervisor<'a> {
    /// Supervises a device whose bundle is not stored.
    pub(super) fn with_given(held: &'a Held, wait: Option<Duration>) -> Self {
        Self { announcer: Announcer { held, last: None }, wait, stored: None, endpoint: None, requests: None, endpoints: None }
    }

    /// Supervises a device with the stored credentials, which are renewed if there is an endpoint.
    pub(super) fn with_stored(held: &'a Held, endpoint: Option<&'a Endpoint>, wait: Option<Duration>) -> Self {
        Self { stored: Some(held), endpoint, ..Self::with_given(held, wait) }
    }

    /// Also accepts requests of other commands.
    pub(super) fn asked(mut self, requests: Option<Requests>, endpoints: &'a Endpoints<'a>) -> Self {
        (self.requests, self.endpoints) = (requests, Some(endpoints));
        self
    }

    /// Renews the certificate in time and on request, and returns to the former certificate if the server refuses the new one.
    /// Returns when continuing is pointless.
    pub(super) async fn watch(&mut self, mut bundle: Bundle, control: &Control) -> Failure {
        let (stored, endpoint, mut renewal) = (self.stored, self.endpoint, Renewal::default());
        let (mut requests, endpoints) = (self.requests.take(), self.endpoints);
        let mut status = control.watch();
        let mut limit = self.wait.map(|wait| Limit { wait, end: Instant::now() + wait });
        loop {
            let renewed = async {
                match stored.zip(endpoint) {
                    Some((held, endpoint)) => renewal.next(&bundle, endpoint, held, clock::now).await,
                    None => std::future::pending().await,
                }
            };
            let ended = tokio::select! {
                failure = self.follow(&bundle, &mut status, limit) => Err(failure),
                renewed = renewed => Ok(renewed),
                renewed = on_request(requests.as_mut(), stored, endpoints) => Ok(renewed),
            };
            bundle = match ended {
                Ok(renewed) => renewed,
                Err(failure) => match self.former(&failure) {
                    Some(former) => {
                        warn!("{failure}; back to the former certificate");
                        renewal.failed();
                        former
                    }
                    None => return failure,
                },
            };
            limit = None;
            if let Err(failure) = exchange(&bundle, control, &mut status).await {
                return failure;
            }
        }
    }

    /// Writes the status of a device that has stopped.
    pub(super) fn stopped(&mut self, why: Option<&Failure>, living: &Living) {
        self.announcer.say(Online::Stopped, why.map(ToString::to_string), living);
    }

    /// Writes the status of the device with this bundle until continuing is pointless. A refusal before the first connection is
    /// final; a refusal after a connection may be temporary.
    async fn follow(&mut self, bundle: &Bundle, status: &mut watch::Receiver<Living>, limit: Option<Limit>) -> Failure {
        let address = format!("{}:{}", bundle.connection.endpoint, bundle.connection.port);
        let (mut was_up, mut last) = (false, Connection::Connecting);
        loop {
            let living = status.borrow_and_update().clone();
            let (online, failure) = judged(&address, &living.connection);
            if online == Online::Connected && !was_up {
                was_up = true;
                self.confirm();
            }
            if self.announcer.say(online, failure.as_ref().map(ToString::to_string), &living)
                && let Some(failure) = &failure
            {
                warn!("{failure}");
            }
            match failure {
                Some(failure @ Failure::Refused(_)) if !was_up => return failure,
                Some(_) => last = living.connection,
                None => {}
            }
            let changed = match limit.filter(|_| !was_up) {
                None => status.changed().await,
                Some(limit) => match timeout_at(limit.end, status.changed()).await {
                    Ok(changed) => changed,
                    Err(_) => return limit.passed(&address, &last),
                },
            };
            if changed.is_err() {
                return ended();
            }
        }
    }

    /// The server has accepted the credentials, so their trial ends.
    fn confirm(&self) {
        if let Some(Err(error)) = self.stored.map(Held::confirm) {
            // The credentials stay on trial until the state can be written.
            warn!("{}", chain(&error));
        }
    }

    /// The former credentials, if the server has refused those that are on trial.
    fn former(&self, failure: &Failure) -> Option<Bundle> {
        let held = self.stored.filter(|_| matches!(failure, Failure::Refused(_)))?;
        let former = held.fall_back().inspect_err(|error| warn!("{}", chain(error))).ok()??;
        Bundle::from_files(&former).inspect_err(|error| warn!("{}", chain(error))).ok()
    }
}

/// Renews the certificate when another command requests it, and sends the result. This future may be dropped at any time: the
/// requester then gets no answer.
async fn on_request(mut requests: Option<&mut Requests>, stored: Option<&Held>, endpoints: Option<&Endpoints<'_>>) -> Bundle {
    loop {
        let Asked { request: Request::Renew { endpoint }, answer } = match &mut requests {
            Some(requests) => requests.next().await,
            None => std::future::pending().await,
        };
        // The requester may have closed the connection in the meantime.
        match renewed(endpoint, stored, endpoints).await {
            Ok(bundle) => {
                let _ = answer.send(Answer::Renewed { not_after: bundle.not_after });
                return bundle;
            }
            Err(failure) => {
                warn!("the certificate was not renewed as asked: {failure}");
                drop(answer.send(Answer::Failed { exit_code: failure.code(), why: failure.to_string() }));
            }
        }
    }
}

async fn renewed(endpoint: Option<String>, stored: Option<&Held>, endpoints: Option<&Endpoints<'_>>) -> Result<Bundle, Failure> {
    let (Some(held), Some(endpoints)) = (stored, endpoints) else { return Err(Failure::Usage(NOT_STORED.to_owned())) };
    let endpoint = endpoints(endpoint)?.ok_or_else(|| Failure::Usage(super::WHICH_ENDPOINT.to_owned()))?;
    let files = held.credentials()?.ok_or_else(|| crate::credentials::nothing(held))?;
    let bundle = register(&Credential::Certificate(files), &endpoint, held, Some(RENEW_WITHIN), clock::now).await?;
    tracing::info!(certificate = %bundle.certificate_id, "the certificate was renewed, as asked");
    Ok(bundle)
}

impl Limit {
    /// The failure when the deadline has passed, with the last known reason.
    fn passed(self, address: &str, last: &Connection) -> Failure {
        match last {
            Connection::Unverified { why } => unverified(address, why),
            Connection::Lost { why } => unreachable(address, self.wait, why),
            _ => unreachable(address, self.wait, "no answer"),
        }
    }
}

/// The state of the connection for other processes, and the failure if there is no connection.
fn judged(address: &str, connection: &Connection) -> (Online, Option<Failure>) {
    match connection {
        Connection::Off | Connection::Connecting => (Online::Connecting, None),
        Connection::Connected { .. } => (Online::Connected, None),
        Connection::Refused { why } => (Online::Refused, Some(refused(address, why))),
        Connection::Unverified { why } => (Online::Connecting, Some(unverified(address, why))),
        Connection::Lost { why } => (Online::Connecting, Some(Failure::Unreachable(format!("no connection to {address}: {why}")))),
    }
}

/// Passes another bundle to the device and waits until the device uses it: the state of the former connection is not valid for
/// the new bundle.
async fn exchange(bundle: &Bundle, control: &Control, status: &mut watch::Receiver<Living>) -> Result<(), Failure> {
    control.use_bundle(bundle.clone()).await;
    let has_it = |living: &Living| living.certificate == bundle.certificate_id;
    status.wait_for(has_it).await.map(drop).map_err(|_| ended())
}

fn ended() -> Failure {
    Failure::Other("the device has ended".to_owned())
}

/// Writes the status file for other processes. An unchanged status is not written again, in order to save the storage medium.
struct Announcer<'a> {
    held: &'a Held,
    last: Option<Status>,
}

impl Announcer<'_> {
    /// Writes the status if it has changed. Returns whether the state of the connection has changed.
    fn say(&mut self, connection: Online, why: Option<String>, living: &Living) -> bool {
        let now = clock::now();
        let is_news = self.last.as_ref().is_none_or(|last| (last.connection, &last.why) != (connection, &why));
        let since = self.last.as_ref().filter(|_| !is_news).map_or(now, |last| last.since);
        let before = self.last.as_ref().and_then(|last| last.last_command.clone());
        let answer = living.command.as_ref().map(|answer| {
            let at = before.as_ref().filter(|before| before.is(answer)).map_or(now, |before| before.at);
            LastCommand { id: answer.id.clone(), status: answer.status.word().to_owned(), detail: answer.detail.clone(), at }
        });
        let status = Status { connection, since, why, last_command: answer.or(before) };
        if self.last.as_ref() == Some(&status) {
            return false;
        }
        if let Err(error) = self.held.say(&status) {
            // The agent continues even if the status cannot be written.
            warn!("{}", chain(&error));
        }
        self.last = Some(status);
        is_news
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
