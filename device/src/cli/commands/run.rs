//! `run`: connects and stays connected.
//!
//! [`EventLoop`] runs the device, and [`Supervisor`] supervises it.

use std::pin::pin;

use onething::config::Environment;
use onething::device_model::{Model, Simulation};
use serde_json::Map;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::watch::Supervisor;
use crate::actions::{Actions, UnknownDevice, unmet_requirements};
use crate::agent::{Body, InTurn};
use crate::bundle::Bundle;
use crate::cli::command_line::{Common, Run};
use crate::clock;
use crate::credentials::{Asked, obtain};
use crate::device_model;
use crate::event_loop::EventLoop;
use crate::failure::Failure;
use crate::journal::Journal;
use crate::local::requests::Requests;
use crate::printer::Simulated;
use crate::registration::credential::{Credential, Secret};
use crate::registration::options::{OptionsError, RegisterOptions};
use crate::sensors::socket::Socket;
use crate::sensors::{Measuring, Sensors};
use crate::termination::signal;

pub(super) async fn run(common: &Common, options: Run) -> Result<(), Failure> {
    let named = common.device_model.as_deref().map(device_model::named).transpose()?;
    let held = super::hold(common)?;
    // The stored device model belongs to the stored bundle, so it does not apply to a bundle from the command line.
    let kept = if options.bundle.is_some() || named.is_some() { None } else { device_model::kept(&held)? };
    let is_given = options.bundle.is_some();
    let registration_endpoint = || if is_given { Ok(None) } else { super::at(common, &held, &options.endpoint) };
    let asked = Asked { bundle: options.bundle, endpoint: registration_endpoint()?, ca: common.ca.as_deref(), wait: common.wait() };
    let bundle = obtain(asked, || credential(options.code, &options.with), &held, clock::now).await?;
    let thing = bundle.connection.thing_name.clone();
    let (endpoint, port, name) = (&bundle.connection.endpoint, bundle.connection.port, super::name(common, &held)?);
    info!(%thing, %name, endpoint, port, "running");
    let journal = Journal::open(&held.journal())?;
    // A bundle that has just been issued contains its endpoint. Only stored credentials are renewed or can be on trial.
    let registration_endpoint = registration_endpoint()?;
    let supervisor = match is_given {
        true => Supervisor::with_given(&held, common.wait()),
        false => Supervisor::with_stored(&held, registration_endpoint.as_ref(), common.wait()),
    };
    let requests = Requests::listen(&held.requests_socket());
    let requests = requests.inspect_err(|error| warn!("other commands cannot ask this agent for anything: {error}")).ok();
    let endpoints = |url: Option<String>| super::at(common, &held, &options.endpoint.or_named(url));
    let supervisor = supervisor.asked(requests, &endpoints);
    let Some(model) = model(named, kept, &bundle) else {
        info!("no device model: settings are taken as so, and commands are refused; `--device-model FILE` says what to do");
        return run_device(bundle, InTurn::new(UnknownDevice, Map::new()), None, journal, supervisor).await;
    };
    let (device, actions) = (&model.name, Actions::new(&model, &thing));
    let measures = !model.reports.is_empty();
    if actions.is_empty() && !measures && model.simulates == Some(Simulation::Printer) {
        info!(device, "without actions this is a simulated 3D printer: `--device-model FILE` says what else to do");
        return run_device(bundle, Simulated::default(), None, journal, supervisor).await;
    }
    if actions.is_empty() {
        info!(device, "without actions settings are taken as so, and commands are refused");
    }
    // A missing requirement is only a warning: a disk may be mounted or a module loaded later.
    actions.unmet_requirements().iter().chain(&unmet_requirements::sensors(&model.reports)).for_each(|lack| warn!("{lack}"));
    let (sensors, samples) = Sensors::start(&model, &thing);
    let socket = Socket::open(&held.reports_socket(), &model, samples);
    let socket =
        socket.inspect_err(|error| warn!("{} cannot be opened, so `report` does not work: {error}", held.reports_socket().display())).ok();
    let body = Measuring::new(InTurn::new(actions, Map::new()), sensors, &model);
    run_device(bundle, body, socket, journal, supervisor).await
}

/// The credential to register with if nothing is stored. `None` if the options contain none.
fn credential(code: Option<Secret>, with: &RegisterOptions) -> Result<Option<Credential>, Failure> {
    match code.map(Credential::Code).map_or_else(|| with.credential(&Environment), Ok) {
        Ok(credential) => Ok(Some(credential)),
        // Without a credential, there may still be a stored bundle.
        Err(OptionsError::Nothing) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The device model that applies to a device with this bundle.
fn model(named: Option<Model>, kept: Option<Model>, bundle: &Bundle) -> Option<Model> {
    let bundled = || device_model::bundled(bundle).inspect_err(|why| warn!("{why}")).ok().flatten();
    named.or(kept).or_else(bundled).or_else(|| device_model::built_in(&bundle.connection.thing_name))
}

/// Runs the device until a signal arrives or until continuing is pointless.
async fn run_device<B: Body>(
    bundle: Bundle,
    body: B,
    socket: Option<Socket>,
    journal: Journal,
    mut supervisor: Supervisor<'_>,
) -> Result<(), Failure> {
    let end = signal();
    let (event_loop, control) = EventLoop::new(bundle.clone(), body, clock::now);
    let mut tasks = JoinSet::new();
    if let Some(socket) = socket {
        tasks.spawn(socket.serve(control.watch()));
    }
    let mut event_loop = pin!(event_loop.with_journal(journal).with_log(|line| info!("{line}")).run());
    let outcome = tokio::select! {
        // The event loop ends only after `stop` was called.
        () = &mut event_loop => Ok(()),
        failure = supervisor.watch(bundle, &control) => Err(failure),
        () = end => Ok(()),
    };
    tokio::join!(control.stop(), event_loop);
    supervisor.stopped(outcome.as_ref().err(), &control.status());
    outcome
}
