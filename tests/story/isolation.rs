//! The certificate of one owner gives access to one thing, and to no resource of another owner.

use serde_json::json;

use crate::harness::device::Device;
use crate::stack::{Stack, topic};

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_gives_access_to_one_thing_only() {
    let stack = Stack::built().await;
    let ada = stack.onboards(&stack.function.welcomes("Ada"), 0).await;
    let bob = stack.onboards(&stack.function.welcomes("Bob"), 1).await;
    assert_ne!(ada.thing, bob.thing);
    let reported = json!({"state": {"reported": {"status": "idle"}}});

    for version in ["3.1.1", "5"] {
        let own = ada.identity.clone().speaking(version);

        // The own thing: connect, publish and subscribe.
        let mut device = Device::connect(&own).await;
        for request in ["get", "update", "delete"] {
            for answer in ["accepted", "rejected"] {
                device.subscribe(&ada.topic(&format!("{request}/{answer}"))).await;
            }
        }
        for rest in ["update/delta", "update/documents"] {
            device.subscribe(&ada.topic(rest)).await;
        }
        device.publish(&ada.topic("update"), &reported).await;
        device.publish(&ada.topic("get"), &json!({})).await;
        let shadow = device.receive(&ada.topic("get/accepted")).await;
        assert_eq!(shadow["state"]["reported"]["status"], "idle", "{shadow}");
        drop(device);

        // Another client id: Bob's, an unknown one, a wildcard and an empty one.
        for name in [bob.thing.as_str(), "3D_Printer-nobody", "*", ""] {
            let mut device = Device::dial(&own.clone().calling_itself(name)).await;
            device.is_refused().await;
        }

        // Topics of Bob, topics with wildcards, and topics of the own thing that a device does not need.
        for filter in [
            bob.topic("update/delta"),
            bob.topic("get/accepted"),
            bob.topic("update/documents"),
            bob.topic("delete/accepted"),
            topic("+", "update/delta"),
            "#".to_owned(),
            "$aws/#".to_owned(),
            "$aws/things/#".to_owned(),
            "+/+".to_owned(),
            ada.topic("#"),
            ada.topic("delete/+"),
            format!("$aws/things/{}/jobs/notify", ada.thing),
            format!("$aws/events/presence/connected/{}", bob.thing),
        ] {
            let mut device = Device::connect(&own).await;
            device.is_refused_to_subscribe(&filter).await;
        }
        for name in [
            bob.topic("update"),
            bob.topic("get"),
            bob.topic("update/delta"),
            ada.topic("delete"),
            ada.topic("name/other/update"),
            "hello".to_owned(),
        ] {
            let mut device = Device::connect(&own).await;
            device.is_refused_to_publish(&name, &reported).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_for_one_device_does_not_reach_another() {
    let stack = Stack::built().await;
    let mut ada = stack.onboards(&stack.function.welcomes("Ada"), 0).await;
    let bob = stack.onboards(&stack.function.welcomes("Bob"), 1).await;
    let mut bobs = Device::connect(&bob.identity).await;
    bobs.subscribe(&bob.topic("update/delta")).await;
    let mut adas = Device::connect(&ada.identity).await;
    adas.subscribe(&ada.topic("update/delta")).await;

    let request = ada.echo.intent("PauseIntent", &[]);
    stack.ask(&mut ada.echo, &request).await;
    let delta = adas.receive(&ada.topic("update/delta")).await;
    assert_eq!(delta["state"]["command"]["name"], "pause", "{delta}");

    // The next message for Bob's device is the response to its own update; no other message precedes it.
    bobs.subscribe(&bob.topic("update/accepted")).await;
    let reported = json!({"state": {"reported": {"status": "idle"}}});
    bobs.publish(&bob.topic("update"), &reported).await;
    let all = bobs.everything();
    assert!(!all.contains("pause") && !all.contains(&ada.thing), "{all}");
}
