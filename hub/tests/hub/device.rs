//! A device that registers, and the helpers for its tests.

use std::path::Path;
use std::process::Command;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use data_encoding::HEXLOWER;
use http::Request;
use rcgen::{CertificateParams, KeyPair};
use rumqttc::{AsyncClient, Event, Incoming, PublishOptions, QoS, SubscribeFilterInput};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::bundle::Bundle;
use crate::harness::{Answer, Client, PATIENCE, Running, serve, within};

pub const TOKEN: &str = "fleet-token-of-the-first-factory";
pub const SERIAL: &str = "7f3e2a90-5bd4-4c1e-9a57-d0c2f1b8e644";
pub const SECRET: &str = "the secret of one device";
pub const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

/// A device with a private key of its own.
pub struct Device {
    pub key: KeyPair,
}

impl Device {
    pub fn new() -> Self {
        Self { key: KeyPair::generate().unwrap() }
    }

    pub fn csr(&self) -> String {
        CertificateParams::default().serialize_request(&self.key).unwrap().pem().unwrap()
    }

    /// Sends a registration request with a CSR and these members; panics if no response comes.
    pub async fn registers(&self, endpoint: &Endpoint<'_>, with: Value) -> Answer {
        self.registers_or_not(endpoint, with).await.expect("no response")
    }

    /// The same as [`Device::registers`]; `None` if no response comes, because the hub may end meanwhile.
    pub async fn registers_or_not(&self, endpoint: &Endpoint<'_>, with: Value) -> Option<Answer> {
        let mut body = json!({"csr": self.csr()});
        body.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
        endpoint.send(&body.to_string()).await
    }

    /// The bundle from a successful response and the device's own key.
    pub fn takes(&self, answer: &Answer) -> Bundle {
        assert_eq!((answer.status, answer.kind.as_str()), (200, "application/json"), "{answer:?}");
        let answer = answer.json();
        assert!(answer.get("privateKey").is_none(), "the key never left the device");
        Bundle::registered(&answer, Some(&self.key.serialize_pem()))
    }
}

/// The registration endpoint, with the headers that one client sends.
#[derive(Clone)]
pub struct Endpoint<'a> {
    client: &'a Client,
    authorization: Option<String>,
    from: Option<String>,
}

impl<'a> Endpoint<'a> {
    pub fn of(client: &'a Client) -> Self {
        Self { client, authorization: None, from: None }
    }

    pub fn with(&self, authorization: &str) -> Self {
        Self { authorization: Some(authorization.to_owned()), ..self.clone() }
    }

    pub fn from(&self, source: &str) -> Self {
        Self { from: Some(source.to_owned()), ..self.clone() }
    }

    pub async fn post(&self, body: &str) -> Answer {
        self.send(body).await.expect("no response")
    }

    pub async fn send(&self, body: &str) -> Option<Answer> {
        let mut request = Request::post(format!("{}/register", self.client.http)).header("content-type", "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        if let Some(from) = &self.from {
            request = request.header("x-forwarded-for", from);
        }
        self.client.send(request, body.to_owned()).await
    }
}

/// Checks that a response of the endpoint is a problem document (RFC 9457) with this status, and returns the document.
pub fn check_refused(answer: &Answer, status: u16) -> Value {
    assert_eq!((answer.status, answer.kind.as_str()), (status, "application/problem+json"), "{answer:?}");
    let problem = answer.json();
    assert_eq!(problem["status"], status, "{problem}");
    assert!(["title", "detail", "cause", "type"].iter().all(|member| problem[member].is_string()), "{problem}");
    problem
}

/// Requests a claim code by voice, and returns the code from the card.
pub async fn code(client: &Client, user: &str) -> String {
    let turn = client.say(user, "ask my printer to give me a code").await.unwrap();
    let card = turn["heard"]["card"]["text"].as_str().unwrap_or_else(|| panic!("no card: {turn}"));
    let code = card.lines().next().unwrap().to_owned();
    assert!(code.len() == 9 && turn["heard"]["speech"].as_str().unwrap().contains(&code.replace('-', " ")), "{turn}");
    assert!(!turn["response"]["sessionAttributes"].to_string().contains(&code[..4]), "{turn}");
    code
}

/// Checks that the device receives the delta for a command of its owner.
pub async fn check_hears_its_owner(bundle: &Bundle, hub: &Running, user: &str) {
    let client = hub.client();
    let request = async {
        client.say(user, "ask my printer to print a vase").await.unwrap();
    };
    let delta = bundle.receives_a_delta(hub.mqtt_port(), request).await;
    assert_eq!(delta["state"]["command"]["args"]["model"], "vase", "{delta}");
}

/// Checks that a device without an owner receives the delta for a change that it publishes itself.
pub async fn check_hears_a_delta(bundle: &Bundle, hub: &Running) {
    let (client, mut events) = {
        let mut options = bundle.options(hub.mqtt_port());
        options.set_clean_session(true);
        AsyncClient::builder(options).capacity(4).build()
    };
    let filter = SubscribeFilterInput::new(bundle.shadow("update/delta"), QoS::AtLeastOnce);
    client.try_subscribe_many([filter]).unwrap();
    let heard = async {
        loop {
            match events.poll().await.expect("the connection is lost") {
                Event::Incoming(Incoming::SubAck(_)) => {
                    let request = json!({"state": {"desired": {"light": "ON"}}}).to_string();
                    client.try_publish(bundle.shadow("update"), request, PublishOptions::at_least_once()).unwrap();
                }
                Event::Incoming(Incoming::Publish(delta)) => return delta.payload,
                _ => {}
            }
        }
    };
    let delta: Value = serde_json::from_slice(&within(PATIENCE, "a delta", heard).await).unwrap();
    assert_eq!(delta["state"]["light"], "ON");
}

pub fn sha256(text: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(text.as_bytes()))
}

/// The command for a hub whose registration policy has a fleet token, and serials of each kind.
pub fn with_policy(place: &Path, endpoint: &str) -> Command {
    let policies = place.join("policies");
    std::fs::create_dir_all(&policies).unwrap();
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/device-policy.json"), policies.join("Lamp.json")).unwrap();
    let policy = format!(
        "[registration]\n{endpoint}\n[type.lamp]\nprefix = \"Lamp-\"\npolicies = [\"Lamp\"]\nattributes = [\"version\", \"hardware\"]\n\
         [[token]]\nname = \"factory-1\"\nsha256 = \"{}\"\ntypes = [\"lamp\"]\n\
         [[serial]]\nsha256 = \"{}\"\ntype = \"lamp\"\n\
         [[serial]]\nserial = \"SN-0001\"\nsecret_sha256 = \"{}\"\ntype = \"lamp\"\n\
         [[serial_key]]\nkey = \"{}\"\nprefix = \"HM-\"\ntype = \"lamp\"\n",
        sha256(TOKEN),
        sha256(SERIAL),
        sha256(SECRET),
        BASE64_STANDARD.encode(KEY),
    );
    let file = place.join("register.toml");
    std::fs::write(&file, policy).unwrap();
    let mut command = serve(&place.join("data"));
    command.arg("--register").arg(file);
    command
}
