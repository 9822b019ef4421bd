//! The implementations of the commands.

mod backup;
mod check;
mod mail;
#[cfg(unix)]
mod service;

use std::io::{IsTerminal, stdout};
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use onething::config::{Environment, Source};
use onething::log;
use onething_device::termination::signal;
use serde_json::{Value, json};
use thiserror::Error;

use crate::audit;
use crate::authority::Authority;
use crate::cli::command_line::{Arguments, Authority as AuthorityCommand, Command, Policy as PolicyCommand, Remote, Serve};
use crate::cli::demo;
use crate::cli::remote::print::{print_events, print_health, print_things, print_turn};
use crate::cli::remote::{RemoteError, RemoteHub};
use crate::hub::OpenError;
use crate::policy::check::check;
use crate::policy::{Context, Policy, Request, ThingContext};
use crate::serve::ServeError;
use crate::settings::Settings;
use crate::storage::data_folder::AUTHORITY;
use crate::storage::store;
use crate::{clock, serve};

/// The result of a command: its exit code, or the error that is printed before exit code 1.
pub type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

/// The exit code for arguments or files that are not valid.
const UNUSABLE: u8 = 2;

/// A file of the command line cannot be read.
#[derive(Debug, Error)]
#[error("{0} cannot be read")]
struct Unreadable(String, #[source] std::io::Error);

/// There is no authority whose root could be replaced.
#[derive(Debug, Error)]
#[error("there is no authority at {0} to replace: `--data` names the data folder of a hub")]
struct NoAuthority(String);

/// Runs the command of the command line.
pub async fn run(arguments: Arguments) -> Outcome {
    match arguments.command.unwrap_or(Command::Serve(arguments.serve)) {
        Command::Serve(options) => serve(*options).await,
        Command::Demo { data } => run_demo(&data).await,
        Command::Say { utterance, user, hub } => {
            let turn = connect(&hub).await?.say(&user, &utterance).await?;
            show(&hub, &turn, |colour| print_turn(stdout(), colour, &user, &utterance, &turn))
        }
        Command::Things(hub) => {
            let things = connect(&hub).await?.things().await?;
            show(&hub, &things, |colour| print_things(stdout(), colour, &things))
        }
        Command::Link { user, hub } => mail::link(&hub, &user).await,
        Command::Mail { save: None, user, hub } => mail::list(&hub, user.as_deref()).await,
        Command::Mail { save: Some(folder), user, hub } => mail::save(&hub, user.as_deref(), &folder).await,
        Command::Health(hub) => {
            let health = connect(&hub).await?.health().await?;
            show(&hub, &health, |_| print_health(stdout(), &health))
        }
        Command::Events { last, kind, hub } => {
            let events = match (connect(&hub).await, &hub.data) {
                // The events of a hub that is not running are read from its database.
                (Err(RemoteError::NotRunning(_)), Some(data)) => json!({"events": audit::look(&data.join(store::FILE), kind, last)?}),
                (remote, _) => remote?.events(kind, last).await?,
            };
            show(&hub, &events, |colour| print_events(stdout(), colour, &events))
        }
        Command::Check(what) => check::check(*what).await,
        Command::Backup { file, data, mail } => backup::backup(&file, &data, mail.as_deref()).await,
        Command::Restore { file, data, replace } => backup::restore(&file, &data, replace),
        #[cfg(unix)]
        Command::Service(what) => service::service(*what),
        #[cfg(not(unix))]
        Command::Service(_) => Err("there is no systemd on this system".into()),
        Command::Policy(question) => decide(question),
        Command::Authority(AuthorityCommand::Replace { data }) => {
            let authority = data.join(AUTHORITY);
            if !authority.is_dir() {
                return Err(NoAuthority(authority.display().to_string()).into());
            }
            Authority::replace(&authority, clock::now())?;
            println!("There is a new root. The next start of the hub serves with it, and new bundles hold it.");
            Ok(ExitCode::SUCCESS)
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "onething-hub", &mut stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Man { folder } => {
            clap_mangen::generate_to(Arguments::command(), folder)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn serve(options: Serve) -> Outcome {
    log::start_beside(Environment.variable("RUST_LOG").as_deref());
    let unusable = match Settings::read(options.into(), &Environment) {
        Ok(settings) => match serve::serve(settings, signal()).await {
            Err(ServeError::Open(OpenError::Missing(missing))) => missing.to_string(),
            served => return served.map(|()| ExitCode::SUCCESS).map_err(Into::into),
        },
        Err(faults) => faults.to_string(),
    };
    eprintln!("onething-hub: {unusable}");
    Ok(ExitCode::from(UNUSABLE))
}

async fn run_demo(data: &Path) -> Outcome {
    // The output of the demonstration is not mixed with a log, unless RUST_LOG is set.
    if let Some(level) = Environment.variable("RUST_LOG") {
        log::start_beside(Some(&level));
    }
    demo::run(&data.join("demo"), stdout(), is_coloured()).await?;
    Ok(ExitCode::SUCCESS)
}

fn decide(question: PolicyCommand) -> Outcome {
    let PolicyCommand::Check { file, action, on, thing, client_id, json } = question;
    let document = std::fs::read_to_string(&file).map_err(|error| Unreadable(file.display().to_string(), error))?;
    let policy = match Policy::parse(&document) {
        Ok(policy) => policy,
        Err(error) => {
            eprintln!("onething-hub: {} is no policy: {error}", file.display());
            return Ok(ExitCode::from(UNUSABLE));
        }
    };
    let Some(request) = Request::of(&action, &on) else {
        eprintln!("onething-hub: there is no action `{action}`");
        return Ok(ExitCode::from(UNUSABLE));
    };
    let client_id = client_id.or_else(|| thing.clone()).unwrap_or_default();
    let thing = thing.map(|name| ThingContext { name, ..ThingContext::default() });
    let verdict = check(&policy, &request, &Context { client_id, thing, ..Context::default() });
    let allowed = verdict.decision.is_allowed();
    if json {
        println!("{:#}", json!({"asked": verdict.asked, "allowed": allowed, "reasons": verdict.reasons}));
    } else {
        println!("{verdict}");
    }
    Ok(if allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn connect(hub: &Remote) -> Result<RemoteHub, RemoteError> {
    RemoteHub::find(hub, Environment.variable("ONETHING_PASSWORD")).await
}

fn show(hub: &Remote, answer: &Value, print: impl FnOnce(bool) -> std::io::Result<()>) -> Outcome {
    if hub.json {
        println!("{answer:#}");
    } else {
        print(is_coloured())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn is_coloured() -> bool {
    stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
