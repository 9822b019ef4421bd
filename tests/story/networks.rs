//! The real agent with an emulator of AWS that others wrote, when its machine changes the network.

use std::time::Duration;

use serde_json::json;

use crate::harness::agent::Machine;
use crate::harness::line::Line;
use crate::harness::ministack::Account;
use crate::harness::network::{Link, Network, in_a_network_of_its_own};
use crate::stack::Stack;

/// The limit of the whole test: two keep-alive intervals of 30 s, the attempts after them, and a busy machine.
const LIMIT: Duration = Duration::from_secs(400);

#[tokio::test(flavor = "multi_thread")]
async fn a_command_during_a_change_of_network_is_done_once() {
    if !in_a_network_of_its_own("networks::a_command_during_a_change_of_network_is_done_once", LIMIT).await {
        return;
    }
    let (line, network) = (Line::laid_at("0.0.0.0").await, Network::laid().await);
    let endpoint = format!("localhost:{}", line.port);
    let stack = Stack::with(&Account::deployed(), |deployment| deployment.set("IOT_ENDPOINT", &endpoint)).await;
    line.leads_to(stack.ministack.mqtt_port);
    let mut ada = stack.onboards(&stack.function.welcomes("Ada"), 0).await;

    let machine = Machine::inside(&network.inside(), &stack.ministack.root);
    network.plug(Link::Wifi).await;
    machine.sets_up(&ada.zip()).await;
    let printer = machine.printer();
    let agent = machine.runs(&["--device-model", &printer]).await;
    let vase = ada.wants(&stack, "vase").await;
    stack.ministack.is_told(&ada.thing, json!({"command": {"id": vase, "status": "done"}})).await;

    network.unplug(Link::Wifi).await;
    let bowl = ada.wants(&stack, "bowl").await;
    network.plug(Link::Cable).await;
    agent.says("connected", 2).await;
    stack.ministack.is_told(&ada.thing, json!({"command": {"id": bowl, "status": "done"}})).await;
    assert_eq!(machine.printed(), ["vase", "bowl"]);
    agent.loses_power().await;
}
