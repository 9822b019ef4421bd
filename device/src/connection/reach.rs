//! A test connection, and the failures that explain why there is no connection.

use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::{Instant, sleep, timeout_at};

use crate::bundle::Bundle;
use crate::connection::link::{CLOSED, KEEP_ALIVE, Link, LinkEvent};
use crate::connection::pause;
use crate::failure::Failure;

/// Connects until the subscriptions are acknowledged, and disconnects. A refusal is returned at once; a server that cannot be
/// reached is tried for as long as `wait`.
pub(crate) async fn reach(bundle: &Bundle, wait: Duration) -> Result<(), Failure> {
    let address = format!("{}:{}", bundle.connection.endpoint, bundle.connection.port);
    let until = Instant::now() + wait;
    let mut why = "there was no answer".to_owned();
    loop {
        match timeout_at(until, attempt(bundle)).await {
            Ok(LinkEvent::Refused(no)) => return Err(refused(&address, no)),
            Ok(LinkEvent::Unverified(who)) => return Err(unverified(&address, who)),
            Ok(LinkEvent::Lost(absence)) => why = absence.to_owned(),
            Ok(LinkEvent::Closed) => why = CLOSED.to_owned(),
            Ok(_) => return Ok(()),
            Err(_) => return Err(unreachable(&address, wait, &why)),
        }
        if timeout_at(until, sleep(pause::FIRST)).await.is_err() {
            return Err(unreachable(&address, wait, &why));
        }
    }
}

async fn attempt(bundle: &Bundle) -> LinkEvent {
    let (host, port) = (bundle.connection.endpoint.as_str(), bundle.connection.port);
    if lookup_host((host, port)).await.ok().and_then(|mut found| found.next()).is_none() {
        return LinkEvent::Lost("its name is not known here");
    }
    let mut link = Link::open(bundle, KEEP_ALIVE);
    let news = link.news().await;
    link.close().await;
    news
}

/// The failure when the server refuses the device, most likely because the certificate was revoked or deactivated.
pub(crate) fn refused(address: &str, no: &str) -> Failure {
    Failure::Refused(format!(
        "{address} refused: {no}; the certificate may have been replaced or the skill disabled: ask for a new one, and run `onething-device setup` with it"
    ))
}

pub(crate) fn unverified(address: &str, who: &str) -> Failure {
    Failure::Unreachable(format!("what answers at {address} was sent nothing: {who}"))
}

pub(crate) fn unreachable(address: &str, wait: Duration, why: &str) -> Failure {
    Failure::Unreachable(format!("{address} was not reached within {} s: {why}", wait.as_secs()))
}

#[cfg(test)]
mod tests {
    use rmqtt_codec::v3::ConnectAckReason;

    use super::*;
    use crate::scripted_server::{Server, soon};

    #[tokio::test]
    async fn an_unavailable_server_is_tried_again_until_the_deadline() {
        let server = Server::new().await;
        let bundle = Bundle::open(&server.bundle).unwrap();
        let late = async {
            server.meet().await.0.acknowledge(ConnectAckReason::ServiceUnavailable).await;
            server.welcome().await;
        };
        let (reached, ()) = soon(async { tokio::join!(reach(&bundle, Duration::from_secs(20)), late) }).await;
        reached.unwrap();
    }
}
