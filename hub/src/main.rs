//! The command line of the hub.

use std::io::{IsTerminal, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use onething::fault::chain;
use onething_hub::demo;

/// The onething skill on one machine, with nothing else to install.
#[derive(Parser)]
#[command(version, arg_required_else_help = true, after_help = "Example: onething-hub demo --data /tmp/onething")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Plays the story: two owners, each with a thing, a certificate and a mail of their own.
    Demo {
        /// The data folder; mail goes to `mail` in it, one `.eml` per message.
        #[arg(long, value_name = "DIR", env = "ONETHING_DATA", default_value = "onething-data")]
        data: PathBuf,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Command::Demo { data } = Arguments::parse().command;
    // The story has the screen to itself, unless somebody wants to know more.
    if let Ok(level) = std::env::var("RUST_LOG") {
        onething::log::start(false, Some(&level));
    }
    let colour = stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    match demo::run(&data, stdout(), colour).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("onething-hub: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}
