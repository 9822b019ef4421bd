//! The command `service`: prints, writes or removes the unit for systemd.

use std::fs;
use std::io::{Write, stdout};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use thiserror::Error;

use super::{Outcome, UNUSABLE};
use crate::cli::command_line::{Options, Service};
use crate::cli::service::{Runner, Unit};

/// The folder below which systemd creates the state folders of services.
const SYSTEM_STATE: &str = "/var/lib";
const FOLDER: &str = "onething";
/// The folder of units that administrators write.
const UNITS: &str = "/etc/systemd/system";

/// Why a unit was not written or removed.
#[derive(Debug, Error)]
enum ServiceError {
    #[error("{} is not there yet: make it and give it to the user who runs the hub, or name a --user", .0.display())]
    NoOwner(PathBuf),
    #[error("{} is no unit of a hub: it is left as it is", .0.display())]
    NotOurs(PathBuf),
    #[error("{} cannot be used", .0.display())]
    File(PathBuf, #[source] std::io::Error),
    #[error("`systemctl {0}` failed; say it with sudo, or look at `journalctl -xe`")]
    Systemctl(String),
}

pub(super) fn service(what: Service) -> Outcome {
    if let Some(path) = &what.remove {
        return remove(path);
    }
    let program = std::env::current_exe()?;
    let environment = std::path::absolute(&what.environment)?;
    let options = what.serve.options()?;
    let runner = match runner(&options, what.user.as_deref()) {
        Ok(runner) => runner,
        Err(error) => return unusable(&error),
    };
    let data = runner.data();
    let text = match (Unit { program: &program, runner, environment: &environment, options: &options }).text() {
        Ok(text) => text,
        Err(error) => return unusable(&error),
    };
    let mut out = stdout().lock();
    let Some(path) = what.write else {
        out.write_all(text.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    };
    // systemd reads a unit only on `daemon-reload`, so a partial file after a crash does no harm, and can be written again.
    fs::write(&path, text).map_err(|error| ServiceError::File(path.clone(), error))?;
    writeln!(out, "{} is written. The data are kept in {}.", path.display(), data.display())?;
    if !environment.exists() {
        writeln!(
            out,
            "First: put SMTP_URL, MAIL_FROM and, where you want it, ONETHING_PASSWORD into {}, for root only:",
            environment.display()
        )?;
        let (folder, file) = (environment.parent().unwrap_or(Path::new("/")).display(), environment.display());
        writeln!(out, "  sudo install -d -m 700 {folder} && sudo install -m 600 /dev/null {file} && sudoedit {file}")?;
    }
    let name = name(&path);
    writeln!(out, "Next: `sudo systemctl daemon-reload && sudo systemctl enable --now {name}`.")?;
    Ok(ExitCode::SUCCESS)
}

fn unusable(error: &dyn std::error::Error) -> Outcome {
    eprintln!("onething-hub: {error}");
    Ok(ExitCode::from(UNUSABLE))
}

fn name(unit: &Path) -> String {
    unit.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The user of the service. A folder directly below `/var/lib` is for a dynamic user of systemd; any other folder is used by its
/// owner.
fn runner(options: &Options, user: Option<&str>) -> Result<Runner, ServiceError> {
    let folder = options.data.clone().unwrap_or_else(|| Path::new(SYSTEM_STATE).join(FOLDER));
    let system = folder.strip_prefix(SYSTEM_STATE).ok().filter(|rest| rest.components().count() == 1);
    match (user, system) {
        (Some(user), _) => Ok(Runner::User { user: user.to_owned(), folder }),
        (None, Some(rest)) => Ok(Runner::DynamicUser { folder: rest.to_owned() }),
        (None, None) => match folder.metadata() {
            Ok(metadata) => Ok(Runner::User { user: metadata.uid().to_string(), folder }),
            Err(_) => Err(ServiceError::NoOwner(folder)),
        },
    }
}

/// Stops the service, and removes its unit.
fn remove(path: &Path) -> Outcome {
    let text = fs::read_to_string(path).map_err(|error| ServiceError::File(path.to_owned(), error))?;
    if !text.contains("Description=onething hub") {
        return Err(ServiceError::NotOurs(path.to_owned()).into());
    }
    let is_systemds = path.parent() == Some(Path::new(UNITS));
    if is_systemds {
        systemctl(&["disable", "--now", &name(path)])?;
    }
    fs::remove_file(path).map_err(|error| ServiceError::File(path.to_owned(), error))?;
    if is_systemds {
        systemctl(&["daemon-reload"])?;
    }
    writeln!(stdout(), "{} is removed. The data are left where they are.", path.display())?;
    Ok(ExitCode::SUCCESS)
}

fn systemctl(arguments: &[&str]) -> Result<(), ServiceError> {
    let done = Command::new("systemctl").arg("--quiet").args(arguments).status();
    done.ok().filter(std::process::ExitStatus::success).map(drop).ok_or_else(|| ServiceError::Systemctl(arguments.join(" ")))
}
