//! The command line of the device: a failure is one sentence on standard error and an exit code for its kind.

use std::process::ExitCode;

use clap::Parser;
use onething_device::cli::command_line::Arguments;
use onething_device::cli::commands;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match commands::run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        // A reader that closes the pipe early is not an error.
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("onething-device: {failure}");
            failure.exit_code()
        }
    }
}
