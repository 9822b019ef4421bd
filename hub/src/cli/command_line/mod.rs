//! What can be asked of the hub in a terminal.

mod serve;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use onething::login::EmailAddress;

pub use self::serve::{DATA, Options, Serve};
use crate::audit::Kind;

/// The onething skill on one machine, with nothing else to install.
///
/// Without a command it serves: the skill, an MQTT broker for devices, and a page to see it on.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub struct Arguments {
    /// What to do; `serve` where nothing is said.
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

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serves until Ctrl-C: the skill, the broker and the page.
    Serve(Box<Serve>),
    /// Plays the story: two owners, each with a thing, a certificate and a mail of their own.
    Demo {
        /// The data folder; the demo keeps to the folder `demo` in it, and begins it anew.
        #[arg(long, value_name = "DIR", env = "ONETHING_DATA", default_value = "onething-data")]
        data: PathBuf,
    },
    /// Says something to the simulated Echo of a running hub.
    #[command(after_help = "Example: onething-hub say \"open my printer\" --as ben")]
    Say {
        /// The words, without "Alexa".
        utterance: String,
        /// Who speaks: a local user, who is made where there is none.
        #[arg(long = "as", value_name = "USER", default_value = "ana")]
        user: String,
        /// Which hub.
        #[command(flatten)]
        hub: Remote,
    },
    /// Shows the things of a running hub, with their certificates and shadows.
    #[command(after_help = "Example: onething-hub things --data /var/lib/onething")]
    Things(Remote),
    /// Enables the skill for a local user of a running hub and links their account, as the page does.
    #[command(after_help = "Example: onething-hub link --as ben")]
    Link {
        /// Whose: a local user, who is made where there is none.
        #[arg(long = "as", value_name = "USER", default_value = "ana")]
        user: String,
        /// Which hub.
        #[command(flatten)]
        hub: Remote,
    },
    /// Shows the mail of a running hub: what went out to whom, what waits, and why. In trying mode, also the mailbox.
    #[command(after_help = "Examples:
  onething-hub mail --as ben --save .           trying mode
  onething-hub mail --data /var/lib/onething    a hub in use")]
    Mail {
        /// Saves the bundle of the newest mail that has one into this folder instead; in trying mode only.
        #[arg(long, value_name = "DIR")]
        save: Option<PathBuf>,
        /// The mail of this local user only; else everybody's.
        #[arg(long = "as", value_name = "USER")]
        user: Option<String>,
        /// Which hub.
        #[command(flatten)]
        hub: Remote,
    },
    /// Tells whether a running hub is healthy. Exit code 1 where it is not, or does not answer; for the health check of a container.
    #[command(after_help = "Example: onething-hub health --data /var/lib/onething")]
    Health(Remote),
    /// Shows what became of devices and of mail: the outcomes of `POST /register`, what the broker refused, and mail that did not go out
    /// at once. Of a running hub, or in the data folder of one that is not running.
    #[command(after_help = "Example: onething-hub events --kind refusal --last 10 --data onething-data")]
    Events {
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 50)]
        last: u32,
        /// Only events of this kind.
        #[arg(long, value_name = "KIND")]
        kind: Option<Kind>,
        /// Which hub.
        #[command(flatten)]
        hub: Remote,
    },
    /// Tests whether a hub with these options is ready to be used: one line for each test, and what to do. Exit code 1 where one has
    /// failed.
    #[command(after_help = "Example: onething-hub check --data /var/lib/onething --mail-to me@example.com")]
    Check(Box<Check>),
    /// Prints, writes or removes the systemd unit that serves with these options.
    #[command(
        after_help = "Example: sudo onething-hub service --write --lwa-client-id … --skill-id … --host hub.example.com --mqtt 0.0.0.0:8883"
    )]
    Service(Box<Service>),
    /// Writes everything that a hub keeps into one file, also while the hub runs: database, authority, mail. There are private keys in
    /// it.
    #[command(after_help = "Example: onething-hub backup /media/backup/onething.zip --data /var/lib/onething")]
    Backup {
        /// The file, which takes the place of an older one.
        file: PathBuf,
        /// The data folder of the hub.
        #[arg(long, value_name = "DIR", env = "ONETHING_DATA", default_value = "onething-data")]
        data: PathBuf,
        /// The mail folder, where it is not in the data folder.
        #[arg(long, value_name = "DIR", env = "ONETHING_MAIL")]
        mail: Option<PathBuf>,
    },
    /// Puts a backup back into a data folder over which no hub runs.
    #[command(after_help = "Example: onething-hub restore /media/backup/onething.zip --data /var/lib/onething")]
    Restore {
        /// The backup.
        file: PathBuf,
        /// The data folder; it is made where there is none.
        #[arg(long, value_name = "DIR", env = "ONETHING_DATA", default_value = "onething-data")]
        data: PathBuf,
        /// Puts the backup in the place of everything that is in the folder.
        #[arg(long)]
        replace: bool,
    },
    /// Looks at IoT policies.
    #[command(subcommand)]
    Policy(Policy),
    /// Looks after the certificate authority of a hub that is not running.
    #[command(subcommand)]
    Authority(Authority),
    /// Prints the completions for a shell.
    #[command(after_help = "Example: onething-hub completions bash > ~/.local/share/bash-completion/completions/onething-hub")]
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

/// What is tested.
#[derive(Args, Clone, Debug)]
pub struct Check {
    /// The options of `serve`.
    #[command(flatten)]
    pub serve: Serve,
    /// Sends a test mail to this address, too.
    #[arg(long, value_name = "ADDRESS", value_parser = mail_address)]
    pub mail_to: Option<MailTo>,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

/// The address of a test mail, which is not shown.
#[derive(Clone, Debug)]
pub struct MailTo(pub EmailAddress);

fn mail_address(text: &str) -> Result<MailTo, String> {
    EmailAddress::parse(text).map(MailTo).ok_or_else(|| "a mail address such as me@example.com".to_owned())
}

/// A unit of systemd.
#[derive(Args, Clone, Debug)]
pub struct Service {
    /// The options of `serve`; the data folder is `/var/lib/onething` where no other is named.
    #[command(flatten)]
    pub serve: Serve,
    /// Writes the unit instead.
    #[arg(long, value_name = "PATH", num_args = 0..=1, default_missing_value = UNIT, conflicts_with = "remove")]
    pub write: Option<PathBuf>,
    /// Ends the service and removes its unit. The data stay.
    #[arg(long, value_name = "PATH", num_args = 0..=1, default_missing_value = UNIT)]
    pub remove: Option<PathBuf>,
    /// The user that runs it; else one that systemd makes up, or the one whose data folder it is.
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// The file with the variables that hold secrets, such as SMTP_URL: for root only.
    #[arg(long, value_name = "FILE", default_value = "/etc/onething/hub.env")]
    pub environment: PathBuf,
}

/// Where a unit is put.
const UNIT: &str = "/etc/systemd/system/onething-hub.service";

/// A running hub: the one at `--hub`, else the one over `--data`, else the one over `onething-data`, else the one at
/// <http://127.0.0.1:8080>.
#[derive(Args, Clone, Debug)]
pub struct Remote {
    /// The address of the hub. A hub in use shows its things and mail there only with ONETHING_PASSWORD.
    #[arg(long, value_name = "URL", env = "ONETHING_HUB")]
    pub hub: Option<String>,
    /// The data folder of the hub, on the same machine; only the user whose hub it is, and root, may ask so.
    #[arg(long, value_name = "DIR", env = "ONETHING_DATA")]
    pub data: Option<PathBuf>,
    /// Prints the hub's answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Commands about policies.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Says whether a policy allows something, and which statement decides. Exit code 0: allowed, 1: denied.
    Check {
        /// The policy document: IoT policy JSON, or a template of CloudFormation such as `infra/device-policy.json`.
        file: PathBuf,
        /// What is to be done.
        #[arg(long, value_name = "ACTION", value_parser = ["connect", "publish", "subscribe", "receive", "retainpublish"], ignore_case = true)]
        action: String,
        /// On what: a client id, a topic or a topic filter.
        #[arg(long, value_name = "NAME")]
        on: String,
        /// The thing that the certificate is attached to.
        #[arg(long, value_name = "NAME")]
        thing: Option<String>,
        /// The client id of the connection; else the thing's name.
        #[arg(long, value_name = "ID")]
        client_id: Option<String>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Commands about the certificate authority.
#[derive(Debug, Subcommand)]
pub enum Authority {
    /// Makes a new root. Devices with older bundles go on working: the new root is signed by the old one, too.
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
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
