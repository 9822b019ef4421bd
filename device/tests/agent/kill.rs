//! Tests that the agent may be killed while it stores credentials.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::credentials::root;
use crate::harness::{agent, connection, made, run, status};

const ROUNDS: u32 = 60;

#[test]
fn whenever_a_setup_is_killed_the_device_has_the_old_credentials_or_the_new_ones() {
    let (ana, ben) = (made(1, &root()), made(1, &root()));
    let place = tempfile::tempdir().unwrap();
    let setup = |folder: &std::path::Path| agent(place.path(), &["setup", "--offline", folder.to_str().unwrap()]);
    let (ana, ben) = (ana.path().join("bundle"), ben.path().join("bundle"));
    let begun = Instant::now();
    run(&mut setup(&ana)).done();
    // The duration without interruption. The process is killed at different times within this duration.
    let whole = begun.elapsed();

    let ids = [&ana, &ben].map(|folder| connection(folder)["certificateId"].clone());
    let mut killed = 0;
    for round in 1..=ROUNDS {
        let folder = if round % 2 == 0 { &ana } else { &ben };
        let mut child = setup(folder).stdout(Stdio::null()).spawn().unwrap();
        // This sleep waits for no condition: it only selects the time of the kill.
        std::thread::sleep(whole * round / ROUNDS + Duration::from_micros(u64::from(round)));
        child.kill().unwrap();
        killed += u32::from(child.wait().unwrap().code().is_none());
        let there = status(place.path())["certificateId"].clone();
        assert!(ids.contains(&there), "round {round}: {there}");
    }
    assert!(killed > 0, "the process was never killed before its end");
    run(&mut setup(&ben)).done();
    assert_eq!(status(place.path())["certificateId"], ids[1]);
    let mut left: Vec<_> =
        std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.retain(|name| name.starts_with("credentials-") || name.ends_with(".half"));
    assert_eq!(left.len(), 1, "a key was left behind: {left:?}");
}
