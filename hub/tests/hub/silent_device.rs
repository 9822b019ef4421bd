//! Devices of others that are connected and report nothing: the skill knows from the broker that they are there.

use rumqttc::{AsyncClient, Event, EventLoop, Incoming, PublishOptions, QoS, SubscribeFilterInput};

use crate::bundle::Bundle;
use crate::harness::{Client, PATIENCE, Running, within};

/// Until the broker has answered with a packet that `is_it`.
async fn until(events: &mut EventLoop, what: &str, is_it: impl Fn(&Incoming) -> bool) {
    let answered = async { while !matches!(events.poll().await.expect("a connection"), Event::Incoming(packet) if is_it(&packet)) {} };
    within(PATIENCE, what, answered).await;
}

async fn check(client: &Client, words: &str, expected: &str) {
    let said = client.speech("ana", words).await.unwrap();
    assert!(said.starts_with(expected), "{words}: {said}");
    assert_eq!(said.contains("online"), expected.contains("online"), "{words}: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_connected_and_reports_nothing_is_not_said_to_be_missing() {
    let place = tempfile::tempdir().unwrap();
    let hub = Running::start(place.path());
    let client = hub.client();
    client.link("ana").await.unwrap();
    let (status, print) = ("ask my printer for the status", "ask my printer to print a vase");
    check(&client, status, "Your 3D printer has not been online yet.").await;
    check(&client, print, "Printing 1 vase. Your 3D printer has not been online yet. The command waits for it").await;

    let bundle = Bundle::open(&client.bundles("ana").await.unwrap()[0]);
    let (device, mut events) = AsyncClient::builder(bundle.options(hub.mqtt_port())).capacity(4).build();
    device.try_subscribe_many([SubscribeFilterInput::new(bundle.shadow("update/delta"), QoS::AtLeastOnce)]).unwrap();
    until(&mut events, "a device that listens", |packet| matches!(packet, Incoming::SubAck(_))).await;
    check(&client, status, "Your 3D printer is connected, but reports nothing.").await;
    assert_eq!(client.speech("ana", print).await.unwrap(), "Printing 1 vase.");

    // Another device empties its shadow, and with it the skill's own mark.
    device.try_publish(bundle.shadow("update"), r#"{"state":{"reported":null}}"#, PublishOptions::at_least_once()).unwrap();
    until(&mut events, "the shadow without a report", |packet| matches!(packet, Incoming::PubAck(_))).await;
    check(&client, status, "Your 3D printer is connected, but reports nothing.").await;
    assert_eq!(client.speech("ana", print).await.unwrap(), "Printing 1 vase.");

    drop((device, events));
    let gone = async { while client.speech("ana", status).await.unwrap().contains("is connected") {} };
    within(PATIENCE, "a device that is gone", gone).await;
    check(&client, status, "Your 3D printer is not connected. I last heard of it").await;
    hub.stop().await;
}
