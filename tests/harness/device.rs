//! A device with a foreign MQTT client and the files of one bundle.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;

use super::foreign;
use super::process::Process;

/// The parameters of a connection: the files of a bundle, and the address of the broker of the test.
#[derive(Clone, Debug)]
pub struct Identity {
    pub host: String,
    pub port: u16,
    pub client_id: String,
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub root: PathBuf,
    /// The version of MQTT: "3.1.1" or "5".
    pub version: &'static str,
}

impl Identity {
    /// The identity in the bundle in `folder`, but with the root certificate of the broker of the test, which Amazon did not
    /// sign.
    pub fn of_bundle(folder: &Path, root: &Path) -> Self {
        let connection = connection(folder);
        let text = |field: &str| connection[field].as_str().unwrap_or_else(|| panic!("connection.json has no {field}: {connection:#}"));
        Self {
            host: text("endpoint").to_owned(),
            port: connection["port"].as_u64().and_then(|port| port.try_into().ok()).expect("a port in connection.json"),
            client_id: text("clientId").to_owned(),
            certificate: folder.join(text("certificate")),
            key: folder.join(text("privateKey")),
            root: root.to_owned(),
            version: "3.1.1",
        }
    }

    /// The same certificate with another client id.
    pub fn calling_itself(mut self, client_id: &str) -> Self {
        self.client_id = client_id.to_owned();
        self
    }

    pub fn speaking(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }
}

/// `connection.json` of a bundle.
pub fn connection(folder: &Path) -> Value {
    let file = folder.join("connection.json");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_str(&text).expect("JSON in connection.json")
}

pub struct Device {
    process: Process,
    orders: ChildStdin,
    /// The number of output lines that the test has read.
    seen: usize,
    /// Events that arrived while the test waited for another one.
    put_aside: Vec<Value>,
}

impl Device {
    /// Starts to connect; [`Device::next`] returns the outcome, which [`Device::is_refused`] checks.
    pub async fn dial(identity: &Identity) -> Self {
        let first = json!({
            "host": identity.host,
            "port": identity.port,
            "client_id": identity.client_id,
            "certificate": identity.certificate,
            "key": identity.key,
            "root": identity.root,
            "version": identity.version,
        });
        let (process, orders) = foreign::start("device.py", &first).await;
        Self { process, orders, seen: 0, put_aside: Vec::new() }
    }

    /// A connected device.
    pub async fn connect(identity: &Identity) -> Self {
        let mut device = Self::dial(identity).await;
        let event = device.next().await;
        assert_eq!(event["event"], "connected", "{event}");
        device
    }

    /// Requires that the connection is refused, before or after CONNECT.
    pub async fn is_refused(&mut self) {
        let event = self.next().await;
        assert!(event["event"] == "refused" || event["event"] == "closed", "{event}");
    }

    pub async fn subscribe(&mut self, topic: &str) {
        self.order(&json!({"subscribe": topic})).await;
        let event = self.next().await;
        assert_eq!(event["event"], "subscribed", "{topic}: {event}");
    }

    /// Requires that the subscription is refused: by the SUBACK of MQTT 5, or by the end of the connection on 3.1.1, as AWS does.
    pub async fn is_refused_to_subscribe(&mut self, topic: &str) {
        self.order(&json!({"subscribe": topic})).await;
        let event = self.next().await;
        assert!(event["event"] == "refused_subscribe" || event["event"] == "closed", "{topic}: {event}");
    }

    pub async fn publish(&mut self, topic: &str, payload: &Value) {
        self.order(&json!({"publish": topic, "payload": payload})).await;
        self.hear_until(|event| event["event"] == "published").await;
    }

    /// Requires that the publish is refused.
    pub async fn is_refused_to_publish(&mut self, topic: &str, payload: &Value) {
        self.order(&json!({"publish": topic, "payload": payload})).await;
        let event = self.next().await;
        let denied = event["event"] == "published" && event["reason"] == "Not authorized";
        assert!(denied || event["event"] == "closed", "{topic}: {event}");
    }

    /// The payload of the next message on `topic`, which may have arrived while the test waited for another event.
    pub async fn receive(&mut self, topic: &str) -> Value {
        let wanted = |event: &Value| event["event"] == "message" && event["topic"] == topic;
        let event = match self.put_aside.iter().position(wanted) {
            Some(at) => self.put_aside.remove(at),
            None => self.hear_until(wanted).await,
        };
        event["payload"].clone()
    }

    /// All output of the device so far.
    pub fn everything(&self) -> String {
        self.process.output()
    }

    async fn order(&mut self, order: &Value) {
        self.orders.write_all(format!("{order}\n").as_bytes()).await.expect("a device that reads its input");
    }

    async fn hear_until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let event = self.next().await;
            if wanted(&event) {
                return event;
            }
            assert_ne!(event["event"], "closed", "{event}");
            self.put_aside.push(event);
        }
    }

    /// The next event of the device.
    async fn next(&mut self) -> Value {
        let seen = self.seen;
        let output = self.process.writes(Duration::from_secs(15), "an event of the device", |output| output.lines().count() > seen).await;
        self.seen += 1;
        let line = output.lines().nth(seen).expect("the line that was waited for");
        serde_json::from_str(line).unwrap_or_else(|_| panic!("the device wrote:\n{output}"))
    }
}
