//! The power is cut at random moments, under load and during the start, and nothing that was answered is lost.
//!
//! The real binary is killed (SIGKILL) and started again over the same folder, while five people talk to it, link, ask for
//! another certificate or to be forgotten, and three devices report into their shadows over persistent sessions. What was
//! answered must be there after each cut; after the last one of a folder everybody speaks once in peace, and has one thing,
//! and in their last mail a certificate that works. A seed that failed is printed and can be given again as
//! `ONETHING_POWER_SEED`; `ONETHING_POWER_CUTS` says how often the power is cut.
//!
//! A killed process loses what is in its memory and keeps what is in the kernel's, which a real power cut takes, too. That
//! nothing is answered before the disk has it is therefore shown elsewhere: the database runs with `synchronous = FULL`
//! over a write-ahead log, by which SQLite syncs at each commit (<https://www.sqlite.org/pragma.html#pragma_synchronous>,
//! `the_database_syncs_at_every_commit` in `src/store/`), and callers are answered after the commit; mail is synced, file and
//! folder, before it counts as sent (`src/mailbox/folder.rs`). SQLite's own tests see to what a log that was synced is worth
//! (<https://www.sqlite.org/testing.html#crash_testing>).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code: a panic is a failed test")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "this test takes the part of the harness that it needs")]
#[path = "../hub/bundle.rs"]
mod bundle;
#[allow(dead_code, unreachable_pub, missing_docs, reason = "this test takes the part of the harness that it needs")]
#[path = "../hub/harness.rs"]
mod harness;

mod chance;
mod device;
mod peace;
mod person;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;

use crate::bundle::Bundle;
use crate::chance::Chance;
use crate::device::Device;
use crate::harness::{Client, PATIENCE, Running, Starting, serve, within};
use crate::person::Person;

/// How many cuts a folder lives through: then it is looked at closely, and another one begun.
const CUTS_OF_A_FOLDER: usize = 25;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|number| number.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_every_cut_and_one_owner_has_one_thing() {
    let cuts = usize::try_from(number("ONETHING_POWER_CUTS").unwrap_or(15)).unwrap();
    let seed = number("ONETHING_POWER_SEED").unwrap_or_else(|| u64::from(std::process::id()) ^ onething_hub::clock::micros());
    println!("ONETHING_POWER_SEED={seed}");
    let chance = Chance::of(seed);
    let (mut answers, mut reports) = (0, 0);
    for begun in (0..cuts).step_by(CUTS_OF_A_FOLDER) {
        for person in live(&chance, CUTS_OF_A_FOLDER.min(cuts - begun)).await {
            let known = person.known.lock().unwrap();
            (answers, reports) = (answers + known.answers, reports + known.accepted);
        }
    }
    println!("{cuts} cuts; {answers} answers and {reports} reports were acknowledged, and are there");
    assert!(answers > 0 && reports > 0, "there was no load");
}

/// One folder, from its first start to its last look.
async fn live(chance: &Chance, cuts: usize) -> Vec<Arc<Person>> {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let people: Vec<Arc<Person>> = [("ana", true), ("ben", true), ("cleo", true), ("dan", false), ("eve", false)]
        .map(|(name, set_up_before)| Arc::new(Person::new(name, set_up_before)))
        .into();
    // Some folders are cut before anybody has a thing, the others when some have.
    if !chance.one_in(4) {
        let hub = Running::start(&data);
        set_up(&hub, &people).await;
        hub.kill();
    }
    for cut in 1..=cuts {
        if chance.one_in(6) {
            let starting = Starting::start(serve(&data));
            sleep(Duration::from_millis(chance.below(300))).await;
            starting.kill();
            println!("cut {cut} during the start");
            continue;
        }
        let hub = Running::start(&data);
        // A device that is away for a while has to hear everything afterwards.
        let there: Vec<_> = people.iter().filter(|person| person.set_up_before && !chance.one_in(3)).cloned().collect();
        let devices = check(&hub, &data, &people, &there).await;
        // Long enough now and then for what takes long: keys, and what an earlier cut has left half done.
        let lasts = Duration::from_millis(if chance.one_in(5) { 400 + chance.below(600) } else { 20 + chance.below(380) });
        let talk = people.iter().map(|person| tokio::spawn(person::talks(Arc::clone(person), hub.client(), chance.split())));
        let load: Vec<_> = talk.chain(devices.into_iter().map(|device| tokio::spawn(device.reports()))).collect();
        // Nobody comes to an end before the power does.
        sleep(lasts).await;
        hub.kill();
        let ended = within(PATIENCE, "the end of those who lost the hub", join_all(load)).await;
        ended.into_iter().for_each(|ended| ended.unwrap());
        println!("cut {cut} after {lasts:?}");
    }
    let hub = Running::start(&data);
    let set_up_before: Vec<_> = people.iter().filter(|person| person.set_up_before).cloned().collect();
    drop(check(&hub, &data, &people, &set_up_before).await);
    peace::reigns(hub, &data, &people).await;
    people
}

/// Those who have a device get their mail, and set it up.
async fn set_up(hub: &Running, people: &[Arc<Person>]) {
    let client = hub.client();
    let set_up_before = people.iter().filter(|person| person.set_up_before);
    let set_up = set_up_before.map(async |person| {
        person::links(person, &client).await.expect("an answer");
        let device = Device::comes_back(person, &client, hub.mqtt_port()).await;
        assert!(device.is_some(), "no mail came");
    });
    join_all(set_up).await;
}

/// Everything that was answered is there.
async fn check(hub: &Running, data: &Path, people: &[Arc<Person>], there: &[Arc<Person>]) -> Vec<Device> {
    for file in std::fs::read_dir(data.join("mail")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(!name.ends_with(".tmp"), "{name} is half written");
    }
    let client = hub.client();
    let users = client.get("/api/users").await.unwrap().json();
    for person in people {
        person.check(&users, &client.thing(person.name).await.unwrap());
    }
    let devices = there.iter().map(|person| Device::comes_back(person, &client, hub.mqtt_port()));
    let devices = within(PATIENCE, "devices that hear of all commands that were acknowledged", join_all(devices)).await;
    devices.into_iter().flatten().collect()
}

/// The bundles in somebody's mails, newest first.
async fn bundles_of(person: &Person, client: &Client) -> Option<Vec<Bundle>> {
    Some(client.bundles(person.name).await?.iter().map(|zip| Bundle::open(zip)).collect())
}
