//! A user who speaks to an Echo, and a record of the acknowledged changes.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::chance::Chance;
use crate::harness::Client;

pub(crate) struct Person {
    pub(crate) name: &'static str,
    /// Whether the user has a device. Such a user stays linked and does not request the deletion of their data.
    pub(crate) set_up_before: bool,
    pub(crate) known: Mutex<Known>,
}

/// The acknowledged state of a user.
#[derive(Default)]
pub(crate) struct Known {
    /// Whether the account is linked; `None` if the last request was not acknowledged.
    linked: Option<bool>,
    /// Whether the deletion of the user was acknowledged, and the user has made no request since.
    forgotten: bool,
    /// Whether the response said that the device is ready, so that a mail with a valid bundle exists.
    pub(crate) ready: bool,
    /// The id of the last command, if it was acknowledged and no later request is open.
    command: Option<String>,
    /// Whether the subscriptions of the device were acknowledged.
    pub(crate) listening: bool,
    /// The ids of the commands that were acknowledged since the device has subscribed.
    pub(crate) told: HashSet<String>,
    /// The ids of the commands that the device has received.
    pub(crate) heard: HashSet<String>,
    /// The number of the last report that the device has published.
    pub(crate) reported: u64,
    /// The number of the last report that was acknowledged.
    pub(crate) accepted: u64,
    /// The number of acknowledged requests.
    pub(crate) answers: u64,
    /// The highest version of the shadow that the device or a check has seen.
    pub(crate) version: u64,
}

impl Person {
    pub(crate) fn new(name: &'static str, set_up_before: bool) -> Self {
        Self { name, set_up_before, known: Mutex::new(Known { linked: Some(false), ..Known::default() }) }
    }

    /// Compares the acknowledged state with the state of the hub after a kill.
    pub(crate) fn check(&self, users: &Value, thing: &Value) {
        let (name, mut known) = (self.name, self.known.lock().unwrap());
        let user = users["users"].as_array().unwrap().iter().find(|user| user["user"] == name);
        if let Some(linked) = known.linked {
            assert_eq!(user.is_some_and(|user| user["linked"] == true), linked, "whether {name} is linked");
        }
        if known.forgotten {
            assert_eq!(*thing, Value::Null, "{name} was forgotten");
        }
        let state = &thing["shadow"]["state"];
        if let Some(command) = &known.command {
            assert_eq!(state["desired"]["command"]["id"], command.as_str(), "the last command of {name}: {thing}");
        }
        if self.set_up_before {
            let reported = state["reported"]["progress"].as_u64().unwrap_or_default();
            assert!((known.accepted..=known.reported).contains(&reported), "{name}: {reported}, {} accepted", known.accepted);
            let version = thing["shadow"]["version"].as_u64().unwrap_or_default();
            assert!(version >= known.version, "the shadow of {name} went back from {} to {version}", known.version);
            known.version = version;
        }
    }

    fn knows(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock().unwrap());
    }
}

/// Sends requests until the hub is killed.
pub(crate) async fn talks(person: Arc<Person>, client: Client, chance: Chance) {
    while send_request(&person, &client, &chance).await.is_some() {
        person.knows(|known| known.answers += 1);
    }
}

async fn send_request(person: &Person, client: &Client, chance: &Chance) -> Option<()> {
    let linked = person.known.lock().unwrap().linked == Some(true);
    // A user who requests a certificate soon after the last one must wait, so this request is rare.
    match chance.below(40) {
        _ if !linked && !chance.one_in(4) => links(person, client).await,
        0 => links(person, client).await,
        1 | 2 => {
            contact(person);
            client.say(person.name, "ask my printer to send my certificate again").await?;
            client.say(person.name, "yes").await.map(drop)
        }
        3..=5 if !person.set_up_before => is_forgotten(person, client).await,
        6 | 7 if !person.set_up_before => unlinks(person, client).await,
        8..=14 => {
            contact(person);
            let speech = client.speech(person.name, "open my printer").await?;
            person.knows(|known| known.ready |= speech.contains("is ready"));
            Some(())
        }
        _ => prints(person, client).await,
    }
}

fn contact(person: &Person) {
    person.knows(|known| known.forgotten = false);
}

pub(crate) async fn links(person: &Person, client: &Client) -> Option<()> {
    contact(person);
    person.knows(|known| known.linked = None);
    client.link(person.name).await?;
    person.knows(|known| known.linked = Some(true));
    Some(())
}

async fn unlinks(person: &Person, client: &Client) -> Option<()> {
    person.knows(|known| known.linked = None);
    let answer = client.post("/unlink", &json!({"user": person.name})).await?;
    assert_eq!(answer.status, 204);
    person.knows(|known| known.linked = Some(false));
    Some(())
}

async fn prints(person: &Person, client: &Client) -> Option<()> {
    contact(person);
    let (mut before, mut listening) = (None, false);
    person.knows(|known| (before, listening) = (known.command.take(), known.listening));
    let turn = client.say(person.name, "ask my printer to print a vase").await?;
    let speech = turn["heard"]["speech"].as_str().unwrap();
    if speech.starts_with("Printing 1 vase") {
        let id = turn["request"]["request"]["requestId"].as_str().unwrap().to_owned();
        person.knows(|known| {
            if listening {
                known.told.insert(id.clone());
            }
            known.command = Some(id);
            known.ready = true;
        });
    } else if speech.contains("link your Amazon account") {
        person.knows(|known| known.command = before);
    }
    Some(())
}

async fn is_forgotten(person: &Person, client: &Client) -> Option<()> {
    contact(person);
    person.knows(|known| (known.command, known.ready) = (None, false));
    client.say(person.name, "ask my printer to forget me").await?;
    client.say(person.name, "yes").await?;
    let speech = client.speech(person.name, "yes").await?;
    let forgotten = speech.starts_with("I have forgotten you and your");
    person.knows(|known| known.forgotten = forgotten);
    Some(())
}
