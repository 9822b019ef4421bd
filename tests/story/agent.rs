//! The real agent with an emulator of AWS that others wrote: from the mail to a device that obeys commands, and its behaviour
//! when the agent is killed, is refused, loses its connection or gets another certificate.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::again::ask_and_agree;
use crate::harness::agent::Machine;
use crate::harness::alexa::{Echo, Slot};
use crate::harness::device::{Device, Identity, connection};
use crate::harness::line::Line;
use crate::harness::ministack::{Account, calls};
use crate::stack::{Owner, Stack, check_no_stray_certificate_is_live, check_one_owner_one_thing};

/// How long the broker cannot be reached.
const AWAY: Duration = Duration::from_secs(60);

/// A stack in which devices reach the broker through a relay.
async fn stack_by_the_line() -> (Stack, Line) {
    let line = Line::laid().await;
    let endpoint = format!("localhost:{}", line.port);
    let stack = Stack::with(&Account::deployed(), |deployment| deployment.set("IOT_ENDPOINT", &endpoint)).await;
    line.leads_to(stack.ministack.mqtt_port);
    (stack, line)
}

impl Owner {
    /// "Print a …"; returns the id of the command.
    pub async fn wants(&mut self, stack: &Stack, model: &str) -> Value {
        self.echo.start_over();
        let request = self.echo.intent("PrintIntent", &[Slot::said("model", model)]);
        stack.ask(&mut self.echo, &request).await.says(&[model]);
        request["request"]["requestId"].clone()
    }

    /// Asks for the status and requires these words in the response.
    async fn hears(&mut self, stack: &Stack, words: &[&str]) {
        self.echo.start_over();
        let request = self.echo.intent("StatusIntent", &[]);
        stack.ask(&mut self.echo, &request).await.says(words);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_with_a_mailed_bundle_obeys_commands_and_reports() {
    let stack = Stack::built().await;
    let mut ada = stack.onboards(&stack.function.welcomes("Ada"), 0).await;
    let machine = Machine::new(&stack.ministack.root);
    let told = machine.sets_up(&ada.zip()).await;
    assert!(told.contains(&ada.thing) && told.contains("onething-device run"), "{told}");
    let agent = machine.runs(&[]).await;

    let id = ada.wants(&stack, "vase").await;
    let accepted = json!({"id": id, "status": "accepted"});
    let at_work = json!({"command": accepted, "status": "printing", "model": "vase", "certificateId": ada.certificate_id()});
    stack.ministack.is_told(&ada.thing, at_work).await;
    ada.hears(&stack, &["printing", "percent of vase is done"]).await;

    stack.ministack.is_told(&ada.thing, json!({"command": {"id": id, "status": "done"}, "status": "idle"})).await;
    ada.hears(&stack, &["Your printer is idle"]).await;
    let status = machine.status().await;
    assert_eq!((&status["agent"]["connection"], &status["agent"]["lastCommand"]["id"]), (&json!("connected"), &id), "{status:#}");
    assert!(!agent.loses_power().await.contains("PRIVATE KEY"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_agent_neither_repeats_nor_loses_a_command() {
    let stack = Stack::built().await;
    let mut owner = stack.onboards(&stack.function.welcomes("Ada"), 0).await;
    let machine = Machine::new(&stack.ministack.root);
    machine.sets_up(&owner.zip()).await;
    let printer = machine.printer();
    let run = ["--device-model", printer.as_str()];
    let thing = owner.thing.clone();
    let told = async |id: &Value, status: &str| {
        stack.ministack.is_told(&thing, json!({"command": {"id": id, "status": status}})).await["state"]["reported"]["command"].clone()
    };

    // The print was begun. Its end may have been recorded or not; in both cases it is not repeated.
    let agent = machine.runs(&run).await;
    let id = owner.wants(&stack, "vase").await;
    machine.prints(1).await;
    agent.loses_power().await;
    let agent = machine.runs(&run).await;
    stack.ministack.is_told(&thing, json!({"command": {"id": id}})).await;
    assert_eq!(machine.printed(), ["vase"]);
    agent.loses_power().await;

    // A command that was sent while the agent was not running is done after its start.
    let id = owner.wants(&stack, "bowl").await;
    let agent = machine.runs(&run).await;
    told(&id, "done").await;
    assert_eq!(machine.printed(), ["vase", "bowl"]);

    // A print that was interrupted is not repeated, and the owner can learn that it failed.
    machine.note("jam", "");
    let id = owner.wants(&stack, "cup").await;
    machine.prints(3).await;
    agent.loses_power().await;
    let agent = machine.runs(&run).await;
    assert_eq!(told(&id, "failed").await["detail"], "the device stopped while it was at work");
    std::fs::remove_file(machine.file("jam")).expect("the file jam");

    // Nor is any print repeated by an agent whose last command is already answered.
    agent.loses_power().await;
    let agent = machine.runs(&run).await;
    let id = owner.wants(&stack, "jug").await;
    told(&id, "done").await;
    assert_eq!(machine.printed(), ["vase", "bowl", "cup", "jug"]);
    agent.loses_power().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inactive_certificate_is_refused_until_it_is_active_again() {
    let (stack, line) = stack_by_the_line().await;
    let mut ada = stack.onboards(&stack.function.welcomes("Ada"), 0).await;
    let (machine, other) = (Machine::new(&stack.ministack.root), Machine::new(&stack.ministack.root));
    machine.sets_up(&ada.zip()).await;
    other.sets_up(&ada.zip()).await;
    let agent = machine.runs(&[]).await;

    let certificate = ada.certificate_id();
    let becomes = async |status: &str| {
        let change = json!({"certificateId": certificate, "newStatus": status});
        assert_eq!(calls(&stack.ministack.url, "update_certificate", change).await, Ok(()));
    };
    becomes("INACTIVE").await;
    // AWS IoT would close the connection within minutes; the emulator keeps it open.
    let id = ada.wants(&stack, "vase").await;
    stack.ministack.is_told(&ada.thing, json!({"command": {"id": id, "status": "accepted"}})).await;
    line.cut();
    line.mend();
    agent.says("the server does not", 1).await;
    other.tries(&["run", "--wait", "30"]).await.failed(4, "the server does not let this device connect");
    let third = Machine::new(&stack.ministack.root);
    third
        .tries_to_get(&["setup", ada.zip().to_str().expect("a path as text")])
        .await
        .failed(4, "the server does not let this device connect");
    assert_eq!(machine.status().await["agent"]["connection"], "refused");

    becomes("ACTIVE").await;
    agent.says("connected", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_during_an_outage_of_the_broker_are_done_once_and_in_order() {
    let (stack, line) = stack_by_the_line().await;
    let mut ada = stack.onboards(&stack.function.welcomes("Ada"), 0).await;
    let machine = Machine::new(&stack.ministack.root);
    machine.sets_up(&ada.zip()).await;
    let printer = machine.printer();
    let agent = machine.runs(&["--device-model", &printer]).await;

    // The connection is cut before the device can have reported that this print is done.
    ada.wants(&stack, "first").await;
    machine.prints(1).await;
    line.cut();
    let cut_at = Instant::now();
    let mut wanted = vec!["first".to_owned()];
    for number in 1..=20_u32 {
        tokio::time::sleep_until((cut_at + AWAY * number / 21).into()).await;
        match number % 3 {
            0 => {
                ada.echo.start_over();
                let request = ada.echo.intent(
                    "SetTemperatureIntent",
                    &[Slot::matched("part", "nozzle", "nozzle", "nozzle"), Slot::said("degrees", &(100 + number).to_string())],
                );
                stack.ask(&mut ada.echo, &request).await.says(&["degrees"]);
            }
            _ => {
                wanted.push(format!("number {number}"));
                ada.wants(&stack, &format!("number {number}")).await;
            }
        }
    }
    tokio::time::sleep_until((cut_at + AWAY).into()).await;
    assert_eq!(machine.printed(), ["first"], "the connection was not cut");
    line.mend();

    // Commands are done in their order; of several values of a setting, the last one counts.
    agent.says("connected", 2).await;
    machine.prints(wanted.len()).await;
    let so = json!({"command": {"status": "done"}, "nozzleTarget": 118});
    let shadow = stack.ministack.is_told(&ada.thing, so).await;
    assert_eq!(shadow["state"]["desired"]["command"]["id"], shadow["state"]["reported"]["command"]["id"], "{shadow:#}");
    assert_eq!(machine.printed(), wanted);
    wanted.push("last".to_owned());
    ada.wants(&stack, "last").await;
    machine.prints(wanted.len()).await;
    assert_eq!(machine.printed(), wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_installed_and_the_old_one_revoked_after_the_report() {
    let stack = Stack::of_short_leases().await;
    let user = stack.function.welcomes("Ada");
    let mut ada = stack.onboards(&user, 0).await;
    let machine = Machine::new(&stack.ministack.root);
    machine.sets_up(&ada.zip()).await;
    let agent = machine.runs(&[]).await;
    stack.ministack.is_told(&ada.thing, json!({"certificateId": ada.certificate_id()})).await;

    ask_and_agree(&stack, &mut ada.echo).await.says(&["new certificate"]);
    let (_, bundle) = stack.ministack.open_last_mail(&user).await;
    let identity = Identity::of_bundle(&bundle, &stack.ministack.root);
    let id = connection(&bundle)["certificateId"].clone();
    assert_ne!(id, ada.certificate_id());
    // The agent keeps using the old certificate.
    ada.wants(&stack, "vase").await;
    stack.ministack.is_told(&ada.thing, json!({"model": "vase", "certificateId": ada.certificate_id()})).await;
    agent.loses_power().await;

    // Both certificates work. The new one is installed over the old one.
    drop(Device::connect(&ada.identity).await);
    machine.sets_up(&bundle.with_extension("zip")).await;
    let agent = machine.runs(&[]).await;
    stack.ministack.is_told(&ada.thing, json!({"certificateId": id})).await;
    stack.lease_passes().await;
    let other = stack.another_function().await;
    let mut echo = Echo::linked(&user.token);
    let request = echo.intent("PauseIntent", &[]);
    other.answer(&mut echo, &request).await.says(&["Pausing"]);

    let account = stack.ministack.holds().await;
    let mailed = std::fs::read_to_string(&identity.certificate).expect("the certificate of the bundle");
    check_one_owner_one_thing(&account, &user, &mailed);
    check_no_stray_certificate_is_live(&account);
    agent.loses_power().await;
    Device::dial(&ada.identity).await.is_refused().await;
    Device::connect(&identity).await;
}
