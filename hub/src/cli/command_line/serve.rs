//! The options of `serve`, which `check` and `service` take, too.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, value_parser};

use crate::settings::Asked;

/// Where data is kept when nothing else is said.
pub const DATA: &str = "onething-data";
const HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
const MQTT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8883);
const HOST: &str = "localhost";

/// Options of `serve`. Each can also be given as the variable in brackets.
#[derive(Args, Clone, Debug)]
pub struct Serve {
    /// The data folder; else `onething-data`.
    #[arg(long, value_name = "DIR", env = "ONETHING_DATA")]
    data: Option<PathBuf>,
    /// Where HTTP is spoken: the page, `POST /alexa` and `POST /register`. Port 0 takes a free one.
    #[arg(long, value_name = "ADDR", env = "ONETHING_HTTP", value_parser = address, default_value_t = HTTP)]
    http: SocketAddr,
    /// Where MQTT is spoken, over mutual TLS. Port 0 takes a free one.
    #[arg(long, value_name = "ADDR", env = "ONETHING_MQTT", value_parser = address, default_value_t = MQTT)]
    mqtt: SocketAddr,
    /// The name or address by which devices find this machine; it goes into bundles.
    #[arg(long, value_name = "NAME", env = "ONETHING_HOST", default_value = HOST)]
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
    /// Who may register devices beside owners, and by what policy: a `register.toml`. The policies that it names
    /// lie beside it, as `policies/NAME.json`. Without it, owners only: by code, or by access token.
    #[arg(long, value_name = "FILE", env = "ONETHING_REGISTER")]
    register: Option<PathBuf>,
    /// The URL of `POST /register` as devices reach it; it goes into bundles. In trying mode, else, the hub's own
    /// address.
    #[arg(long, value_name = "URL", env = "ONETHING_REGISTER_URL")]
    register_url: Option<String>,
    /// A reverse proxy on this machine passes requests on: whom it names last in X-Forwarded-For registers at
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
    /// Makes a new certificate authority where the old one is missing beside what it has issued. Once: devices that are set up
    /// cannot connect any more, until their owners have asked for new certificates.
    #[arg(long)]
    new_authority: bool,
    /// Begins with an empty database where the old one is missing beside an authority that has been in use. Once: devices that are
    /// set up are not known any more.
    #[arg(long)]
    new_database: bool,
}

/// What was asked for as a service needs it: files by absolute paths, and what is as it would be anyway left out.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--data`.
    pub data: Option<PathBuf>,
    /// `--mail`.
    pub mail: Option<PathBuf>,
    /// `--tls-certificate` and `--tls-key`.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Other files, by their options.
    pub files: Vec<(&'static str, PathBuf)>,
    /// Other values, by their options; an option without a value has none.
    pub values: Vec<(&'static str, Option<String>)>,
    /// Whether a port is listened at that is not everybody's (`ip(7)`, `ip_unprivileged_port_start`).
    pub has_privileged_port: bool,
}

impl Serve {
    /// The same, for a service.
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
