//! The command line of the hub. A failed command prints one line and exits with code 1; invalid arguments exit with code 2.

use std::io::ErrorKind;
use std::process::ExitCode;

use clap::Parser;
use onething::fault::chain;
use onething_hub::cli::command_line::Arguments;
use onething_hub::cli::commands;

#[tokio::main]
async fn main() -> ExitCode {
    match commands::run(Arguments::parse()).await {
        Ok(code) => code,
        // The reader closed the pipe early, as `head` does, which is not an error.
        Err(error) if is_broken_pipe(error.as_ref()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("onething-hub: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe) || error.source().is_some_and(is_broken_pipe)
}
