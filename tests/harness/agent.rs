//! The real agent, `onething-device`, started as a user starts it: on a machine that has only a state folder and the arguments on
//! the command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use onething::device_model::Model;
use serde_json::Value;
use tempfile::TempDir;

use super::process::{Process, command};
use super::within;

/// The limit of a wait. It covers a debug build on a busy machine and the longest pause between two attempts of the agent.
const PATIENCE: Duration = Duration::from_secs(150);

/// A machine on which the agent is installed.
pub struct Machine {
    home: TempDir,
    /// The root certificate that signed the certificate of the broker.
    root: PathBuf,
    /// The command that runs a program on the machine; empty for the machine of the test.
    inside: Vec<OsString>,
}

/// The result of an agent that has ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub output: String,
}

/// A running agent. It is killed when this value is dropped.
pub struct Agent(Process);

/// The path in ONETHING_DEVICE_BINARY, for a released binary; otherwise the binary beside that of the function.
fn binary() -> PathBuf {
    let beside = || Path::new(env!("CARGO_BIN_EXE_onething")).with_file_name("onething-device");
    let binary = std::env::var_os("ONETHING_DEVICE_BINARY").map_or_else(beside, PathBuf::from);
    assert!(
        binary.exists(),
        "{} is missing: run `cargo build -p onething-device`, or say in ONETHING_DEVICE_BINARY where the agent is",
        binary.display()
    );
    binary
}

impl Machine {
    /// A machine without any credentials. `root` is the root certificate of the broker of the test, which is not Amazon's.
    pub fn new(root: &Path) -> Self {
        Self::inside(&[], root)
    }

    /// A machine on which `inside` runs programs, as for a network namespace.
    pub fn inside(inside: &[OsString], root: &Path) -> Self {
        Self { home: tempfile::tempdir().expect("a temporary folder"), root: root.to_owned(), inside: inside.to_vec() }
    }

    fn start(&self, arguments: &[&str]) -> Process {
        let mut words = self.inside.iter().cloned().chain([binary().into_os_string()]);
        let mut command = command(words.next().expect("a program"), self.home.path());
        command.args(words).env("PATH", "/usr/bin:/bin").arg("--state").arg(self.file("state")).args(arguments);
        Process::start(command)
    }

    /// Runs the agent to its end.
    pub async fn tries(&self, arguments: &[&str]) -> Ended {
        let mut process = self.start(arguments);
        let status = within(PATIENCE, "the agent ends", process.ended()).await;
        let ended = Ended { code: status.code(), output: process.output() };
        assert!(!ended.output.contains("PRIVATE KEY") && !ended.output.contains("panicked"), "{ended:?}");
        ended
    }

    /// Runs the agent to its end, which must be a success. Returns its output.
    pub async fn does(&self, arguments: &[&str]) -> String {
        self.tries(arguments).await.done()
    }

    /// Runs a command that obtains credentials. The agent stores the root certificate beside them.
    pub async fn tries_to_get(&self, arguments: &[&str]) -> Ended {
        self.tries(&[arguments, &["--ca", self.root.to_str().expect("a path as text")]].concat()).await
    }

    /// Like [`tries_to_get`](Self::tries_to_get), and must succeed.
    pub async fn gets(&self, arguments: &[&str]) -> String {
        self.tries_to_get(arguments).await.done()
    }

    /// Installs the bundle of a mail.
    pub async fn sets_up(&self, zip: &Path) -> String {
        self.gets(&["setup", zip.to_str().expect("a path as text")]).await
    }

    /// Starts the agent and waits until it is connected.
    pub async fn runs(&self, arguments: &[&str]) -> Agent {
        let agent = Agent(self.start(&[&["run"][..], arguments].concat()));
        agent.says("connected", 1).await;
        agent
    }

    /// The output of `status --json`.
    pub async fn status(&self) -> Value {
        let said = self.does(&["status", "--json"]).await;
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("the agent wrote:\n{said}"))
    }

    /// The path of a file in the home folder of the user.
    pub fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Writes a file with one line and returns its path.
    pub fn note(&self, name: &str, line: &str) -> String {
        let path = self.file(name);
        std::fs::write(&path, format!("{line}\n")).expect("a file in the temporary folder");
        path.to_str().expect("a path as text").to_owned()
    }

    /// Writes the device model of the sample printer with a program for its print command, and returns the path. Every run of the
    /// program adds a line to the file `printed`. As long as the file `jam` exists, the program does not end.
    pub fn printer(&self) -> String {
        let script = r#"order=$(cat); echo "$order" >> "$0/printed"; while [ -e "$0/jam" ]; do sleep 0.1; done"#;
        let run = serde_json::json!(["/bin/sh", "-c", script, self.home.path()]);
        self.note("device.toml", &format!("{}\n[action.command.print]\nrun = {run}\n", Model::SAMPLE))
    }

    /// The models that the program has printed so far, in order.
    pub fn printed(&self) -> Vec<String> {
        let all = std::fs::read_to_string(self.file("printed")).unwrap_or_default();
        let model = |line| -> Value { serde_json::from_str::<Value>(line).expect("a command in JSON")["args"]["model"].clone() };
        all.lines().map(|line| model(line).as_str().expect("a model").to_owned()).collect()
    }

    /// Waits until `count` prints have begun.
    pub async fn prints(&self, count: usize) {
        let printing = async {
            let mut pause = tokio::time::interval(Duration::from_millis(50));
            while self.printed().len() < count {
                pause.tick().await;
            }
        };
        within(PATIENCE, "the printer prints", printing).await;
    }
}

impl Ended {
    /// Requires a success and returns the output.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.output
    }

    /// Requires this exit code and these words in the output.
    #[track_caller]
    pub fn failed(&self, code: i32, words: &str) {
        assert!(self.code == Some(code) && self.output.contains(words), "expected {code} and {words:?}: {self:?}");
    }
}

impl Agent {
    /// Waits until the log contains `words` at least `times` times.
    pub async fn says(&self, words: &str, times: usize) -> String {
        let what = format!("the agent says {words:?} {times} times");
        self.0.writes(PATIENCE, &what, |log| log.matches(words).count() >= times).await
    }

    pub fn log(&self) -> String {
        self.0.output()
    }

    /// Kills the agent with SIGKILL, as a power failure would. Returns its log.
    pub async fn loses_power(self) -> String {
        self.0.stop().await
    }
}
