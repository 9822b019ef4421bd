//! Tests of replaced certificates, with devices that report the certificate that they use.

use rumqttc::{AsyncClient, Event, Incoming, PublishOptions, QoS, SubscribeFilterInput};
use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::device::{Device, Endpoint, code};
use crate::harness::{Client, PATIENCE, Running, within};

/// Connects, reports this certificate, and waits until the report is accepted.
async fn reports(bundle: &Bundle, port: u16, certificate: &str) {
    let (client, mut events) = AsyncClient::builder(bundle.options(port)).capacity(4).build();
    client.try_subscribe_many([SubscribeFilterInput::new(bundle.shadow("update/accepted"), QoS::AtLeastOnce)]).unwrap();
    let reported = async {
        loop {
            match events.poll().await.expect("the connection is lost") {
                Event::Incoming(Incoming::SubAck(_)) => {
                    let report = json!({"state": {"reported": {"certificateId": certificate}}}).to_string();
                    client.try_publish(bundle.shadow("update"), report, PublishOptions::at_least_once()).unwrap();
                }
                Event::Incoming(Incoming::Publish(_)) => return,
                _ => {}
            }
        }
    };
    within(PATIENCE, "a report that is accepted", reported).await;
}

/// The ids of the ACTIVE certificates of the owner's thing.
async fn active(client: &Client) -> Vec<String> {
    let thing = client.thing("ana").await.unwrap();
    let active = thing["certificates"].as_array().unwrap().iter().filter(|certificate| certificate["status"] == "ACTIVE");
    let mut ids: Vec<_> = active.map(|certificate| certificate["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

async fn wait_for_active(client: &Client, expected: &[&str]) {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    let only = async {
        while active(client).await != expected {
            tokio::task::yield_now().await;
        }
    };
    within(PATIENCE, "the certificates that are left", only).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_certificate_is_deactivated_when_a_device_reports_the_new_one_and_a_late_report_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let hub = Running::start(place.path());
    let client = hub.client();
    client.link("ana").await.unwrap();
    let old = Bundle::open(&client.bundles("ana").await.unwrap()[0]);
    let endpoint = Endpoint::of(&client);
    let code = code(&client, "ana").await;
    let device = Device::new();
    let new = device.takes(&device.registers(&endpoint, json!({"code": code})).await);
    assert_eq!(new.thing, old.thing);

    // A report of the old certificate by the old device deactivates nothing.
    reports(&old, hub.mqtt_port(), &old.certificate).await;
    wait_for_active(&client, &[&old.certificate, &new.certificate]).await;
    reports(&new, hub.mqtt_port(), &new.certificate).await;
    wait_for_active(&client, &[&new.certificate]).await;
    assert!(!old.is_admitted(hub.mqtt_port()).await);

    // A late report of the old device.
    reports(&new, hub.mqtt_port(), &old.certificate).await;
    let told = client.thing("ana").await.unwrap();
    assert_eq!(told["shadow"]["state"]["reported"]["certificateId"], Value::from(old.certificate.clone()), "{told}");
    new.reads_its_shadow(hub.mqtt_port()).await;
    assert_eq!(active(&client).await, std::slice::from_ref(&new.certificate));
    hub.stop().await;
}
