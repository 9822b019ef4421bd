//! What happened at the door and with the mail, in the order of time, for whoever runs the hub.

use std::path::Path;

use serde_json::{Value, json};
use thiserror::Error;

use crate::door::audit::{self, Kept};
use crate::hub::Hub;
use crate::outgoing::{self, Mail, State};
use crate::store::StoreError;

/// Why no events were read.
#[derive(Debug, Error)]
pub enum LookError {
    /// Those of the door.
    #[error(transparent)]
    Door(#[from] audit::LookError),
    /// Those of the mail.
    #[error(transparent)]
    Mail(#[from] outgoing::LookError),
}

/// The last events of a hub, the oldest of them first.
pub async fn last(hub: &Hub, count: u32) -> Result<Vec<Value>, StoreError> {
    Ok(merged(&hub.door.audit.last(count).await?, &hub.skill.mailer.last(None, count).await?, count))
}

/// The last events in the database of a hub that is not running.
pub fn look(database: &Path, count: u32) -> Result<Vec<Value>, LookError> {
    Ok(merged(&audit::look(database, count)?, &outgoing::look(database, count)?, count))
}

/// Mail that went out at once is no event.
fn merged(knocks: &[Kept], mails: &[Mail], count: u32) -> Vec<Value> {
    let knocks = knocks.iter().map(|knock| (knock.at, json!(knock)));
    let mails = mails.iter().filter(|mail| mail.state != State::Sent || mail.attempts > 0);
    let mut events: Vec<_> = knocks.chain(mails.map(|mail| (mail.changed, of_mail(mail)))).collect();
    events.sort_by_key(|(at, _)| *at);
    let first = events.len().saturating_sub(usize::try_from(count).unwrap_or(usize::MAX));
    events.split_off(first).into_iter().map(|(_, event)| event).collect()
}

fn of_mail(mail: &Mail) -> Value {
    json!({
        "kind": "mail", "at": mail.changed, "outcome": mail.state, "to": mail.to, "thing": mail.thing, "attempts": mail.attempts,
        "fault": mail.fault, "detail": mail.failure,
    })
}
