//! ministack: an emulator of AWS that others wrote, with MQTT over mutual TLS that enforces IoT policies.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::aws::Aws;
use super::deployment::{ACCESS_KEY, MAIL_FROM, REGION, SECRET_KEY};
use super::foreign;
use super::gaps::Gaps;
use super::http::fetch;
use super::login::User;
use super::process::{Process, command, free_port};
use super::smtp_server::{Mail, SmtpServer};

pub const THING_TYPE: &str = "3d-printer";
pub const POLICY: &str = "OneUserOneThing";

/// The content of an AWS account before the first request.
#[derive(Clone, Debug)]
pub struct Account {
    pub thing_type: Option<&'static str>,
    pub policy: Option<&'static str>,
    /// Addresses that SES accepts as senders, and in the sandbox as recipients.
    pub verified: Vec<String>,
    pub sandbox: bool,
}

impl Account {
    /// An account to which the stack is deployed.
    pub fn deployed() -> Self {
        Self { thing_type: Some(THING_TYPE), policy: Some(POLICY), verified: vec![MAIL_FROM.to_owned()], sandbox: false }
    }
}

pub struct Ministack {
    process: Process,
    pub url: String,
    pub mqtt_port: u16,
    /// The file with the root certificate that signed the certificate of the broker.
    pub root: PathBuf,
    /// The SMTP server to which the emulator delivers the mail that it accepts as SES.
    pub smtp_server: SmtpServer,
    gaps: Arc<Gaps>,
    home: TempDir,
}

impl Ministack {
    /// Starts a ministack with an empty account. It verifies every signature and every policy.
    pub async fn start() -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let smtp_server = SmtpServer::open().await;
        let (port, mqtt_port) = (free_port(), free_port());
        let mut command = command(foreign::program("ministack", "ministack"), home.path());
        command
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", home.path())
            .env("TMPDIR", home.path())
            .env("PYTHONUNBUFFERED", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("AUTH", "true")
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("IOT_MTLS_PORT", mqtt_port.to_string())
            .env("SMTP_HOST", smtp_server.address.to_string())
            .env("SFTP_ENABLED", "0")
            .env("PERSIST_STATE", "0")
            .env("MINISTACK_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
        let mut process = Process::start(command);
        let url = format!("http://127.0.0.1:{port}");
        // The status is 503 until the MQTT listener is ready too.
        wait_until_ready(&mut process, &format!("{url}/_ministack/ready")).await;
        let root = home.path().join("root.pem");
        let (_, pem) = fetch(&format!("{url}/_ministack/iot/ca.pem")).await.expect("the root certificate of ministack");
        std::fs::write(&root, pem).expect("a file in the temporary folder");
        let gaps = Arc::new(Gaps::of(smtp_server.watches()));
        Self { process, url, mqtt_port, root, smtp_server, gaps, home }
    }

    /// Starts a ministack to which the stack is deployed.
    pub async fn deployed() -> Self {
        let ministack = Self::start().await;
        prepare(&ministack.url, &Account::deployed()).await;
        ministack
    }

    /// A new proxy in front of the emulator that adds the behaviour the emulator lacks. Any number of proxies may exist.
    pub async fn gate(&self) -> Aws {
        Aws::in_front_of_emulator(&self.url, &self.gaps).await
    }

    /// Sets the response of GetConnection for a client.
    pub fn says_of(&self, client: &str, state: Value) {
        self.gaps.says_of(client, state);
    }

    /// Makes a certificate look `seconds` older than it is.
    pub fn ages(&self, certificate: &str, seconds: u64) {
        self.gaps.ages(certificate, seconds);
    }

    /// All resources that the account holds now.
    pub async fn holds(&self) -> Value {
        describe(&self.url).await
    }

    /// Opens the mail with this number with a foreign parser and unpacks its bundle. Returns the content of the mail and the
    /// folder of the bundle.
    pub async fn open_mail(&self, number: usize) -> (Value, PathBuf) {
        let mail = self.smtp_server.mail(number).await;
        self.open(&mail).await
    }

    /// Opens the last mail to this user, as [`open_mail`](Self::open_mail) does.
    pub async fn open_last_mail(&self, user: &User) -> (Value, PathBuf) {
        let address = user.email.as_deref().unwrap_or_default();
        let mail = self.smtp_server.last_to(address).expect("a mail to this user");
        self.open(&mail).await
    }

    /// Opens a given mail, as [`open_mail`](Self::open_mail) does.
    pub async fn open(&self, mail: &Mail) -> (Value, PathBuf) {
        let mut opened = self.open_all(std::slice::from_ref(mail)).await;
        opened.remove(0)
    }

    /// Opens many mails with one run of the parser, as [`open_mail`](Self::open_mail) does.
    pub async fn open_all(&self, mails: &[Mail]) -> Vec<(Value, PathBuf)> {
        let mut folders = Vec::new();
        let mut given = Vec::new();
        for mail in mails {
            let folder = tempfile::tempdir_in(self.home.path()).expect("a folder in the temporary folder").keep();
            let message = folder.with_extension("eml");
            std::fs::write(&message, &mail.message).expect("a file in the temporary folder");
            given.push(json!({"message": message, "into": folder}));
            folders.push(folder);
        }
        let read = foreign::run("read_mail.py", &json!(given)).await;
        let read = read.as_array().expect("a list of parsed mails").clone();
        let opened = read.into_iter().zip(mails).map(|(mut read, mail)| {
            read["recipients"] = json!(mail.recipients);
            read["sender"] = json!(mail.sender);
            read
        });
        opened.zip(folders).collect()
    }

    /// Waits until the device of a thing has reported these values; others may be reported too. Returns the shadow.
    pub async fn is_told(&self, thing: &str, reported: Value) -> Value {
        let order = json!({"do": "awaits", "thing": thing, "reported": reported, "limit": 50});
        let told = foreign::run("account.py", &asked(&self.url, order)).await;
        assert_eq!(told["is_so"], true, "{thing} has not reported {reported}; the shadow is {:#}", told["shadow"]);
        told["shadow"].clone()
    }

    pub fn output(&self) -> String {
        self.process.output()
    }
}

/// Changes the account at `url` into `account`.
pub async fn prepare(url: &str, account: &Account) -> Value {
    foreign::run(
        "account.py",
        &asked(
            url,
            json!({
                "do": "prepare",
                "thing_type": account.thing_type,
                "policy_name": account.policy,
                "policy_file": foreign::workspace().join("infra/device-policy.json"),
                "verified": account.verified,
                "sandbox": account.sandbox,
            }),
        ),
    )
    .await
}

/// All resources that the account at `url` holds.
pub async fn describe(url: &str) -> Value {
    foreign::run("account.py", &asked(url, json!({"do": "describe"}))).await
}

/// Writes reported values into the shadow of a thing, over HTTPS.
pub async fn report(url: &str, thing: &str, reported: &Value) {
    let order = json!({"do": "report", "thing": thing, "reported": reported});
    foreign::run("account.py", &asked(url, order)).await;
}

/// Calls one operation of the AWS IoT control plane with Amazon's SDK. The error is the code of the refusal.
pub async fn calls(url: &str, operation: &str, arguments: Value) -> Result<(), String> {
    let order = json!({"do": "call", "operation": operation, "arguments": arguments});
    let outcome = foreign::run("account.py", &asked(url, order)).await;
    outcome["refused"].as_str().map_or(Ok(()), |code| Err(code.to_owned()))
}

/// Creates DynamoDB tables for claim codes.
pub async fn tables(url: &str, names: &[String]) {
    foreign::run("account.py", &asked(url, json!({"do": "tables", "names": names}))).await;
}

/// Creates a Lambda function in Python with this source.
pub async fn function(url: &str, name: &str, source: &str) {
    foreign::run("account.py", &asked(url, json!({"do": "function", "name": name, "source": source}))).await;
}

/// Calls one operation of any service with the given access key and secret key. The error is the code of the refusal.
pub async fn calls_as(url: &str, keys: &(String, String), service: &str, operation: &str, arguments: Value) -> Result<(), String> {
    let order = json!({"do": "call", "service": service, "operation": operation, "arguments": arguments});
    let mut order = asked(url, order);
    order["access_key"] = json!(keys.0);
    order["secret_key"] = json!(keys.1);
    let outcome = foreign::run("account.py", &order).await;
    outcome["refused"].as_str().map_or(Ok(()), |code| Err(code.to_owned()))
}

/// Access key and secret key of a user with exactly the rights of the role of the skill function.
pub async fn rights_of_the_stack(url: &str) -> (String, String) {
    rights_of(url, "Role").await
}

/// Access key and secret key of a user with exactly the rights of any role of the stack, by its name in the template.
pub async fn rights_of(url: &str, role: &str) -> (String, String) {
    rights_with(url, role, json!({})).await
}

/// Like [`rights_of`], in a stack that was deployed with these parameters.
pub async fn rights_with(url: &str, role: &str, more: Value) -> (String, String) {
    let mut parameters = json!({"MailFrom": MAIL_FROM, "MailIdentity": MAIL_FROM});
    parameters.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    let given = json!({"template": foreign::workspace().join("infra/template.yaml"), "role": role, "parameters": parameters});
    let keys = foreign::run("role.py", &asked(url, given)).await;
    let key = |name: &str| keys[name].as_str().expect("a key").to_owned();
    (key("access_key"), key("secret_key"))
}

fn asked(url: &str, mut order: Value) -> Value {
    order["endpoint"] = json!(url);
    order["region"] = json!(REGION);
    order["access_key"] = json!(ACCESS_KEY);
    order["secret_key"] = json!(SECRET_KEY);
    order
}

/// Polls `url` until the status is 2xx. Fails if the process ends.
pub async fn wait_until_ready(process: &mut Process, url: &str) {
    let asking = async {
        let mut pause = tokio::time::interval(Duration::from_millis(50));
        loop {
            pause.tick().await;
            if matches!(fetch(url).await, Ok((status, _)) if status.is_success()) {
                return true;
            }
            if !process.is_running() {
                return false;
            }
        }
    };
    let ready = tokio::time::timeout(Duration::from_secs(60), asking).await;
    assert!(matches!(ready, Ok(true)), "{url} does not become ready:\n{}", process.output());
}
