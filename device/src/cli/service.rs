//! The systemd unit that runs the agent from every start of the machine on, with no more rights than necessary
//! (`systemd.unit(5)`, `systemd.service(5)`, `systemd.exec(5)`).
//!
//! The agent is restarted whenever it ends, except after a usage error, which a restart would not change. Every setting is
//! supported by systemd 252, the version of Debian 12. The sandbox permits what the actions of the device model refer to.
//! Programs run in the sandbox too; additional permissions can be given with a drop-in, `systemctl edit`. A unit that could not
//! work in the sandbox is refused with a remedy when the unit is created, because the user would not see the error of a service
//! that does not start.

mod groups;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use onething::device_model::{Means, Model, ReportSource};
use thiserror::Error;

pub(crate) use groups::Groups;

/// The user that runs the agent, with its state folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    /// A dynamic user of systemd, which exists while the service runs.
    DynamicUser {
        /// The path of the state folder, relative to `/var/lib`.
        folder: PathBuf,
    },
    /// An existing user of this machine.
    User {
        /// The name or the number of the user.
        user: String,
        /// The state folder as an absolute path.
        folder: PathBuf,
    },
}

impl Runner {
    /// The absolute path of the state folder.
    pub(crate) fn state(&self) -> PathBuf {
        match self {
            Runner::DynamicUser { folder } => Path::new("/var/lib").join(folder),
            Runner::User { folder, .. } => folder.clone(),
        }
    }
}

/// The parameters of the unit.
#[derive(Clone, Debug)]
pub(crate) struct Unit<'a> {
    /// The absolute path of the agent's binary.
    pub(crate) program: &'a Path,
    /// The user that runs the agent.
    pub(crate) runner: Runner,
    /// The value of `--name`.
    pub(crate) name: Option<&'a str>,
    /// The value of `--device-model`, as an absolute path.
    pub(crate) device_model: Option<&'a Path>,
    /// The value of `--ca`, as an absolute path.
    pub(crate) ca: Option<&'a Path>,
    /// The permissions that the actions need.
    pub(crate) needs: Needs,
    /// The supplementary groups that allow a dynamic user to write the files and chips of the actions.
    pub(crate) groups: BTreeSet<String>,
}

/// The permissions that the actions of a device model need beyond the sandbox of an agent without actions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// The files that are written.
    pub(crate) files: Vec<PathBuf>,
    /// The chips of the GPIO lines that are switched.
    pub(crate) chips: Vec<PathBuf>,
    /// The programs that are run. Their own requirements are unknown here.
    pub(crate) programs: Vec<PathBuf>,
}

impl Needs {
    /// The needs of the actions and sensors of a device model.
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
            // Sensor files are readable in the sandbox; only programs may need more.
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
            // The `-` ignores a file that does not exist yet, which must not prevent the start of the agent.
            text.push_str(&format!("ReadWritePaths=-{}\n", word(file)?));
        }
        let tunables = !self.programs.is_empty() || self.files.iter().any(|file| file.starts_with("/sys") || file.starts_with("/proc"));
        text.push_str(if tunables { "ProtectKernelTunables=no\n" } else { "ProtectKernelTunables=yes\n" });
        Ok(text)
    }
}

/// Why no working unit can be created.
#[derive(Debug, Error)]
pub(crate) enum UnitError {
    /// A value that cannot be written in a unit.
    #[error("{0:?} cannot stand in a unit of systemd")]
    Word(String),
    /// The agent's own binary is in a home folder that the service cannot read.
    #[error("the service cannot see this program in {}: `sudo install {} /usr/local/bin/`, and let that one write the unit", folder(.0), .0.display())]
    HiddenProgram(PathBuf),
    /// Another file is in a home folder that the service cannot read.
    #[error("the service cannot see {} in a home: move it to /etc or /usr/local, or name by --user whose it is", .0.display())]
    Hidden(PathBuf),
    /// A file that only its owner may write.
    #[error(
        "{} may be written by its owner only, and the user that systemd makes up is not: give it a group of its own by a rule for udev, or run the agent by `--user root`",
        .0.display()
    )]
    OwnersOnly(PathBuf),
}

fn folder(path: &Path) -> std::path::Display<'_> {
    path.parent().unwrap_or(path).display()
}

/// The line by which a unit of this agent is recognised.
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
    /// The text of the unit file.
    pub(crate) fn text(&self) -> Result<String, UnitError> {
        let state = self.runner.state();
        let mut start = vec![word(self.program)?, "run".to_owned(), "--state".to_owned(), word(&state)?];
        for (option, value) in [("--device-model", self.device_model), ("--ca", self.ca), ("--name", self.name.map(Path::new))] {
            if let Some(value) = value {
                start.extend([option.to_owned(), word(value)?]);
            }
        }
        let mut runner = match &self.runner {
            Runner::DynamicUser { folder } => format!("DynamicUser=yes\nStateDirectory={}\nStateDirectoryMode=0700\n", word(folder)?),
            Runner::User { user, folder } => {
                // systemd does not unquote a user name.
                if word(Path::new(user))? != *user || user.starts_with('-') {
                    return Err(UnitError::Word(user.clone()));
                }
                format!("User={user}\nReadWritePaths={}\n", word(folder)?)
            }
        };
        if let Runner::DynamicUser { .. } = self.runner
            && !self.groups.is_empty()
        {
            let groups: Result<Vec<_>, _> = self.groups.iter().map(|group| word(Path::new(group))).collect();
            runner.push_str(&format!("SupplementaryGroups={}\n", groups?.join(" ")));
        }
        let home = self.protect_home()?;
        Ok(format!("{UNIT}ExecStart={}\n{runner}ProtectHome={home}\n{}{SANDBOX}", start.join(" "), self.needs.text()?))
    }

    /// The value of `ProtectHome`. A home folder is readable for its own user, and writable only for the state and the files of
    /// actions. With any other user, a path in a home folder is an error: the unit would never start.
    fn protect_home(&self) -> Result<&'static str, UnitError> {
        let read = [Some(self.program), self.device_model, self.ca].into_iter().flatten();
        let used = read.chain(self.needs.files.iter().chain(&self.needs.programs).map(PathBuf::as_path));
        let mut is_in_home = false;
        for path in used.filter(|path| is_in_a_home(path)) {
            is_in_home = true;
            let is_theirs = match &self.runner {
                Runner::DynamicUser { .. } => false,
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

/// Whether `ProtectHome` applies to this path.
fn is_in_a_home(path: &Path) -> bool {
    ["/home", "/root", "/run/user"].iter().any(|home| path.starts_with(home))
}

/// Quotes a word for command lines and for lists of folders in a unit: in quotation marks if necessary, with `%` doubled. A `$`
/// is an error, because the two contexts interpret it differently.
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
