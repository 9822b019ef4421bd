//! Tests from the mail to a connected device, and to the deletion of its credentials.

use serde_json::json;

use crate::harness::{Hub, RunningAgent, agent, connection, run, status};

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_sets_a_device_up_runs_it_and_forgets_it() {
    let hub = Hub::start().await;
    let zip = hub.zip("ana").await;
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state");
    let ask = |arguments: &[&str]| run(&mut agent(&state, arguments));

    ask(&["status"]).check(3, "there are no credentials in");
    ask(&["run"]).check(3, "run `onething-device setup BUNDLE.zip`");
    let out = ask(&["setup", zip.to_str().unwrap()]).done();
    assert!(out.contains("This device is 3D_Printer-") && out.contains("Next: `onething-device run`"), "{out}");
    let out = ask(&["status"]).done();
    for words in ["thing         3D_Printer-", "endpoint      localhost:", "good until 2049-12-31", "has never run"] {
        assert!(out.contains(words), "{out}");
    }

    let running = RunningAgent::connected(&state, &[]);
    let said = status(&state);
    assert_eq!(
        (&said["running"], &said["agent"]["connection"], &said["fault"]),
        (&json!(true), &json!("connected"), &json!(null)),
        "{said}"
    );
    assert!(ask(&["status"]).done().contains("agent         is connected since 20"));
    for other in [&["run"][..], &["forget", "--yes"], &["setup", zip.to_str().unwrap()]] {
        ask(other).check(1, "an agent runs with the state folder");
    }
    assert!(running.stop().success());
    let said = status(&state);
    assert_eq!((&said["running"], &said["agent"]["connection"]), (&json!(false), &json!("stopped")), "{said}");
    assert!(ask(&["status"]).done().contains("does not run"));

    // An agent that is killed writes no last status and leaves no lock.
    RunningAgent::connected(&state, &[]).kill();
    assert_eq!(status(&state)["agent"]["connection"], "stopped");
    assert!(RunningAgent::connected(&state, &[]).stop().success());

    ask(&["forget"]).check(2, "say --yes");
    assert!(ask(&["forget", "--yes"]).done().contains("credentials are deleted"));
    assert!(ask(&["forget", "--yes"]).done().contains("nothing to forget"));
    ask(&["status"]).check(3, "there are no credentials");
    let left: Vec<_> = std::fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["lock"]);
    hub.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_one_command_of_the_mail_brings_a_device_online() {
    let hub = Hub::start().await;
    let zip = hub.zip("ana").await;
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state");
    assert!(RunningAgent::begun(&state, &["setup", zip.to_str().unwrap(), "--run"]).stop().success());
    // The setup is permanent.
    assert!(RunningAgent::connected(&state, &[]).stop().success());
    run(&mut agent(&state, &["setup", zip.to_str().unwrap(), "--run", "--offline"])).check(2, "cannot be used with");
    hub.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_may_be_unpacked_and_another_one_takes_its_place() {
    let hub = Hub::start().await;
    let (ana, ben) = (hub.folder("ana").await, hub.folder("ben").await);
    let place = tempfile::tempdir().unwrap();
    for folder in [&ana, &ben, &ben] {
        run(&mut agent(place.path(), &["setup", folder.to_str().unwrap()])).done();
        assert_eq!(status(place.path())["certificateId"], connection(folder)["certificateId"]);
    }
    // A bundle from the command line precedes the stored one, and is not stored.
    let running = RunningAgent::connected(place.path(), &["--bundle", ana.to_str().unwrap()]);
    assert_eq!(status(place.path())["certificateId"], connection(&ben)["certificateId"]);
    hub.end().await;
    running.says("no connection to localhost:");
    assert_eq!(status(place.path())["agent"]["connection"], "connecting");
    assert!(running.stop().success());
}
