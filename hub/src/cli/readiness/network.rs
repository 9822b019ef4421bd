//! Checks of other machines: the mail server, Login with Amazon, and the name servers.

use std::time::Duration;

use bytes::Bytes;
use http::header::DATE;
use http::{HeaderMap, Request};
use onething::fault::chain;
use onething::https::Https;
use onething::mail::smtp::Smtp;
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::settings::is_this_machine;
use super::{Finding, clock};
use crate::settings::{Mode, Settings};

/// The time limit of each check.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest size of a response of Login with Amazon, in bytes.
const ANSWER_LIMIT: usize = 64 * 1024;

/// The other machines that a hub depends on.
pub struct Peers {
    smtp: Option<Smtp>,
    /// The name by which devices find this machine, and the URL of Login with Amazon. `None` in trying mode.
    in_use: Option<(String, String)>,
}

impl Peers {
    /// The machines for a hub with these settings.
    pub fn of(settings: &Settings) -> Self {
        let in_use = match &settings.mode {
            Mode::Trying => None,
            Mode::Real { endpoint, .. } => Some((settings.host.clone(), endpoint.clone())),
        };
        Self { smtp: settings.smtp.clone(), in_use }
    }

    /// Connects to all machines at once.
    pub async fn check(&self) -> Vec<Finding> {
        let Some((host, endpoint)) = &self.in_use else { return mail(self.smtp.as_ref()).await.into_iter().collect() };
        let (mail, name, login) = tokio::join!(mail(self.smtp.as_ref()), name(host), login(endpoint));
        mail.into_iter().chain(name).chain(login).collect()
    }
}

async fn mail(smtp: Option<&Smtp>) -> Option<Finding> {
    let checked = smtp?.clone().with_patience(PATIENCE).check().await;
    Some(match checked {
        Ok(()) => Finding::ok("smtp", "the mail server lets this hub in"),
        Err(error) => Finding::failed("smtp", format!("{}. Is SMTP_URL right?", chain(&error))),
    })
}

/// Whether the name of the hub has an address that is not a loopback address.
async fn name(host: &str) -> Option<Finding> {
    if is_this_machine(host) || host.parse::<std::net::IpAddr>().is_ok() {
        // A local name has its own finding, and an address needs no name server.
        return None;
    }
    let found = timeout(PATIENCE, lookup_host((host, 0))).await;
    let addresses: Vec<_> = found.ok().and_then(Result::ok).into_iter().flatten().collect();
    Some(if addresses.is_empty() {
        Finding::warning("name", format!("no name server knows {host}, by which devices are to find this machine"))
    } else if addresses.iter().all(|address| address.ip().to_canonical().is_loopback()) {
        Finding::warning("name", format!("{host} leads this machine to itself: do devices find it by that name?"))
    } else {
        Finding::ok("name", format!("{host} has an address"))
    })
}

/// Login with Amazon responds to a request without a token with an error. The `Date` header of the response is compared with the
/// clock.
async fn login(endpoint: &str) -> Vec<Finding> {
    let uri = format!("{}/auth/o2/tokeninfo", endpoint.trim_end_matches('/'));
    let Ok(request) = Request::get(uri).body(Bytes::new()) else {
        return vec![Finding::failed("login", "LWA_ENDPOINT is no address")];
    };
    match timeout(PATIENCE, Https::default().exchange(request, ANSWER_LIMIT)).await {
        Ok(Ok(answer)) => {
            let clock = date(answer.headers()).map(|theirs| clock::beside(crate::clock::now(), theirs));
            [Finding::ok("login", "Login with Amazon answers")].into_iter().chain(clock).collect()
        }
        Ok(Err(error)) => vec![unreached(&chain(&error))],
        Err(_) => vec![unreached("no answer in time")],
    }
}

fn unreached(why: &str) -> Finding {
    Finding::failed("login", format!("Login with Amazon is not reached, so nobody can be signed in: {why}"))
}

fn date(headers: &HeaderMap) -> Option<u64> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    date.duration_since(std::time::UNIX_EPOCH).ok().map(|since| since.as_secs())
}
