//! The real agent on an AWS that somebody else wrote, when its machine changes from one network to another.

use std::time::Duration;

use serde_json::json;

use crate::harness::agent::Machine;
use crate::harness::line::Line;
use crate::harness::ministack::Account;
use crate::harness::network::{Network, Wire, in_a_network_of_its_own};
use crate::stack::Stack;

/// For two signs of life, 30 s apart, the attempts after them, and a machine that is busy.
const LIMIT: Duration = Duration::from_secs(400);

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_changes_its_network_does_once_what_was_said_meanwhile() {
    if !in_a_network_of_its_own("networks::a_device_that_changes_its_network_does_once_what_was_said_meanwhile", LIMIT).await {
        return;
    }
    let (line, network) = (Line::laid_at("0.0.0.0").await, Network::laid().await);
    let endpoint = format!("localhost:{}", line.port);
    let stack = Stack::with(&Account::deployed(), |deployment| deployment.set("IOT_ENDPOINT", &endpoint)).await;
    line.leads_to(stack.ministack.mqtt_port);
    let mut ada = stack.onboards(&stack.function.welcomes("Ada"), 0).await;

    let machine = Machine::inside(&network.inside(), &stack.ministack.root);
    network.plug(Wire::Wifi).await;
    machine.sets_up(&ada.zip()).await;
    let printer = machine.printer();
    let agent = machine.runs(&["--device-model", &printer]).await;
    let vase = ada.wants(&stack, "vase").await;
    stack.ministack.is_told(&ada.thing, json!({"command": {"id": vase, "status": "done"}})).await;

    network.unplug(Wire::Wifi).await;
    let bowl = ada.wants(&stack, "bowl").await;
    network.plug(Wire::Cable).await;
    agent.says("connected", 2).await;
    stack.ministack.is_told(&ada.thing, json!({"command": {"id": bowl, "status": "done"}})).await;
    assert_eq!(machine.printed(), ["vase", "bowl"]);
    agent.loses_power().await;
}
