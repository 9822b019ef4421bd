//! The command line of the device: one sentence on standard error for what fails, and an exit code that says whose turn it is.

use std::process::ExitCode;

use clap::Parser;
use onething_device::cli::command_line::Arguments;
use onething_device::cli::commands;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match commands::run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        // Who reads only the beginning has what they want.
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("onething-device: {failure}");
            failure.exit_code()
        }
    }
}
