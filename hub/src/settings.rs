//! The settings of a hub, from the command line, from variables and from files. All faults are reported together.

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

/// The default skill id. The simulated Echo sends it in its requests.
pub const SKILL_ID: &str = "amzn1.ask.skill.onething-hub";
/// The base URL of Login with Amazon.
const LOGIN_ENDPOINT: &str = "https://api.amazon.com";
const SENDER: &str = "onething hub <hub@localhost>";

/// The options of the command line, before validation.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `--data`: the data folder.
    pub data: PathBuf,
    /// `--http`: the address of the HTTP listener.
    pub http: SocketAddr,
    /// `--mqtt`: the address of the MQTT listener.
    pub mqtt: SocketAddr,
    /// `--host`: the name or address by which devices find this machine.
    pub host: String,
    /// `--mail`: the mail folder.
    pub mail: Option<PathBuf>,
    /// `--device-model`: the file of the device model.
    pub device_model: Option<PathBuf>,
    /// `--interaction-model`: the file of the interaction model.
    pub interaction_model: Option<PathBuf>,
    /// `--skill-id`: one or more skill ids, separated by commas.
    pub skill_id: Option<String>,
    /// `--lwa-client-id`: the client id of Login with Amazon. Without it the hub is in trying mode.
    pub lwa_client_id: Option<String>,
    /// `--register`: the file of the registration policy.
    pub register: Option<PathBuf>,
    /// `--register-url`: the URL of the registration endpoint.
    pub register_url: Option<String>,
    /// `--behind-proxy`: whether HTTP requests arrive through a proxy on this machine.
    pub behind_proxy: bool,
    /// `--certificate-days`: the validity of device certificates, in days.
    pub certificate_days: Option<u32>,
    /// `--tls-certificate` and `--tls-key`: the certificate file and the key file of HTTPS.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// `--new-authority`: whether to create a missing certificate authority.
    pub new_authority: bool,
    /// `--new-database`: whether to create a missing database.
    pub new_database: bool,
}

impl Asked {
    /// Default options for a hub over this data folder, with listeners at free ports of the loopback address.
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

/// Valid settings, with which a hub can start.
pub struct Settings {
    /// The path of the data folder.
    pub data: PathBuf,
    /// The address of the HTTP listener.
    pub http: SocketAddr,
    /// The address of the MQTT listener.
    pub mqtt: SocketAddr,
    /// The name or address by which devices find this machine.
    pub host: String,
    /// The path of the mail folder.
    pub mail: PathBuf,
    /// The device model: the properties and actions of the device.
    pub model: Model,
    /// The interaction model, which the simulated Echo uses to interpret utterances.
    pub speech: InteractionModel,
    /// The mistakes in the two models, one sentence each.
    pub mistakes: Vec<String>,
    /// The ids of the skills whose requests are accepted.
    pub skill_ids: Vec<String>,
    /// How owners sign in.
    pub mode: Mode,
    /// The registration policy and its thing types and policies.
    pub register: Registration,
    /// The URL of the registration endpoint, which bundles contain.
    pub register_url: Option<String>,
    /// Whether HTTP requests arrive through a proxy on this machine.
    pub behind_proxy: bool,
    /// The validity of device certificates in days. `None` for the validity that certificates of AWS IoT have.
    pub certificate_days: Option<u32>,
    /// The sender of mail.
    pub sender: Sender,
    /// Whether the sender was configured, rather than the default.
    pub has_sender: bool,
    /// The SMTP server for outgoing mail. `None` if mail is only put into the mail folder.
    pub smtp: Option<Smtp>,
    /// The password that clients from other machines need for the page.
    pub password: Option<Password>,
    /// The paths of the certificate chain and of the key for HTTPS.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Whether to create a missing certificate authority, although the old one has issued certificates.
    pub new_authority: bool,
    /// Whether to create a missing database, although the certificate authority has been in use.
    pub new_database: bool,
}

/// How owners sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The hub itself signs users in, and simulates their Echos. This mode is for trials.
    Trying,
    /// Login with Amazon signs owners in.
    Real {
        /// The client id for which access tokens must be issued.
        client_id: String,
        /// The base URL of Login with Amazon.
        endpoint: String,
    },
}

impl Mode {
    /// The client id for which access tokens must be issued.
    pub fn client_id(&self) -> &str {
        match self {
            Mode::Trying => CLIENT_ID,
            Mode::Real { client_id, .. } => client_id,
        }
    }
}

/// All faults of the settings, one line each.
#[derive(Debug, Error)]
#[error("{}", .0.join("\n"))]
pub struct SettingsError(pub Vec<String>);

impl Settings {
    /// Validates the options together with the variables for secrets and for mail.
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

/// The file that an option names, or the sample if the option is not given.
struct FileOf<'a> {
    option: &'static str,
    path: Option<&'a Path>,
    sample: &'static str,
}

impl FileOf<'_> {
    /// The parsed content of the file, and its text.
    fn read<T, E: std::error::Error>(&self, source: &impl Source, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<(T, String), String> {
        let place = self.path.map_or_else(|| self.option.to_owned(), |path| format!("{} {}", self.option, path.display()));
        let text = match self.path {
            None => self.sample.to_owned(),
            Some(path) => source.file(&path.to_string_lossy()).map_err(|error| format!("{place} cannot be read: {error}"))?,
        };
        let value = parse(&text).map_err(|error| format!("{place}: {}", chain(&error)))?;
        Ok((value, text))
    }

    /// The name of the file for use in a sentence.
    fn name(&self) -> String {
        self.path.map_or_else(|| format!("the printer's {}", self.option.trim_start_matches('-')), |path| path.display().to_string())
    }
}

/// The mistakes in the two models, one sentence each. Outside the trying mode Alexa has the interaction model, so without a file
/// of it there is nothing to compare.
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

/// Whether a URL may be the registration endpoint. Requests contain claim codes and access tokens, so other machines are reached
/// only with TLS.
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
