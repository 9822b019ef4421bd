//! The real agent, `onething-device`, as its user starts it: on a machine that has nothing but a state folder and what is on the
//! command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use onething::device_model::Model;
use serde_json::Value;
use tempfile::TempDir;

use super::process::{Process, command};
use super::within;

/// For a debug build on a machine that is busy, and for its longest pause between two attempts.
const PATIENCE: Duration = Duration::from_secs(150);

/// A machine on which the agent is installed.
pub struct Machine {
    home: TempDir,
    /// The root that signed the broker's certificate.
    root: PathBuf,
    /// What runs a program there, where that is not the machine of the test.
    inside: Vec<OsString>,
}

/// What the agent has done when it has ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub output: String,
}

/// An agent that runs. It does not outlive this value.
pub struct Agent(Process);

/// The binary that ships, where ONETHING_DEVICE_BINARY says where it is; else the one beside the function's.
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
    /// A machine that has never been near a mail. The broker of the test is known by this root, which is not Amazon's.
    pub fn new(root: &Path) -> Self {
        Self::inside(&[], root)
    }

    /// One to which this command leads.
    pub fn inside(inside: &[OsString], root: &Path) -> Self {
        Self { home: tempfile::tempdir().expect("a folder of its own"), root: root.to_owned(), inside: inside.to_vec() }
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

    /// The same, with success.
    pub async fn does(&self, arguments: &[&str]) -> String {
        self.tries(arguments).await.done()
    }

    /// Tries to get credentials in one of the ways. The root is stored beside them.
    pub async fn tries_to_get(&self, arguments: &[&str]) -> Ended {
        self.tries(&[arguments, &["--ca", self.root.to_str().expect("a path as text")]].concat()).await
    }

    /// The same, with success.
    pub async fn gets(&self, arguments: &[&str]) -> String {
        self.tries_to_get(arguments).await.done()
    }

    /// Takes the bundle out of a mail.
    pub async fn sets_up(&self, zip: &Path) -> String {
        self.gets(&["setup", zip.to_str().expect("a path as text")]).await
    }

    /// Starts the agent, which connects.
    pub async fn runs(&self, arguments: &[&str]) -> Agent {
        let agent = Agent(self.start(&[&["run"][..], arguments].concat()));
        agent.says("connected", 1).await;
        agent
    }

    /// What `status --json` says.
    pub async fn status(&self) -> Value {
        let said = self.does(&["status", "--json"]).await;
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("the agent wrote:\n{said}"))
    }

    /// A file in the home of its user.
    pub fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The same, with one line in it.
    pub fn note(&self, name: &str, line: &str) -> String {
        let path = self.file(name);
        std::fs::write(&path, format!("{line}\n")).expect("a file in our folder");
        path.to_str().expect("a path as text").to_owned()
    }

    /// The sample printer, which has a program for what it prints: every call of it is a line in the file `printed`. As long as
    /// there is a file `jam`, it does not come to an end; it ends with the machine.
    pub fn printer(&self) -> String {
        let script = r#"order=$(cat); echo "$order" >> "$0/printed"; while [ -e "$0/jam" ]; do sleep 0.1; done"#;
        let run = serde_json::json!(["/bin/sh", "-c", script, self.home.path()]);
        self.note("device.toml", &format!("{}\n[action.command.print]\nrun = {run}\n", Model::SAMPLE))
    }

    /// What the program has printed so far, in order.
    pub fn printed(&self) -> Vec<String> {
        let all = std::fs::read_to_string(self.file("printed")).unwrap_or_default();
        let model = |line| -> Value { serde_json::from_str::<Value>(line).expect("an order in JSON")["args"]["model"].clone() };
        all.lines().map(|line| model(line).as_str().expect("a model").to_owned()).collect()
    }

    /// Waits until it has begun to print so many.
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
    /// It did what was asked for.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.output
    }

    /// It failed with this code, and says so with these words.
    #[track_caller]
    pub fn failed(&self, code: i32, words: &str) {
        assert!(self.code == Some(code) && self.output.contains(words), "not {code} with {words:?}: {self:?}");
    }
}

impl Agent {
    /// Waits until its log says this so many times.
    pub async fn says(&self, words: &str, times: usize) -> String {
        let what = format!("the agent says {words:?} {times} times");
        self.0.writes(PATIENCE, &what, |log| log.matches(words).count() >= times).await
    }

    pub fn log(&self) -> String {
        self.0.output()
    }

    /// Its power is cut (SIGKILL). What it has said is returned.
    pub async fn loses_power(self) -> String {
        self.0.stop().await
    }
}
