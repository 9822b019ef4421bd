//! A hub in this process, bundles from its mail, and the agent as a separate process.

use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use onething::config::Environment;
use onething::https::{Https, HttpsError, Reply, RequestBuilder};
use onething::identifiers::CertificateId;
use onething::registry::Registry;
use onething_hub::serve::Running;
use onething_hub::settings::{Asked, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;
use zip::ZipArchive;

/// A running hub, which ends with this value.
pub struct Hub {
    running: Running,
    place: TempDir,
}

impl Hub {
    pub async fn start() -> Self {
        Self::over(tempfile::tempdir().unwrap(), None).await
    }

    /// A hub whose registration endpoint uses this policy.
    pub async fn with_policy(policy: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("register.toml");
        std::fs::write(&file, policy).unwrap();
        Self::over(place, Some(file)).await
    }

    /// A hub for a lamp instead of the printer: with this device model, and with the lamp's interaction model of the fixtures.
    pub async fn of_a_lamp(device_model: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("device.toml");
        std::fs::write(&file, device_model).unwrap();
        let speech = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/models/lamp/en-US.json");
        let asked = Asked { device_model: Some(file), interaction_model: Some(speech), ..Asked::over(&place.path().join("hub")) };
        Self::of(place, asked).await
    }

    async fn over(place: TempDir, register: Option<PathBuf>) -> Self {
        let asked = Asked { register, ..Asked::over(&place.path().join("hub")) };
        Self::of(place, asked).await
    }

    async fn of(place: TempDir, asked: Asked) -> Self {
        let settings = Settings::read(asked, &Environment).unwrap();
        Self { running: Running::start(settings).await.unwrap(), place }
    }

    /// The URL of the registration endpoint.
    pub fn endpoint(&self) -> String {
        format!("{}/register", self.running.http)
    }

    /// The claim code on the card of a linked owner.
    pub async fn code(&self, user: &str) -> String {
        let turn = self
            .ask(|https, hub| https.post(&format!("{hub}/echo")).json(&json!({"user": user, "say": "ask my printer to give me a code"})))
            .await;
        let turn: Value = serde_json::from_slice(&turn.body).unwrap();
        turn["heard"]["card"]["text"].as_str().unwrap().lines().next().unwrap().to_owned()
    }

    /// The access token of a linked owner.
    pub async fn token(&self, user: &str) -> String {
        let answer = self.ask(|https, hub| https.post(&format!("{hub}/token")).json(&json!({"user": user}))).await;
        serde_json::from_slice::<Value>(&answer.body).unwrap()["accessToken"].as_str().unwrap().to_owned()
    }

    /// Speaks to the Echo of a user, and returns Alexa's speech.
    pub async fn say(&self, user: &str, words: &str) -> String {
        let turn = self.ask(|https, hub| https.post(&format!("{hub}/echo")).json(&json!({"user": user, "say": words}))).await;
        let turn: Value = serde_json::from_slice(&turn.body).unwrap();
        turn["heard"]["speech"].as_str().unwrap_or_else(|| panic!("{turn:#}")).to_owned()
    }

    /// Waits until the shadow of the only thing meets a condition, and returns the shadow.
    pub async fn shadow(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let limit = Instant::now() + LIMIT;
        loop {
            let things = self.ask(|https, hub| https.get(&format!("{hub}/api/things"))).await;
            let things: Value = serde_json::from_slice(&things.body).unwrap();
            let shadow = things["things"][0]["shadow"].clone();
            if is_so(&shadow) {
                return shadow;
            }
            assert!(Instant::now() < limit, "{what}: {shadow:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn ask(&self, call: impl Fn(&Https, &str) -> RequestBuilder) -> Reply {
        let https = Https::default();
        loop {
            match https.send(call(&https, &self.running.http)).await {
                // The generation of an RSA key may take long on a busy machine; the request is then repeated.
                Err(HttpsError::Silent) => {}
                answer => return answer.unwrap(),
            }
        }
    }

    /// Links a user, and saves the bundle from the mail.
    pub async fn zip(&self, user: &str) -> PathBuf {
        let answer = self.ask(|https, hub| https.post(&format!("{hub}/link")).json(&json!({"user": user}))).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        let mail = self.ask(|https, hub| https.get(&format!("{hub}/api/mail?user={user}"))).await;
        let mail: Value = serde_json::from_slice(&mail.body).unwrap();
        let id = mail["mail"].as_array().unwrap().iter().find(|mail| mail["attachment"].is_object()).unwrap()["id"].clone();
        let zip = self.ask(|https, hub| https.get(&format!("{hub}/api/mail/{}/attachment", id.as_str().unwrap()))).await;
        assert_eq!(zip.status, 200);
        let path = self.place.path().join(format!("{user}.zip"));
        std::fs::write(&path, &zip.body).unwrap();
        path
    }

    /// The same, unpacked into a folder.
    pub async fn folder(&self, user: &str) -> PathBuf {
        let zip = self.zip(user).await;
        let folder = zip.with_extension("");
        unzip(&zip, &folder);
        folder
    }

    /// Deactivates the certificate of an unpacked bundle.
    pub async fn revoke(&self, folder: &Path) {
        self.revoke_id(connection(folder)["certificateId"].as_str().unwrap()).await;
    }

    /// Deactivates a certificate by its id.
    pub async fn revoke_id(&self, id: &str) {
        self.running.hub.registry.deactivate(&CertificateId::parse(id).unwrap()).await.unwrap();
    }

    pub async fn end(self) {
        self.running.end().await;
    }
}

fn unzip(zip: &Path, folder: &Path) {
    let zip = std::fs::read(zip).unwrap();
    let mut zip = ZipArchive::new(Cursor::new(zip)).unwrap();
    std::fs::create_dir(folder).unwrap();
    for number in 0..zip.len() {
        let mut file = zip.by_index(number).unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        std::fs::write(folder.join(&*file.name().unwrap()), content).unwrap();
    }
}

/// The content of `connection.json` of an unpacked bundle.
pub fn connection(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("connection.json")).unwrap()).unwrap()
}

/// Changes a member of `connection.json`.
pub fn reconnect(folder: &Path, field: &str, value: Value) {
    let mut connection = connection(folder);
    connection[field] = value;
    std::fs::write(folder.join("connection.json"), connection.to_string()).unwrap();
}

/// Copies an unpacked bundle, so that the copy can be changed.
pub fn copied(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        std::fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
    }
    copy
}

/// A bundle from a new authority, as a zip and unpacked, for a server at this port with this root certificate in PEM.
pub fn made(port: u16, root: &str) -> TempDir {
    made_for("amzn1.account.ANA", port, root)
}

/// The same, for this owner.
pub fn made_for(owner: &str, port: u16, root: &str) -> TempDir {
    made_of("3D_Printer-", "", owner, port, root)
}

/// The same, for a thing with this name prefix and with this device model.
pub fn made_of(prefix: &str, device_model: &str, owner: &str, port: u16, root: &str) -> TempDir {
    use onething::identifiers::{OwnerId, ThingName, ThingPrefix};
    use onething::mail::bundle::{Broker, zip};
    let now = onething_hub::clock::now();
    let certificate = onething_hub::authority::Authority::new(now).unwrap().issue(now).unwrap();
    let thing = ThingName::of(&ThingPrefix::parse(prefix).unwrap(), &OwnerId::parse(owner).unwrap());
    let broker = Broker { host: "localhost".into(), port, roots: vec![("RootCA.pem".into(), root.to_owned())], register: None };
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("bundle.zip");
    std::fs::write(&file, zip(&thing, &certificate, &broker, now, device_model, "").unwrap()).unwrap();
    unzip(&file, &place.path().join("bundle"));
    place
}

/// A command that runs the agent with a state folder and an empty environment.
pub fn agent(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onething-device"));
    command.env_clear().stdin(Stdio::null()).arg("--state").arg(state).args(arguments);
    command
}

/// The result of a process.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub complaint: String,
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Ended {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let ended = Ended { code: status.code(), out: text(stdout), complaint: text(stderr) };
    for secret in ["PRIVATE KEY", "M4RS"] {
        assert!(!ended.out.contains(secret) && !ended.complaint.contains(secret), "{ended:?}");
    }
    ended
}

impl Ended {
    /// Checks that the command failed with this exit code, and with one sentence that contains these words.
    #[track_caller]
    pub fn check(&self, code: i32, words: &str) {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{self:?}");
        assert!(self.complaint.contains(words), "{words:?} is not in {:?}", self.complaint);
        assert!(!self.complaint.contains("panicked") && !self.complaint.contains("Error {"), "{self:?}");
        if self.complaint.starts_with("onething-device: ") {
            assert_eq!(self.complaint.trim_end().lines().count(), 1, "{self:?}");
        } else {
            assert!(code == 2 && self.complaint.starts_with("error: "), "{self:?}");
        }
    }

    /// Checks that the command succeeded. Returns its output.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!((self.code, self.complaint.as_str()), (Some(0), ""), "{self:?}");
        self.out
    }
}

/// The output of `status --json`.
pub fn status(state: &Path) -> Value {
    serde_json::from_str(&run(&mut agent(state, &["status", "--json"])).done()).unwrap()
}

/// The time limit for a line in the log of an agent, on a busy machine too.
const LIMIT: Duration = Duration::from_secs(60);

/// A running agent, which is killed with this value.
pub struct RunningAgent {
    child: Child,
    /// The lines of its log, from a thread that ends with the agent.
    log: Receiver<String>,
}

impl RunningAgent {
    /// Starts the agent, and waits until its log and its status say that it is connected.
    pub fn connected(state: &Path, arguments: &[&str]) -> Self {
        Self::begun(state, &[&["run", "--wait", "30"], arguments].concat())
    }

    /// The same, with another command than `run`.
    pub fn begun(state: &Path, command: &[&str]) -> Self {
        let mut child = agent(state, command).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (says, log) = channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| says.send(line)));
        let running = Self { child, log };
        running.says("connected");
        let limit = Instant::now() + Duration::from_secs(30);
        while status(state)["agent"]["connection"] != "connected" {
            assert!(Instant::now() < limit, "the status does not show the connection");
        }
        running
    }

    /// Reads the log until a line contains these words.
    pub fn says(&self, words: &str) {
        let (limit, mut log) = (Instant::now() + LIMIT, Vec::new());
        while let Ok(line) = self.log.recv_timeout(limit.saturating_duration_since(Instant::now())) {
            if line.contains(words) {
                return;
            }
            log.push(line);
        }
        panic!("it has not said {words:?} within {LIMIT:?}, or not before it ended:\n{}", log.join("\n"));
    }

    /// Stops the agent with SIGTERM, as a service manager does.
    pub fn stop(mut self) -> ExitStatus {
        let sent = Command::new("sh").args(["-c", "kill -s TERM \"$0\"", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap()
    }

    /// Kills the agent, which simulates a power failure.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for RunningAgent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
