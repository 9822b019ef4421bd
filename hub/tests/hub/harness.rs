//! A test harness that runs the hub as a process: starts it with arguments, sends HTTP requests, kills or stops it.
//!
//! Every wait is for an event and has a limit. Every port is chosen by the operating system.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use onething::https::Https;
use serde_json::{Value, json};
use tokio::sync::watch;

/// The longest time that a test waits for an event.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for an event for at most `limit`, and otherwise fails with the name of the event.
pub async fn within<T>(limit: Duration, what: &str, event: impl Future<Output = T>) -> T {
    match tokio::time::timeout(limit, event).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {limit:?}"),
    }
}

/// The command for the hub binary, with an empty environment.
pub fn hub() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onething-hub"));
    command.env_clear().stdin(Stdio::null());
    command
}

/// The command `serve` with a data folder, on free ports of the loopback interface.
pub fn serve(data: &Path) -> Command {
    let mut command = hub();
    command.arg("serve").arg("--data").arg(data).args(["--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"]);
    command
}

/// Runs a command to its end; returns the exit code, the standard output and the standard error.
pub fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// Adds the options of a hub in use. Login with Amazon is not available in these tests.
pub fn in_use(command: &mut Command) -> &mut Command {
    let (skill, client) = ("00000000-1111-4222-8333-444444444444", "0123456789abcdef0123456789abcdef");
    command.arg("--skill-id").arg(format!("amzn1.ask.skill.{skill}"));
    command.arg("--lwa-client-id").arg(format!("amzn1.application-oa2-client.{client}"));
    command.env("LWA_ENDPOINT", "http://127.0.0.1:1")
}

/// A hub process that may not be ready yet. It is killed when this value is dropped.
pub struct Starting {
    child: Child,
    out: BufReader<ChildStdout>,
    log: JoinHandle<String>,
    logged: watch::Receiver<String>,
}

impl Starting {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, error) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (tell, logged) = watch::channel(String::new());
        let log = std::thread::spawn(move || {
            let (mut error, mut line) = (BufReader::new(error), Vec::new());
            while error.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                tell.send_modify(|log| log.push_str(&String::from_utf8_lossy(&line)));
                line.clear();
            }
            tell.borrow().clone()
        });
        Self { child, out: BufReader::new(out), log, logged }
    }

    /// Waits for the line on the standard output that reports that the hub is ready.
    pub fn ready(mut self) -> Running {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        let Ok(ready) = serde_json::from_str::<Value>(&line) else {
            let _ = self.child.kill();
            panic!("no ready line but {line:?}; the log: {}", self.log.join().unwrap());
        };
        assert_eq!(ready["ready"], true);
        let text = |name: &str| ready[name].as_str().unwrap().to_owned();
        Running {
            http: text("http"),
            mqtt: text("mqtt"),
            https: Https::default(),
            logged: self.logged,
            process: Process { child: self.child, log: Some(self.log) },
        }
    }

    /// Kills the process before it is ready.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

struct Process {
    child: Child,
    log: Option<JoinHandle<String>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A hub that is ready.
pub struct Running {
    pub http: String,
    pub mqtt: String,
    https: Https,
    logged: watch::Receiver<String>,
    process: Process,
}

/// A complete HTTP response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub kind: String,
    /// The header `access-control-allow-origin`.
    pub allowed_origin: Option<String>,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

/// An HTTP client of a hub. A method returns `None` if no response came; the hub may have processed the request or not.
#[derive(Clone)]
pub struct Client {
    pub http: String,
    https: Https,
}

impl Client {
    pub async fn send(&self, request: http::request::Builder, body: impl Into<Bytes>) -> Option<Answer> {
        let request = request.body(body.into()).unwrap();
        let answer = within(PATIENCE, "a response", self.https.exchange(request, 64 << 20)).await.ok()?;
        let header = |name| answer.headers().get(name).map(|value: &http::HeaderValue| value.to_str().unwrap().to_owned());
        let (kind, allowed_origin) = (header("content-type").unwrap_or_default(), header("access-control-allow-origin"));
        Some(Answer { status: answer.status().as_u16(), kind, allowed_origin, body: answer.into_body() })
    }

    pub async fn get(&self, path: &str) -> Option<Answer> {
        self.send(Request::get(format!("{}{path}", self.http)), Bytes::new()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Option<Answer> {
        let request = Request::builder().method(Method::POST).uri(format!("{}{path}", self.http));
        self.send(request.header("content-type", "application/json"), body.to_string()).await
    }

    /// Speaks to the Echo of a user; returns the request, the response and the output.
    pub async fn say(&self, user: &str, words: &str) -> Option<Value> {
        let answer = self.post("/echo", &json!({"user": user, "say": words})).await?;
        assert_eq!(answer.status, 200, "{words}: {answer:?}");
        Some(answer.json())
    }

    /// Speaks to the Echo of a user; returns the speech of Alexa.
    pub async fn speech(&self, user: &str, words: &str) -> Option<String> {
        Some(self.say(user, words).await?["heard"]["speech"].as_str().unwrap().to_owned())
    }

    /// Links the account of a user, as the sign-in page does after the consent.
    pub async fn link(&self, user: &str) -> Option<()> {
        let answer = self.post("/link", &json!({"user": user})).await?;
        assert_eq!(answer.status, 204, "{answer:?}");
        Some(())
    }

    /// The thing of a user, or null. A user has at most one thing.
    pub async fn thing(&self, user: &str) -> Option<Value> {
        let things = self.get(&format!("/api/things?user={user}")).await?.json()["things"].take();
        let mut things = things.as_array().unwrap().clone();
        assert!(things.len() <= 1, "{user} has {} things", things.len());
        Some(things.pop().unwrap_or_default())
    }

    /// The bundles in the mails of a user, newest first.
    pub async fn bundles(&self, user: &str) -> Option<Vec<Bytes>> {
        let mail = self.get(&format!("/api/mail?user={user}")).await?.json();
        let mut bundles = Vec::new();
        for mail in mail["mail"].as_array().unwrap().iter().rev().filter(|mail| mail["attachment"].is_object()) {
            let attachment = self.get(&format!("/api/mail/{}/attachment", mail["id"].as_str().unwrap())).await?;
            assert_eq!(attachment.status, 200, "{attachment:?}");
            bundles.push(attachment.body);
        }
        Some(bundles)
    }
}

impl Running {
    /// Starts a hub with a data folder, and waits until the hub is ready.
    pub fn start(data: &Path) -> Self {
        Starting::start(serve(data)).ready()
    }

    pub fn client(&self) -> Client {
        Client { http: self.http.clone(), https: self.https.clone() }
    }

    /// The MQTT port.
    pub fn mqtt_port(&self) -> u16 {
        self.mqtt.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Waits until the log contains this text.
    pub async fn logged(&self, words: &str) {
        let mut logged = self.logged.clone();
        within(PATIENCE, words, logged.wait_for(|log| log.contains(words))).await.unwrap();
    }

    /// Kills the process.
    pub fn kill(mut self) {
        self.process.child.kill().unwrap();
        self.process.child.wait().unwrap();
    }

    /// Sends a signal, `INT` or `TERM`, as a terminal or a service manager does.
    pub fn signal(&self, signal: &str) {
        let pid = self.process.child.id().to_string();
        let sent = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", signal, &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end of the process; returns its exit status and its log.
    pub async fn ended(mut self) -> (ExitStatus, String) {
        let waited = tokio::task::spawn_blocking(move || {
            let status = self.process.child.wait().unwrap();
            (status, self.process.log.take().unwrap().join().unwrap())
        });
        within(PATIENCE, "the end of the hub", waited).await.unwrap()
    }

    /// Stops the hub with `TERM`, and checks that it exits successfully.
    pub async fn stop(self) {
        self.signal("TERM");
        let (status, log) = self.ended().await;
        assert!(status.success(), "{status} {log}");
    }
}
