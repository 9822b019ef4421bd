//! Tests of the example of the book, `examples/lamp`, with a real hub.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::harness::{Starting, serve, within};

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn text(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap()
}

#[test]
fn the_lamp_of_the_book_is_the_example() {
    let page = text("docs/src/guides/make-it-yours.md");
    let block =
        page.split_once("The whole device model of a lamp is:\n\n```toml\n").and_then(|(_, rest)| rest.split_once("```")).unwrap().0;
    assert_eq!(block, text("examples/lamp/device.toml"));
    for file in ["examples/lamp/device.toml", "examples/lamp/interaction-model.json"] {
        assert!(page.contains(file), "the page names {file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lamp_of_the_book_can_be_switched_and_queried() {
    let place = tempfile::tempdir().unwrap();
    let mut command = serve(place.path());
    command.arg("--device-model").arg(repository().join("examples/lamp/device.toml"));
    command.arg("--interaction-model").arg(repository().join("examples/lamp/interaction-model.json"));
    let hub = Starting::start(command).ready();
    let client = hub.client();
    client.link("ana").await.unwrap();
    client.say("ana", "open my lamp").await.unwrap();
    let said = async |words: &str| client.speech("ana", words).await.unwrap();

    let help = said("help").await;
    assert!(help.starts_with("With your lamp, I can switch it on or off. For example: ask my lamp if it is connected."), "{help}");

    let mail = client.get("/api/mail?user=ana").await.unwrap().json()["mail"][0]["id"].clone();
    client.post("/api/device", &json!({"user": "ana", "do": "start", "mail": mail})).await.unwrap();
    let reports = async |power: &str| {
        loop {
            let thing = client.thing("ana").await.unwrap();
            let reported = &thing["shadow"]["state"]["reported"];
            if reported["power"] == power {
                return reported.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let reported = within(crate::harness::PATIENCE, "a lamp that is off", reports("OFF")).await;
    assert!(!reported.iter().any(|name| name == "nozzle"), "a lamp is no printer: {reported:?}");
    let speech = said("ask my lamp to turn on").await;
    assert!(speech.starts_with("Switching the lamp on."), "{speech}");
    within(crate::harness::PATIENCE, "a lamp that is on", reports("ON")).await;
    hub.signal("TERM");
    let (_, log) = hub.ended().await;
    assert!(!log.contains("WARN"), "the models have no mistake: {log}");
}
