//! Checks whether the requirements of the actions and sensors are met on this machine now. Each problem is one sentence.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use onething::device_model::{Actions, DeviceAction, DeviceReport, LoopbackUrl, Means, ReportSource};
use rustix::fs::{Access, access};
use rustix::io::Errno;

use super::{gpio, program};

/// The first line of a script as far as the kernel reads it (`execve(2)`), in bytes.
const FIRST_LINE: u64 = 256;
/// The time limit for a connection to a server on this machine.
const CONNECT: Duration = Duration::from_secs(2);

/// The unmet requirements of the actions of a device model.
pub(crate) fn unmet_requirements(actions: &Actions) -> Vec<String> {
    let all = actions.properties.iter().chain(&actions.commands);
    all.filter_map(|(name, action)| Some(format!("`{name}` cannot be done as it is now: {}", lack(action)?))).collect()
}

/// The unmet requirements of the sensors of a device model.
pub(crate) fn sensors(reports: &BTreeMap<String, DeviceReport>) -> Vec<String> {
    let lack = |report: &DeviceReport| match &report.source {
        ReportSource::Program { path, .. } | ReportSource::Stream { path, .. } => program(path),
        ReportSource::Http(url) => server(url),
        ReportSource::File { path, .. } => unreadable(path),
        ReportSource::Pushed => None,
    };
    reports.iter().filter_map(|(name, report)| Some(format!("`{name}` cannot be measured as it is now: {}", lack(report)?))).collect()
}

fn lack(action: &DeviceAction) -> Option<String> {
    match &action.means {
        Means::Program { path, .. } => program(path),
        Means::Gpio(line) => unwritable(&line.chip, access(&line.chip, Access::WRITE_OK)).or_else(|| gpio::lack(line)),
        Means::File { path, .. } => file(path),
        Means::Http(url) => server(url),
    }
}

/// Why a program could not be run.
pub(crate) fn program(path: &str) -> Option<String> {
    if let Err(error) = access(path, Access::EXEC_OK) {
        return Some(program::fault(path, &error.into()));
    }
    if !Path::new(path).is_file() {
        return Some(format!("`{path}` is no program"));
    }
    // A file that is executable but not readable cannot be a script.
    let mut begin = Vec::new();
    File::open(path).ok()?.take(FIRST_LINE).read_to_end(&mut begin).ok()?;
    let Some(line) = begin.strip_prefix(b"#!") else {
        let is_text = !begin.contains(&0) && str::from_utf8(&begin).is_ok();
        return is_text.then(|| format!("`{path}` is no program, and no script: its first line does not begin with #!"));
    };
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if line.ends_with(b"\r") {
        return Some(format!("the first line of `{path}` ends like one of Windows: save it with plain line ends"));
    }
    let interpreter = String::from_utf8_lossy(line.trim_ascii().split(u8::is_ascii_whitespace).next().unwrap_or_default()).into_owned();
    let may_run = access(interpreter.as_str(), Access::EXEC_OK).is_ok();
    (!may_run).then(|| format!("what interprets `{path}` is not there: `{interpreter}`"))
}

/// Why a file could not be written.
pub(crate) fn file(path: &Path) -> Option<String> {
    let lack = unwritable(path, access(path, Access::WRITE_OK));
    lack.or_else(|| path.is_dir().then(|| format!("`{}` is a folder", path.display())))
}

fn unreadable(path: &Path) -> Option<String> {
    let shown = path.display();
    match access(path, Access::READ_OK) {
        Err(Errno::NOENT) => Some(format!("`{shown}` is not there")),
        Err(_) => Some(format!("`{shown}` may not be read by this user")),
        Ok(()) => path.is_dir().then(|| format!("`{shown}` is a folder")),
    }
}

/// The sentence for a file or a chip that is not writable, from the result of `access(2)`.
fn unwritable(path: &Path, access: Result<(), Errno>) -> Option<String> {
    let path = path.display();
    Some(match access.err()? {
        Errno::NOENT => format!("`{path}` is not there"),
        Errno::ROFS => format!("`{path}` is read-only here"),
        _ => format!("`{path}` may not be written by this user"),
    })
}

/// The problem that no server listens at this URL.
pub(crate) fn server(url: &LoopbackUrl) -> Option<String> {
    let connect = |address: SocketAddr| TcpStream::connect_timeout(&address, CONNECT).map(drop);
    let mut attempts = url.addresses().map(connect);
    let answered = attempts.any(|attempt: io::Result<()>| attempt.is_ok());
    (!answered).then(|| format!("nobody listens at {}", url.as_str()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::program::tests::install;
    use super::*;

    #[test]
    fn a_program_that_cannot_run_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("action");
        let shown = path.display();
        let told = |text: &str| {
            install(&path, text);
            program(path.to_str().unwrap())
        };
        assert_eq!(told("#!/bin/sh\necho done\n"), None);
        assert_eq!(told("#! /bin/sh -e\necho done\n"), None);
        assert_eq!(told("#!/bin/nothing\n"), Some(format!("what interprets `{shown}` is not there: `/bin/nothing`")));
        assert_eq!(
            told("#!/bin/sh\r\necho done\r\n"),
            Some(format!("the first line of `{shown}` ends like one of Windows: save it with plain line ends"))
        );
        assert_eq!(told("echo done\n"), Some(format!("`{shown}` is no program, and no script: its first line does not begin with #!")));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        assert_eq!(program(path.to_str().unwrap()), Some(format!("`{shown}` may not be run")));
        assert_eq!(program("/bin/sh"), None);
        assert_eq!(program("/bin"), Some("`/bin` is no program".to_owned()));
        assert_eq!(program("/bin/nothing"), Some("`/bin/nothing` is not there, or what interprets it is not".to_owned()));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_reported() {
        let path = Path::new("/dev/gpiochip0");
        let said = |errno| unwritable(path, Err(errno)).unwrap();
        assert_eq!(said(Errno::NOENT), "`/dev/gpiochip0` is not there");
        assert_eq!(said(Errno::ACCESS), "`/dev/gpiochip0` may not be written by this user");
        assert_eq!(said(Errno::ROFS), "`/dev/gpiochip0` is read-only here");
        let folder = tempfile::tempdir().unwrap();
        let power = folder.path().join("power");
        std::fs::write(&power, "").unwrap();
        std::fs::set_permissions(&power, PermissionsExt::from_mode(0o400)).unwrap();
        // Root may write every file.
        assert_eq!(file(&power).is_none(), rustix::process::geteuid().is_root());
        assert_eq!(file(folder.path()), Some(format!("`{}` is a folder", folder.path().display())));
        assert_eq!(file(&folder.path().join("none")), Some(format!("`{}` is not there", folder.path().join("none").display())));
    }

    #[test]
    fn a_server_that_does_not_listen_is_reported() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = LoopbackUrl::parse(&format!("http://localhost:{}/x", listener.local_addr().unwrap().port())).unwrap();
        assert_eq!(server(&url), None);
        drop(listener);
        assert_eq!(server(&url), Some(format!("nobody listens at {}", url.as_str())));
    }
}
