//! The systemd unit that runs a hub from every start of the machine on, with no more rights than it needs
//! (`systemd.unit(5)`, `systemd.service(5)`, `systemd.exec(5)`). systemd 252 and newer take it.
//!
//! Over a folder of systemd's own, `/var/lib/NAME`, it runs as a user that systemd makes up. Secrets come out of a file that only root
//! reads, and so do the certificate and the key of the web side, which systemd hands over (`LoadCredential=`). A hub that ends is started
//! again, but for one that cannot be right the next time either: exit code 2.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::cli::command_line::Options;

/// Who runs the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runner {
    /// A user that systemd makes up for as long as it runs.
    MadeUp {
        /// The folder below `/var/lib`.
        folder: PathBuf,
    },
    /// A user of this machine.
    User {
        /// Name or number.
        user: String,
        /// The data folder, absolute.
        folder: PathBuf,
    },
}

/// What the unit is made from.
#[derive(Clone, Debug)]
pub struct Unit<'a> {
    /// The hub's binary, absolute.
    pub program: &'a Path,
    /// Who runs it.
    pub runner: Runner,
    /// The file with secrets, absolute.
    pub environment: &'a Path,
    /// The options of `serve`.
    pub options: &'a Options,
}

/// Why there is no unit that would work.
#[derive(Debug, Error)]
pub enum UnitError {
    /// A word that a unit cannot hold.
    #[error("{0:?} cannot stand in a unit of systemd")]
    Word(String),
    /// The hub's own binary, in somebody's home.
    #[error("the service cannot see this program in a home: `sudo install {} /usr/local/bin/`, and let that one write the unit", .0.display())]
    HiddenProgram(PathBuf),
    /// Another file in somebody's home.
    #[error("the service cannot see {} in a home: move it to /etc/onething, or name by --user whose it is", .0.display())]
    Hidden(PathBuf),
    /// A mail folder that a user who is made up cannot own.
    #[error("the service may write nothing but its data folder: leave --mail out, or name by --user who runs it")]
    Mail,
}

const UNIT: &str = "\
[Unit]
Description=onething hub: an Alexa skill with one thing for each owner
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
LimitNOFILE=1048576
UMask=0077
NoNewPrivileges=yes
ProtectSystem=strict
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
";

impl Runner {
    /// The data folder.
    pub fn data(&self) -> PathBuf {
        match self {
            Runner::MadeUp { folder } => Path::new("/var/lib").join(folder),
            Runner::User { folder, .. } => folder.clone(),
        }
    }
}

impl Unit<'_> {
    /// The unit.
    pub fn text(&self) -> Result<String, UnitError> {
        let Options { mail, tls, files, values, has_privileged_port, .. } = self.options;
        let mut start = vec![word(self.program)?, "serve".to_owned(), "--data".to_owned(), word(&self.runner.data())?];
        for (option, file) in files {
            start.extend([(*option).to_owned(), word(file)?]);
        }
        for (option, value) in values {
            start.push((*option).to_owned());
            start.extend(value.as_ref().map(|value| word(Path::new(value))).transpose()?);
        }
        let mut own = String::new();
        if let Some(mail) = mail {
            if matches!(self.runner, Runner::MadeUp { .. }) {
                return Err(UnitError::Mail);
            }
            start.extend(["--mail".to_owned(), word(mail)?]);
            own.push_str(&format!("ReadWritePaths={}\n", word(mail)?));
        }
        if let Some((certificate, key)) = tls {
            for (option, name, file) in [("--tls-certificate", "certificate.pem", certificate), ("--tls-key", "key.pem", key)] {
                start.extend([option.to_owned(), format!("%d/{name}")]);
                own.push_str(&format!("LoadCredential={name}:{}\n", word(file)?));
            }
        }
        own.push_str(&match &self.runner {
            Runner::MadeUp { folder } => format!("DynamicUser=yes\nStateDirectory={}\nStateDirectoryMode=0700\n", word(folder)?),
            Runner::User { user, folder } => {
                // A user is read as it stands there.
                if word(Path::new(user))? != *user || user.starts_with('-') {
                    return Err(UnitError::Word(user.clone()));
                }
                format!("User={user}\nReadWritePaths={}\n", word(folder)?)
            }
        });
        let capabilities = if *has_privileged_port { "CAP_NET_BIND_SERVICE" } else { "" };
        own.push_str(&format!("CapabilityBoundingSet={capabilities}\nAmbientCapabilities={capabilities}\n"));
        let (start, environment, home) = (start.join(" "), word(self.environment)?, self.protect_home()?);
        Ok(format!("{UNIT}ExecStart={start}\nEnvironmentFile=-{environment}\n{own}ProtectHome={home}\n{SANDBOX}"))
    }

    /// What is in a home can be read by whose home it is, and by nobody else: a unit with such a path would never start.
    fn protect_home(&self) -> Result<&'static str, UnitError> {
        let read = self.options.files.iter().map(|(_, file)| file.as_path());
        let mut is_in_home = false;
        for path in [self.program].into_iter().chain(read).filter(|path| is_in_a_home(path)) {
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
        let written = [Some(self.runner.data()), self.options.mail.clone()];
        Ok(if is_in_home || written.iter().flatten().any(|path| is_in_a_home(path)) { "read-only" } else { "yes" })
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
    let quoted: String =
        text.replace('%', "%%").chars().flat_map(|c| ['\\', c].into_iter().skip(usize::from(!"\"\\".contains(c)))).collect();
    Ok(format!("\"{quoted}\""))
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
