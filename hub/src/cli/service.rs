//! The systemd unit of a hub, with minimal privileges (`systemd.unit(5)`, `systemd.service(5)`, `systemd.exec(5)`). It needs
//! systemd 252 or newer.
//!
//! With a data folder `/var/lib/NAME` the service runs as a dynamic user of systemd. Secrets are in a file that only root reads.
//! systemd also passes the certificate and the key of HTTPS to the service (`LoadCredential=`), so that only root must be able to
//! read them. systemd restarts a hub that has stopped, except after exit code 2, because a restart cannot repair invalid
//! settings.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::cli::command_line::Options;

/// The user of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runner {
    /// A dynamic user, which exists while the service runs (`DynamicUser=`).
    DynamicUser {
        /// The data folder, relative to `/var/lib`.
        folder: PathBuf,
    },
    /// An existing user of this machine.
    User {
        /// The name or the number of the user.
        user: String,
        /// The absolute path of the data folder.
        folder: PathBuf,
    },
}

/// The input of a unit.
#[derive(Clone, Debug)]
pub struct Unit<'a> {
    /// The absolute path of the hub's binary.
    pub program: &'a Path,
    /// The user of the service.
    pub runner: Runner,
    /// The absolute path of the file with secrets.
    pub environment: &'a Path,
    /// The options of `serve`.
    pub options: &'a Options,
}

/// Why a unit would not work.
#[derive(Debug, Error)]
pub enum UnitError {
    /// A path or value that cannot be written in a unit.
    #[error("{0:?} cannot stand in a unit of systemd")]
    Word(String),
    /// The binary of the hub is in a home folder that the service cannot read.
    #[error("the service cannot see this program in a home: `sudo install {} /usr/local/bin/`, and let that one write the unit", .0.display())]
    HiddenProgram(PathBuf),
    /// Another file is in a home folder that the service cannot read.
    #[error("the service cannot see {} in a home: move it to /etc/onething, or name by --user whose it is", .0.display())]
    Hidden(PathBuf),
    /// A mail folder outside the data folder, which a dynamic user cannot own.
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
    /// The absolute path of the data folder.
    pub fn data(&self) -> PathBuf {
        match self {
            Runner::DynamicUser { folder } => Path::new("/var/lib").join(folder),
            Runner::User { folder, .. } => folder.clone(),
        }
    }
}

impl Unit<'_> {
    /// The text of the unit file.
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
            if matches!(self.runner, Runner::DynamicUser { .. }) {
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
            Runner::DynamicUser { folder } => format!("DynamicUser=yes\nStateDirectory={}\nStateDirectoryMode=0700\n", word(folder)?),
            Runner::User { user, folder } => {
                // `User=` has no quotes, so the name must need none.
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

    /// The value of `ProtectHome=`. A service can read files in a home folder only as the owner, or as root below `/root`. A unit
    /// with another file in a home folder would never start, so this is an error.
    fn protect_home(&self) -> Result<&'static str, UnitError> {
        let read = self.options.files.iter().map(|(_, file)| file.as_path());
        let mut is_in_home = false;
        for path in [self.program].into_iter().chain(read).filter(|path| is_in_a_home(path)) {
            is_in_home = true;
            let is_readable = match &self.runner {
                Runner::DynamicUser { .. } => false,
                Runner::User { user, .. } => !path.starts_with("/root") || ["root", "0"].contains(&user.as_str()),
            };
            if !is_readable {
                let path = path.to_owned();
                return Err(if path == self.program { UnitError::HiddenProgram(path) } else { UnitError::Hidden(path) });
            }
        }
        let written = [Some(self.runner.data()), self.options.mail.clone()];
        Ok(if is_in_home || written.iter().flatten().any(|path| is_in_a_home(path)) { "read-only" } else { "yes" })
    }
}

/// Whether `ProtectHome=` hides this path.
fn is_in_a_home(path: &Path) -> bool {
    ["/home", "/root", "/run/user"].iter().any(|home| path.starts_with(home))
}

/// A path or value with quotes and escapes, such that systemd reads it in a command and in a list of folders alike; `%` is
/// doubled. The meaning of `$` differs between the two, so `$` is an error.
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
