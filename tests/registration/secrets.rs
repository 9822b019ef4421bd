//! No secret is in a log, in a problem document or in the audit.

use std::io::Write;
use std::sync::{Mutex, OnceLock};

use onething::registry::RegistryError;
use serde_json::json;
use tracing_subscriber::layer::SubscriberExt;

use crate::{Device, Setup, now};

/// The log of all tests of this process, at every level.
static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LINES.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Collects the log. Must be called before the first event: tracing may cache that an event has no subscriber.
pub fn listen() {
    static LISTENING: OnceLock<()> = OnceLock::new();
    LISTENING.get_or_init(|| {
        let layer = tracing_subscriber::fmt::layer().json().with_writer(|| Lines);
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();
    });
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_disclosed() {
    let (setup, device) = (Setup::new("[registration]\nkeys = \"either\""), Device::new());
    let code = setup.code().await.shown();
    let mut told = String::new();
    let mut keys = Vec::new();
    let requests = [
        (None, json!({"code": code})),
        (None, json!({"code": code})),
        (Some("Bearer Atza|A"), json!({})),
        (Some("Bearer nonsense-token"), json!({})),
        (Some("DeviceToken token-1"), json!({"thingName": "lamp-7", "version": "1"})),
        (Some("DeviceToken token-9"), json!({"thingName": "lamp-7", "version": "1"})),
        (None, json!({"serial": "unguessable-serial-0001"})),
        (None, json!({"serial": "unguessable-serial-0002"})),
        (None, json!({"serial": "SN-0001", "secret": "secret-of-the-device"})),
        (None, json!({"serial": "SN-0001", "secret": "another-secret"})),
        (None, json!({"code": "K7QF-93PU", "secret": "in-the-wrong-place"})),
        (None, device.with(json!({"serial": "unguessable-serial-0001"}))),
    ];
    let mut given = None;
    for trouble in [0, 1, 2] {
        setup.account().chaos(if trouble == 1 { 100 } else { 0 });
        setup.account().refuses((trouble == 2).then_some(|| RegistryError::Refused("InvalidRequestException".into())));
        for (authorization, body) in &requests {
            let answer = setup.registers(*authorization, body).await;
            keys.extend(answer.body["privateKey"].as_str().map(str::to_owned));
            match answer.status {
                200 => given = Some(answer),
                _ => told += &answer.body.to_string(),
            }
        }
    }
    let renewal = device.renewal(&given.unwrap(), &device.csr(), now());
    told += &setup.registers(None, &renewal).await.body["cause"].to_string();
    told += &format!("{:?}", setup.endpoint.audit.0.lock().unwrap());
    told += &String::from_utf8(LINES.lock().unwrap().clone()).unwrap();
    assert!(told.contains("onboarding") && told.contains("registered") && told.contains("registry_refused"), "incomplete log");
    assert!(keys.len() >= 4, "the responses contain private keys");
    let (name, secret) = code.split_once('-').unwrap();
    let mut secrets = vec![code.clone(), format!("{name}{secret}"), "K7QF-93PU".into(), "Atza|A".into(), "BEGIN".into()];
    secrets.extend(["nonsense-token", "token-1", "token-9", "secret-of-the-device", "another-secret"].map(str::to_owned));
    secrets.extend(["unguessable-serial-0001", "unguessable-serial-0002", "in-the-wrong-place"].map(str::to_owned));
    secrets.push(renewal["proof"].as_str().unwrap().to_owned());
    secrets.extend(keys.iter().map(|key| key.lines().nth(1).unwrap().to_owned()));
    for secret in secrets {
        assert!(!told.contains(&secret), "{secret} was disclosed");
    }
}
