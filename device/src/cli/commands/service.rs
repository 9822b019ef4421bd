//! `service`: prints, writes or removes the unit for systemd.

use std::io::{ErrorKind, Write, stdout};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use onething::device_model::Model;

use crate::cli::command_line::Common;
use crate::cli::service::{Groups, Needs, OURS, Runner, Unit, UnitError};
use crate::credentials::stored;
use crate::device_model;
use crate::failure::Failure;
use crate::state::State;

/// The folder in which systemd stores the state of services.
const SYSTEM_STATE: &str = "/var/lib";
const DEFAULT_STATE: &str = "onething-device";
const GROUPS: &str = "/etc/group";
/// The folder in which systemd looks for units of the administrator.
const UNITS: &str = "/etc/systemd/system";
/// This folder exists while systemd runs (`sd_booted(3)`).
const BOOTED: &str = "/run/systemd/system";

pub(super) fn service(common: &Common, write: Option<&Path>, user: Option<&str>) -> Result<(), Failure> {
    let program = std::env::current_exe().map_err(|error| Failure::Other(format!("this program does not know where it is: {error}")))?;
    let runner = runner(common, user)?;
    let state = runner.state();
    let absolute = |path: &PathBuf| std::path::absolute(path).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())));
    let device_model = common.device_model.as_ref().map(absolute).transpose()?;
    let ca = common.ca.as_ref().map(absolute).transpose()?;
    let needs = match &device_model {
        Some(file) => Some(device_model::named(file)?),
        None => stored_model(&State::at(&state))?,
    };
    let needs = needs.as_ref().map(Needs::of).unwrap_or_default();
    let impossible = |error: UnitError| Failure::Usage(error.to_string());
    let Groups { groups, missing } = match runner {
        // If `/etc/group` cannot be read, groups are written by number.
        Runner::DynamicUser { .. } => Groups::of(&needs, &std::fs::read_to_string(GROUPS).unwrap_or_default()).map_err(impossible)?,
        Runner::User { .. } => Groups::default(),
    };
    let name = common.name.as_deref();
    let unit = Unit { program: &program, runner, name, device_model: device_model.as_deref(), ca: ca.as_deref(), needs, groups };
    let text = unit.text().map_err(impossible)?;
    for path in missing {
        eprintln!("onething-device: {} is not there now: if it belongs to a group, write the unit again when it is", path.display());
    }
    let mut out = stdout().lock();
    let Some(path) = write else { return Ok(out.write_all(text.as_bytes())?) };
    // The write need not be atomic: systemd reads units only on request, and an incomplete file can be written again.
    std::fs::write(path, text).map_err(|error| Failure::Other(format!("{} cannot be written: {error}", path.display())))?;
    writeln!(out, "{} is written.", path.display())?;
    if !state.exists() {
        writeln!(out, "First: `sudo onething-device --state {} setup BUNDLE.zip`.", state.display())?;
    }
    let name = path.file_name().map_or(DEFAULT_STATE.into(), |name| name.to_string_lossy());
    writeln!(out, "Next: `sudo systemctl daemon-reload && sudo systemctl enable --now {name}`.")?;
    Ok(())
}

/// The device model that `run` would use with this state folder. The folder need not exist yet.
fn stored_model(state: &State) -> Result<Option<Model>, Failure> {
    if let Some(kept) = device_model::kept(state)? {
        return Ok(Some(kept));
    }
    // Stored credentials that cannot be used are reported by `run`.
    let bundled = stored(state).ok().and_then(|bundle| device_model::bundled(&bundle).ok());
    Ok(bundled.flatten())
}

/// The user and the state folder of the service. A folder directly below `/var/lib` is for a dynamic user of systemd; any other
/// folder belongs to its owner.
fn runner(common: &Common, user: Option<&str>) -> Result<Runner, Failure> {
    let named = match super::state(common) {
        Ok(state) if common.state.is_some() || state.path().join("current").exists() => Some(state.path().to_owned()),
        // The calling user has not set up a device in a folder of their own.
        _ => None,
    };
    let folder = named.unwrap_or_else(|| Path::new(SYSTEM_STATE).join(DEFAULT_STATE));
    let system = folder.strip_prefix(SYSTEM_STATE).ok().filter(|rest| rest.components().count() == 1);
    match (user, system) {
        (Some(user), _) => Ok(Runner::User { user: user.to_owned(), folder }),
        (None, Some(rest)) => Ok(Runner::DynamicUser { folder: rest.to_owned() }),
        (None, None) => Ok(Runner::User { user: owner(&folder)?, folder }),
    }
}

fn owner(folder: &Path) -> Result<String, Failure> {
    match folder.metadata() {
        Ok(metadata) => Ok(metadata.uid().to_string()),
        Err(_) => {
            Err(Failure::Usage(format!("{} is not there yet: run `onething-device setup` first, or name a --user", folder.display())))
        }
    }
}

/// Stops the service and removes its unit. A unit outside the unit folder of systemd is only removed.
pub(super) fn remove(path: &Path) -> Result<(), Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::Other(format!("{} is not there: nothing was removed", path.display())),
        _ => Failure::Other(format!("{} cannot be read: {error}", path.display())),
    })?;
    if !text.contains(OURS) {
        return Err(Failure::Other(format!("{} is no unit of this agent: it is left as it is", path.display())));
    }
    let is_systemds = path.parent() == Some(Path::new(UNITS));
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // `systemctl` can also change the image of a machine that does not run. In an image there is nothing to stop.
    let runs = Path::new(BOOTED).exists();
    if is_systemds {
        let now: &[&str] = if runs { &["--now"] } else { &[] };
        systemctl(&[&["disable"], now, &[&name]].concat())?;
    }
    std::fs::remove_file(path).map_err(|error| Failure::Other(format!("{} cannot be removed: {error}", path.display())))?;
    if is_systemds && runs {
        systemctl(&["daemon-reload"])?;
    }
    let kept = "The credentials stay: `onething-device forget` with the service's --state deletes them";
    Ok(writeln!(stdout(), "{} is removed. {kept}.", path.display())?)
}

fn systemctl(arguments: &[&str]) -> Result<(), Failure> {
    let done = Command::new("systemctl").arg("--quiet").args(arguments).status();
    let failed = || Failure::Other(format!("`systemctl {}` failed: say it with sudo, or look at `journalctl -xe`", arguments.join(" ")));
    done.ok().filter(std::process::ExitStatus::success).map(drop).ok_or_else(failed)
}
