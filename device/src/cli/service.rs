//! The systemd unit that runs the agent from every start of the machine on, with no more rights than it needs
//! (`systemd.unit(5)`, `systemd.service(5)`, `systemd.exec(5)`).
//!
//! The agent gives up on nothing: it is started again whenever it ends, but for a command line that cannot be right the next time
//! either. Every setting is one that systemd 252 knows, which is Debian 12's. The sandbox leaves room for what the actions
//! of the device model name; programs are in it, too, and who needs more gives it by a drop-in, `systemctl edit`. What could
//! not work in it is refused when the unit is made, with what to do: a service that does not start tells nobody.

mod groups;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use onething::device_model::{Means, Model, ReportSource};
use thiserror::Error;

pub(crate) use groups::Groups;

/// Who runs the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
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
    pub(crate) fn state(&self) -> PathBuf {
        match self {
            Runner::MadeUp { folder } => Path::new("/var/lib").join(folder),
            Runner::User { folder, .. } => folder.clone(),
        }
    }
}

/// What the unit is made from.
#[derive(Clone, Debug)]
pub(crate) struct Unit<'a> {
    /// The agent's binary, absolute.
    pub(crate) program: &'a Path,
    /// Who runs it.
    pub(crate) runner: Runner,
    /// `--name`.
    pub(crate) name: Option<&'a str>,
    /// `--device-model`, absolute.
    pub(crate) device_model: Option<&'a Path>,
    /// `--ca`, absolute.
    pub(crate) ca: Option<&'a Path>,
    /// What its actions have to be let do.
    pub(crate) needs: Needs,
    /// By which a user that systemd makes up may write what the actions write.
    pub(crate) groups: BTreeSet<String>,
}

/// What the actions of a device model need beyond the sandbox of an agent that does nothing but talk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Files that are written.
    pub(crate) files: Vec<PathBuf>,
    /// Chips of which a GPIO line is switched.
    pub(crate) chips: Vec<PathBuf>,
    /// Programs that are run: what these need, their maker knows.
    pub(crate) programs: Vec<PathBuf>,
}

impl Needs {
    /// Those of a model's actions.
    pub(crate) fn of(model: &Model) -> Self {
        let mut needs = Self::default();
        for action in model.actions.properties.values().chain(model.actions.commands.values()) {
            match &action.means {
                Means::Program { path, .. } => needs.programs.push(PathBuf::from(path)),
                Means::Gpio(line) => needs.chips.push(line.chip.clone()),
                Means::File { path, .. } => needs.files.push(PathBuf::from(path)),
                Means::Http(_) => {}
            }
        }
        for report in model.reports.values() {
            // What is read is there in the sandbox, but for what programs read.
            if let ReportSource::Program { path, .. } | ReportSource::Stream { path, .. } = &report.source {
                needs.programs.push(PathBuf::from(path));
            }
        }
        needs
    }

    fn text(&self) -> Result<String, UnitError> {
        let mut text = String::new();
        if self.programs.is_empty() {
            text.push_str("DevicePolicy=closed\n");
            if !self.chips.is_empty() {
                text.push_str("DeviceAllow=char-gpiochip rw\n");
            }
        }
        for file in &self.files {
            // One that is not there yet must not keep the agent from starting.
            text.push_str(&format!("ReadWritePaths=-{}\n", word(file)?));
        }
        let tunables = !self.programs.is_empty() || self.files.iter().any(|file| file.starts_with("/sys") || file.starts_with("/proc"));
        text.push_str(if tunables { "ProtectKernelTunables=no\n" } else { "ProtectKernelTunables=yes\n" });
        Ok(text)
    }
}

/// Why there is no unit that would work.
#[derive(Debug, Error)]
pub(crate) enum UnitError {
    /// A word that a unit cannot hold.
    #[error("{0:?} cannot stand in a unit of systemd")]
    Word(String),
    /// The agent's own binary, in somebody's home.
    #[error("the service cannot see this program in {}: `sudo install {} /usr/local/bin/`, and let that one write the unit", folder(.0), .0.display())]
    HiddenProgram(PathBuf),
    /// Another file in somebody's home.
    #[error("the service cannot see {} in a home: move it to /etc or /usr/local, or name by --user whose it is", .0.display())]
    Hidden(PathBuf),
    /// A file that only root or another user writes.
    #[error(
        "{} may be written by its owner only, and the user that systemd makes up is not: give it a group of its own by a rule for udev, or run the agent by `--user root`",
        .0.display()
    )]
    OwnersOnly(PathBuf),
}

fn folder(path: &Path) -> std::path::Display<'_> {
    path.parent().unwrap_or(path).display()
}

/// By what a unit of this agent is known.
pub(crate) const OURS: &str = "Description=onething agent";

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
    pub(crate) fn text(&self) -> Result<String, UnitError> {
        let state = self.runner.state();
        let mut start = vec![word(self.program)?, "run".to_owned(), "--state".to_owned(), word(&state)?];
        for (option, value) in [("--device-model", self.device_model), ("--ca", self.ca), ("--name", self.name.map(Path::new))] {
            if let Some(value) = value {
                start.extend([option.to_owned(), word(value)?]);
            }
        }
        let mut runner = match &self.runner {
            Runner::MadeUp { folder } => format!("DynamicUser=yes\nStateDirectory={}\nStateDirectoryMode=0700\n", word(folder)?),
            Runner::User { user, folder } => {
                // A user is read as it stands there.
                if word(Path::new(user))? != *user || user.starts_with('-') {
                    return Err(UnitError::Word(user.clone()));
                }
                format!("User={user}\nReadWritePaths={}\n", word(folder)?)
            }
        };
        if let Runner::MadeUp { .. } = self.runner
            && !self.groups.is_empty()
        {
            let groups: Result<Vec<_>, _> = self.groups.iter().map(|group| word(Path::new(group))).collect();
            runner.push_str(&format!("SupplementaryGroups={}\n", groups?.join(" ")));
        }
        let home = self.protect_home()?;
        Ok(format!("{UNIT}ExecStart={}\n{runner}ProtectHome={home}\n{}{SANDBOX}", start.join(" "), self.needs.text()?))
    }

    /// What is in a home can be read by whose home it is, and written to where the state or an action is, nowhere else. Nobody
    /// else looks into it: a unit with such a path would never start.
    fn protect_home(&self) -> Result<&'static str, UnitError> {
        let read = [Some(self.program), self.device_model, self.ca].into_iter().flatten();
        let used = read.chain(self.needs.files.iter().chain(&self.needs.programs).map(PathBuf::as_path));
        let mut is_in_home = false;
        for path in used.filter(|path| is_in_a_home(path)) {
            is_in_home = true;
            let is_theirs = match &self.runner {
                Runner::MadeUp { .. } => false,
                Runner::User { user, .. } => !path.starts_with("/root") || ["root", "0"].contains(&user.as_str()),
            };
            if !is_theirs {
                let path = path.to_owned();
                return Err(if path == self.program { UnitError::HiddenProgram(path) } else { UnitError::Hidden(path) });
            }
        }
        Ok(if is_in_home || is_in_a_home(&self.runner.state()) { "read-only" } else { "yes" })
    }
}

/// Whether `ProtectHome` is about this path.
fn is_in_a_home(path: &Path) -> bool {
    ["/home", "/root", "/run/user"].iter().any(|home| path.starts_with(home))
}

/// A word as systemd reads it back, in a command and in a list of folders alike: quoted where need be, `%` doubled. A `$` is
/// read differently here and there, so there is none.
fn word(path: &Path) -> Result<String, UnitError> {
    let unwritable = || UnitError::Word(path.to_string_lossy().into_owned());
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
