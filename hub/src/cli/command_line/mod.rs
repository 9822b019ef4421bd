//! The command line of the hub.

mod serve;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use onething::login::EmailAddress;

pub use self::serve::{DATA, Options, Serve};
use crate::audit::Kind;

/// The onething skill on one machine. No other service is needed.
///
/// Without a command it runs `serve`: the skill, an MQTT broker for devices, and a web page.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub struct Arguments {
    /// The command; without one, `serve`.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of `serve`.
    #[command(flatten)]
    pub serve: Box<Serve>,
}

const EXAMPLES: &str = "Examples:
  onething-hub                                  serve; the page is at http://127.0.0.1:8080
  onething-hub demo                             the whole story in this terminal
  onething-hub say \"ask my printer to print a vase\" --as ana
  onething-hub policy check infra/device-policy.json --thing T --action subscribe --on 'T/#'";

/// The command to run.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the skill, the broker and the page until Ctrl-C.
    Serve(Box<Serve>),
    /// Runs a demonstration: two owners, each with a thing, a certificate and a mail.
    Demo {
        /// The data folder. The demonstration deletes and uses only the folder `demo` in it.
        #[arg(long, value_name = "DIR", env = "ONETHING_DATA", default_value = "onething-data")]
        data: PathBuf,
    },
    /// Sends an utterance to the simulated Echo of a running hub.
    #[command(after_help = "Example: onething-hub say \"open my printer\" --as ben")]
    Say {
        /// The utterance, without "Alexa".
        utterance: String,
        /// The local user who speaks. A user who does not exist is created.
        #[arg(long = "as", value_name = "USER", default_value = "ana")]
        user: String,
        /// The running hub.
        #[command(flatten)]
        hub: Remote,
    },
    /// Lists the things of a running hub, with their certificates and shadows.
    #[command(after_help = "Example: onething-hub things --data /var/lib/onething")]
    Things(Remote),
    /// Enables the skill for a local user of a running hub and links their account, as the page does.
    #[command(after_help = "Example: onething-hub link --as ben")]
    Link {
        /// The local user. A user who does not exist is created.
        #[arg(long = "as", value_name = "USER", default_value = "ana")]
        user: String,
        /// The running hub.
        #[command(flatten)]
        hub: Remote,
    },
    /// Lists the outgoing mail of a running hub: the recipients, the mail that waits, and the errors. In trying mode, also the
    /// mailbox.
    #[command(after_help = "Examples:
  onething-hub mail --as ben --save .           trying mode
  onething-hub mail --data /var/lib/onething    a hub in use")]
    Mail {
        /// Saves the bundle of the newest mail that has one into this folder, and lists nothing. Only in trying mode.
        #[arg(long, value_name = "DIR")]
        save: Option<PathBuf>,
        /// Only the mail of this local user. The default is the mail of all users.
        #[arg(long = "as", value_name = "USER")]
        user: Option<String>,
        /// The running hub.
        #[command(flatten)]
        hub: Remote,
    },
    /// Reports whether a running hub is healthy, for the health check of a container. The exit code is 1 if the hub is not
    /// healthy or does not answer.
    #[command(after_help = "Example: onething-hub health --data /var/lib/onething")]
    Health(Remote),
    /// Lists events of devices and of mail: the outcomes of `POST /register`, requests that the broker refused, and mail that was
    /// not sent at the first attempt. The hub is running, or the events are read from the data folder of a hub that is not
    /// running.
    #[command(after_help = "Example: onething-hub events --kind refusal --last 10 --data onething-data")]
    Events {
        /// The largest number of events.
        #[arg(long, value_name = "N", default_value_t = 50)]
        last: u32,
        /// Only events of this kind.
        #[arg(long, value_name = "KIND")]
        kind: Option<Kind>,
        /// The running hub.
        #[command(flatten)]
        hub: Remote,
    },
    /// Tests whether a hub with these options is ready for use. Prints one line for each test, with advice. The exit code is 1 if
    /// a test has failed.
    #[command(after_help = "Example: onething-hub check --data /var/lib/onething --mail-to me@example.com")]
    Check(Box<Check>),
    /// Prints, writes or removes the systemd unit that runs the hub with these options.
    #[command(
        after_help = "Example: sudo onething-hub service --write --lwa-client-id … --skill-id … --host hub.example.com --mqtt 0.0.0.0:8883"
    )]
    Service(Box<Service>),
    /// Writes all data of a hub (database, certificate authority, mail) into one file, also while the hub runs. The file contains
    /// private keys.
    #[command(after_help = "Example: onething-hub backup /media/backup/onething.zip --data /var/lib/onething")]
    Backup {
        /// The file to write. An existing file is replaced.
        file: PathBuf,
        /// The data folder of the hub.
        #[arg(long, value_name = "DIR", env = "ONETHING_DATA", default_value = "onething-data")]
        data: PathBuf,
        /// The mail folder, if it is not in the data folder.
        #[arg(long, value_name = "DIR", env = "ONETHING_MAIL")]
        mail: Option<PathBuf>,
    },
    /// Restores a backup into the data folder of a hub that is not running.
    #[command(after_help = "Example: onething-hub restore /media/backup/onething.zip --data /var/lib/onething")]
    Restore {
        /// The backup file.
        file: PathBuf,
        /// The data folder. It is created if it does not exist.
        #[arg(long, value_name = "DIR", env = "ONETHING_DATA", default_value = "onething-data")]
        data: PathBuf,
        /// Replaces everything in the data folder by the backup.
        #[arg(long)]
        replace: bool,
    },
    /// Evaluates IoT policies.
    #[command(subcommand)]
    Policy(Policy),
    /// Manages the certificate authority of a hub that is not running.
    #[command(subcommand)]
    Authority(Authority),
    /// Prints the completions for a shell.
    #[command(after_help = "Example: onething-hub completions bash > ~/.local/share/bash-completion/completions/onething-hub")]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Writes a man page for this program and one for each command, for packages.
    #[command(hide = true)]
    Man {
        /// The folder for the man pages, which must exist.
        folder: PathBuf,
    },
}

/// The arguments of `check`.
#[derive(Args, Clone, Debug)]
pub struct Check {
    /// The options of `serve`.
    #[command(flatten)]
    pub serve: Serve,
    /// Also sends a test mail to this address.
    #[arg(long, value_name = "ADDRESS", value_parser = mail_address)]
    pub mail_to: Option<MailTo>,
    /// Prints the results as JSON.
    #[arg(long)]
    pub json: bool,
}

/// The recipient of a test mail. Its debug form does not show the address.
#[derive(Clone, Debug)]
pub struct MailTo(pub EmailAddress);

fn mail_address(text: &str) -> Result<MailTo, String> {
    EmailAddress::parse(text).map(MailTo).ok_or_else(|| "a mail address such as me@example.com".to_owned())
}

/// The arguments of `service`.
#[derive(Args, Clone, Debug)]
pub struct Service {
    /// The options of `serve`. The default data folder is `/var/lib/onething`.
    #[command(flatten)]
    pub serve: Serve,
    /// Writes the unit to this file. Without this option the unit is printed.
    #[arg(long, value_name = "PATH", num_args = 0..=1, default_missing_value = UNIT, conflicts_with = "remove")]
    pub write: Option<PathBuf>,
    /// Stops the service and removes its unit. The data folder stays.
    #[arg(long, value_name = "PATH", num_args = 0..=1, default_missing_value = UNIT)]
    pub remove: Option<PathBuf>,
    /// The user that runs the service. The default is the owner of the data folder, or a dynamic user of systemd.
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// The file with the variables that hold secrets, such as SMTP_URL. Only root should be able to read it.
    #[arg(long, value_name = "FILE", default_value = "/etc/onething/hub.env")]
    pub environment: PathBuf,
}

/// The default path of the unit.
const UNIT: &str = "/etc/systemd/system/onething-hub.service";

/// A running hub: the one at `--hub`, or else the one with the data folder `--data`, or else the one with the data folder
/// `onething-data`, or else the one at <http://127.0.0.1:8080>.
#[derive(Args, Clone, Debug)]
pub struct Remote {
    /// The URL of the hub. Outside the trying mode the hub returns things and mail there only with ONETHING_PASSWORD.
    #[arg(long, value_name = "URL", env = "ONETHING_HUB")]
    pub hub: Option<String>,
    /// The data folder of the hub, on the same machine. Only the user who runs the hub and root have access.
    #[arg(long, value_name = "DIR", env = "ONETHING_DATA")]
    pub data: Option<PathBuf>,
    /// Prints the response of the hub as JSON.
    #[arg(long)]
    pub json: bool,
}

/// The commands for policies.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Evaluates a policy for one request, and names the statement that decides. The exit code is 0 if it is allowed, and 1 if it
    /// is denied.
    Check {
        /// The policy document: IoT policy JSON, or a CloudFormation template such as `infra/device-policy.json`.
        file: PathBuf,
        /// The action of the request.
        #[arg(long, value_name = "ACTION", value_parser = ["connect", "publish", "subscribe", "receive", "retainpublish"], ignore_case = true)]
        action: String,
        /// The resource of the request: a client id, a topic or a topic filter.
        #[arg(long, value_name = "NAME")]
        on: String,
        /// The thing that the certificate is attached to.
        #[arg(long, value_name = "NAME")]
        thing: Option<String>,
        /// The client id of the connection. The default is the name of the thing.
        #[arg(long, value_name = "ID")]
        client_id: Option<String>,
        /// Prints the result as JSON.
        #[arg(long)]
        json: bool,
    },
}

/// The commands for the certificate authority.
#[derive(Debug, Subcommand)]
pub enum Authority {
    /// Creates a new root. Devices with older bundles still connect, because the old root issues a cross certificate for the new
    /// one.
    Replace {
        /// The data folder of the hub.
        #[arg(long, value_name = "DIR", env = "ONETHING_DATA", default_value = "onething-data")]
        data: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_passes_the_checks_of_clap() {
        Arguments::command().debug_assert();
    }
}
