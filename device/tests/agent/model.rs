//! Tests of the choice of the device model: the one from the mailed bundle, and the one that is given to `setup`.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::credentials::root;
use crate::harness::{Hub, RunningAgent, agent, made, made_of, run};

const LAMP: &str = include_str!("../../../tests/fixtures/models/lamp/device.toml");

/// Waits until a file contains this line.
fn holds(file: &Path, line: &str) {
    let limit = Instant::now() + Duration::from_secs(60);
    while std::fs::read_to_string(file).unwrap().trim() != line {
        assert!(Instant::now() < limit, "{} never held {line:?}", file.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mailed_command_starts_a_lamp_with_the_actions_of_its_model() {
    let place = tempfile::tempdir().unwrap();
    let (power, state) = (place.path().join("power"), place.path().join("state"));
    std::fs::write(&power, "").unwrap();
    let hub = Hub::of_a_lamp(&format!("{LAMP}\n[action.property.power]\nfile = \"{}\"\n", power.display())).await;
    let zip = hub.zip("ana").await;
    let running = RunningAgent::begun(&state, &["setup", zip.to_str().unwrap(), "--run"]);
    hub.say("ana", "ask living room lamp to turn on").await;
    holds(&power, "ON");
    assert!(running.stop().success());
    // The same applies at the next start.
    let running = RunningAgent::connected(&state, &[]);
    hub.say("ana", "ask living room lamp to turn off").await;
    holds(&power, "OFF");
    assert!(running.stop().success());
    hub.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lamp_without_actions_accepts_settings_and_is_no_simulated_printer() {
    let place = tempfile::tempdir().unwrap();
    let hub = Hub::of_a_lamp(LAMP).await;
    let zip = hub.zip("ana").await;
    let running = RunningAgent::begun(&place.path().join("state"), &["setup", zip.to_str().unwrap(), "--run"]);
    hub.say("ana", "ask living room lamp to turn on").await;
    running.says("power done");
    hub.say("ana", "ask living room lamp to fade out in ten seconds").await;
    running.says("fade refused: this device has no action for `fade`");
    hub.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_printer_without_actions_is_simulated() {
    let hub = Hub::start().await;
    let place = tempfile::tempdir().unwrap();
    let zip = hub.zip("ana").await;
    let out = run(&mut agent(&place.path().join("one"), &["setup", zip.to_str().unwrap()])).done();
    assert!(out.contains("By its device model it is a 3D printer."), "{out}");
    let running = RunningAgent::connected(&place.path().join("one"), &[]);
    hub.say("ana", "ask my printer to print a vase").await;
    running.says("print accepted: vase is being printed");
    hub.end().await;
}

#[test]
fn a_model_that_is_given_to_setup_is_stored_and_precedes_that_of_the_bundle() {
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state");
    let file = |name: &str, text: &str| {
        let file = place.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let bundle = made_of("Lamp-", LAMP, "amzn1.account.ANA", 1, &root());
    let zip = bundle.path().join("bundle.zip").to_str().unwrap().to_owned();
    let setup = |more: &[&str]| run(&mut agent(&state, &[&["setup", &zip, "--offline"], more].concat())).done();
    let unit = || run(&mut agent(&state, &["service"])).done();

    assert!(setup(&[]).contains("By its device model it is a lamp.\n"));
    assert!(unit().contains("DevicePolicy=closed\n"), "the model has no actions");

    let own = LAMP.replace("name = \"lamp\"", "name = \"desk lamp\"");
    let own = file("own.toml", &format!("{own}\n[action.property.power]\nrun = [\"/usr/local/bin/lamp\", \"--power\"]\n"));
    let out = setup(&["--device-model", &own]);
    assert!(out.contains("By its device model it is a desk lamp.\nIt runs `/usr/local/bin/lamp` for power.\n"), "{out}");
    std::fs::remove_file(&own).unwrap();
    assert!(!unit().contains("DevicePolicy=closed\n"), "the actions run programs");
    assert!(!unit().contains("--device-model"), "the model is in the state folder");
    // A new certificate does not change the device model.
    assert!(setup(&[]).contains("it is a desk lamp."));

    let printer = made(1, &root());
    let zip = printer.path().join("bundle.zip");
    let broken = file("broken.toml", "[device]\n");
    run(&mut agent(&state, &["setup", zip.to_str().unwrap(), "--offline", "--device-model", &broken])).check(2, "--device-model ");
    run(&mut agent(&state, &["forget", "--yes"])).done();
    assert!(setup(&[]).contains("it is a lamp."), "the stored model was deleted");
}

#[test]
fn a_change_to_another_type_of_device_deletes_the_stored_model() {
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state");
    let coffee = include_str!("../../../tests/fixtures/models/coffee/device.toml");
    let model = place.path().join("lamp.toml");
    std::fs::write(&model, LAMP).unwrap();
    let lamp = made_of("Lamp-", LAMP, "amzn1.account.ANA", 1, &root());
    let other = made_of("Coffee-", coffee, "amzn1.account.ANA", 1, &root());
    let setup = |bundle: &tempfile::TempDir, more: &[&str]| {
        let zip = bundle.path().join("bundle.zip");
        run(agent(&state, &["setup", "--offline"]).arg(zip).args(more))
    };
    setup(&lamp, &["--device-model", model.to_str().unwrap()]).done();
    let ended = setup(&other, &[]);
    assert!(
        ended.code == Some(0) && ended.complaint.contains("the device model of the lamp that this device has been is forgotten"),
        "{ended:?}"
    );
    assert!(!ended.out.contains("it is a lamp"), "{ended:?}");
}

#[test]
fn a_model_of_a_later_version_does_not_prevent_a_setup() {
    let place = tempfile::tempdir().unwrap();
    let later = made_of("Lamp-", &format!("{LAMP}\n[hologram]\nkind = \"blue\"\n"), "amzn1.account.ANA", 1, &root());
    let ended = run(agent(place.path(), &["setup", "--offline"]).arg(later.path().join("bundle.zip")));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.complaint.contains("the device model in the bundle cannot be used by this program: "), "{ended:?}");
    assert!(ended.complaint.contains("hologram"), "{ended:?}");
}
