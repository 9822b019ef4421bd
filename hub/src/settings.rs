//! What a hub is told at its start: read whole, judged whole, every fault reported at once.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use onething::config::Source;
use onething::device_model::Model;
use onething::fault::chain;
use onething::mail::Sender;
use onething::mail::smtp::Smtp;
use thiserror::Error;

use crate::registration::file::Registration;
use crate::sign_in::CLIENT_ID;
use crate::simulator::model_check::{self, File, Finding};
use crate::simulator::utterance::interaction::InteractionModel;
use crate::web::password::Password;

/// The id under which the simulated Echo calls, where no other is given.
pub const SKILL_ID: &str = "amzn1.ask.skill.onething-hub";
/// Amazon's own.
const LOGIN_ENDPOINT: &str = "https://api.amazon.com";
const SENDER: &str = "onething hub <hub@localhost>";

/// What was asked for, as the command line and its variables give it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `--data`.
    pub data: PathBuf,
    /// `--http`.
    pub http: SocketAddr,
    /// `--mqtt`.
    pub mqtt: SocketAddr,
    /// `--host`.
    pub host: String,
    /// `--mail`.
    pub mail: Option<PathBuf>,
    /// `--device-model`.
    pub device_model: Option<PathBuf>,
    /// `--interaction-model`.
    pub interaction_model: Option<PathBuf>,
    /// `--skill-id`.
    pub skill_id: Option<String>,
    /// `--lwa-client-id`.
    pub lwa_client_id: Option<String>,
    /// `--register`.
    pub register: Option<PathBuf>,
    /// `--register-url`.
    pub register_url: Option<String>,
    /// `--behind-proxy`.
    pub behind_proxy: bool,
    /// `--certificate-days`.
    pub certificate_days: Option<u32>,
    /// `--tls-certificate` and `--tls-key`.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// `--new-authority`.
    pub new_authority: bool,
    /// `--new-database`.
    pub new_database: bool,
}

impl Asked {
    /// A hub over this folder, at free ports of this machine, and nothing else said.
    pub fn over(data: &Path) -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            data: data.to_owned(),
            http: free,
            mqtt: free,
            host: "localhost".to_owned(),
            mail: None,
            device_model: None,
            interaction_model: None,
            skill_id: None,
            lwa_client_id: None,
            register: None,
            register_url: None,
            behind_proxy: false,
            certificate_days: None,
            tls: None,
            new_authority: false,
            new_database: false,
        }
    }
}

/// A hub that can be started.
pub struct Settings {
    /// The data folder.
    pub data: PathBuf,
    /// Where HTTP is spoken.
    pub http: SocketAddr,
    /// Where MQTT is spoken.
    pub mqtt: SocketAddr,
    /// By which name devices find this machine.
    pub host: String,
    /// Where mail is put.
    pub mail: PathBuf,
    /// What the device can do.
    pub model: Model,
    /// What can be said to it.
    pub speech: InteractionModel,
    /// The mistakes in the two, one sentence each.
    pub mistakes: Vec<String>,
    /// The skills that may call.
    pub skill_ids: Vec<String>,
    /// Who signs owners in.
    pub mode: Mode,
    /// On what policy devices register themselves.
    pub register: Registration,
    /// Where devices find the endpoint; it goes into bundles.
    pub register_url: Option<String>,
    /// Whether a proxy on this machine passes requests on.
    pub behind_proxy: bool,
    /// For how many days certificates of devices are good, where not as long as AWS's.
    pub certificate_days: Option<u32>,
    /// Who mail comes from.
    pub sender: Sender,
    /// Whether somebody has said who mail comes from.
    pub has_sender: bool,
    /// Through which server mail goes out, if it does.
    pub smtp: Option<Smtp>,
    /// What opens the page to others than this machine.
    pub password: Option<Password>,
    /// Certificate chain and key of the web side, as files.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Whether a missing authority is made anew beside what the old one has issued.
    pub new_authority: bool,
    /// Whether a missing database is made anew beside an authority that has been in use.
    pub new_database: bool,
}

/// Who signs owners in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The hub itself, with a simulated Echo in front: for trying.
    Trying,
    /// Amazon.
    Real {
        /// The client id that tokens must be made for.
        client_id: String,
        /// The base URL of Login with Amazon.
        endpoint: String,
    },
}

impl Mode {
    /// The client id that tokens must be made for.
    pub fn client_id(&self) -> &str {
        match self {
            Mode::Trying => CLIENT_ID,
            Mode::Real { client_id, .. } => client_id,
        }
    }
}

/// Everything that is wrong with what was asked for.
#[derive(Debug, Error)]
#[error("{}", .0.join("\n"))]
pub struct SettingsError(pub Vec<String>);

impl Settings {
    /// Judges what was asked for, with the variables that hold secrets or belong to the mail.
    pub fn read(asked: Asked, source: &impl Source) -> Result<Self, SettingsError> {
        let mut faults = Vec::new();
        let mut fault = |what: String| faults.push(what);

        let device = FileOf { option: "--device-model", path: asked.device_model.as_deref(), sample: Model::SAMPLE };
        let interaction =
            FileOf { option: "--interaction-model", path: asked.interaction_model.as_deref(), sample: InteractionModel::SAMPLE };
        let model = device.read(source, Model::parse).map_err(&mut fault).ok();
        let speech = interaction.read(source, InteractionModel::parse).map_err(&mut fault).ok();

        let host_char = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-' || c == ':';
        let has_port = asked.host.contains(':') && asked.host.parse::<IpAddr>().is_err();
        if asked.host.is_empty() || has_port || !asked.host.chars().all(host_char) {
            fault("--host must be the name or address by which devices find this machine, without a port".into());
        }
        let skill_ids: Vec<String> = asked.skill_id.iter().flat_map(|ids| ids.split(',')).map(|id| id.trim().to_owned()).collect();
        if !skill_ids.iter().all(|id| id.starts_with("amzn1.ask.skill.")) {
            fault("--skill-id must be skill ids, `amzn1.ask.skill.…`, separated by commas".into());
        }
        let mode = match asked.lwa_client_id {
            None => Mode::Trying,
            Some(client_id) => {
                if skill_ids.is_empty() {
                    fault("--skill-id is needed with --lwa-client-id: without it any skill could call".into());
                }
                let endpoint = source.variable("LWA_ENDPOINT").unwrap_or_else(|| LOGIN_ENDPOINT.to_owned());
                if !(endpoint.starts_with("https://") || endpoint.starts_with("http://")) {
                    fault("LWA_ENDPOINT must be an http or https URL".into());
                }
                Mode::Real { client_id, endpoint }
            }
        };
        let sender = source.variable("MAIL_FROM");
        let has_sender = sender.is_some();
        let sender = sender.unwrap_or_else(|| SENDER.to_owned()).parse();
        let sender = sender.map_err(|_| fault("MAIL_FROM must be an address or `Name <address>`".into())).ok();
        let smtp = source.variable("SMTP_URL").map(|url| Smtp::new(&url)).transpose();
        let smtp = smtp.map_err(|what| fault(format!("SMTP_URL {what}"))).ok();

        let register = match &asked.register {
            None => Ok(Registration::default()),
            Some(file) => Registration::read(file, source),
        };
        let register = register.map_err(|found| found.into_iter().for_each(&mut fault)).ok();
        if asked.register_url.as_deref().is_some_and(|url| !is_endpoint(url)) {
            fault("--register-url must be an https URL such as https://hub.example.com/register, or an http URL on this machine".into());
        }

        match (model, speech, sender, smtp, register) {
            (Some((model, _)), Some((speech, text)), Some(from), Some(smtp), Some(register)) if faults.is_empty() => Ok(Self {
                mistakes: mistakes((&device, &model), (&interaction, &text), &speech, mode == Mode::Trying),
                mail: asked.mail.unwrap_or_else(|| asked.data.join("mail")),
                data: asked.data,
                http: asked.http,
                mqtt: asked.mqtt,
                host: asked.host,
                model,
                speech,
                skill_ids: if skill_ids.is_empty() { vec![SKILL_ID.to_owned()] } else { skill_ids },
                mode,
                register,
                register_url: asked.register_url,
                behind_proxy: asked.behind_proxy,
                certificate_days: asked.certificate_days,
                sender: Sender { from, reply_to: None },
                has_sender,
                smtp,
                password: source.variable("ONETHING_PASSWORD").map(|password| Password::new(&password)),
                tls: asked.tls,
                new_authority: asked.new_authority,
                new_database: asked.new_database,
            }),
            _ => Err(SettingsError(faults)),
        }
    }

    /// Whether the hub is in trying mode.
    pub fn trying(&self) -> bool {
        self.mode == Mode::Trying
    }
}

/// The file of an option, or the sample where none was named.
struct FileOf<'a> {
    option: &'static str,
    path: Option<&'a Path>,
    sample: &'static str,
}

impl FileOf<'_> {
    /// What the file holds, and its text.
    fn read<T, E: std::error::Error>(&self, source: &impl Source, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<(T, String), String> {
        let place = self.path.map_or_else(|| self.option.to_owned(), |path| format!("{} {}", self.option, path.display()));
        let text = match self.path {
            None => self.sample.to_owned(),
            Some(path) => source.file(&path.to_string_lossy()).map_err(|error| format!("{place} cannot be read: {error}"))?,
        };
        let value = parse(&text).map_err(|error| format!("{place}: {}", chain(&error)))?;
        Ok((value, text))
    }

    /// What the file is called in a sentence.
    fn name(&self) -> String {
        self.path.map_or_else(|| format!("the printer's {}", self.option.trim_start_matches('-')), |path| path.display().to_string())
    }
}

/// The mistakes in the two models, one sentence each. A hub in use hears from Alexa, who has the interaction model: without a file of its
/// own there is nothing to compare.
fn mistakes(device: (&FileOf<'_>, &Model), interaction: (&FileOf<'_>, &str), speech: &InteractionModel, trying: bool) -> Vec<String> {
    let ((device, model), (interaction, text)) = (device, interaction);
    if interaction.path.is_none() && !trying {
        return Vec::new();
    }
    if interaction.path.is_none() && model.invocation != speech.invocation_name {
        return vec![format!(
            "the device model is called `{}`, and the interaction model `{}`: is there one for this device, for --interaction-model?",
            model.invocation, speech.invocation_name
        )];
    }
    let findings = model_check::check(model, text);
    let file = |finding: &Finding| match finding.file {
        File::DeviceModel => device.name(),
        File::InteractionModel => interaction.name(),
    };
    findings.iter().map(|finding| format!("{}: {finding}", file(finding))).collect()
}

/// Codes and tokens go there: nobody on the way may read them.
fn is_endpoint(url: &str) -> bool {
    let Ok(url) = url::Url::parse(url) else { return false };
    let here = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let plain = url.username().is_empty() && url.password().is_none();
    plain && (url.scheme() == "https" || (url.scheme() == "http" && here))
}
