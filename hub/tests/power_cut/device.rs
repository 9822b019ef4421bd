//! A device with the mailed bundle and a persistent session: `rumqttc`, as other people wrote it.

use std::sync::Arc;

use rumqttc::{AsyncClient, ConnectionError, Event, EventLoop, Incoming, PublishOptions, QoS, SubscribeFilterInput};
use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::harness::Client;
use crate::person::Person;
use crate::{bundle_of, person};

struct Device {
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

    /// The next packet, of which everything is remembered that has to last.
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
            if let Incoming::ConnAck(welcome) = self.next().await? {
                let listening = self.knows(|known| known.listening);
                assert!(welcome.session_present || !listening, "the session of {} is gone", self.person.name);
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

    /// Reports a number higher than all before, until the connection is gone. What is acknowledged is kept.
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
}

/// Connects with the bundle in the last mail, where there is one, and reports until the hub is gone.
pub(crate) async fn reports(person: Arc<Person>, client: Client, port: u16) {
    let Some(bundle) = bundle_of(&person, &client).await else { return };
    let mut device = Device::new(&person, bundle, port);
    let lived = async {
        device.connects().await?;
        device.listens().await?;
        device.counts().await
    };
    // The power is cut, or the certificate of the bundle has just been replaced by one in another mail.
    drop(lived.await);
}

/// Hears all that was acknowledged while it was away.
pub(crate) async fn catches_up(person: &Arc<Person>, client: &Client, port: u16) {
    if !person.known.lock().unwrap().listening {
        return;
    }
    let bundle = bundle_of(person, client).await.expect("a bundle, which there was");
    let mut device = Device::new(person, bundle, port);
    device.connects().await.unwrap_or_else(|error| panic!("the last bundle of {} does not connect: {error}", person.name));
    while !device.knows(|known| known.told.is_subset(&known.heard)) {
        device.next().await.unwrap();
    }
}
