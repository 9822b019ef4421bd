//! What can be asked of the device in a terminal.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::registration::credential::Secret;
use crate::registration::options::RegisterOptions;

/// The onething agent: makes this device the one that Alexa speaks with.
#[derive(Debug, Parser)]
#[command(name = "onething-device", version, after_help = EXAMPLES)]
pub struct Arguments {
    /// What to do.
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

/// A command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Takes a bundle: checks it, connects once, and stores it.
    #[command(after_help = "Example: onething-device setup 3D_Printer-abc.zip --run")]
    Setup {
        /// The zip out of the mail, or a folder it was unpacked into.
        bundle: PathBuf,
        /// Stores it without connecting.
        #[arg(long)]
        offline: bool,
        /// Goes on running once it is stored, as `run` does.
        #[arg(long, conflicts_with = "offline")]
        run: bool,
    },
    /// Says what is wrong with a device model, and what it names that is not on this machine. Needs no credentials.
    #[command(after_help = "Example: onething-device check --device-model device.toml\n\n\
        Exit codes: 0 all is there, 1 this machine lacks something, 2 the device model has mistakes.")]
    Check,
    /// Connects and stays, until Ctrl-C.
    Run(Run),
    /// Says whether the agent runs and is connected, and for how long the certificate is good.
    Status {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Tells the running agent what was measured.
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
    /// Gets credentials for a claim code: open the skill and say "give me a code".
    #[command(after_help = "Example: onething-device claim K7QF-93PD --register-url https://example.com/register")]
    Claim {
        /// The code, as it was spoken or shown; its halves may be apart.
        #[arg(num_args = 1..=2, required = true)]
        code: Vec<Secret>,
        /// Where to show it.
        #[command(flatten)]
        endpoint: EndpointOption,
    },
    /// Gets credentials without an owner's help, where the maker has set that up.
    #[command(after_help = "Example: onething-device register --register-url https://example.com/register --token-file /etc/fleet-token")]
    Register {
        /// Where to register.
        #[command(flatten)]
        endpoint: EndpointOption,
        /// With what.
        #[command(flatten)]
        with: RegisterOptions,
    },
    /// Gets a new certificate in place of the stored one, also while the agent runs.
    Renew(EndpointOption),
    /// Deletes the stored credentials.
    Forget {
        /// Does not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Prints, writes or removes the systemd unit that runs this program with this state folder.
    #[command(after_help = "Example: sudo onething-device service --write && sudo systemctl enable --now onething-device")]
    Service {
        /// Writes it instead.
        #[arg(long, value_name = "PATH", num_args = 0..=1, default_missing_value = "/etc/systemd/system/onething-device.service")]
        write: Option<PathBuf>,
        /// The user that runs it; else one that systemd makes up, or the one whose state folder it is.
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Ends the service and removes its unit. Credentials stay: `forget` deletes them.
        #[arg(long, value_name = "PATH", num_args = 0..=1, default_missing_value = "/etc/systemd/system/onething-device.service",
            conflicts_with_all = ["write", "user"])]
        remove: Option<PathBuf>,
    },
    /// Prints the completions for a shell.
    #[command(after_help = "Example: onething-device completions bash > ~/.local/share/bash-completion/completions/onething-device")]
    Completions {
        /// Which one.
        shell: Shell,
    },
    /// Writes a man page for this program and one for each command; for packages.
    #[command(hide = true)]
    Man {
        /// The folder, which must exist.
        folder: PathBuf,
    },
}

/// Options of `run`.
#[derive(Args, Debug, Default)]
pub(crate) struct Run {
    /// Runs with this bundle, a zip or a folder, and does not store it.
    #[arg(long, value_name = "BUNDLE")]
    pub(crate) bundle: Option<PathBuf>,
    /// A claim code, used when nothing of use is stored.
    #[arg(long, value_name = "CODE", env = "ONETHING_DEVICE_CODE", hide_env_values = true)]
    pub(crate) code: Option<Secret>,
    /// Where to register when nothing of use is stored.
    #[command(flatten)]
    pub(crate) endpoint: EndpointOption,
    /// With what to register.
    #[command(flatten)]
    pub(crate) with: RegisterOptions,
}

/// The endpoint where devices register.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct EndpointOption {
    /// The URL where devices register themselves; else the one that the stored bundle knows.
    #[arg(long = "register-url", alias = "door", value_name = "URL", env = "ONETHING_DEVICE_REGISTER_URL")]
    url: Option<String>,
}

impl EndpointOption {
    /// The URL that was named, or that the variable of version 0.1 holds.
    /// The same option, but for a URL that somebody else has named.
    pub(crate) fn or_named(&self, url: Option<String>) -> Self {
        Self { url: url.or_else(|| self.url()) }
    }

    pub(crate) fn url(&self) -> Option<String> {
        self.url.clone().or_else(|| std::env::var("ONETHING_DEVICE_DOOR").ok().filter(|url| !url.is_empty()))
    }
}

/// Options of every command. Most can also be given as the variable in brackets.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    /// The folder for credentials; else `onething-device` in the user's folder for data.
    #[arg(long, global = true, value_name = "DIR", env = "ONETHING_DEVICE_STATE", help_heading = "Options of every command")]
    pub(crate) state: Option<PathBuf>,
    /// The name of the device; else the variable ONETHING_DEVICE_NAME, else the name of this machine.
    #[arg(long, global = true, value_name = "NAME", help_heading = "Options of every command")]
    pub(crate) name: Option<String>,
    /// What the device is and does; `setup` keeps it, else it is the one out of the bundle.
    #[arg(long, global = true, value_name = "FILE", env = "ONETHING_DEVICE_MODEL", help_heading = "Options of every command")]
    pub(crate) device_model: Option<PathBuf>,
    /// A root certificate in PEM by which the server may be known, too.
    #[arg(long, global = true, value_name = "FILE", env = "ONETHING_DEVICE_CA", help_heading = "Options of every command")]
    pub(crate) ca: Option<PathBuf>,
    /// How long to try to reach the server; else 30, and `run` tries for ever.
    #[arg(long, global = true, value_name = "SECONDS", help_heading = "Options of every command")]
    wait: Option<u32>,
}

impl Common {
    /// `--wait`.
    pub(crate) fn wait(&self) -> Option<Duration> {
        self.wait.map(|seconds| Duration::from_secs(seconds.into()))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_code_does_not_show_in_what_was_asked() {
        let asked = Arguments::try_parse_from(["onething-device", "claim", "K7QF-93PD"]).unwrap();
        assert!(!format!("{asked:?}").contains("K7QF"));
    }
}
