//! What each command does.

mod forget;
mod run;
mod service;
mod setup;
mod status;

use std::io::stdout;

use clap::CommandFactory;
use onething::config::{Environment, Source};
use onething::log;

use crate::bundle::Bundle;
use crate::clock;
use crate::command_line::{Arguments, Command, Common, DoorOption};
use crate::credentials;
use crate::failure::Failure;
use crate::knock::{Door, Knock};
use crate::name::{self, Name};
use crate::state::{self, Held, State};

/// Does what was asked for.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { command, common } = arguments;
    // Where an answer is asked for, it has the screen to itself, unless somebody wants to know more.
    let level = Environment.variable("RUST_LOG").or_else(|| matches!(command, Command::Run(_)).then(|| "info".to_owned()));
    if let Some(level) = level {
        log::start_beside(Some(&level));
    }
    match command {
        Command::Setup { bundle, offline } => setup::setup(&common, &bundle, offline).await,
        Command::Run(options) => run::run(&common, options).await,
        Command::Status { json } => status::status(&common, json),
        Command::Claim { code, door } => knock(&common, &Knock::Code(code), &door).await,
        Command::Register(door) | Command::Renew(door) => knock(&common, &Knock::Registration, &door).await,
        Command::Forget { yes } => forget::forget(&common, yes),
        Command::Service { write, user } => service::service(&common, write.as_deref(), user.as_deref()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "onething-device", &mut script);
            Ok(std::io::Write::write_all(&mut stdout(), &script)?)
        }
    }
}

/// Gets credentials from the door, and stores them.
async fn knock(common: &Common, how: &Knock, door: &DoorOption) -> Result<(), Failure> {
    let held = hold(common)?;
    let door = at(common, &held, door)?.ok_or_else(|| Failure::Usage("which door? Name its URL by --door".to_owned()))?;
    let files = credentials::with_root(credentials::ask(how, &door).await?, common.ca.as_deref())?;
    let bundle = Bundle::from_files(&files)?;
    bundle.is_valid_at(clock::now())?;
    held.store(&files)?;
    Ok(setup::done(&bundle, &held)?)
}

/// The door that was named, else the one that the stored bundle knows.
fn at(common: &Common, held: &Held, door: &DoorOption) -> Result<Option<Door>, Failure> {
    // A stored bundle that cannot be used is no reason not to get another one.
    let known = || credentials::stored(held).ok()?.connection.register;
    let Some(url) = door.url.clone().or_else(known) else { return Ok(None) };
    Ok(Some(Door { url, name: name(common, held)? }))
}

/// The state folder that was named, or the one of this user.
fn state(common: &Common) -> Result<State, Failure> {
    // A variable that is empty counts as not set.
    let folder = match common.state.clone().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => folder,
        None => state::default_folder(&Environment)?,
    };
    let folder = std::path::absolute(&folder).map_err(|error| Failure::Usage(format!("--state {}: {error}", folder.display())))?;
    Ok(State::at(&folder))
}

/// The state folder, for this process alone.
fn hold(common: &Common) -> Result<Held, Failure> {
    let (held, narrowed) = state(common)?.hold()?;
    if let Some(narrowed) = narrowed {
        eprintln!("onething-device: {narrowed}");
    }
    Ok(held)
}

/// The name of the device, which is kept if it has just been made up.
fn name(common: &Common, held: &Held) -> Result<Name, Failure> {
    let (variable, host, kept) = (Environment.variable("ONETHING_DEVICE_NAME"), name::host(), held.name()?);
    let asked = name::Asked { option: common.name.as_deref(), variable: variable.as_deref(), host: host.as_deref(), kept: kept.as_deref() };
    let random =
        getrandom::u32().map_err(|_| Failure::Other("this system gives no randomness for a name: give one by --name".to_owned()))?;
    let (name, is_new) = name::choose(asked, random)?;
    if is_new {
        held.keep_name(name.as_str())?;
    }
    Ok(name)
}
