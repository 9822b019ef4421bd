//! The implementation of the commands.

mod check;
mod forget;
mod renew;
mod report;
mod run;
mod service;
mod setup;
mod status;
mod watch;

use std::io::stdout;
use std::time::Duration;

use clap::CommandFactory;
use onething::config::{Environment, Source};
use onething::log;
use onething::registration::claims::Code;

use crate::bundle::files::OWN_ROOT;
use crate::cli::command_line::{Arguments, Command, Common, EndpointOption, Run};
use crate::cli::name::{self, Name};
use crate::clock;
use crate::credentials;
use crate::device_model;
use crate::failure::Failure;
use crate::registration::address::Address;
use crate::registration::credential::{Credential, Secret};
use crate::registration::{Endpoint, register};
use crate::state::{self, Held, State};

/// How long the server is tried by default.
const WAIT: Duration = Duration::from_secs(30);

/// Runs the command.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { command, common } = arguments;
    // A command that prints an answer logs nothing unless `RUST_LOG` is set.
    let level = Environment
        .variable("RUST_LOG")
        .or_else(|| matches!(command, Command::Run(_) | Command::Setup { run: true, .. }).then(|| "info".to_owned()));
    if let Some(level) = level {
        log::start_beside(Some(&level));
    }
    match command {
        Command::Setup { bundle, offline, run: false } => setup::setup(&common, &bundle, offline, false).await,
        Command::Setup { bundle, .. } => {
            setup::setup(&common, &bundle, false, true).await?;
            run::run(&common, Run::default()).await
        }
        Command::Run(options) => run::run(&common, options).await,
        Command::Status { json } => status::status(&common, json),
        Command::Claim { code, endpoint } => {
            let code = Secret::from(code.iter().map(Secret::as_str).collect::<String>());
            if Code::parse(code.as_str()).is_none() {
                return Err(Failure::Usage(
                    "a code has eight letters and digits, such as K7QF-93PD: is this the one that Alexa said?".to_owned(),
                ));
            }
            request_credentials(&common, &hold(&common)?, &endpoint, || Ok(Credential::Code(code))).await
        }
        Command::Register { endpoint, with } => {
            request_credentials(&common, &hold(&common)?, &endpoint, || Ok(with.credential(&Environment)?)).await
        }
        Command::Renew(endpoint) => renew::renew(&common, &endpoint).await,
        Command::Check => check::check(&common),
        Command::Report { values, json } => report::report(&common, &values, json).await,
        Command::Forget { yes } => forget::forget(&common, yes),
        Command::Service { remove: Some(unit), .. } => service::remove(&unit),
        Command::Service { write, user, remove: None } => service::service(&common, write.as_deref(), user.as_deref()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "onething-device", &mut script);
            Ok(std::io::Write::write_all(&mut stdout(), &script)?)
        }
        Command::Man { folder } => Ok(clap_mangen::generate_to(Arguments::command(), folder)?),
    }
}

const WHICH_ENDPOINT: &str = "which registration endpoint? Name its URL by --register-url, such as https://example.com/register: \
    the URL is on the card with the code, and the maker of the device knows it";

/// Gets credentials from the registration endpoint and stores them.
async fn request_credentials(
    common: &Common,
    held: &Held,
    endpoint: &EndpointOption,
    credential: impl FnOnce() -> Result<Credential, Failure>,
) -> Result<(), Failure> {
    let endpoint = at(common, held, endpoint)?.ok_or_else(|| Failure::Usage(WHICH_ENDPOINT.to_owned()))?;
    let named = common.device_model.as_deref().map(device_model::named).transpose()?;
    let (credential, former) = (credential()?, setup::thing(held));
    let bundle = register(&credential, &endpoint, held, Some(common.wait().unwrap_or(WAIT)), clock::now).await?;
    bundle.is_valid_at(clock::now())?;
    if let Some(named) = named {
        held.keep_device_model(&named.device_part)?;
    }
    Ok(setup::done(&bundle, held, former, "", false)?)
}

/// The endpoint from the option, or else from the stored bundle.
fn at(common: &Common, held: &Held, endpoint: &EndpointOption) -> Result<Option<Endpoint>, Failure> {
    // A stored bundle that cannot be used does not prevent a new registration.
    let known = || credentials::stored(held).ok()?.connection.register;
    let Some(url) = endpoint.url().or_else(known) else { return Ok(None) };
    let address = Address::parse(&url).map_err(|error| Failure::Usage(format!("--register-url: {error}")))?;
    let own_root = match &common.ca {
        Some(ca) => Some(credentials::root(ca)?),
        // The root certificate that was given when the stored credentials were created.
        None => held.credentials().ok().flatten().and_then(|files| files.content(OWN_ROOT).ok().map(<[u8]>::to_vec)),
    };
    let endpoint = Endpoint::new(address, name(common, held)?, own_root);
    endpoint.map(Some).map_err(|error| Failure::Usage(format!("--ca: {error}")))
}

/// The state folder from the option, or the default one of this user.
fn state(common: &Common) -> Result<State, Failure> {
    // An empty variable counts as not set.
    let folder = match common.state.clone().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => folder,
        None => state::default_folder(&Environment)?,
    };
    let folder = std::path::absolute(&folder).map_err(|error| Failure::Usage(format!("--state {}: {error}", folder.display())))?;
    Ok(State::at(&folder))
}

/// Locks the state folder for this process.
fn hold(common: &Common) -> Result<Held, Failure> {
    Ok(told(state(common)?.hold()?))
}

/// Tells the user if the permissions of the state folder had to be restricted.
fn told((held, narrowed): (Held, Option<String>)) -> Held {
    if let Some(narrowed) = narrowed {
        eprintln!("onething-device: {narrowed}");
    }
    held
}

/// The name of the device. A name that was generated is stored.
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
