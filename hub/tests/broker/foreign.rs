//! Tests of MQTT 3.1.1 with the client `rumqttc`.

use onething_hub::mqtt::broker::Connection;
use onething_hub::mqtt::broker::message::Message;
use rumqttc::mqttbytes::v4::LastWill;
use rumqttc::{PublishOptions, QoS};

use crate::clients::Foreign;
use crate::support::Hub;

const QOS1: PublishOptions = PublishOptions::at_least_once();

#[tokio::test]
async fn a_device_receives_messages_for_its_subscriptions() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    let mut device = Foreign::new(hub.options(&lamp));
    assert!(!device.connected().await);
    device.client.subscribe("lamp/in", QoS::AtLeastOnce).await.unwrap();
    device.subscribed().await;
    assert!(matches!(hub.broker.connection("lamp"), Connection::Connected { .. }));
    device.client.publish("lamp/in", "hello", QOS1).await.unwrap();
    assert_eq!(device.message().await, ("lamp/in".into(), b"hello".to_vec(), false));
    hub.broker.publish(&[Message::new("lamp/in", "from the hub")]).await.unwrap();
    assert_eq!(device.message().await.1, b"from the hub");
}

#[tokio::test]
async fn a_message_to_the_shadow_is_answered_by_the_shadow() {
    let hub = Hub::start().await;
    let mut device = Foreign::new(hub.options(&hub.device("lamp")));
    device.connected().await;
    device.client.subscribe("$aws/things/lamp/shadow/update/accepted", QoS::AtLeastOnce).await.unwrap();
    device.subscribed().await;
    device.client.publish("$aws/things/lamp/shadow/update", "{}", QOS1).await.unwrap();
    assert_eq!(device.message().await.0, "$aws/things/lamp/shadow/update/accepted");
}

#[tokio::test]
async fn a_retained_message_is_delivered_to_a_later_subscriber() {
    let hub = Hub::start().await;
    let mut first = Foreign::new(hub.options(&hub.device("first")));
    first.connected().await;
    first.client.publish("shared/state", "on", QOS1.retained()).await.unwrap();
    first.acknowledged().await;
    let hub = hub.kill_and_start_again().await;
    let mut second = Foreign::new(hub.options(&hub.device("second")));
    second.connected().await;
    second.client.subscribe("shared/+", QoS::AtLeastOnce).await.unwrap();
    assert_eq!(second.message().await, ("shared/state".into(), b"on".to_vec(), true));
}

#[tokio::test]
async fn a_persistent_session_keeps_its_messages_across_a_crash_of_the_hub() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    let mut options = hub.options(&lamp);
    options.set_clean_session(false);
    let mut device = Foreign::new(options);
    assert!(!device.connected().await);
    device.client.subscribe("lamp/in", QoS::AtLeastOnce).await.unwrap();
    device.subscribed().await;
    drop(device);
    for payload in ["1", "2", "3"] {
        hub.broker.publish(&[Message::new("lamp/in", payload)]).await.unwrap();
    }
    let hub = hub.kill_and_start_again().await;
    hub.broker.publish(&[Message::new("lamp/in", "4")]).await.unwrap();
    let mut options = hub.options(&lamp);
    options.set_clean_session(false);
    let mut device = Foreign::new(options);
    assert!(device.connected().await);
    for payload in ["1", "2", "3", "4"] {
        assert_eq!(device.message().await.1, payload.as_bytes());
    }
}

#[tokio::test]
async fn a_will_is_published_after_a_lost_connection_and_not_after_a_disconnect() {
    let hub = Hub::start().await;
    let mut watcher = Foreign::new(hub.options(&hub.device("watcher")));
    watcher.connected().await;
    watcher.client.subscribe("shared/wills", QoS::AtLeastOnce).await.unwrap();
    watcher.subscribed().await;
    for (name, polite) in [("polite", true), ("rude", false)] {
        let mut options = hub.options(&hub.device(name));
        options.set_last_will(LastWill::new("shared/wills", name, QoS::AtLeastOnce, false));
        let mut device = Foreign::new(options);
        device.connected().await;
        if polite {
            device.client.disconnect().await.unwrap();
            device.over().await;
        }
    }
    assert_eq!(watcher.message().await.1, b"rude");
}

#[tokio::test]
async fn an_unauthorized_client_cannot_connect() {
    let hub = Hub::start().await;
    let mut stranger = Foreign::new(hub.options(&hub.stranger("lamp")));
    assert!(stranger.events.poll().await.is_err());
    // A certificate is valid for its own thing only.
    let mut other = hub.device("lamp");
    other.name = "heater".into();
    let mut other = Foreign::new(hub.options(&other));
    assert!(other.events.poll().await.is_err());
}

#[tokio::test]
async fn a_second_connection_replaces_the_first() {
    let hub = Hub::start().await;
    let lamp = hub.device("lamp");
    let mut first = Foreign::new(hub.options(&lamp));
    first.connected().await;
    let mut second = Foreign::new(hub.options(&lamp));
    second.connected().await;
    first.over().await;
    second.client.subscribe("lamp/in", QoS::AtMostOnce).await.unwrap();
    second.subscribed().await;
    assert!(matches!(hub.broker.connection("lamp"), Connection::Connected { .. }));
}
