//! Tests of the device of the hub's web page, with a scripted server.

use onething_hub::authority::Authority;
use onething_hub::clock;
use rmqtt_codec::v3::{ConnectAckReason, Packet};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::*;
use crate::scripted_server::{Server, soon};

fn device(server: &Server) -> Device {
    Device::start(&server.bundle, clock::now).unwrap()
}

async fn becomes(device: &Device, online: Online) -> State {
    let mut watch = device.watch();
    soon(watch.wait_for(|state| state.connection == online)).await.unwrap().clone()
}

fn command(id: &str) -> Value {
    json!({"id": id, "name": "print", "args": {"model": "vase", "copies": 1}, "expiresAt": clock::now() + 600})
}

#[tokio::test]
async fn a_device_subscribes_gets_the_shadow_performs_and_reports() {
    let server = Server::new().await;
    let device = device(&server);
    assert_eq!(device.state().connection, Online::Connecting);
    let (mut session, connect) = server.meet().await;
    assert_eq!((connect.client_id.to_string(), connect.clean_session, connect.keep_alive), (server.thing.to_string(), true, 30));
    assert_eq!((connect.last_will, connect.username), (None, None));
    session.acknowledge(ConnectAckReason::ConnectionAccepted).await;
    session.subscribe(5).await;
    assert_eq!(session.received().await, ("get".to_owned(), Value::Null));
    becomes(&device, Online::Connected).await;

    session.tells("get/accepted", &json!({"version": 3, "state": {"desired": {"power": "OFF"}, "delta": {"power": "OFF"}}})).await;
    let first = session.report().await;
    assert_eq!((&first["power"], &first["status"]), (&json!("OFF"), &json!("idle")));
    assert_eq!(first["certificateId"].as_str().map(str::len), Some(64));
    session.tells("update/delta", &json!({"version": 4, "state": {"power": "ON", "command": command("1")}})).await;
    session.reports("/command", &json!({"id": "1", "status": "accepted", "detail": "vase is being printed"})).await;
    session.tells("update/delta", &json!({"version": 2, "state": {"power": "OFF"}})).await;
    while session.report().await["progress"].as_u64().unwrap_or_default() == 0 {}
    let state = device.state();
    let printer = serde_json::to_value(&state).unwrap()["printer"].clone();
    assert_eq!((&printer["status"], &printer["model"], &printer["power"]), (&json!("printing"), &json!("vase"), &json!("ON")));
    assert!(state.running && state.thing == Some(server.thing.to_string()));

    device.fail(true).await;
    session.reports("/command/status", &json!("failed")).await;
    device.slow(true).await;
    soon(device.watch().wait_for(|state| state.fails && state.slow)).await.unwrap();
    device.fail(false).await;
    session.reports("/status", &json!("idle")).await;
    device.stop().await;
    while let Some(packet) = session.hear().await {
        assert!(matches!(packet, Packet::Publish(_) | Packet::PublishAck { .. } | Packet::Disconnect), "{packet:?}");
    }
}

#[tokio::test]
async fn an_answered_command_is_not_performed_again_after_a_lost_connection() {
    let server = Server::new().await;
    let device = device(&server);
    let mut session = server.welcome().await;
    session.tells("get/rejected", &json!({"code": 404, "message": "No shadow exists with name"})).await;
    assert_eq!(session.report().await["status"], "idle");
    drop(session);
    let mut session = server.welcome().await;
    let answered = json!({"id": "1", "status": "done", "detail": "vase is printed"});
    let state = json!({"desired": {"command": command("1")}, "reported": {"command": answered}, "delta": {"command": command("1")}});
    session.tells("get/accepted", &json!({"version": 9, "state": state})).await;
    assert_eq!(session.report().await["status"], "idle");
    assert_eq!(device.state().printer.unwrap().status, crate::printer::machine::Status::Idle);
}

#[tokio::test]
async fn a_disconnected_device_stays_disconnected_until_it_is_connected() {
    let server = Server::new().await;
    let device = device(&server);
    let mut session = server.welcome().await;
    device.disconnect().await;
    let mut last = None;
    while let Some(packet) = session.hear().await {
        last = Some(packet);
    }
    assert_eq!(last, Some(Packet::Disconnect));
    becomes(&device, Online::Off).await;
    device.connect().await;
    server.welcome().await;
    becomes(&device, Online::Connected).await;
}

#[tokio::test]
async fn a_refusal_is_shown_and_tried_again() {
    let server = Server::new().await;
    let device = device(&server);
    let (mut session, _) = server.meet().await;
    session.acknowledge(ConnectAckReason::NotAuthorized).await;
    becomes(&device, Online::Refused).await;
    let (mut session, _) = server.meet().await;
    session.acknowledge(ConnectAckReason::ConnectionAccepted).await;
    session.subscribe(4).await;
    while session.hear().await.is_some() {}
    device.connect().await;
    server.welcome().await;
    let log = becomes(&device, Online::Connected).await.log;
    assert!(log.iter().any(|line| line.text.contains("does not let")) && log.iter().any(|line| line.text.contains("may not listen")));
}

#[tokio::test]
async fn a_connection_that_is_closed_instead_of_answered_is_refused() {
    let server = Server::new().await;
    let device = device(&server);
    for _ in 0..2 {
        let (mut session, _) = server.meet().await;
        session.stream.shutdown().await.unwrap();
    }
    becomes(&device, Online::Refused).await;
    server.welcome().await;
    becomes(&device, Online::Connected).await;
}

#[tokio::test]
async fn a_certificate_that_the_server_does_not_know_is_refused() {
    let (issuer, believed) = (Authority::new(clock::now()).unwrap(), Authority::new(clock::now()).unwrap());
    let server = Server::with(&issuer, &believed).await;
    let device = device(&server);
    assert!(server.accept().await.is_err());
    becomes(&device, Online::Refused).await;
}

#[tokio::test]
async fn a_server_with_an_unknown_certificate_is_refused() {
    let (server, other) = (Server::new().await, Server::new().await);
    let mut impostor = server;
    impostor.acceptor = other.acceptor;
    let device = device(&impostor);
    assert!(impostor.accept().await.is_err());
    becomes(&device, Online::Refused).await;
}

#[tokio::test]
async fn a_device_tries_again_while_the_hub_is_down() {
    let server = Server::new().await;
    let device = device(&server);
    for _ in 0..2 {
        // The connection is closed before CONNACK.
        soon(server.listener.accept()).await.unwrap();
    }
    server.welcome().await;
    becomes(&device, Online::Connected).await;
    drop(device);
}

#[test]
fn the_default_state_is_that_without_a_device() {
    let none = json!({"running": false, "connection": "off", "slow": false, "fails": false, "printer": null, "log": [], "thing": null});
    assert_eq!(serde_json::to_value(State::default()).unwrap(), none);
}
