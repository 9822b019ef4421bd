//! Tests of commands that interrupt others: what happens to the running program or HTTP request.

use std::time::Instant;

use tempfile::TempDir;
use tokio::net::TcpListener;

use super::program::tests::{gone, install, number_in};
use super::*;
use crate::agent::{Answer, Body, CommandStatus, Event, InTurn, Order};

/// A pump whose program for watering is this script, with its folder as `$1`.
fn pump(water: &str) -> (TempDir, InTurn<Actions>) {
    let folder = tempfile::tempdir().unwrap();
    install(&folder.path().join("water"), &format!("#!/bin/sh\n{water}\n"));
    install(&folder.path().join("light"), "#!/bin/sh\necho shining\n");
    let place = folder.path().display();
    let body = body(&format!("run = [\"{place}/water\", \"{place}\"]"), &format!("run = [\"{place}/light\"]"));
    (folder, body)
}

fn body(water: &str, light: &str) -> InTurn<Actions> {
    let text = format!(
        "[device]\nname = \"pump\"\ninvocation = \"my pump\"\nthing_type = \"pump\"\nthing_prefix = \"Pump-\"\n\
         [property.level]\ntype = \"integer\"\nmin = 0\nmax = 100\n\
         [command.water]\n[command.light]\n[command.stop]\ninterrupts = [\"water\"]\n\
         [action.command.water]\n{water}\n[action.command.light]\n{light}\n"
    );
    InTurn::new(Actions::new(&Model::parse(&text).unwrap(), "Pump-1"), Map::new())
}

fn command(id: &str, name: &str) -> Order {
    Order::Do(Command { id: id.to_owned(), name: name.to_owned(), args: json!({}), expires_at: Some(1_763_763_600) })
}

/// Begins to water, and waits until the program runs. Returns the process id of the program.
async fn waters(folder: &TempDir, body: &mut InTurn<Actions>) -> u32 {
    body.begin(command("1", "water"));
    tokio::select! {
        events = body.work() => panic!("it ended: {events:?}"),
        number = number_in(folder.path().join("number")) => number,
    }
}

fn interrupted() -> [Event; 1] {
    [Event::Interrupted(Answer { id: "1".to_owned(), status: CommandStatus::Failed, detail: "interrupted by stop".to_owned() })]
}

#[test]
fn the_device_model_defines_the_interruptions() {
    let interrupts = body("run = [\"/bin/water\"]", "run = [\"/bin/light\"]").interrupts();
    assert_eq!(interrupts, BTreeMap::from([("stop".to_owned(), vec!["water".to_owned()])]));
}

#[tokio::test]
async fn an_interrupted_program_can_end_by_itself_and_the_next_command_is_done() {
    let text = "trap 'echo \"{\\\"level\\\": 7}\"; echo closed > $1/valve; exit 0' TERM\necho $$ > $1/number\nwhile :; do sleep 0.01; done";
    let (folder, mut body) = pump(text);
    let number = waters(&folder, &mut body).await;
    body.interrupt("other", "stop");
    body.interrupt("1", "stop");
    let events = body.work().await;
    assert_eq!(events[..1], interrupted());
    assert_eq!(std::fs::read_to_string(folder.path().join("valve")).unwrap(), "closed\n");
    assert_eq!(body.properties()["level"], 7, "the properties in its output are reported");
    gone(number).await;
    body.begin(command("2", "light"));
    let events = body.work().await;
    assert!(matches!(&events[..], [Event::Answered(answer)] if answer.detail == "shining"), "{events:?}");
}

#[tokio::test]
async fn a_program_that_ignores_sigterm_is_killed_after_half_a_second() {
    let (folder, mut body) = pump("trap '' TERM\necho $$ > $1/number\nwhile :; do sleep 0.01; done");
    let number = waters(&folder, &mut body).await;
    let since = Instant::now();
    body.interrupt("1", "stop");
    assert_eq!(body.work().await, interrupted());
    assert!(since.elapsed().as_millis() >= 500, "{:?}", since.elapsed());
    gone(number).await;
}

#[tokio::test]
async fn a_command_that_is_interrupted_before_it_runs_ends_as_well() {
    let (folder, mut body) = pump("echo $$ > $1/number\nexec sleep 1000");
    body.begin(command("1", "water"));
    body.interrupt("1", "stop");
    assert_eq!(body.work().await, interrupted());
    if folder.path().join("number").exists() {
        gone(number_in(folder.path().join("number")).await).await;
    }
}

#[tokio::test]
async fn an_http_request_is_aborted_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http = \"http://{}/water\"", listener.local_addr().unwrap());
    let mut body = body(&url, "run = [\"/bin/light\"]");
    body.begin(command("1", "water"));
    let _called = tokio::select! {
        events = body.work() => panic!("it ended: {events:?}"),
        called = listener.accept() => called.unwrap(),
    };
    body.interrupt("1", "stop");
    assert_eq!(body.work().await, interrupted());
}
