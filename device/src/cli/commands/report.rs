//! `report`: sends measured values to the running agent.

use std::io::{ErrorKind, Read, Write, stdin, stdout};

use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::cli::command_line::Common;
use crate::failure::Failure;
use crate::local::local_socket::{LINE_WITHIN, ask};
use crate::sensors::socket::Taken;

/// The largest input from standard input, in bytes.
const INPUT_LIMIT: u64 = 64 * 1024;

pub(super) async fn report(common: &Common, values: &[String], json: bool) -> Result<(), Failure> {
    let values = read(values)?;
    let state = super::state(common)?;
    let answer = timeout(2 * LINE_WITHIN, ask(&state.reports_socket(), &values)).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
    let Taken { reported, connected, error } = answer.map_err(|error| {
        let folder = state.path().display();
        Failure::Other(match error.kind() {
            ErrorKind::PermissionDenied => format!("the agent of {folder} belongs to another user: report as that one, or as root"),
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                format!("no agent that takes reports runs with the state folder {folder}")
            }
            _ => format!("the running agent has not answered: {error}"),
        })
    })?;
    if let Some(why) = error {
        return Err(Failure::Usage(why));
    }
    let mut out = stdout().lock();
    if json {
        return Ok(writeln!(out, "{}", serde_json::json!({"reported": reported, "connected": connected}))?);
    }
    let named: Vec<_> = reported
        .iter()
        .map(|(name, value)| format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    match connected {
        true => writeln!(out, "The agent reports {}.", named.join(" "))?,
        false => writeln!(out, "The agent has {}; it is not connected, and reports it if it is again within a minute.", named.join(" "))?,
    }
    Ok(())
}

/// Parses the arguments: `NAME=VALUE` pairs, or one JSON object as an argument or, for `-`, from standard input.
fn read(values: &[String]) -> Result<Map<String, Value>, Failure> {
    let object = |text: &str| serde_json::from_str(text).map_err(|error| Failure::Usage(format!("this is no JSON object: {error}")));
    match values {
        [one] if one == "-" => {
            let mut text = String::new();
            stdin().take(INPUT_LIMIT).read_to_string(&mut text).map_err(|error| Failure::Usage(format!("standard input: {error}")))?;
            object(&text)
        }
        [one] if one.trim_start().starts_with('{') => object(one),
        pairs => {
            let pair = |pair: &String| {
                let (name, value) = pair.split_once('=').ok_or_else(|| Failure::Usage(format!("{pair:?} is not NAME=VALUE")))?;
                Ok((name.trim().to_owned(), Value::String(value.to_owned())))
            };
            pairs.iter().map(pair).collect()
        }
    }
}
