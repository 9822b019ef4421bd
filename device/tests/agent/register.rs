//! Tests of the registration at the endpoint of a real hub: with each kind of credential, from an empty state folder to a
//! connected device.

use std::path::Path;

use onething::secrets::Fingerprint;
use serde_json::Value;

use crate::harness::{Ended, Hub, RunningAgent, agent, connection, run};

const TOKEN: &str = "fleet-token-of-the-first-factory";
const SERIAL: &str = "7f3e2a90-5bd4-4c1e-9a57-d0c2f1b8e644";

fn policy() -> String {
    let (token, serial) = (Fingerprint::of(TOKEN).hex(), Fingerprint::of(SERIAL).hex());
    format!(
        "[type.lamp]\nprefix = \"Lamp-\"\npolicies = [\"OneUserOneThing\"]\nattributes = [\"version\", \"hardware\"]\n\
         [[token]]\nname = \"factory-1\"\nsha256 = \"{token}\"\ntypes = [\"lamp\"]\n[[serial]]\nsha256 = \"{serial}\"\ntype = \"lamp\"\n"
    )
}

/// The stored `connection.json`, and the names of all files in a state folder.
fn stored(state: &Path) -> (Value, Vec<String>) {
    let current = std::fs::read_to_string(state.join("current")).unwrap();
    let mut names: Vec<_> = std::fs::read_dir(state).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    (connection(&state.join(current.trim_end())), names)
}

/// Checks that the state folder has no files of an unfinished registration or trial, and that the device can connect.
fn check_connects(state: &Path, arguments: &[&str]) -> Value {
    let (connection, names) = stored(state);
    assert!(names.iter().all(|name| !matches!(name.as_str(), "pending.key.pem" | "former")), "{names:?}");
    assert!(RunningAgent::connected(state, arguments).stop().success());
    connection
}

fn refused(ended: &Ended, state: &Path, code: i32, words: &str) {
    ended.check(code, words);
    assert!(!state.join("current").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_machine_claims_a_code_and_renews_its_certificate() {
    let hub = Hub::start().await;
    let mailed = connection(&hub.folder("ana").await);
    let (code, endpoint) = (hub.code("ana").await, hub.endpoint());
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state");
    let wrong = if code.ends_with('0') { "1" } else { "0" };
    let wrong = format!("{}{wrong}", &code[..code.len() - 1]);
    refused(&run(&mut agent(&state, &["claim", &wrong, "--register-url", &endpoint])), &state, 3, "ask for another one");
    // The code as it was spoken, with its halves as two arguments.
    let spoken = code.to_lowercase();
    let (name, secret) = spoken.split_once('-').unwrap();
    run(&mut agent(&state, &["claim", name, secret, "--register-url", &endpoint])).done();
    let claimed = check_connects(&state, &[]);
    assert_eq!((&claimed["thingName"], &claimed["register"]), (&mailed["thingName"], &Value::from(endpoint.as_str())));
    assert_ne!(claimed["certificateId"], mailed["certificateId"]);

    // Another certificate is requested from the same endpoint. The old one is kept until the new one has been used.
    run(&mut agent(&state, &["renew"])).done();
    let (renewed, names) = stored(&state);
    assert!(names.contains(&"former".to_owned()), "{names:?}");
    assert_eq!(renewed["thingName"], claimed["thingName"]);
    assert_ne!(renewed["certificateId"], claimed["certificateId"]);
    assert!(RunningAgent::connected(&state, &[]).stop().success());
    assert_eq!(check_connects(&state, &[]), renewed);

    // Another device gets no credentials for the same code.
    let other = place.path().join("other");
    refused(&run(&mut agent(&other, &["claim", &code, "--register-url", &endpoint])), &other, 3, "does not take the code");
    hub.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_while_the_agent_runs() {
    let hub = Hub::start().await;
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state");
    run(&mut agent(&state, &["setup", hub.zip("ana").await.to_str().unwrap()])).done();
    let running = RunningAgent::connected(&state, &[]);
    let (mut before, _) = stored(&state);
    // A request that fails does not affect the agent.
    run(&mut agent(&state, &["renew", "--register-url", "http://endpoint.example"])).check(2, "anybody could listen in");
    run(&mut agent(&state, &["forget", "--yes"])).check(1, "stop it first");
    for _ in 0..2 {
        let out = run(&mut agent(&state, &["renew"])).done();
        assert!(out.contains("a new certificate, good until") && out.contains("The running agent connects with it now"), "{out}");
        running.says("has other credentials");
        running.says("connected");
        let (renewed, _) = stored(&state);
        assert_ne!(renewed["certificateId"], before["certificateId"]);
        before = renewed;
    }
    assert!(running.stop().success());
    assert!(!state.join("agent.sock").exists());
    assert_eq!(check_connects(&state, &[]), before);
    hub.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_with_a_bundle_that_is_not_stored_refuses_a_renewal() {
    let hub = Hub::start().await;
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state");
    let zip = hub.zip("ana").await;
    run(&mut agent(&state, &["setup", zip.to_str().unwrap()])).done();
    let running = RunningAgent::connected(&state, &["--bundle", zip.to_str().unwrap()]);
    run(&mut agent(&state, &["renew"])).check(2, "a bundle that is not stored");
    assert!(running.stop().success());
    hub.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_whose_new_certificate_is_refused_returns_to_the_former_one() {
    let hub = Hub::start().await;
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state");
    run(&mut agent(&state, &["setup", hub.zip("ana").await.to_str().unwrap()])).done();
    let (mailed, _) = stored(&state);
    run(&mut agent(&state, &["renew"])).done();
    let (renewed, _) = stored(&state);
    hub.revoke_id(renewed["certificateId"].as_str().unwrap()).await;
    assert!(RunningAgent::connected(&state, &["--register-url", "http://127.0.0.1:9"]).stop().success());
    assert_eq!(stored(&state).0, mailed);
    hub.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_machine_registers_with_each_kind_of_credential() {
    let hub = Hub::with_policy(&policy()).await;
    let mailed = connection(&hub.folder("ana").await);
    let endpoint = hub.endpoint();
    let place = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = place.path().join(name);
        std::fs::write(&path, format!("{content}\n")).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let register = |state: &Path, option: &str, path: &str| {
        let more = if option == "--bearer-file" { &[][..] } else { &["--attribute", "hardware=B"][..] };
        run(agent(state, &["register", "--register-url", &endpoint, "--name", "lamp-7", option, path]).args(more))
    };

    let owners = place.path().join("owners");
    register(&owners, "--bearer-file", &file("bearer", &hub.token("ana").await)).done();
    assert_eq!(check_connects(&owners, &[])["thingName"], mailed["thingName"]);

    let fleet = place.path().join("fleet");
    let token = file("token", TOKEN);
    register(&fleet, "--token-file", &token).done();
    assert_eq!(check_connects(&fleet, &[])["thingName"], "lamp-7");
    // The log shows the name, so that several state folders can be told apart.
    let mut command = agent(&fleet, &["register", "--register-url", &endpoint, "--name", "lamp-7", "--token-file", &token]);
    let ended = run(command.env("RUST_LOG", "info"));
    assert!(ended.code == Some(0) && ended.complaint.contains("registering") && ended.complaint.contains("lamp-7"), "{ended:?}");

    let serial = place.path().join("serial");
    register(&serial, "--serial-file", &file("serial-number", SERIAL)).done();
    assert!(check_connects(&serial, &[])["thingName"].as_str().unwrap().starts_with("Lamp-"));

    // `run` registers by itself, with the token in a variable.
    let alone = place.path().join("alone");
    let mut command = agent(&alone, &["run", "--register-url", &endpoint, "--name", "lamp-8"]);
    command.env("ONETHING_DEVICE_TOKEN", "a token of nobody").env("RUST_LOG", "off");
    refused(&run(&mut command), &alone, 3, "the token has characters that no token has");
    command.env("ONETHING_DEVICE_TOKEN", "a-token-of-nobody");
    refused(&run(&mut command), &alone, 3, "does not take the token");
    for (option, name) in [("--bearer-file", "access token"), ("--token-file", "token"), ("--serial-file", "serial number")] {
        let nobody = place.path().join("nobody");
        refused(&register(&nobody, option, &file("wrong", "not-one-that-anybody-has")), &nobody, 3, &format!("does not take the {name}"));
    }
    hub.end().await;
}

#[test]
fn an_invalid_or_unreachable_endpoint_is_an_error() {
    let place = tempfile::tempdir().unwrap();
    let claim = |endpoint: &str| run(&mut agent(place.path(), &["claim", "K7QF-93PD", "--wait", "1", "--register-url", endpoint]));
    claim("http://endpoint.example").check(2, "anybody could listen in");
    claim("https://me:M4RS@endpoint.example").check(2, "is not used");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    claim(&format!("https://{nobody}")).check(5, "nobody listens there");
    run(&mut agent(place.path(), &["claim", "K7QF-93PD"])).check(2, "which registration endpoint?");
    run(&mut agent(place.path(), &["renew"])).check(3, "there are no credentials");
}
