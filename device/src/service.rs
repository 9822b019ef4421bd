//! The systemd unit that runs the agent from every start of the machine on, with no more rights than it needs
//! (`systemd.unit(5)`, `systemd.service(5)`, `systemd.exec(5)`).
//!
//! The agent gives up on nothing: it is started again whenever it ends, later each time where systemd knows how (254 and
//! newer), but for a command line that cannot be right the next time either. The sandbox leaves room for what the actions
//! of the device model name; programs are in it, too, and who needs more gives it by a drop-in, `systemctl edit`.

use std::path::{Path, PathBuf};

use onething::model::{Means, Model};
use thiserror::Error;

/// Who runs the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runner {
    /// A user that systemd makes up for as long as it runs.
    MadeUp {
        /// Its folder below `/var/lib`.
        folder: PathBuf,
    },
    /// A user of this machine.
    User {
        /// Name or number.
        user: String,
        /// The state folder, absolute.
        folder: PathBuf,
    },
}

impl Runner {
    /// Where the state is.
    pub fn state(&self) -> PathBuf {
        match self {
            Runner::MadeUp { folder } => Path::new("/var/lib").join(folder),
            Runner::User { folder, .. } => folder.clone(),
        }
    }
}

/// What the unit is made from.
#[derive(Clone, Debug)]
pub struct Unit<'a> {
    /// The agent's binary, absolute.
    pub program: &'a Path,
    /// Who runs it.
    pub runner: Runner,
    /// `--name`.
    pub name: Option<&'a str>,
    /// `--device-model`, absolute.
    pub device_model: Option<&'a Path>,
    /// `--ca`, absolute.
    pub ca: Option<&'a Path>,
    /// What its actions have to be let do.
    pub needs: Needs,
}

/// What the actions of a device model need beyond the sandbox of an agent that does nothing but talk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Files that are written.
    pub files: Vec<PathBuf>,
    /// Whether a line of GPIO is switched.
    pub gpio: bool,
    /// Whether programs are run: what these need, their maker knows.
    pub programs: bool,
}

impl Needs {
    /// Those of a model's actions.
    pub fn of(model: &Model) -> Self {
        let mut needs = Self::default();
        for action in model.actions.properties.values().chain(model.actions.commands.values()) {
            match &action.means {
                Means::Program { .. } => needs.programs = true,
                Means::Gpio(_) => needs.gpio = true,
                Means::File { path, .. } => needs.files.push(PathBuf::from(path)),
                Means::Http(_) => {}
            }
        }
        needs
    }

    fn text(&self) -> Result<String, Unwritable> {
        let mut text = String::new();
        if !self.programs {
            text.push_str("DevicePolicy=closed\n");
            if self.gpio {
                text.push_str("DeviceAllow=char-gpiochip rw\n");
            }
        }
        for file in &self.files {
            // One that is not there yet must not keep the agent from starting.
            text.push_str(&format!("ReadWritePaths=-{}\n", word(file)?));
        }
        let tunables = self.programs || self.files.iter().any(|file| file.starts_with("/sys") || file.starts_with("/proc"));
        text.push_str(if tunables { "ProtectKernelTunables=no\n" } else { "ProtectKernelTunables=yes\n" });
        Ok(text)
    }
}

/// A word that a unit cannot hold.
#[derive(Debug, Error)]
#[error("{0:?} cannot stand in a unit of systemd")]
pub struct Unwritable(String);

const UNIT: &str = "\
[Unit]
Description=onething agent: makes this device the one that Alexa speaks with
Wants=network-online.target
After=network-online.target time-sync.target
StartLimitIntervalSec=0

[Service]
Type=exec
";

const SANDBOX: &str = "\
Restart=always
RestartSec=10
RestartSteps=5
RestartMaxDelaySec=300
RestartPreventExitStatus=2
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
";

impl Unit<'_> {
    /// The unit.
    pub fn text(&self) -> Result<String, Unwritable> {
        let state = self.runner.state();
        let mut start = vec![word(self.program)?, "run".to_owned(), "--state".to_owned(), word(&state)?];
        for (option, value) in [("--device-model", self.device_model), ("--ca", self.ca), ("--name", self.name.map(Path::new))] {
            if let Some(value) = value {
                start.extend([option.to_owned(), word(value)?]);
            }
        }
        let runner = match &self.runner {
            Runner::MadeUp { folder } => {
                format!("DynamicUser=yes\nStateDirectory={}\nStateDirectoryMode=0700\nProtectHome=yes\n", word(folder)?)
            }
            Runner::User { user, folder } => {
                // What is below a home can be read where the state is there, too, and written to nowhere else.
                let is_home = ["/home", "/root", "/run/user"].iter().any(|home| folder.starts_with(home));
                let home = if is_home { "read-only" } else { "yes" };
                // A user is read as it stands there.
                if word(Path::new(user))? != *user || user.starts_with('-') {
                    return Err(Unwritable(user.clone()));
                }
                format!("User={user}\nReadWritePaths={}\nProtectHome={home}\n", word(folder)?)
            }
        };
        Ok(format!("{UNIT}ExecStart={}\n{runner}{}{SANDBOX}", start.join(" "), self.needs.text()?))
    }
}

/// A word as systemd reads it back, in a command and in a list of folders alike: quoted where need be, `%` doubled. A `$` is
/// read differently here and there, so there is none.
fn word(path: &Path) -> Result<String, Unwritable> {
    let unwritable = || Unwritable(path.to_string_lossy().into_owned());
    let text = path.to_str().ok_or_else(unwritable)?;
    if text.is_empty() || text.chars().any(|c| c.is_control() || c == '$') {
        return Err(unwritable());
    }
    let plain = |c: char| c.is_alphanumeric() || "/._-:@+,=".contains(c);
    if text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    let mut word = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => word.extend(['\\', c]),
            '%' => word.push_str("%%"),
            _ => word.push(c),
        }
    }
    word.push('"');
    Ok(word)
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
