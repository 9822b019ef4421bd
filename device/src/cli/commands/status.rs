//! `status`: prints the state of the agent and of the credentials without contacting the server.

use std::io::{Write, stdout};

use serde_json::json;

use crate::cli::command_line::Common;
use crate::clock;
use crate::credentials::stored;
use crate::failure::Failure;
use crate::local::status::{Online, Status};

pub(super) fn status(common: &Common, json: bool) -> Result<(), Failure> {
    let state = super::state(common)?;
    let bundle = stored(&state)?;
    let is_running = state.is_held()?;
    // An agent that was killed has not written that it stopped.
    let status = state.status()?.map(|status| match is_running {
        true => status,
        false => Status { connection: Online::Stopped, ..status },
    });
    let (connection, now) = (&bundle.connection, clock::now());
    let fault = bundle.is_valid_at(now).err();
    let mut out = stdout().lock();
    if json {
        let answer = json!({
            "thing": connection.thing_name,
            "endpoint": connection.endpoint,
            "port": connection.port,
            "certificateId": bundle.certificate_id.as_str(),
            "notBefore": bundle.not_before,
            "notAfter": bundle.not_after,
            "fault": fault.map(|fault| fault.to_string()),
            "running": is_running,
            "agent": status,
        });
        writeln!(out, "{answer:#}")?;
        return Ok(());
    }
    writeln!(out, "thing         {}", connection.thing_name)?;
    writeln!(out, "endpoint      {}:{}", connection.endpoint, connection.port)?;
    match fault {
        None => writeln!(out, "certificate   good until {}", clock::moment(bundle.not_after))?,
        Some(fault) => writeln!(out, "certificate   cannot be used: {fault}")?,
    }
    writeln!(out, "agent         {}", agent(is_running, status.as_ref()))?;
    if let Some(command) = status.and_then(|status| status.last_command) {
        writeln!(out, "last command  {} since {}: {}", command.status, clock::moment(command.at), command.detail)?;
    }
    Ok(())
}

fn agent(is_running: bool, status: Option<&Status>) -> String {
    let Some(status) = status else {
        return if is_running { "begins" } else { "has never run; start it by `onething-device run`" }.to_owned();
    };
    let what = match status.connection {
        Online::Connected => "is connected",
        Online::Connecting => "is not connected",
        Online::Refused => "is refused",
        Online::Stopped if is_running => "begins",
        Online::Stopped => return format!("does not run{}", because(status)),
    };
    format!("{what} since {}{}", clock::moment(status.since), because(status))
}

fn because(status: &Status) -> String {
    status.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default()
}
