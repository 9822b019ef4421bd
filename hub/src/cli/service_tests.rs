//! Tests of the content of units, and with `--features foreign` of the verdict of systemd.

use clap::Parser;

use super::*;
use crate::cli::command_line::{Arguments, Command as Asked};

fn options(arguments: &[&str]) -> Options {
    let asked = Arguments::try_parse_from(["onething-hub", "service"].iter().chain(arguments)).unwrap();
    let Some(Asked::Service(service)) = asked.command else { panic!("{arguments:?}") };
    service.serve.options().unwrap()
}

fn dynamic_user() -> Runner {
    Runner::DynamicUser { folder: "onething".into() }
}

fn text(program: &str, runner: Runner, arguments: &[&str]) -> Result<String, UnitError> {
    let options = options(arguments);
    Unit { program: Path::new(program), runner, environment: Path::new("/etc/onething/hub.env"), options: &options }.text()
}

/// The lines of a unit for `/usr/bin/true`.
fn lines(runner: Runner, arguments: &[&str]) -> Vec<String> {
    text("/usr/bin/true", runner, arguments).unwrap().lines().map(str::to_owned).collect()
}

const EVERYTHING: [&str; 26] = [
    "--http",
    "0.0.0.0:443",
    "--mqtt",
    "[::]:8883",
    "--host",
    "hub.example.com",
    "--device-model",
    "/etc/onething/my lamp 100%.toml",
    "--interaction-model",
    "/etc/onething/en-US.json",
    "--skill-id",
    "amzn1.ask.skill.a,amzn1.ask.skill.b",
    "--lwa-client-id",
    "c",
    "--tls-certificate",
    "/etc/letsencrypt/live/hub/fullchain.pem",
    "--tls-key",
    "/etc/letsencrypt/live/hub/privkey.pem",
    "--register",
    "/etc/onething/register.toml",
    "--register-url",
    "https://hub.example.com/register",
    "--behind-proxy",
    "--certificate-days",
    "365",
    "--data=/var/lib/onething",
];

fn root(folder: &str) -> Runner {
    Runner::User { user: "root".into(), folder: folder.into() }
}

/// `systemd-analyze verify` prints nothing about a valid unit.
#[cfg(feature = "foreign")]
mod foreign {
    use super::*;

    #[test]
    fn systemd_accepts_every_unit_without_a_warning() {
        let units: [(Runner, &[&str]); 4] = [
            (dynamic_user(), &[]),
            (dynamic_user(), &EVERYTHING),
            (root("/srv/one thing"), &["--mail", "/srv/mail"]),
            (root("/root/onething"), &[]),
        ];
        for (runner, arguments) in units {
            let place = tempfile::tempdir().unwrap();
            let file = place.path().join("onething-hub.service");
            let unit = text("/usr/bin/true", runner, arguments).unwrap();
            std::fs::write(&file, &unit).unwrap();
            let said = std::process::Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&file).output();
            let said = said.expect("`.ci/run` installs systemd");
            let text = String::from_utf8(said.stdout).unwrap() + &String::from_utf8(said.stderr).unwrap();
            assert_eq!((said.status.code(), text.as_str()), (Some(0), ""), "{unit}");
        }
    }
}

#[track_caller]
fn check_has(unit: &[String], lines: &[&str]) {
    for line in lines {
        assert!(unit.iter().any(|other| other == line), "{line} in {unit:#?}");
    }
}

#[test]
fn by_default_a_hub_runs_as_a_dynamic_user_with_minimal_privileges() {
    let unit = lines(dynamic_user(), &[]);
    check_has(
        &unit,
        &[
            "ExecStart=/usr/bin/true serve --data /var/lib/onething",
            "EnvironmentFile=-/etc/onething/hub.env",
            "DynamicUser=yes",
            "StateDirectory=onething",
            "StateDirectoryMode=0700",
            "Restart=always",
            "RestartPreventExitStatus=2",
            "NoNewPrivileges=yes",
            "ProtectSystem=strict",
            "ProtectHome=yes",
            "CapabilityBoundingSet=",
        ],
    );
}

#[test]
fn every_option_is_in_the_command_and_tls_files_are_credentials() {
    let unit = lines(dynamic_user(), &EVERYTHING);
    check_has(
        &unit,
        &[
            "LoadCredential=certificate.pem:/etc/letsencrypt/live/hub/fullchain.pem",
            "LoadCredential=key.pem:/etc/letsencrypt/live/hub/privkey.pem",
            "AmbientCapabilities=CAP_NET_BIND_SERVICE",
        ],
    );
    let start = unit.iter().find(|line| line.starts_with("ExecStart=")).unwrap();
    for words in [
        "--http 0.0.0.0:443",
        "--device-model \"/etc/onething/my lamp 100%%.toml\"",
        "--skill-id amzn1.ask.skill.a,amzn1.ask.skill.b",
        "--tls-key %d/key.pem",
        "--behind-proxy",
        "--certificate-days 365",
    ] {
        assert!(start.contains(words), "{words} in {start}");
    }
}

#[test]
fn an_existing_user_can_write_the_data_and_mail_folders() {
    let unit = lines(root("/srv/one thing"), &["--mail", "/srv/mail"]);
    check_has(&unit, &["User=root", "ReadWritePaths=\"/srv/one thing\"", "ReadWritePaths=/srv/mail", "ProtectHome=yes"]);
    check_has(&lines(root("/root/onething"), &[]), &["ProtectHome=read-only"]);
}

#[test]
fn a_unit_that_would_not_work_is_an_error() {
    let refused = |outcome: Result<String, UnitError>| outcome.unwrap_err().to_string();
    assert!(refused(text("/home/ana/onething-hub", dynamic_user(), &[])).contains("sudo install /home/ana/onething-hub /usr/local/bin/"));
    assert!(
        refused(text("/usr/bin/true", dynamic_user(), &["--device-model", "/home/ana/lamp.toml"]))
            .contains("cannot see /home/ana/lamp.toml")
    );
    assert!(refused(text("/usr/bin/true", dynamic_user(), &["--mail", "/srv/mail"])).contains("leave --mail out"));
    let ana = |user: &str| Runner::User { user: user.into(), folder: "/srv/onething".into() };
    assert!(text("/home/ana/onething-hub", ana("ana"), &[]).is_ok());
    assert!(text("/root/onething-hub", ana("ana"), &[]).is_err());
    for user in ["a b", "", "ana\nUser=root", "-", "%i"] {
        assert!(text("/usr/bin/true", ana(user), &[]).is_err(), "{user:?}");
    }
    for program in ["/opt/a\nExecStartPre=/bin/sh", "/opt/$HOME/hub"] {
        assert!(text(program, dynamic_user(), &[]).is_err(), "{program:?}");
    }
}
