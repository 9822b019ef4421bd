//! `run`: connects, and stays.
//!
//! The device lives ([`Life`]); beside it this watches how that goes: it tells those who ask on the device, exchanges the certificate
//! in time, and ends where going on is of no use.

use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use onething::config::Environment;
use onething::fault::chain;
use onething::model::Model;
use serde_json::Map;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use crate::actions::Actions;
use crate::agent::{Body, InTurn};
use crate::bundle::Bundle;
use crate::clock;
use crate::command_line::{Common, Run};
use crate::credentials::{Asked, obtain};
use crate::failure::Failure;
use crate::journal::Journal;
use crate::life::{Connection, Control, Life, Status as Living};
use crate::printer::Simulated;
use crate::reach::{refused, stranger, unreachable};
use crate::register::Door;
use crate::register::credential::{Credential, Secret};
use crate::register::options::{OptionsError, RegisterOptions};
use crate::register::renewal::Renewal;
use crate::state::Held;
use crate::status::{LastCommand, Online, Status};

pub(super) async fn run(common: &Common, options: Run) -> Result<(), Failure> {
    let model = common.device_model.as_deref().map(read_model).transpose()?;
    let held = super::hold(common)?;
    let is_given = options.bundle.is_some();
    let door = if is_given { None } else { super::at(common, &held, &options.door)? };
    let asked = Asked { bundle: options.bundle, door, ca: common.ca.as_deref(), wait: common.wait() };
    let bundle = obtain(asked, || credential(options.code, &options.with), &held, clock::now).await?;
    let thing = bundle.connection.thing_name.clone();
    let (endpoint, port, name) = (&bundle.connection.endpoint, bundle.connection.port, super::name(common, &held)?);
    info!(%thing, %name, endpoint, port, "running");
    // Only what is stored is renewed, or can be on trial. What was just got knows its door.
    let (stored, door) = if is_given { (None, None) } else { (Some(&held), super::at(common, &held, &options.door)?) };
    let journal = Journal::open(&held.journal())?;
    let watched = Watched { voice: Voice { held: &held, last: None }, wait: common.wait(), stored, door: door.as_ref() };
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
    // What is wrong with a file of TOML is told in several lines, with the place in it.
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
    watched.voice.say(Online::Stopped, outcome.as_ref().err().map(ToString::to_string), &control.status());
    outcome
}

/// What is beside a living device.
struct Watched<'a> {
    voice: Voice<'a>,
    wait: Option<Duration>,
    stored: Option<&'a Held>,
    door: Option<&'a Door>,
}

impl Watched<'_> {
    /// Sees that the certificate is exchanged in time, and goes back to the former one where the server does not take the new.
    async fn watch(&mut self, mut bundle: Bundle, control: &Control) -> Failure {
        let mut renewal = Renewal::default();
        let mut status = control.watch();
        let mut give_up = self.wait.map(|wait| Instant::now() + wait);
        loop {
            let renewed = async {
                match self.stored.zip(self.door) {
                    Some((held, door)) => renewal.next(&bundle, door, held, clock::now).await,
                    None => std::future::pending().await,
                }
            };
            let ended = tokio::select! {
                failure = follow(&bundle, &mut status, &mut self.voice, self.stored, (self.wait, give_up)) => Err(failure),
                renewed = renewed => Ok(renewed),
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
            give_up = None;
            control.use_bundle(bundle.clone()).await;
            // How it was with the bundle before says nothing about this one.
            status.borrow_and_update();
            if status.changed().await.is_err() {
                return Failure::Other("the device has ended".to_owned());
            }
        }
    }

    /// The credentials before those that the server has refused, where these are on trial.
    fn former(&self, failure: &Failure) -> Option<Bundle> {
        let held = self.stored.filter(|_| matches!(failure, Failure::Refused(_)))?;
        let former = held.fall_back().inspect_err(|error| warn!("{}", chain(error))).ok()??;
        Bundle::from_files(&former).inspect_err(|error| warn!("{}", chain(error))).ok()
    }
}

/// Tells how the device is with this bundle, until it is of no use to go on. Who was never let in is not let in by asking on;
/// once connected, a refusal may be one for a while.
async fn follow(
    bundle: &Bundle,
    status: &mut watch::Receiver<Living>,
    voice: &mut Voice<'_>,
    stored: Option<&Held>,
    (wait, give_up): (Option<Duration>, Option<Instant>),
) -> Failure {
    let address = format!("{}:{}", bundle.connection.endpoint, bundle.connection.port);
    let (mut was_up, mut last) = (false, None);
    loop {
        let living = status.borrow_and_update().clone();
        let (online, failure) = match &living.connection {
            Connection::Off | Connection::Connecting => (Online::Connecting, None),
            Connection::Connected { .. } => (Online::Connected, None),
            Connection::Refused { why } => (Online::Refused, Some(refused(&address, why))),
            Connection::Stranger { why } => (Online::Connecting, Some(stranger(&address, why))),
            Connection::Lost { why } => (Online::Connecting, Some(Failure::Unreachable(format!("no connection to {address}: {why}")))),
        };
        if online == Online::Connected && !was_up {
            was_up = true;
            if let Some(Err(error)) = stored.map(Held::confirm) {
                // They stay on trial until the disk has room again.
                warn!("{}", chain(&error));
            }
        }
        if voice.say(online, failure.as_ref().map(ToString::to_string), &living)
            && let Some(failure) = &failure
        {
            warn!("{failure}");
        }
        if !was_up && matches!(failure, Some(Failure::Refused(_))) {
            return failure.unwrap_or_else(|| unreachable!("it was just seen"));
        }
        last = failure.map(|failure| (living.connection.clone(), failure)).or(last);
        let changed = match give_up.filter(|_| !was_up) {
            Some(end) => timeout_at(end, status.changed()).await,
            None => Ok(status.changed().await),
        };
        match (changed, wait) {
            (Ok(Ok(())), _) => {}
            (Err(_), Some(wait)) => {
                return match last {
                    Some((Connection::Stranger { .. }, failure)) => failure,
                    Some((Connection::Lost { why }, _)) => unreachable(&address, wait, &why),
                    _ => unreachable(&address, wait, "no answer"),
                };
            }
            _ => return Failure::Other("the device has ended".to_owned()),
        }
    }
}

/// What is said to those who ask on the device. What is no news is not said again: it would wear out the disk.
struct Voice<'a> {
    held: &'a Held,
    last: Option<Status>,
}

impl Voice<'_> {
    /// Whether the connection was news.
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
            // The agent goes on without those who ask.
            warn!("{}", chain(&error));
        }
        self.last = Some(status);
        is_news
    }
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
