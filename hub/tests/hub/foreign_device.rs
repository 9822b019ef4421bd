//! Tests with devices that do not use the agent: devices that report nothing, that fail, or that are offline during commands.

use rumqttc::{AsyncClient, Event, EventLoop, Incoming, PublishOptions, QoS, SubscribeFilterInput};
use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::harness::{Client, PATIENCE, Running, within};

/// A device that is subscribed to deltas and publishes the reports of a test.
struct Device {
    bundle: Bundle,
    client: AsyncClient,
    events: EventLoop,
}

impl Device {
    async fn connect(hub: &Running, client: &Client) -> Self {
        let bundle = Bundle::open(&client.bundles("ana").await.unwrap()[0]);
        let (client, events) = AsyncClient::builder(bundle.options(hub.mqtt_port())).capacity(4).build();
        let mut device = Self { bundle, client, events };
        device.client.try_subscribe_many([SubscribeFilterInput::new(device.bundle.shadow("update/delta"), QoS::AtLeastOnce)]).unwrap();
        device.until("a device that listens", |packet| matches!(packet, Incoming::SubAck(_))).await;
        device
    }

    /// Waits until the broker sends a packet that `is_it` accepts.
    async fn until(&mut self, what: &str, is_it: impl Fn(&Incoming) -> bool) {
        let events = &mut self.events;
        let sent =
            async { while !matches!(events.poll().await.expect("the connection is lost"), Event::Incoming(packet) if is_it(&packet)) {} };
        within(PATIENCE, what, sent).await;
    }

    async fn reports(&mut self, reported: &Value) {
        let update = json!({"state": {"reported": reported}}).to_string();
        self.client.try_publish(self.bundle.shadow("update"), update, PublishOptions::at_least_once()).unwrap();
        self.until("the acknowledgement of a report", |packet| matches!(packet, Incoming::PubAck(_))).await;
    }

    async fn disconnects(self, client: &Client) {
        drop((self.client, self.events));
        let gone = async { while client.speech("ana", CONNECTED).await.unwrap().contains("is connected") {} };
        within(PATIENCE, "the end of the connection of the device", gone).await;
    }
}

const CONNECTED: &str = "ask my printer if it is connected";
const STATUS: &str = "ask my printer for the status";
const PRINT: &str = "ask my printer to print a vase";

async fn linked() -> (tempfile::TempDir, Running, Client) {
    let place = tempfile::tempdir().unwrap();
    let hub = Running::start(place.path());
    let client = hub.client();
    client.link("ana").await.unwrap();
    (place, hub, client)
}

async fn check(client: &Client, words: &str, expected: &str) {
    let said = client.speech("ana", words).await.unwrap();
    assert!(said.starts_with(expected), "{words}: {said}");
    assert_eq!(said.contains("online"), expected.contains("online"), "{words}: {said}");
}

async fn shadow(client: &Client) -> Value {
    client.thing("ana").await.unwrap()["shadow"]["state"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connected_device_without_reports_is_not_reported_as_offline() {
    let (_place, hub, client) = linked().await;
    check(&client, STATUS, "Your 3D printer has not been online yet.").await;
    check(&client, PRINT, "Printing 1 vase. Your 3D printer has not been online yet. The command waits for it").await;

    let mut device = Device::connect(&hub, &client).await;
    check(&client, STATUS, "Your 3D printer is connected, but reports nothing.").await;
    assert_eq!(client.speech("ana", PRINT).await.unwrap(), "Printing 1 vase.");

    // The device deletes its reported state, including the mark of the skill.
    device.reports(&Value::Null).await;
    check(&client, STATUS, "Your 3D printer is connected, but reports nothing.").await;
    assert_eq!(client.speech("ana", PRINT).await.unwrap(), "Printing 1 vase.");

    device.disconnects(&client).await;
    check(&client, STATUS, "Your 3D printer is not connected. I last heard of it").await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_reported_once_with_the_next_response() {
    let (_place, hub, client) = linked().await;
    let mut device = Device::connect(&hub, &client).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    check(&client, "ask my printer to set the nozzle to two hundred degrees", "Setting the nozzle to 200 degrees.").await;
    let failed = json!({"value": 200, "detail": "the heater is off", "at": now - 120});
    device.reports(&json!({"status": "idle", "failures": {"nozzleTarget": failed}})).await;
    let told = "Two minutes ago your 3D printer could not set the nozzle target to 200 degrees: the heater is off.";
    assert_eq!(client.speech("ana", PRINT).await.unwrap(), format!("Printing 1 vase. {told}"));
    assert_eq!(shadow(&client).await["reported"]["onboarded"]["told"], now - 120);
    for words in [PRINT, STATUS, "open my printer"] {
        let said = client.speech("ana", words).await.unwrap();
        assert!(!said.contains("could not"), "{words}: {said}");
    }

    // The response about the status also reports the failure, and only once.
    let failed = json!({"id": "1", "name": "print", "status": "refused", "detail": "no filament", "at": now});
    device.reports(&json!({"failures": {"command": failed}})).await;
    let said = client.speech("ana", STATUS).await.unwrap();
    assert!(said.starts_with("Your printer is idle. ") && said.contains("refused the command print: no filament."), "{said}");
    assert_eq!(client.speech("ana", STATUS).await.unwrap(), "Your printer is idle.");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_response_about_the_connection_reports_a_failure_once() {
    let (_place, hub, client) = linked().await;
    let mut device = Device::connect(&hub, &client).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let failed = json!({"id": "2", "name": "print", "status": "failed", "detail": "the bed is cold!", "at": now - 60});
    device.reports(&json!({"status": "idle", "failures": {"command": failed}})).await;
    let said = client.speech("ana", CONNECTED).await.unwrap();
    assert!(said.starts_with("Your 3D printer is connected") && said.contains("print failed: the bed is cold."), "{said}");
    let said = client.speech("ana", CONNECTED).await.unwrap();
    assert!(said.starts_with("Your 3D printer is connected") && !said.contains("failed"), "{said}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_failure_of_a_device_without_failures_is_not_repeated() {
    let (_place, hub, client) = linked().await;
    let mut device = Device::connect(&hub, &client).await;
    device.reports(&json!({"status": "idle", "command": {"id": "1", "status": "failed", "detail": "the bed is cold"}})).await;
    let said = client.speech("ana", "open my printer").await.unwrap();
    assert!(said.starts_with("Your 3D printer is ready.") && said.contains("a command failed: the bed is cold."), "{said}");
    assert_eq!(client.speech("ana", STATUS).await.unwrap(), "Your printer is idle.");
    hub.stop().await;
}

/// Says "cancel the print", "yes" and "print a frog", while the device is offline.
async fn cancel_and_print(client: &Client) -> String {
    client.speech("ana", "ask my printer to cancel the print").await.unwrap();
    client.speech("ana", "yes").await.unwrap();
    client.speech("ana", "ask my printer to print a frog").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_wait_in_order_for_a_device_with_a_queue() {
    let (_place, hub, client) = linked().await;
    let mut device = Device::connect(&hub, &client).await;
    device.reports(&json!({"status": "printing", "commandQueue": true})).await;
    device.disconnects(&client).await;
    assert_eq!(cancel_and_print(&client).await, "Printing 1 frog.");
    let desired = shadow(&client).await["desired"].take();
    let mut queue: Vec<(u64, &str)> =
        desired["commands"].as_object().unwrap().values().map(|c| (c["order"].as_u64().unwrap(), c["name"].as_str().unwrap())).collect();
    queue.sort_unstable();
    assert_eq!(queue.iter().map(|(_, name)| *name).collect::<Vec<_>>(), ["cancel", "print"]);
    assert!(queue[0].0 < queue[1].0, "{desired}");
    // A device without a queue executes the newest command.
    let newest = desired["command"]["id"].as_str().unwrap();
    assert_eq!(desired["commands"][newest]["args"], json!({"model": "frog", "copies": 1}));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_does_not_fit_into_the_shadow_is_rejected() {
    let (_place, hub, client) = linked().await;
    let mut device = Device::connect(&hub, &client).await;
    device.reports(&json!({"status": "idle", "commandQueue": true, "log": "x".repeat(6_500)})).await;
    device.disconnects(&client).await;
    let full = async {
        loop {
            let said = client.speech("ana", PRINT).await.unwrap();
            if said != "Printing 1 vase." {
                return said;
            }
        }
    };
    let said = within(PATIENCE, "a shadow that is full", full).await;
    assert!(said.starts_with("Too many commands wait for your 3D printer already, so I have not passed this one on."), "{said}");
    let desired = shadow(&client).await["desired"].take();
    assert!(desired["commands"].get(desired["command"]["id"].as_str().unwrap()).is_some(), "nothing of the last one is there: {desired}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_queue_the_response_names_the_replaced_command() {
    let (_place, hub, client) = linked().await;
    let mut device = Device::connect(&hub, &client).await;
    device.reports(&json!({"status": "printing"})).await;
    device.disconnects(&client).await;
    assert_eq!(cancel_and_print(&client).await, "Printing 1 frog. This replaces the command cancel, which was still waiting.");
    let desired = shadow(&client).await["desired"].take();
    assert!(desired["command"]["name"] == "print" && desired.get("commands").is_none(), "{desired}");

    // A command that is answered is not replaced.
    let mut device = Device::connect(&hub, &client).await;
    device.reports(&json!({"command": {"id": desired["command"]["id"], "status": "accepted"}})).await;
    device.disconnects(&client).await;
    assert_eq!(client.speech("ana", PRINT).await.unwrap(), "Printing 1 vase.");
    hub.stop().await;
}
