//! What can be asked of the hub in a terminal.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand, value_parser};
use clap_complete::Shell;

use crate::settings::Asked;

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
    /// Shows the mailbox of a running hub.
    #[command(after_help = "Example: onething-hub mail --as ben --save .")]
    Mail {
        /// Saves the bundle of the newest mail that has one into this folder instead.
        #[arg(long, value_name = "DIR")]
        save: Option<PathBuf>,
        /// The mail of this local user only; else everybody's.
        #[arg(long = "as", value_name = "USER")]
        user: Option<String>,
        /// Which hub.
        #[command(flatten)]
        hub: Remote,
    },
    /// Shows what became of the last knocks at `POST /register`: of a running hub, or in the data folder of one that
    /// is not running.
    #[command(after_help = "Example: onething-hub events --last 10 --data onething-data")]
    Events {
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 50)]
        last: u32,
        /// The data folder of a hub that is not running: no other is asked.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// Which hub.
        #[command(flatten)]
        hub: Remote,
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
}

/// Options of `serve`. Each can also be given as the variable in brackets.
#[derive(Args, Clone, Debug)]
pub struct Serve {
    /// The data folder.
    #[arg(long, value_name = "DIR", env = "ONETHING_DATA", default_value = "onething-data")]
    data: PathBuf,
    /// Where HTTP is spoken: the page, `POST /alexa` and `POST /register`. Port 0 takes a free one.
    #[arg(long, value_name = "ADDR", env = "ONETHING_HTTP", value_parser = address, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)))]
    http: SocketAddr,
    /// Where MQTT is spoken, over mutual TLS. Port 0 takes a free one.
    #[arg(long, value_name = "ADDR", env = "ONETHING_MQTT", value_parser = address, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 8883)))]
    mqtt: SocketAddr,
    /// The name or address by which devices find this machine; it goes into bundles.
    #[arg(long, value_name = "NAME", env = "ONETHING_HOST", default_value = "localhost")]
    host: String,
    /// The folder that mail is put into, one `.eml` per message; else `mail` in the data folder. With the
    /// variable SMTP_URL mail goes out by that server.
    #[arg(long, value_name = "DIR", env = "ONETHING_MAIL")]
    mail: Option<PathBuf>,
    /// The device model; else the 3D printer.
    #[arg(long, value_name = "FILE", env = "ONETHING_DEVICE_MODEL")]
    device_model: Option<PathBuf>,
    /// The interaction model by which the simulated Echo understands; else the 3D printer's.
    #[arg(long, value_name = "FILE", env = "ONETHING_INTERACTION_MODEL")]
    interaction_model: Option<PathBuf>,
    /// The skill ids that may call, comma separated.
    #[arg(long, value_name = "ID", env = "ONETHING_SKILL_ID")]
    skill_id: Option<String>,
    /// The client id of your Login with Amazon security profile. Without it the hub is in trying mode: a local
    /// sign-in page and a simulated Echo.
    #[arg(long, value_name = "ID", env = "ONETHING_LWA_CLIENT_ID")]
    lwa_client_id: Option<String>,
    /// Who may register devices beside owners, and on what terms: a `register.toml`. The policies that it names
    /// lie beside it, as `policies/NAME.json`. Without it, owners only: by code, or by access token.
    #[arg(long, value_name = "FILE", env = "ONETHING_REGISTER")]
    register: Option<PathBuf>,
    /// The URL of `POST /register` as devices reach it; it goes into bundles. In trying mode, else, the hub's own
    /// address.
    #[arg(long, value_name = "URL", env = "ONETHING_REGISTER_URL")]
    register_url: Option<String>,
    /// A reverse proxy on this machine passes requests on: whom it names last in X-Forwarded-For knocks at
    /// `/register`, and is counted by that address.
    #[arg(long, env = "ONETHING_BEHIND_PROXY", value_parser = FalseyValueParser::new())]
    behind_proxy: bool,
    /// For how many days certificates of devices are good; else until the end of 2049, as AWS's are.
    #[arg(long, value_name = "N", env = "ONETHING_CERTIFICATE_DAYS", value_parser = value_parser!(u32).range(1..=10_000))]
    certificate_days: Option<u32>,
    /// The certificate chain for HTTPS, in PEM; without it, HTTP, for a reverse proxy in front.
    #[arg(long, value_name = "FILE", env = "ONETHING_TLS_CERTIFICATE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Its private key, in PEM.
    #[arg(long, value_name = "FILE", env = "ONETHING_TLS_KEY", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an IP address of this machine and a port, such as 127.0.0.1:8080 or 0.0.0.0:8080".to_owned())
}

impl From<Serve> for Asked {
    fn from(serve: Serve) -> Self {
        Self {
            data: serve.data,
            http: serve.http,
            mqtt: serve.mqtt,
            host: serve.host,
            mail: serve.mail,
            device_model: serve.device_model,
            interaction_model: serve.interaction_model,
            skill_id: serve.skill_id,
            lwa_client_id: serve.lwa_client_id,
            register: serve.register,
            register_url: serve.register_url,
            behind_proxy: serve.behind_proxy,
            certificate_days: serve.certificate_days,
            tls: serve.tls_certificate.zip(serve.tls_key),
        }
    }
}

/// A running hub.
#[derive(Args, Clone, Debug)]
pub struct Remote {
    /// Its address.
    #[arg(long, value_name = "URL", env = "ONETHING_HUB", default_value = "http://127.0.0.1:8080")]
    pub hub: String,
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
