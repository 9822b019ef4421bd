//! `renew`: replaces the stored certificate by a new one, in this process or in the running agent.

use std::io::{ErrorKind, Write, stdout};
use std::time::Duration;

use tokio::time::timeout;

use crate::cli::command_line::{Common, EndpointOption};
use crate::clock;
use crate::credentials;
use crate::failure::Failure;
use crate::local::local_socket::ask;
use crate::local::requests::{Answer, Request};
use crate::registration::credential::Credential;
use crate::state::{Held, StateError};

/// How long the running agent is waited for. The agent's own time limit for a renewal is shorter.
const ANSWER_WITHIN: Duration = Duration::from_secs(180);

pub(super) async fn renew(common: &Common, endpoint: &EndpointOption) -> Result<(), Failure> {
    let state = super::state(common)?;
    let socket = state.requests_socket();
    let busy = match state.hold() {
        Err(busy @ StateError::Busy(_)) => busy,
        held => {
            let held = super::told(held?);
            let stored = stored(&held)?;
            return super::request_credentials(common, &held, endpoint, || Ok(stored)).await;
        }
    };
    let request = Request::Renew { endpoint: endpoint.url() };
    let answer = match timeout(ANSWER_WITHIN, ask(&socket, &request)).await {
        Ok(Ok(answer)) => answer,
        // Another command has locked the folder, or an agent that accepts no requests.
        Ok(Err(error)) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => return Err(busy.into()),
        Ok(Err(error)) if error.kind() == ErrorKind::UnexpectedEof => {
            return Err(Failure::Other("the running agent has ended, or was just renewing its certificate: ask again".to_owned()));
        }
        Ok(Err(error)) => return Err(Failure::Other(format!("the running agent cannot be asked: {error}"))),
        Err(_) => return Err(Failure::Other("the running agent does not answer: its log may say why".to_owned())),
    };
    match answer {
        Answer::Renewed { not_after } => {
            let until = clock::moment(not_after);
            Ok(writeln!(stdout(), "There is a new certificate, good until {until}. The running agent connects with it now.")?)
        }
        Answer::Failed { exit_code, why } => Err(Failure::of(exit_code, why)),
    }
}

/// The stored certificate as the credential for the registration. No endpoint accepts an expired certificate.
fn stored(held: &Held) -> Result<Credential, Failure> {
    // Credentials that cannot be used are reported before any request is sent.
    credentials::stored(held)?.is_valid_at(clock::now())?;
    held.credentials()?.map(Credential::Certificate).ok_or_else(|| credentials::nothing(held))
}
