//! The commands `link` and `mail`: linking an account, and the mail that it causes.

use std::io::{Write, stdout};
use std::path::Path;

use serde_json::{Value, json};

use super::{Outcome, connect, show};
use crate::cli::command_line::Remote;
use crate::cli::remote::RemoteError;
use crate::cli::remote::print::{print_mail, print_outgoing};
use crate::clock;
use crate::mail::outgoing;
use crate::storage::store;

/// The number of mails that are listed from the database of a hub that is not running.
const SHOWN: u32 = 50;

/// Links an account, and prints the state of the mail that follows.
pub(super) async fn link(hub: &Remote, user: &str) -> Outcome {
    let remote = connect(hub).await?;
    let newest = async || {
        let outgoing = remote.outgoing(Some(user)).await?;
        Ok::<_, RemoteError>(outgoing["outgoing"].as_array().and_then(|mails| mails.last().cloned()).unwrap_or_default())
    };
    let before = newest().await?;
    remote.link(user).await?;
    let mail = newest().await?;
    let is_new = mail["number"] != before["number"];
    let linked = json!({"linked": user, "mail": if is_new { mail.clone() } else { Value::Null }});
    show(hub, &linked, |_| writeln!(stdout(), "The account of {user} is linked{}", about(&mail, is_new)))
}

/// The end of the sentence about a linked account.
fn about(mail: &Value, is_new: bool) -> String {
    let why = mail["failure"].as_str().unwrap_or("the log of the hub says why");
    match (mail["state"].as_str(), is_new) {
        (Some("sent"), true) => ", and the mail with the certificate has been sent.".to_owned(),
        (Some("sent"), false) => {
            let at = clock::iso8601(mail["at"].as_u64().unwrap_or_default());
            format!(". There is no new mail: the one with the certificate was sent at {at}.")
        }
        (Some("waiting"), _) => format!(", but the mail with the certificate could not be sent yet: {why}. The hub tries again by itself."),
        (Some(_), true) => format!(", but the mail with the certificate was not sent: {why}."),
        (Some(_), false) | (None, _) => ", but no mail was sent: the log of the hub says why.".to_owned(),
    }
}

/// Lists outgoing mail, and in trying mode the mailbox.
pub(super) async fn list(hub: &Remote, user: Option<&str>) -> Outcome {
    let remote = match (connect(hub).await, &hub.data) {
        (Err(RemoteError::NotRunning(_)), Some(data)) => {
            let outgoing = json!({"outgoing": outgoing::look(&data.join(store::FILE), SHOWN)?});
            return show(hub, &outgoing, |colour| print_outgoing(stdout(), colour, &outgoing));
        }
        (remote, _) => remote?,
    };
    let outgoing = remote.outgoing(user).await?;
    if outgoing["trying"] != true {
        return show(hub, &outgoing, |colour| print_outgoing(stdout(), colour, &outgoing));
    }
    let mut mail = remote.mail(user).await?;
    // A mail in the mailbox has been sent, so it is not listed twice.
    let not_in_mailbox: Vec<&Value> = outgoing["outgoing"].as_array().into_iter().flatten().collect();
    let in_mailbox = |sent: &Value| mail["mail"].as_array().into_iter().flatten().any(|mail| mail["certificate"] == sent["certificate"]);
    let not_in_mailbox: Vec<Value> = not_in_mailbox.into_iter().filter(|sent| !in_mailbox(sent)).cloned().collect();
    mail["outgoing"] = json!(not_in_mailbox);
    show(hub, &mail, |colour| {
        if not_in_mailbox.is_empty() || mail["mail"].as_array().is_some_and(|mails| !mails.is_empty()) {
            print_mail(stdout(), colour, &mail)?;
        }
        if not_in_mailbox.is_empty() { Ok(()) } else { print_outgoing(stdout(), colour, &mail) }
    })
}

/// Saves the bundle of the newest mail that has one.
pub(super) async fn save(hub: &Remote, user: Option<&str>, folder: &Path) -> Outcome {
    let remote = connect(hub).await?;
    if remote.outgoing(user).await?["trying"] != true {
        return Err(RemoteError::NoMailbox.into());
    }
    let bundle = remote.save_bundle(&remote.mail(user).await?, folder).await?;
    let saved = json!({"saved": bundle});
    show(hub, &saved, |_| writeln!(stdout(), "{} is saved. It holds a key: keep it to yourself.", bundle.display()))
}
