//! A test of a device with a real hub: from the mail, through a disconnection and restarts, to the end of the account.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code: a panic is a failed test")]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onething::config::Environment;
use onething_device::agent::{Command, CommandStatus, InTurn, Perform, Performed};
use onething_device::bundle::Bundle;
use onething_device::event_loop::{Connection, Control, EventLoop};
use onething_device::journal::Journal;
use onething_hub::clock;
use onething_hub::hub::Hub;
use onething_hub::serve::Running;
use onething_hub::settings::{Asked, Settings};
use onething_hub::sign_in::UserName;
use onething_hub::simulator::echo_sessions::Words;
use serde_json::{Map, Value};

/// A printer whose actions end at once, and that records them.
#[derive(Clone, Default)]
struct Quick {
    told: Arc<Mutex<Vec<String>>>,
    /// The id of the last command.
    last: Arc<Mutex<String>>,
}

impl Quick {
    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }
}

impl Perform for Quick {
    async fn set(&mut self, name: &str, value: &Value) -> Performed {
        self.told.lock().unwrap().push(format!("{name}={value}"));
        Performed::Done { detail: String::new(), properties: Map::new() }
    }

    async fn perform(&mut self, command: &Command) -> Performed {
        self.last.lock().unwrap().clone_from(&command.id);
        self.told.lock().unwrap().push(format!("{} {}", command.name, command.args["model"]));
        Performed::Done { detail: "done".to_owned(), properties: Map::new() }
    }
}

async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), event).await.unwrap_or_else(|_| panic!("{what}: it takes too long"))
}

async fn start(data: &Path, port: u16) -> Running {
    let mut asked = Asked::over(data);
    asked.mqtt.set_port(port);
    Running::start(Settings::read(asked, &Environment).unwrap()).await.unwrap()
}

/// Copies the data of a hub to another folder: within one process, a hub locks its database.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

async fn say(hub: &Hub, ana: &UserName, words: &str) {
    hub.say(ana, Words::Said(words.to_owned())).await.unwrap();
}

async fn connection(control: &Control, what: &str, wanted: impl Fn(&Connection) -> bool) {
    soon(what, control.watch().wait_for(|status| wanted(&status.connection))).await.unwrap();
}

/// Waits for the answer to a command after `before`. Returns the id of that command.
async fn answered_after(control: &Control, before: &str) -> String {
    let mut watch = control.watch();
    let status = soon("an answer", watch.wait_for(|status| status.command.as_ref().is_some_and(|answer| answer.id != before))).await;
    let answer = status.unwrap().command.clone().unwrap();
    assert_eq!(answer.status, CommandStatus::Done);
    answer.id
}

#[tokio::test]
async fn a_device_works_through_disconnections_and_restarts_until_the_owner_leaves() {
    let (data, state, quick) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), Quick::default());
    let running = start(data.path(), 0).await;
    let port = running.mqtt.port();
    let ana = UserName::parse("Ana").unwrap();
    running.hub.link(&ana).await.unwrap();
    say(&running.hub, &ana, "open my printer").await;
    let mail = running.hub.mail.messages(None).unwrap().remove(0);
    let (_, zip) = running.hub.mail.attachment(&mail.id).unwrap().unwrap();

    let journal = state.path().join("journal");
    let start_device = || {
        let (event_loop, control) = EventLoop::new(Bundle::open(&zip).unwrap(), InTurn::new(quick.clone(), Map::new()), clock::now);
        let event_loop = event_loop.with_journal(Journal::open(&journal).unwrap());
        (tokio::spawn(event_loop.run()), control)
    };
    let (task, control) = start_device();
    connection(&control, "the first connection", |connection| matches!(connection, Connection::Connected { .. })).await;
    say(&running.hub, &ana, "ask my printer to print a vase").await;
    let first = answered_after(&control, "").await;
    say(&running.hub, &ana, "ask my printer to set the nozzle to two hundred degrees").await;
    say(&running.hub, &ana, "ask my printer to pause").await;
    let second = answered_after(&control, &first).await;
    let mut told = vec!["print \"vase\"".to_owned(), "nozzleTarget=200".to_owned(), "pause null".to_owned()];
    assert_eq!(quick.told(), told);

    // While the device is disconnected, all commands wait in their order, and each is performed once.
    control.disconnect().await;
    connection(&control, "the end of the connection", |connection| *connection == Connection::Off).await;
    for words in ["print a vase", "pause", "resume", "cancel the print"] {
        say(&running.hub, &ana, &format!("ask my printer to {words}")).await;
    }
    say(&running.hub, &ana, "yes").await;
    say(&running.hub, &ana, "ask my printer to print a frog").await;
    control.connect().await;
    told.extend(["print \"vase\"", "pause null", "resume null", "cancel null", "print \"frog\""].map(str::to_owned));
    let mut watch = control.watch();
    let is_last = |id: &str| quick.told().len() == told.len() && *quick.last.lock().unwrap() == id;
    let status = soon("the last answer", watch.wait_for(|status| status.command.as_ref().is_some_and(|answer| is_last(&answer.id)))).await;
    let third = status.unwrap().command.clone().unwrap().id;
    drop(watch);
    assert_ne!(third, second);
    assert_eq!(quick.told(), told);

    // The hub ends, and starts again with its data from the disk.
    running.end().await;
    let moved = tempfile::tempdir().unwrap();
    copy(data.path(), moved.path());
    connection(&control, "the loss", |connection| matches!(connection, Connection::Lost { .. })).await;
    let running = start(moved.path(), port).await;
    connection(&control, "the next connection", |connection| matches!(connection, Connection::Connected { .. })).await;
    say(&running.hub, &ana, "ask my printer to pause").await;
    let fourth = answered_after(&control, &third).await;
    told.push("pause null".to_owned());

    // The device ends, and starts again with its journal.
    control.stop().await;
    soon("the end", task).await.unwrap();
    let (task, control) = start_device();
    connection(&control, "the connection after a restart", |connection| matches!(connection, Connection::Connected { .. })).await;
    say(&running.hub, &ana, "ask my printer to resume").await;
    answered_after(&control, &fourth).await;
    told.push("resume null".to_owned());
    assert_eq!(quick.told(), told);

    // The owner deletes the account.
    for words in ["ask my printer to forget me", "yes", "yes"] {
        say(&running.hub, &ana, words).await;
    }
    connection(&control, "the refusal", |connection| matches!(connection, Connection::Refused { .. })).await;
    control.stop().await;
    soon("the end", task).await.unwrap();
    running.end().await;
}
