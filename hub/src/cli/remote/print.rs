//! Prints responses of a hub in a terminal.

use std::io::{self, Write};

use serde_json::Value;

use crate::cli::terminal::Terminal;
use crate::clock;

/// The number of digits of a certificate id that are printed.
const CERTIFICATE_DIGITS: usize = 12;

/// Prints an utterance and the response of the Echo.
pub fn print_turn(out: impl Write, colour: bool, user: &str, utterance: &str, turn: &Value) -> io::Result<()> {
    let mut terminal = Terminal::new(out, colour);
    let output = &turn["heard"];
    terminal.says(user, &format!("Alexa, {utterance}."))?;
    terminal.says("Alexa", output["speech"].as_str().unwrap_or_default())?;
    match output["card"]["type"].as_str() {
        Some("LinkAccount") => terminal.shows("Alexa app", "[ Link account ] on the page of the hub, or `onething-hub link`")?,
        Some(_) => terminal.shows("Alexa app", &format!("[ {} ]", output["card"]["title"].as_str().unwrap_or_default()))?,
        None => {}
    }
    if output["listening"] == true { terminal.fact("", "Alexa is listening") } else { Ok(()) }
}

/// Prints things with their certificates and shadows.
pub fn print_things(out: impl Write, colour: bool, things: &Value) -> io::Result<()> {
    let mut terminal = Terminal::new(out, colour);
    let things = things["things"].as_array().map(Vec::as_slice).unwrap_or_default();
    if things.is_empty() {
        return terminal.headline("There are no things yet. Say \"open my printer\".");
    }
    for thing in things {
        terminal.headline(thing["thing"].as_str().unwrap_or_default())?;
        if let Some(user) = thing["user"].as_str() {
            terminal.fact("owner", user)?;
        }
        terminal.fact("device", if thing["connected"] == true { "connected" } else { "not connected" })?;
        for certificate in thing["certificates"].as_array().into_iter().flatten() {
            let text = |name: &str| certificate[name].as_str().unwrap_or_default();
            let replaced =
                certificate["replacedUntil"].as_u64().map(|until| format!(", replaced, until {} at most", clock::iso8601(until)));
            terminal.fact("certificate", &format!("{} {}{}", text("status"), text("id"), replaced.unwrap_or_default()))?;
        }
        let refused = &thing["refusal"];
        if let Some(at) = refused["at"].as_u64() {
            terminal.fact("refused", &format!("{} {}", clock::iso8601(at), refusal(refused)))?;
        }
        for section in ["desired", "reported", "delta"] {
            if let Some(state) = thing.pointer(&format!("/shadow/state/{section}")) {
                terminal.document(section, state)?;
            }
        }
    }
    Ok(())
}

/// Prints the mailbox, the newest message last.
pub fn print_mail(out: impl Write, colour: bool, mail: &Value) -> io::Result<()> {
    let mut terminal = Terminal::new(out, colour);
    let messages = mail["mail"].as_array().map(Vec::as_slice).unwrap_or_default();
    if messages.is_empty() {
        return terminal.headline("There is no mail yet.");
    }
    for message in messages {
        let text = |name: &str| message[name].as_str().unwrap_or_default();
        terminal.headline(text("subject"))?;
        terminal.fact("to", text("to"))?;
        terminal.fact("message", text("id"))?;
        if let Some(name) = message["attachment"]["name"].as_str() {
            terminal.fact("bundle", name)?;
        }
        for line in text("text").lines() {
            terminal.fact("", line)?;
        }
    }
    Ok(())
}

/// Prints the state of outgoing mail, one line each, the newest last.
pub fn print_outgoing(out: impl Write, colour: bool, outgoing: &Value) -> io::Result<()> {
    let mut terminal = Terminal::new(out, colour);
    let mails = outgoing["outgoing"].as_array().map(Vec::as_slice).unwrap_or_default();
    if mails.is_empty() {
        return terminal.headline("There is no mail yet.");
    }
    for mail in mails {
        let text = |name: &str| mail[name].as_str().unwrap_or_default();
        let at = clock::iso8601(mail["at"].as_u64().unwrap_or_default());
        terminal.fact(&at, format!("{} to {} {}", text("state"), text("to"), text("thing")).trim_end())?;
        if let Some(failure) = mail["failure"].as_str() {
            let next = mail["nextAttempt"].as_u64().filter(|next| *next > 0);
            let next = next.map(|next| format!("; tried again at {}", clock::iso8601(next))).unwrap_or_default();
            terminal.fact("", &format!("{failure}{next}"))?;
        }
    }
    Ok(())
}

/// Prints the status of a hub, and the reasons if the hub is degraded.
pub fn print_health(mut out: impl Write, health: &Value) -> io::Result<()> {
    let reasons: Vec<&str> = health["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let status = health["status"].as_str().unwrap_or_default();
    writeln!(out, "{status}{}{}", if reasons.is_empty() { "" } else { ": " }, reasons.join("; "))
}

/// Prints events, one line each, the newest last.
pub fn print_events(out: impl Write, colour: bool, events: &Value) -> io::Result<()> {
    let mut terminal = Terminal::new(out, colour);
    let events = events["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    if events.is_empty() {
        return terminal.headline("There are no such events.");
    }
    for event in events {
        let text = |name: &str| event[name].as_str().unwrap_or_default();
        let at = clock::iso8601(event["at"].as_u64().unwrap_or_default());
        let parts = match text("kind") {
            "refusal" => vec!["refused".to_owned(), refusal(event)],
            "mail" => ["kind", "outcome", "to", "thing", "detail"].map(|name| text(name).to_owned()).into(),
            _ => {
                let texts = ["outcome", "by", "source", "thing", "label"].map(|name| text(name).to_owned());
                [event["status"].to_string()].into_iter().chain(texts).collect()
            }
        };
        terminal.fact(&at, &parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "))?;
    }
    Ok(())
}

/// A refusal in one line. The hub has already escaped the texts of the client.
fn refusal(event: &Value) -> String {
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    let what = match event["action"].as_str() {
        Some(action) => format!("{action} of \"{}\"{}", text("resource"), if event["will"] == true { " as a will" } else { "" }),
        None => "a packet".to_owned(),
    };
    let thing = event["thing"].as_str().map(|thing| format!(", thing {thing}")).unwrap_or_default();
    let certificate: String = text("certificate").chars().take(CERTIFICATE_DIGITS).collect();
    let times = event["times"].as_u64().filter(|times| *times > 1).map(|times| format!(", {times} times")).unwrap_or_default();
    let (detail, client_id, source) = (text("detail"), text("clientId"), text("source"));
    format!("{what}: {detail}; client \"{client_id}\"{thing}, certificate {certificate}…, from {source}{times}")
}
