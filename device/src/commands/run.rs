//! `run`: connects and stays.

use std::path::Path;
use std::time::Duration;

use onething::config::Environment;
use onething::fault::chain;
use onething::model::Model;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::bundle::Bundle;
use crate::clock;
use crate::command_line::{Common, Run};
use crate::credentials::{Asked, obtain};
use crate::failure::Failure;
use crate::link::{Link, News};
use crate::reach::{refused, stranger, unreachable};
use crate::register::Door;
use crate::register::credential::{Credential, Secret};
use crate::register::options::{OptionsError, RegisterOptions};
use crate::register::renewal::Renewal;
use crate::state::Held;
use crate::status::{Online, Status};

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

pub(super) async fn run(common: &Common, options: Run) -> Result<(), Failure> {
    if let Some(file) = &common.device_model {
        check_model(file)?;
    }
    let held = super::hold(common)?;
    let door = super::at(common, &held, &options.door)?;
    let is_given = options.bundle.is_some();
    let credential = credential(options.code, &options.with, door.is_some())?;
    let asked = Asked { bundle: options.bundle, credential, door };
    let bundle = obtain(asked, &held, common.ca.as_deref(), common.wait(), clock::now).await?;
    info!(thing = %bundle.connection.thing_name, name = %super::name(common, &held)?, "running");
    // Only what is stored is renewed, or can be on trial. What was just got knows its door.
    let (stored, door) = if is_given { (None, None) } else { (Some(&held), super::at(common, &held, &options.door)?) };
    let end = signal();
    let mut voice = Voice { held: &held, last: None };
    let outcome = tokio::select! {
        outcome = stay(bundle, &mut voice, common.wait(), stored, door.as_ref()) => outcome,
        () = end => Ok(()),
    };
    voice.say(Online::Stopped, outcome.as_ref().err().map(ToString::to_string));
    outcome
}

/// With what to knock when nothing is stored, if there is anything.
fn credential(code: Option<Secret>, with: &RegisterOptions, has_door: bool) -> Result<Option<Credential>, Failure> {
    if let Some(code) = code {
        return Ok(Some(Credential::Code(code)));
    }
    if !has_door {
        // Every board has a serial number; nobody asked to register with it.
        return Ok(None);
    }
    match with.credential(&Environment) {
        Ok(credential) => Ok(Some(credential)),
        // Who has nothing to knock with may have a bundle.
        Err(OptionsError::Nothing) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn check_model(file: &Path) -> Result<(), Failure> {
    // What is wrong with a file of TOML is told in several lines, with the place in it.
    let line = |why: String| why.split_whitespace().collect::<Vec<_>>().join(" ");
    let bad = |why: String| Failure::Usage(format!("--device-model {}: {}", file.display(), line(why)));
    let toml = std::fs::read_to_string(file).map_err(|error| bad(error.to_string()))?;
    Model::parse(&toml).map(drop).map_err(|error| bad(chain(&error)))
}

/// Stays connected, with the bundle and with those that come after it.
async fn stay(
    mut bundle: Bundle,
    voice: &mut Voice<'_>,
    mut wait: Option<Duration>,
    stored: Option<&Held>,
    door: Option<&Door>,
) -> Result<(), Failure> {
    let mut renewal = Renewal::default();
    loop {
        let renewed = async {
            match stored.zip(door) {
                Some((held, door)) => renewal.next(&bundle, door, held, clock::now).await,
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            failure = connect(&bundle, voice, wait, stored) => Err(failure),
            renewed = renewed => Ok(renewed),
        };
        bundle = match ended {
            Ok(renewed) => renewed,
            Err(failure @ Failure::Refused(_)) => {
                let Some(former) = stored.map(Held::fall_back).transpose()?.flatten() else { return Err(failure) };
                warn!("{failure}; back to the former certificate");
                renewal.failed();
                Bundle::from_files(&former)?
            }
            Err(failure) => return Err(failure),
        };
        wait = None;
    }
}

/// Connects, and again whenever the connection is lost. Who was never let in is not let in by asking on; once connected, a
/// refusal may be one for a while.
async fn connect(bundle: &Bundle, voice: &mut Voice<'_>, wait: Option<Duration>, stored: Option<&Held>) -> Failure {
    let address = format!("{}:{}", bundle.connection.endpoint, bundle.connection.port);
    let (begun, mut failures, mut was_up) = (Instant::now(), 0_u32, false);
    voice.say(Online::Connecting, None);
    loop {
        let mut link = Link::open(bundle);
        let failure = loop {
            match link.news().await {
                News::Up => {
                    (failures, was_up) = (0, true);
                    voice.say(Online::Connected, None);
                    info!(endpoint = %address, "connected");
                    if let Some(Err(error)) = stored.map(Held::confirm) {
                        // They stay on trial until the disk has room again.
                        warn!("{}", chain(&error));
                    }
                }
                News::Refused(no) => break refused(&address, no),
                News::Stranger(who) => break stranger(&address, who),
                News::Lost(why) => {
                    break match wait {
                        Some(wait) if !was_up => unreachable(&address, wait, why),
                        _ => Failure::Unreachable(format!("no connection to {address}: {why}")),
                    };
                }
                News::Shadow(_) | News::NoShadow(_) | News::Delta(_) | News::ReportRefused(_) => {}
            }
        };
        let is_refusal = matches!(failure, Failure::Refused(_));
        if !was_up && (is_refusal || wait.is_some_and(|wait| begun.elapsed() >= wait)) {
            return failure;
        }
        if voice.say(if is_refusal { Online::Refused } else { Online::Connecting }, Some(failure.to_string())) {
            warn!("{failure}");
        }
        // Without randomness the beat is fixed, which is worse and still works.
        let mut next = Instant::now() + pause(failures, getrandom::u32().unwrap_or_default());
        if let Some(wait) = wait.filter(|_| !was_up) {
            next = next.min(begun + wait);
        }
        sleep_until(next).await;
        failures = failures.saturating_add(1);
    }
}

/// Twice as long each time, and somewhere in the second half of it.
fn pause(failures: u32, random: u32) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST_PAUSE);
    longest.mul_f64(0.5 + f64::from(random) / f64::from(u32::MAX) / 2.0)
}

/// What is said to those who ask on the device. What is no news is not said again: it would wear out the disk.
struct Voice<'a> {
    held: &'a Held,
    last: Option<(Online, Option<String>)>,
}

impl Voice<'_> {
    /// Whether it was news.
    fn say(&mut self, connection: Online, why: Option<String>) -> bool {
        let news = Some((connection, why.clone()));
        if self.last == news {
            return false;
        }
        self.last = news;
        let status = Status { connection, since: clock::now(), why, last_command: None };
        if let Err(error) = self.held.say(&status) {
            // The agent goes on without those who ask.
            warn!("{}", chain(&error));
        }
        true
    }
}

/// Ctrl-C, or what a service manager sends.
#[cfg(unix)]
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

/// Ctrl-C.
#[cfg(not(unix))]
async fn signal() {
    // Where it cannot be heard, the process ends by it.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
