//! A bundle, unzipped and used by independent libraries for certificates and MQTT.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use rumqttc::{AsyncClient, Event, Incoming, MqttOptions, PublishOptions, QoS, SubscribeFilterInput, TlsConfiguration, Transport};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::harness::{PATIENCE, within};

/// The identity with which a device connects.
#[derive(Clone)]
pub struct Bundle {
    pub thing: String,
    /// The SHA-256 hash of the DER form of the certificate, which is its id in the registry.
    pub certificate: String,
    tls: Arc<ClientConfig>,
}

impl Bundle {
    pub fn open(zip: &[u8]) -> Self {
        let files = unzip(zip);
        let connection: Value = serde_json::from_str(&files["connection.json"]).unwrap();
        let file = |name: &str| files[connection[name].as_str().unwrap()].as_bytes();
        let mut roots = RootCertStore::empty();
        for name in connection["rootCas"].as_array().unwrap() {
            roots.add(CertificateDer::from_pem_slice(files[name.as_str().unwrap()].as_bytes()).unwrap()).unwrap();
        }
        Self::of(connection["clientId"].as_str().unwrap(), roots, file("certificate"), file("privateKey"))
    }

    /// The bundle in the response of the registration endpoint, with the device's own private key, or the key in the response.
    pub fn registered(answer: &Value, key: Option<&str>) -> Self {
        let text = |name: &str| answer[name].as_str().unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(answer["rootCas"]["preferred"].as_str().unwrap().as_bytes()).unwrap()).unwrap();
        let key = key.unwrap_or_else(|| text("privateKey"));
        Self::of(text("clientId"), roots, text("certificatePem").as_bytes(), key.as_bytes())
    }

    fn of(client_id: &str, roots: RootCertStore, certificate: &[u8], key: &[u8]) -> Self {
        let certificate = CertificateDer::from_pem_slice(certificate).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key).unwrap();
        let id = HEXLOWER.encode(&Sha256::digest(&certificate));
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let tls = builder.with_client_auth_cert(vec![certificate], key).expect("the key does not belong to the certificate");
        Self { thing: client_id.to_owned(), certificate: id, tls: Arc::new(tls) }
    }

    /// The MQTT options for the hub at this port, which may differ after a restart.
    pub fn options(&self, port: u16) -> MqttOptions {
        let mut options = MqttOptions::new(&self.thing, ("localhost", port));
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::clone(&self.tls))));
        options.set_keep_alive(60);
        options
    }

    /// Connects, requests the shadow, and waits for the response.
    pub async fn reads_its_shadow(&self, port: u16) {
        let mut options = self.options(port);
        options.set_max_packet_size(128 * 1024, 128 * 1024);
        let (client, mut events) = AsyncClient::builder(options).capacity(4).build();
        client.try_subscribe_many([SubscribeFilterInput::new(self.shadow("get/accepted"), QoS::AtLeastOnce)]).unwrap();
        let answered = async {
            loop {
                match events.poll().await.expect("the connection is lost") {
                    Event::Incoming(Incoming::SubAck(_)) => {
                        client.try_publish(self.shadow("get"), "", PublishOptions::at_least_once()).unwrap();
                    }
                    Event::Incoming(Incoming::Publish(_)) => return,
                    _ => {}
                }
            }
        };
        within(PATIENCE, "the response with the shadow", answered).await;
    }

    /// Connects, subscribes to the delta, and waits for a delta. `request` runs after the subscription.
    pub async fn receives_a_delta(&self, port: u16, request: impl Future<Output = ()>) -> Value {
        let (client, mut events) = AsyncClient::builder(self.options(port)).capacity(4).build();
        client.try_subscribe_many([SubscribeFilterInput::new(self.shadow("update/delta"), QoS::AtLeastOnce)]).unwrap();
        let subscribed =
            async { while !matches!(events.poll().await.expect("the connection is lost"), Event::Incoming(Incoming::SubAck(_))) {} };
        within(PATIENCE, "a subscription", subscribed).await;
        let received = async {
            loop {
                if let Event::Incoming(Incoming::Publish(delta)) = events.poll().await.expect("the connection is lost") {
                    return serde_json::from_slice(&delta.payload).unwrap();
                }
            }
        };
        let (delta, ()) = within(PATIENCE, "a delta", async { tokio::join!(received, request) }).await;
        delta
    }

    /// Whether the broker accepts the connection.
    pub async fn is_admitted(&self, port: u16) -> bool {
        let (_client, mut events) = AsyncClient::builder(self.options(port)).capacity(4).build();
        let admitted = async {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Incoming::ConnAck(_))) => return true,
                    Ok(_) => {}
                    Err(_) => return false,
                }
            }
        };
        within(PATIENCE, "a CONNACK", admitted).await
    }

    pub fn shadow(&self, suffix: &str) -> String {
        format!("$aws/things/{}/shadow/{suffix}", self.thing)
    }
}

/// The content of `connection.json` in a bundle.
pub fn connection(zip: &[u8]) -> Value {
    serde_json::from_str(&unzip(zip)["connection.json"]).unwrap()
}

fn unzip(zip: &[u8]) -> BTreeMap<String, String> {
    let mut zip = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    (0..zip.len())
        .map(|number| {
            let mut file = zip.by_index(number).unwrap();
            let mut content = String::new();
            file.read_to_string(&mut content).unwrap();
            (file.name().unwrap().into_owned(), content)
        })
        .collect()
}
