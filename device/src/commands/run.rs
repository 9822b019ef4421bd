//! `run`: connects, and stays.
//!
//! The device lives ([`Life`]), and is watched ([`Watched`]).

use std::path::Path;
use std::pin::pin;

use onething::config::Environment;
use onething::fault::chain;
use onething::model::Model;
use serde_json::Map;
use tracing::{info, warn};

use super::watch::Watched;
use crate::actions::Actions;
use crate::agent::{Body, InTurn};
use crate::bundle::Bundle;
use crate::clock;
use crate::command_line::{Common, Run};
use crate::credentials::{Asked, obtain};
use crate::failure::Failure;
use crate::journal::Journal;
use crate::life::Life;
use crate::printer::Simulated;
use crate::register::credential::{Credential, Secret};
use crate::register::options::{OptionsError, RegisterOptions};

pub(super) async fn run(common: &Common, options: Run) -> Result<(), Failure> {
    let model = common.device_model.as_deref().map(read_model).transpose()?;
    let held = super::hold(common)?;
    let is_given = options.bundle.is_some();
    let door = || if is_given { Ok(None) } else { super::at(common, &held, &options.door) };
    let asked = Asked { bundle: options.bundle, door: door()?, ca: common.ca.as_deref(), wait: common.wait() };
    let bundle = obtain(asked, || credential(options.code, &options.with), &held, clock::now).await?;
    let thing = bundle.connection.thing_name.clone();
    let (endpoint, port, name) = (&bundle.connection.endpoint, bundle.connection.port, super::name(common, &held)?);
    info!(%thing, %name, endpoint, port, "running");
    let journal = Journal::open(&held.journal())?;
    // What was just got knows its door. Only what is stored is renewed, or can be on trial.
    let door = door()?;
    let watched = match is_given {
        true => Watched::with_given(&held, common.wait()),
        false => Watched::with_stored(&held, door.as_ref(), common.wait()),
    };
    match model.map(|model| Actions::new(&model, &thing)).filter(|actions| !actions.is_empty()) {
        Some(actions) => {
            // It may come later, with a disk that is mounted or a module that is loaded.
            actions.lacking().iter().for_each(|lack| warn!("{lack}"));
            live(bundle, InTurn::new(actions, Map::new()), journal, watched).await
        }
        None => {
            info!("without actions this is a simulated 3D printer: `--device-model device.toml` says what else to do");
            live(bundle, Simulated::default(), journal, watched).await
        }
    }
}

/// With what to knock when nothing is stored, if there is anything.
fn credential(code: Option<Secret>, with: &RegisterOptions) -> Result<Option<Credential>, Failure> {
    match code.map(Credential::Code).map_or_else(|| with.credential(&Environment), Ok) {
        Ok(credential) => Ok(Some(credential)),
        // Who has nothing to knock with may have a bundle.
        Err(OptionsError::Nothing) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn read_model(file: &Path) -> Result<Model, Failure> {
    // There is a line for each fault.
    let line = |why: String| why.split_whitespace().collect::<Vec<_>>().join(" ");
    let bad = |why: String| Failure::Usage(format!("--device-model {}: {}", file.display(), line(why)));
    let toml = std::fs::read_to_string(file).map_err(|error| bad(error.to_string()))?;
    Model::parse(&toml).map_err(|error| bad(chain(&error)))
}

/// The device lives until somebody ends it, or it is of no use.
async fn live<B: Body>(bundle: Bundle, body: B, journal: Journal, mut watched: Watched<'_>) -> Result<(), Failure> {
    let end = signal();
    let (life, control) = Life::new(bundle.clone(), body, clock::now);
    let mut life = pin!(life.with_journal(journal).with_log(|line| info!("{line}")).run());
    let outcome = tokio::select! {
        // It does not end before it is told to.
        () = &mut life => Ok(()),
        failure = watched.watch(bundle, &control) => Err(failure),
        () = end => Ok(()),
    };
    tokio::join!(control.stop(), life);
    watched.stopped(outcome.as_ref().err(), &control.status());
    outcome
}

/// Ctrl-C, or what a service manager sends.
fn signal() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};

    let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async move {
        match (interrupt, terminate) {
            (Ok(mut interrupt), Ok(mut terminate)) => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
            // Where signals cannot be heard, the process ends by the signal itself.
            _ => std::future::pending().await,
        }
    }
}
