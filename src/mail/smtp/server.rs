//! The connection to a mail server that a URL names.
//!
//! Every failure before a message is sent is classified as the fault of the operator, who chose the server: a wrong host, a
//! closed port, failed TLS, a refused login. The exception is a reply code of 400 to 499, which means that the failure is
//! temporary (RFC 5321, section 4.2.1).

use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{SMTP_PORT, SUBMISSION_PORT, SUBMISSIONS_PORT};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::mail::MailError;

/// The time limit for connecting to one address of the server.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// The address of a mail server, with the credentials of the login.
#[derive(Clone)]
pub(super) struct Server {
    host: String,
    port: u16,
    tls: Tls,
    /// The name of this client in `EHLO`.
    name: ClientId,
    credentials: Option<Credentials>,
}

/// When TLS starts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tls {
    /// Never: the connection is plain text.
    Never,
    /// After STARTTLS, if the server offers it.
    WhereOffered,
    /// After STARTTLS. The connection fails without it.
    Required,
    /// At the start of the connection.
    Implicit,
}

impl Server {
    /// Parses a URL in the format of `lettre::AsyncSmtpTransport::from_url`. `None` if it is invalid.
    pub(super) fn parse(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let tls = url.query_pairs().find(|(name, _)| name == "tls").map(|(_, value)| value.into_owned());
        let (tls, port) = match (url.scheme(), tls.as_deref()) {
            ("smtp", None) => (Tls::Never, SMTP_PORT),
            ("smtp", Some("opportunistic")) => (Tls::WhereOffered, SUBMISSION_PORT),
            ("smtp", Some("required")) => (Tls::Required, SUBMISSION_PORT),
            ("smtps", _) => (Tls::Implicit, SUBMISSIONS_PORT),
            _ => return None,
        };
        let decoded = |text: &str| Some(percent_decode_str(text).decode_utf8().ok()?.into_owned());
        let credentials = match url.password() {
            None => None,
            Some(password) => Some(Credentials::new(decoded(url.username())?, decoded(password)?)),
        };
        let name = Some(url.path().trim_matches('/')).filter(|name| !name.is_empty());
        Some(Self {
            // The resolver needs an IPv6 address without the brackets of the URL.
            host: url.host_str().filter(|host| !host.is_empty())?.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(port),
            tls,
            name: name.map_or_else(ClientId::default, |name| ClientId::Domain(name.to_owned())),
            credentials,
        })
    }

    /// Connects, starts TLS and logs in, as the URL says.
    pub(super) async fn connect(&self) -> Result<AsyncSmtpConnection, MailError> {
        let parameters = || TlsParameters::new(self.host.clone()).map_err(|error| unusable("TLS", &error));
        let implicit = if self.tls == Tls::Implicit { Some(parameters()?) } else { None };
        let address = (self.host.as_str(), self.port);
        let connected = AsyncSmtpConnection::connect_tokio1(address, Some(CONNECT_LIMIT), &self.name, implicit, None).await;
        let mut connection = connected.map_err(|error| unusable("the connection", &error))?;
        if self.tls == Tls::Required || (self.tls == Tls::WhereOffered && connection.can_starttls()) {
            connection.starttls(parameters()?, &self.name).await.map_err(|error| unusable("TLS", &error))?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await.map_err(|error| unusable("the login", &error))?;
        }
        Ok(connection)
    }
}

/// Converts an error. The text of an SMTP reply is dropped, because a server may quote what the client has sent. Error texts of
/// the operating system and of TLS contain no secrets.
fn unusable(what: &str, error: &Error) -> MailError {
    match error.status().map(u16::from) {
        Some(code @ 400..=499) => MailError::Throttled(format!("SMTP {code}")),
        Some(code) => MailError::ServerUnusable(format!("{what} was refused with SMTP {code}")),
        None => {
            let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
            MailError::ServerUnusable(format!("{what} failed: {cause}"))
        }
    }
}
