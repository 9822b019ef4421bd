//! A device with the bundle from a mail and a persistent session. It uses the independent client `rumqttc`.

use std::sync::Arc;

use rumqttc::{AsyncClient, ConnectionError, Event, EventLoop, Incoming, PublishOptions, QoS, SubscribeFilterInput};
use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::harness::Client;
use crate::person::Person;
use crate::{bundles_of, person};

pub(crate) struct Device {
    person: Arc<Person>,
    bundle: Bundle,
    client: AsyncClient,
    events: EventLoop,
}

impl Device {
    fn new(person: &Arc<Person>, bundle: Bundle, port: u16) -> Self {
        let mut options = bundle.options(port);
        options.set_clean_session(false).set_max_packet_size(128 * 1024, 128 * 1024);
        let (client, events) = AsyncClient::builder(options).capacity(16).build();
        Self { person: Arc::clone(person), bundle, client, events }
    }

    fn knows<T>(&self, change: impl FnOnce(&mut person::Known) -> T) -> T {
        change(&mut self.person.known.lock().unwrap())
    }

    /// Receives the next packet, and records commands and acknowledged reports.
    async fn next(&mut self) -> Result<Incoming, ConnectionError> {
        loop {
            let Event::Incoming(packet) = self.events.poll().await? else { continue };
            if let Incoming::Publish(message) = &packet {
                let content: Value = serde_json::from_slice(&message.payload).unwrap();
                let delta = message.topic == self.bundle.shadow("update/delta");
                self.knows(|known| {
                    if let Some(command) = content["state"]["command"]["id"].as_str().filter(|_| delta) {
                        known.heard.insert(command.to_owned());
                    }
                    if let Some(number) = content["clientToken"].as_str().and_then(|token| token.parse().ok()) {
                        known.accepted = known.accepted.max(number);
                        known.version = known.version.max(content["version"].as_u64().unwrap());
                    }
                });
            }
            return Ok(packet);
        }
    }

    async fn connects(&mut self) -> Result<(), ConnectionError> {
        loop {
            if let Incoming::ConnAck(connack) = self.next().await? {
                let listening = self.knows(|known| known.listening);
                assert!(connack.session_present || !listening, "the session of {} is gone", self.person.name);
                return Ok(());
            }
        }
    }

    async fn listens(&mut self) -> Result<(), ConnectionError> {
        if self.knows(|known| known.listening) {
            return Ok(());
        }
        let topics = ["update/delta", "update/accepted"].map(|topic| self.bundle.shadow(topic));
        self.client.try_subscribe_many(topics.map(|topic| SubscribeFilterInput::new(topic, QoS::AtLeastOnce))).unwrap();
        while !matches!(self.next().await?, Incoming::SubAck(_)) {}
        self.knows(|known| known.listening = true);
        Ok(())
    }

    /// Reports increasing numbers until the connection is lost, and records the acknowledged ones.
    async fn counts(&mut self) -> Result<(), ConnectionError> {
        loop {
            let number = self.knows(|known| {
                known.reported += 1;
                known.reported
            });
            let report = json!({"state": {"reported": {"progress": number}}, "clientToken": number.to_string()});
            let topic = self.bundle.shadow("update");
            self.client.try_publish(topic, report.to_string(), PublishOptions::at_least_once()).unwrap();
            while !matches!(self.next().await?, Incoming::PubAck(_)) {}
            self.knows(|known| known.accepted = known.accepted.max(number));
        }
    }

    /// Connects with the newest valid bundle, and receives all commands that were acknowledged while the device was offline.
    /// `None` if no bundle is valid yet.
    ///
    /// A kill during a replacement may leave the newest bundle invalid until the owner speaks to the skill again; the bundle that
    /// it replaces stays valid. A user whose device was reported as ready has a valid bundle.
    pub(crate) async fn comes_back(person: &Arc<Person>, client: &Client, port: u16) -> Option<Self> {
        let bundles = bundles_of(person, client).await.expect("no response");
        for bundle in bundles {
            let mut device = Device::new(person, bundle, port);
            if device.connects().await.is_ok() {
                device.listens().await.unwrap();
                while !device.knows(|known| known.told.is_subset(&known.heard)) {
                    device.next().await.unwrap();
                }
                return Some(device);
            }
        }
        assert!(!person.known.lock().unwrap().ready, "none of the bundles of {} opens anything", person.name);
        None
    }

    /// Reports until the hub is killed, or until the certificate of the bundle is replaced.
    pub(crate) async fn reports(mut self) {
        drop(self.counts().await);
    }
}
