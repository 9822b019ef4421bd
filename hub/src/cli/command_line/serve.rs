//! The options of `serve`, which `check` and `service` also accept.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, value_parser};

use crate::settings::Asked;

/// The default data folder.
pub const DATA: &str = "onething-data";
const HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
const MQTT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8883);
const HOST: &str = "localhost";

/// Options of `serve`. Each option can also be given as the variable in brackets.
#[derive(Args, Clone, Debug)]
pub struct Serve {
    /// The data folder. The default is `onething-data`.
    #[arg(long, value_name = "DIR", env = "ONETHING_DATA")]
    data: Option<PathBuf>,
    /// The address for HTTP: the page, `POST /alexa` and `POST /register`. Port 0 selects a free port.
    #[arg(long, value_name = "ADDR", env = "ONETHING_HTTP", value_parser = address, default_value_t = HTTP)]
    http: SocketAddr,
    /// The address for MQTT over mutual TLS. Port 0 selects a free port.
    #[arg(long, value_name = "ADDR", env = "ONETHING_MQTT", value_parser = address, default_value_t = MQTT)]
    mqtt: SocketAddr,
    /// The name or address by which devices find this machine. Bundles contain it.
    #[arg(long, value_name = "NAME", env = "ONETHING_HOST", default_value = HOST)]
    host: String,
    /// The folder for mail, with one `.eml` file per message. The default is `mail` in the data folder. With the variable
    /// SMTP_URL, mail is sent through that server.
    #[arg(long, value_name = "DIR", env = "ONETHING_MAIL")]
    mail: Option<PathBuf>,
    /// The device model. The default is the 3D printer.
    #[arg(long, value_name = "FILE", env = "ONETHING_DEVICE_MODEL")]
    device_model: Option<PathBuf>,
    /// The interaction model, which the simulated Echo uses to interpret utterances. The default is the one of the 3D printer.
    #[arg(long, value_name = "FILE", env = "ONETHING_INTERACTION_MODEL")]
    interaction_model: Option<PathBuf>,
    /// The ids of the skills whose requests are accepted, separated by commas.
    #[arg(long, value_name = "ID", env = "ONETHING_SKILL_ID")]
    skill_id: Option<String>,
    /// The client id of your Login with Amazon security profile. Without it the hub is in trying mode, with a local sign-in page
    /// and a simulated Echo.
    #[arg(long, value_name = "ID", env = "ONETHING_LWA_CLIENT_ID")]
    lwa_client_id: Option<String>,
    /// The registration policy, a `register.toml`: which other callers than owners may register devices. The IoT policies that it
    /// names are files beside it, `policies/NAME.json`. Without it only owners register devices, with a claim code or an access
    /// token.
    #[arg(long, value_name = "FILE", env = "ONETHING_REGISTER")]
    register: Option<PathBuf>,
    /// The URL of `POST /register` as devices reach it. Bundles contain it. In trying mode the default is the address of the hub.
    #[arg(long, value_name = "URL", env = "ONETHING_REGISTER_URL")]
    register_url: Option<String>,
    /// A reverse proxy on this machine forwards the requests. `/register` uses the last address in X-Forwarded-For as the address
    /// of the client, also to count requests.
    #[arg(long, env = "ONETHING_BEHIND_PROXY", value_parser = FalseyValueParser::new())]
    behind_proxy: bool,
    /// The validity of device certificates in days. The default is until the end of 2049, as in AWS IoT.
    #[arg(long, value_name = "N", env = "ONETHING_CERTIFICATE_DAYS", value_parser = value_parser!(u32).range(1..=10_000))]
    certificate_days: Option<u32>,
    /// The certificate chain for HTTPS, in PEM. Without it the hub uses HTTP, for a reverse proxy in front of it.
    #[arg(long, value_name = "FILE", env = "ONETHING_TLS_CERTIFICATE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// The private key of the certificate for HTTPS, in PEM.
    #[arg(long, value_name = "FILE", env = "ONETHING_TLS_KEY", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Creates a new certificate authority if the old one is missing and has issued certificates. Use it once: existing devices
    /// cannot connect any more, until their owners have requested new certificates.
    #[arg(long)]
    new_authority: bool,
    /// Creates an empty database if the old one is missing and the certificate authority has been in use. Use it once: existing
    /// devices are unknown afterwards.
    #[arg(long)]
    new_database: bool,
}

/// The options for the unit of a service, with absolute paths and without options that have their default value.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--data`: the data folder.
    pub data: Option<PathBuf>,
    /// `--mail`: the mail folder.
    pub mail: Option<PathBuf>,
    /// `--tls-certificate` and `--tls-key`: the certificate file and the key file of HTTPS.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Other options whose value is a file, with their names.
    pub files: Vec<(&'static str, PathBuf)>,
    /// Other options, with their names. A flag has no value.
    pub values: Vec<(&'static str, Option<String>)>,
    /// Whether a listener uses a privileged port (`ip(7)`, `ip_unprivileged_port_start`).
    pub has_privileged_port: bool,
}

impl Serve {
    /// Converts the options for a service. Fails if a path cannot be made absolute.
    pub fn options(self) -> std::io::Result<Options> {
        let absolute = |path: Option<PathBuf>| path.map(std::path::absolute).transpose();
        let mut options = Options {
            data: absolute(self.data)?,
            mail: absolute(self.mail)?,
            tls: absolute(self.tls_certificate)?.zip(absolute(self.tls_key)?),
            has_privileged_port: [self.http, self.mqtt].iter().any(|address| (1..1_024).contains(&address.port())),
            ..Options::default()
        };
        let files = [("--device-model", self.device_model), ("--interaction-model", self.interaction_model), ("--register", self.register)];
        for (option, file) in files {
            options.files.extend(absolute(file)?.map(|file| (option, file)));
        }
        let values = [
            ("--http", Some(self.http).filter(|http| *http != HTTP).map(|http| http.to_string())),
            ("--mqtt", Some(self.mqtt).filter(|mqtt| *mqtt != MQTT).map(|mqtt| mqtt.to_string())),
            ("--host", Some(self.host).filter(|host| host != HOST)),
            ("--skill-id", self.skill_id),
            ("--lwa-client-id", self.lwa_client_id),
            ("--register-url", self.register_url),
            ("--certificate-days", self.certificate_days.map(|days| days.to_string())),
        ];
        options.values.extend(values.into_iter().filter_map(|(option, value)| Some((option, Some(value?)))));
        options.values.extend(self.behind_proxy.then_some(("--behind-proxy", None)));
        Ok(options)
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an IP address of this machine and a port, such as 127.0.0.1:8080 or 0.0.0.0:8080".to_owned())
}

impl From<Serve> for Asked {
    fn from(serve: Serve) -> Self {
        Self {
            data: serve.data.unwrap_or_else(|| DATA.into()),
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
            new_authority: serve.new_authority,
            new_database: serve.new_database,
        }
    }
}
