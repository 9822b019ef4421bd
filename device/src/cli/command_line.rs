//! The command line of the device agent. The doc comments of the commands and options are their help texts.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::registration::credential::Secret;
use crate::registration::options::RegisterOptions;

/// The onething agent: connects this device to AWS IoT, so that its owner controls it with Alexa.
#[derive(Debug, Parser)]
#[command(name = "onething-device", version, after_help = EXAMPLES)]
pub struct Arguments {
    /// The command to run.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub(crate) common: Common,
}

const EXAMPLES: &str = "Examples:
  onething-device setup 3D_Printer-abc.zip --run   take the bundle out of the mail, connect and stay
  onething-device run                              connect and stay, the next time
  onething-device status                           whether it is connected, and if not, why
  sudo onething-device service --write             let systemd run it

Exit codes: 0 done, 1 failed, 2 asked wrongly, 3 no credentials of use, 4 refused by the server, 5 server not reached.";

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Installs a bundle: checks it, connects once, and stores it.
    #[command(after_help = "Example: onething-device setup 3D_Printer-abc.zip --run")]
    Setup {
        /// The zip from the mail, or the folder that it was unpacked into.
        bundle: PathBuf,
        /// Stores the bundle without connecting.
        #[arg(long)]
        offline: bool,
        /// Continues as `run` does after the bundle is stored.
        #[arg(long, conflicts_with = "offline")]
        run: bool,
    },
    /// Reports mistakes in a device model, and what it refers to and this machine lacks. Needs no credentials.
    #[command(after_help = "Example: onething-device check --device-model device.toml\n\n\
        Exit codes: 0 all is there, 1 this machine lacks something, 2 the device model has mistakes.")]
    Check,
    /// Connects and stays connected until Ctrl-C.
    Run(Run),
    /// Shows whether the agent runs and is connected, and how long the certificate is valid.
    Status {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Sends measured values to the running agent.
    #[command(
        after_help = "Examples:\n  onething-device report moisture=41.5\n  onething-device report '{\"moisture\": 41.5, \"light\": 300}'"
    )]
    Report {
        /// Properties and values, or one JSON object; `-` reads it from standard input.
        #[arg(value_name = "NAME=VALUE", required = true)]
        values: Vec<String>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Gets credentials with a claim code: open the skill and say "give me a code".
    #[command(after_help = "Example: onething-device claim K7QF-93PD --register-url https://example.com/register")]
    Claim {
        /// The code, as Alexa spoke or showed it; its two halves may be separate arguments.
        #[arg(num_args = 1..=2, required = true)]
        code: Vec<Secret>,
        /// The registration endpoint.
        #[command(flatten)]
        endpoint: EndpointOption,
    },
    /// Gets credentials without the help of an owner, where the maker of the device supports this.
    #[command(after_help = "Example: onething-device register --register-url https://example.com/register --token-file /etc/fleet-token")]
    Register {
        /// The registration endpoint.
        #[command(flatten)]
        endpoint: EndpointOption,
        /// The credential for the registration.
        #[command(flatten)]
        with: RegisterOptions,
    },
    /// Replaces the stored certificate by a new one, also while the agent runs.
    Renew(EndpointOption),
    /// Deletes the stored credentials.
    Forget {
        /// Deletes without confirmation.
        #[arg(long)]
        yes: bool,
    },
    /// Prints, writes or removes the systemd unit that runs this program with this state folder.
    #[command(after_help = "Example: sudo onething-device service --write && sudo systemctl enable --now onething-device")]
    Service {
        /// Writes the unit to this file instead of printing it.
        #[arg(long, value_name = "PATH", num_args = 0..=1, default_missing_value = "/etc/systemd/system/onething-device.service")]
        write: Option<PathBuf>,
        /// The user that runs the service; by default a dynamic user of systemd, or the owner of the state folder.
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Stops the service and removes its unit. The credentials are kept: `forget` deletes them.
        #[arg(long, value_name = "PATH", num_args = 0..=1, default_missing_value = "/etc/systemd/system/onething-device.service",
            conflicts_with_all = ["write", "user"])]
        remove: Option<PathBuf>,
    },
    /// Prints the completion script for a shell.
    #[command(after_help = "Example: onething-device completions bash > ~/.local/share/bash-completion/completions/onething-device")]
    Completions {
        /// The name of the shell.
        shell: Shell,
    },
    /// Writes a man page for this program and one for each command; for packages.
    #[command(hide = true)]
    Man {
        /// The folder for the man pages, which must exist.
        folder: PathBuf,
    },
}

/// Options of `run`.
#[derive(Args, Debug, Default)]
pub(crate) struct Run {
    /// Runs with this bundle, a zip or a folder, and does not store it.
    #[arg(long, value_name = "BUNDLE")]
    pub(crate) bundle: Option<PathBuf>,
    /// A claim code, used if no usable credentials are stored.
    #[arg(long, value_name = "CODE", env = "ONETHING_DEVICE_CODE", hide_env_values = true)]
    pub(crate) code: Option<Secret>,
    /// The registration endpoint, used if no usable credentials are stored.
    #[command(flatten)]
    pub(crate) endpoint: EndpointOption,
    /// The credential for the registration.
    #[command(flatten)]
    pub(crate) with: RegisterOptions,
}

/// The option for the registration endpoint.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct EndpointOption {
    /// The URL where devices register themselves; by default the one from the stored bundle.
    #[arg(long = "register-url", alias = "door", value_name = "URL", env = "ONETHING_DEVICE_REGISTER_URL")]
    url: Option<String>,
}

impl EndpointOption {
    /// The same option with `url`, if there is one, in place of its own URL.
    pub(crate) fn or_named(&self, url: Option<String>) -> Self {
        Self { url: url.or_else(|| self.url()) }
    }

    /// The URL of the option, or of the variable `ONETHING_DEVICE_DOOR`, which version 0.1 used.
    pub(crate) fn url(&self) -> Option<String> {
        self.url.clone().or_else(|| std::env::var("ONETHING_DEVICE_DOOR").ok().filter(|url| !url.is_empty()))
    }
}

/// Options of every command. Most of them can also be set by the environment variable in brackets.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    /// The folder for credentials; by default `onething-device` in the data folder of the user.
    #[arg(long, global = true, value_name = "DIR", env = "ONETHING_DEVICE_STATE", help_heading = "Options of every command")]
    pub(crate) state: Option<PathBuf>,
    /// The name of the device; by default the variable ONETHING_DEVICE_NAME, then the name of this machine.
    #[arg(long, global = true, value_name = "NAME", help_heading = "Options of every command")]
    pub(crate) name: Option<String>,
    /// The file with the device model; `setup` stores it. By default the stored device model, then the one from the bundle.
    #[arg(long, global = true, value_name = "FILE", env = "ONETHING_DEVICE_MODEL", help_heading = "Options of every command")]
    pub(crate) device_model: Option<PathBuf>,
    /// An additional root certificate in PEM that the server may be verified with.
    #[arg(long, global = true, value_name = "FILE", env = "ONETHING_DEVICE_CA", help_heading = "Options of every command")]
    pub(crate) ca: Option<PathBuf>,
    /// How long to try to reach the server; by default 30, while `run` tries for ever.
    #[arg(long, global = true, value_name = "SECONDS", help_heading = "Options of every command")]
    wait: Option<u32>,
}

impl Common {
    /// The value of `--wait`.
    pub(crate) fn wait(&self) -> Option<Duration> {
        self.wait.map(|seconds| Duration::from_secs(seconds.into()))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_valid() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn debug_output_hides_the_code() {
        let asked = Arguments::try_parse_from(["onething-device", "claim", "K7QF-93PD"]).unwrap();
        assert!(!format!("{asked:?}").contains("K7QF"));
    }
}
