//! Embeds the agent into a program of your own: a lamp that is switched by the desired state of the shadow.
//!
//! ```text
//! cargo run -p onething-device --example embedding-the-agent -- bundle.zip
//! ```
//!
//! The bundle is the zip file that the skill mails to the owner. The program runs until Ctrl-C; with `--once` it ends after the first
//! connection, which is a test of the bundle.

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use onething_device::agent::{Command, InTurn, Perform, Performed};
use onething_device::bundle::Bundle;
use onething_device::event_loop::{Connection, EventLoop};
use serde_json::{Map, Value, json};
use tokio::signal::ctrl_c;

/// The device. A real one switches a relay.
struct Lamp;

impl Perform for Lamp {
    async fn set(&mut self, name: &str, value: &Value) -> Performed {
        if name != "power" {
            return Performed::Refused(format!("this lamp has no `{name}`"));
        }
        println!("the lamp is {value}");
        // Without other properties the shadow reports the value that was set.
        Performed::Done { detail: String::new(), properties: Map::new() }
    }

    async fn perform(&mut self, command: &Command) -> Performed {
        match command.name.as_str() {
            "blink" => Performed::Done { detail: "the lamp has blinked".to_owned(), properties: Map::new() },
            _ => Performed::Refused("this lamp does not know the command".to_owned()),
        }
    }
}

/// Unix time in seconds.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("usage: embedding-the-agent BUNDLE.zip [--once]")?;
    let once = arguments.next().as_deref() == Some("--once");
    let bundle = Bundle::open(&std::fs::read(file)?)?;
    println!("this is {}", bundle.connection.thing_name);

    // The state at the start; every change after it comes from the shadow or from the program itself.
    let state = Map::from_iter([("power".to_owned(), json!("OFF"))]);
    let (event_loop, control) = EventLoop::new(bundle, InTurn::new(Lamp, state), now);
    let event_loop = tokio::spawn(event_loop.with_log(|line| println!("{line}")).run());
    if once {
        control.watch().wait_for(|status| matches!(status.connection, Connection::Connected { .. })).await?;
        println!("connected");
    } else {
        ctrl_c().await?;
    }
    control.stop().await;
    Ok(event_loop.await?)
}
