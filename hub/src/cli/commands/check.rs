//! The command `check`: whether a hub with these options is ready for use.

use std::io::{Write, stdout};
use std::process::ExitCode;

use onething::config::Environment;
use onething::fault::chain;
use onething::login::EmailAddress;
use onething::mail::{MailError, Mailer, trial};
use serde_json::json;

use super::Outcome;
use crate::cli::command_line::{Check, MailTo, Remote};
use crate::cli::readiness::network::Peers;
use crate::cli::readiness::{self, Finding, Verdict, machine};
use crate::cli::remote::RemoteHub;
use crate::serve::acceptor;
use crate::settings::{Asked, Settings};
use crate::{clock, settings};

/// Runs all tests, and prints their results.
pub(super) async fn check(what: Check) -> Outcome {
    let findings = match Settings::read(Asked::from(what.serve), &Environment) {
        Ok(settings) => found(&settings, what.mail_to.as_ref()).await,
        Err(settings::SettingsError(faults)) => faults.into_iter().map(|fault| Finding::failed("settings", fault)).collect(),
    };
    let mut out = stdout().lock();
    if what.json {
        writeln!(out, "{:#}", json!({"tests": findings}))?;
    } else {
        for Finding { test, verdict, says } in &findings {
            // The message of a model or of the system may have several lines.
            let says = says.split_whitespace().collect::<Vec<_>>().join(" ");
            writeln!(out, "{:<8} {test:<12} {says}", verdict.as_str())?;
        }
    }
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Failed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn found(settings: &Settings, mail_to: Option<&MailTo>) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("settings", "the options and variables can be read")];
    if settings.mistakes.is_empty() {
        findings.push(Finding::ok("models", "no mistake was found in the device model and the interaction model"));
    }
    findings.extend(settings.mistakes.iter().map(|mistake| Finding::warning("models", mistake)));
    let over = Remote { hub: None, data: Some(settings.data.clone()), json: false };
    match RemoteHub::find(&over, None).await {
        Ok(running) => findings.push(health(&running).await),
        Err(_) => findings.extend(machine::check(settings).await),
    }
    findings.extend(readiness::at_once(settings));
    if let Some((certificate, key)) = &settings.tls
        && let Err(error) = acceptor(certificate, key)
    {
        findings.push(Finding::failed("certificate", chain(&error)));
    }
    let newest = machine::newest_note(&settings.data);
    findings.push(readiness::clock::check(clock::now(), readiness::clock::built(), newest));
    findings.extend(Peers::of(settings).check().await);
    if let Some(MailTo(address)) = mail_to {
        findings.push(test_mail(settings, address).await);
    }
    findings
}

/// The health of a hub that runs with the data folder. Folder, database and ports are then not tested separately.
async fn health(running: &RemoteHub) -> Finding {
    match running.health().await {
        Ok(health) if health["status"] == "ok" => Finding::ok("hub", "a hub runs over the data folder, and is well"),
        Ok(health) => {
            let reasons: Vec<&str> = health["reasons"].as_array().into_iter().flatten().filter_map(|reason| reason.as_str()).collect();
            Finding::warning("hub", format!("a hub runs over the data folder, and is degraded: {}", reasons.join("; ")))
        }
        Err(error) => Finding::failed("hub", format!("a hub runs over the data folder: {}", chain(&error))),
    }
}

async fn test_mail(settings: &Settings, to: &EmailAddress) -> Finding {
    let Some(smtp) = &settings.smtp else {
        return Finding::failed("test mail", "there is no mail server that could send it: name one by SMTP_URL");
    };
    let sent: Result<(), MailError> = async { smtp.clone().send(trial(&settings.sender, to, clock::now())?).await }.await;
    match sent {
        Ok(()) => Finding::ok("test mail", format!("a mail to {} was taken by the mail server: has it arrived?", to.masked())),
        Err(error) => Finding::failed("test mail", chain(&error)),
    }
}
