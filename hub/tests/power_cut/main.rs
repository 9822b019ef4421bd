//! A test of durability: the hub is killed at random moments, under load and during the start, and no acknowledged change is
//! lost.
//!
//! The real binary is killed (SIGKILL) and started again over the same data folder. Meanwhile, five users speak to their Echo,
//! link and unlink, request another certificate or the deletion of their data, and three devices report into their shadows over
//! persistent sessions. Every acknowledged change must exist after each kill. After the last kill of a data folder, every user
//! links and speaks once without load. Each user must then have exactly one thing, and a working certificate in their last mail.
//! The seed is printed, and a failed run is repeated with `ONETHING_POWER_SEED`. `ONETHING_POWER_CUTS` is the number of kills.
//!
//! A killed process loses its memory but not the buffers of the kernel, which a real power cut loses too. Other tests show that
//! the hub sends no response before the data is on the disk: the database runs with `synchronous = FULL` and a write-ahead log,
//! so that SQLite syncs at each commit (<https://www.sqlite.org/pragma.html#pragma_synchronous>,
//! `the_database_syncs_at_every_commit` in `src/storage/store/`), and the response is sent after the commit. The file and the
//! folder of a mail are synced before the mail counts as sent (`src/mail/mailbox/folder.rs`). SQLite's own tests cover the
//! recovery from a synced log (<https://www.sqlite.org/testing.html#crash_testing>).

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

/// The number of kills of one data folder. Then the data folder is checked completely, and a new one is started.
const CUTS_OF_A_FOLDER: usize = 25;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|number| number.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_changes_survive_every_kill_and_each_owner_has_one_thing() {
    let cuts = usize::try_from(number("ONETHING_POWER_CUTS").unwrap_or(15)).unwrap();
    let seed = number("ONETHING_POWER_SEED").unwrap_or_else(|| u64::from(std::process::id()) ^ onething_hub::clock::micros());
    println!("ONETHING_POWER_SEED={seed}");
    let chance = Chance::of(seed);
    let (mut answers, mut reports) = (0, 0);
    for begun in (0..cuts).step_by(CUTS_OF_A_FOLDER) {
        for person in run_data_folder(&chance, CUTS_OF_A_FOLDER.min(cuts - begun)).await {
            let known = person.known.lock().unwrap();
            (answers, reports) = (answers + known.answers, reports + known.accepted);
        }
    }
    println!("{cuts} cuts; {answers} answers and {reports} reports were acknowledged, and are there");
    assert!(answers > 0 && reports > 0, "there was no load");
}

/// Runs the test with one data folder, from the first start to the final check.
async fn run_data_folder(chance: &Chance, cuts: usize) -> Vec<Arc<Person>> {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let people: Vec<Arc<Person>> = [("ana", true), ("ben", true), ("cleo", true), ("dan", false), ("eve", false)]
        .map(|(name, set_up_before)| Arc::new(Person::new(name, set_up_before)))
        .into();
    // Some data folders are killed before any user has a thing, the others afterwards.
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
        // A device that is offline for a while must receive every missed message afterwards.
        let there: Vec<_> = people.iter().filter(|person| person.set_up_before && !chance.one_in(3)).cloned().collect();
        let devices = check(&hub, &data, &people, &there).await;
        // Sometimes long enough for slow work: the generation of keys, and the repair of work that an earlier kill interrupted.
        let duration = Duration::from_millis(if chance.one_in(5) { 400 + chance.below(600) } else { 20 + chance.below(380) });
        let talk = people.iter().map(|person| tokio::spawn(person::talks(Arc::clone(person), hub.client(), chance.split())));
        let load: Vec<_> = talk.chain(devices.into_iter().map(|device| tokio::spawn(device.reports()))).collect();
        // No task ends before the kill.
        sleep(duration).await;
        hub.kill();
        let ended = within(PATIENCE, "the end of the tasks after the kill", join_all(load)).await;
        ended.into_iter().for_each(|ended| ended.unwrap());
        println!("cut {cut} after {duration:?}");
    }
    let hub = Running::start(&data);
    let set_up_before: Vec<_> = people.iter().filter(|person| person.set_up_before).cloned().collect();
    drop(check(&hub, &data, &people, &set_up_before).await);
    peace::reigns(hub, &data, &people).await;
    people
}

/// Links the users who have a device, and connects each device with the bundle of the mail.
async fn set_up(hub: &Running, people: &[Arc<Person>]) {
    let client = hub.client();
    let set_up_before = people.iter().filter(|person| person.set_up_before);
    let set_up = set_up_before.map(async |person| {
        person::links(person, &client).await.expect("no response");
        let device = Device::comes_back(person, &client, hub.mqtt_port()).await;
        assert!(device.is_some(), "no mail came");
    });
    join_all(set_up).await;
}

/// Checks that every acknowledged change exists, and returns the connected devices of `there`.
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
    let devices = within(PATIENCE, "the delivery of all acknowledged commands", join_all(devices)).await;
    devices.into_iter().flatten().collect()
}

/// The bundles in the mails of a user, newest first.
async fn bundles_of(person: &Person, client: &Client) -> Option<Vec<Bundle>> {
    Some(client.bundles(person.name).await?.iter().map(|zip| Bundle::open(zip)).collect())
}
