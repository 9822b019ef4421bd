//! Tests of the queue of commands with the event loop: commands arrive over the connection, and their answers are reported.

use super::tests::{Kettle, connected, delta, event_loop, journal};
use super::*;
use crate::scripted_server::{Server, Session, soon};
use onething_hub::clock;
use tempfile::TempDir;

/// A value of `desired.commands` with these commands, in this order.
fn waiting(commands: &[(&str, &str)]) -> Value {
    let entry = |(order, (id, name)): (usize, &(&str, &str))| {
        let fields = json!({"name": name, "args": {"cups": 2}, "issuedAt": clock::now(), "expiresAt": clock::now() + 600, "order": order});
        ((*id).to_owned(), fields)
    };
    Value::Object(commands.iter().enumerate().map(entry).collect())
}

/// The next update that removes this command.
async fn removes(session: &mut Session, id: &str) -> Value {
    loop {
        let update = session.update().await;
        if update["state"]["desired"]["commands"].get(id) == Some(&Value::Null) {
            return update;
        }
    }
}

#[tokio::test]
async fn waiting_commands_are_answered_and_removed_by_one_update_each() {
    let (server, kettle) = (Server::new().await, Kettle::quick());
    let (event_loop, control) = event_loop(&server, kettle.body());
    let task = tokio::spawn(event_loop.run());
    let mut session = connected(&server).await;
    assert_eq!(session.report().await["commandQueue"], true);
    session.tells("update/delta", &delta(1, &json!({"commands": waiting(&[("b", "boil"), ("a", "boil")])}))).await;
    let done = |id: &str| json!({"id": id, "status": "done", "detail": "it boils"});
    let first = removes(&mut session, "b").await;
    assert_eq!((&first["state"]["reported"]["command"], &first["clientToken"]), (&done("b"), &json!("onething-device")));
    // A settable property that the command has changed gets the new value as its desired value.
    assert_eq!((&first["state"]["reported"]["cups"], &first["state"]["desired"]["cups"]), (&json!(2), &json!(2)));
    assert_eq!(removes(&mut session, "a").await["state"]["reported"]["command"], done("a"));
    assert_eq!(kettle.begun(), ["b", "a"]);
    control.stop().await;
    soon(task).await.unwrap();
}

#[tokio::test]
async fn an_interrupting_command_does_not_wait_for_the_interrupted_one() {
    let (server, folder, kettle) = (Server::new().await, TempDir::new().unwrap(), Kettle::new());
    let (event_loop, control) = event_loop(&server, kettle.body());
    let task = tokio::spawn(event_loop.with_journal(journal(&folder)).run());
    let mut session = connected(&server).await;
    session.tells("update/delta", &delta(1, &json!({"commands": waiting(&[("1", "boil")])}))).await;
    session.reports("/command/status", &json!("accepted")).await;
    let all = waiting(&[("1", "boil"), ("2", "light"), ("3", "stop")]);
    session.tells("update/delta", &delta(2, &json!({"commands": all}))).await;
    let ended = removes(&mut session, "1").await;
    assert_eq!(ended["state"]["reported"]["failures"], Value::Null, "an interruption is not a failure");
    kettle.may_end.add_permits(2);
    removes(&mut session, "3").await;
    removes(&mut session, "2").await;
    assert_eq!(kettle.begun(), ["1", "3", "2"]);
    control.stop().await;
    soon(task).await.unwrap();
    let ends: Vec<_> = journal(&folder).begun().map(|(id, end)| (id, end.unwrap().detail)).collect();
    assert_eq!(ends[0], ("1".to_owned(), "interrupted by stop".to_owned()));
}
