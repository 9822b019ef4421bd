//! What other machines say: the mail server, Login with Amazon, and whoever knows names.

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

/// How long each of them may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of an answer that is an error.
const ANSWER_LIMIT: usize = 64 * 1024;

/// The machines that a hub needs.
pub struct Peers {
    smtp: Option<Smtp>,
    /// The name by which devices find this machine, and the URL of Login with Amazon: for a hub in use.
    in_use: Option<(String, String)>,
}

impl Peers {
    /// Those of a hub with these settings.
    pub fn of(settings: &Settings) -> Self {
        let in_use = match &settings.mode {
            Mode::Trying => None,
            Mode::Real { endpoint, .. } => Some((settings.host.clone(), endpoint.clone())),
        };
        Self { smtp: settings.smtp.clone(), in_use }
    }

    /// Asks them.
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

/// A name that no server knows, or that leads each device to itself.
async fn name(host: &str) -> Option<Finding> {
    if is_this_machine(host) || host.parse::<std::net::IpAddr>().is_ok() {
        // That has been said, or there is nothing to ask.
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

/// Login with Amazon answers a request without a token with an error, and says what time it is.
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
