//! Foreign programs: emulators, SDKs, parsers and clients, each from the virtual environment that `.ci/run` creates from
//! `tests/foreign/requirements-*.txt`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt;

use super::process::{Process, command};

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The path of a program in one of the virtual environments. Panics if it is missing, so that no test passes without its tools.
pub fn program(environment: &str, name: &str) -> PathBuf {
    let environments = std::env::var_os("ONETHING_TEST_VENVS").map_or_else(|| workspace().join("target/test-venvs"), PathBuf::from);
    let program = environments.join(environment).join("bin").join(name);
    assert!(
        program.exists(),
        "{} is missing: run `.ci/run`, which installs the foreign tools, \
         or say in ONETHING_TEST_VENVS where they are",
        program.display()
    );
    program
}

/// The path of a script in `tests/foreign`.
pub fn script(name: &str) -> PathBuf {
    workspace().join("tests/foreign").join(name)
}

/// Starts a script with one line of JSON as its first input; the returned writer takes further input.
pub async fn start(name: &str, first: &Value) -> (Process, tokio::process::ChildStdin) {
    let python = program("foreign", "python");
    let mut command = command(&python, workspace());
    command.env("PYTHONDONTWRITEBYTECODE", "1").arg("-u").arg(script(name));
    let mut process = Process::start(command);
    let mut input = process.stdin();
    input.write_all(format!("{first}\n").as_bytes()).await.expect("a script that reads its input");
    (process, input)
}

/// Runs a script that reads one JSON value and writes another.
pub async fn run(name: &str, given: &Value) -> Value {
    let (mut process, input) = start(name, given).await;
    drop(input);
    let status = super::within(Duration::from_secs(60), name, process.ended()).await;
    let output = process.output();
    assert!(status.success(), "{name} failed:\n{output}");
    serde_json::from_str(&output).unwrap_or_else(|_| panic!("{name} wrote:\n{output}"))
}
