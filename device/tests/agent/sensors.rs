//! Tests that measurements reach the shadow: from a program, a file, a stream, and `report`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Hub, RunningAgent, agent, run};

const LAMP: &str = include_str!("../../../tests/fixtures/models/lamp/device.toml");
const MEASURED: &str = "\n[property.moisture]\ntype = \"number\"\nmin = 0\nmax = 100\nunit = \"percent\"\nwritten_by = \"device\"\n\
    [property.warmth]\ntype = \"number\"\nmin = -40\nmax = 85\nwritten_by = \"device\"\n";

/// A running lamp with these reports in its device model.
async fn lamp(place: &Path, reports: &str) -> (Hub, RunningAgent) {
    let hub = Hub::of_a_lamp(&format!("{LAMP}{MEASURED}{reports}")).await;
    let zip = hub.zip("ana").await;
    let running = RunningAgent::begun(&place.join("state"), &["setup", zip.to_str().unwrap(), "--run"]);
    (hub, running)
}

fn is(property: &str, value: Value) -> impl Fn(&Value) -> bool {
    let pointer = format!("/state/reported/{property}");
    move |shadow| shadow.pointer(&pointer) == Some(&value)
}

/// Installs a program with a separate process, because a file that this process has open for writing could not be executed.
fn install(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, text).unwrap();
    assert!(Command::new("install").args(["-m", "700"]).arg(&draft).arg(path).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_and_a_file_are_read_at_intervals() {
    let place = tempfile::tempdir().unwrap();
    let (level, heat, sensor) = (place.path().join("level"), place.path().join("heat"), place.path().join("sensor"));
    std::fs::write(&level, "41.5").unwrap();
    std::fs::write(&heat, "21500\n").unwrap();
    install(&sensor, &format!("#!/bin/sh\ncat {}\n", level.display()));
    let reports = format!(
        "[report.moisture]\nrun = [\"{}\"]\nevery = 1\n[report.warmth]\nfile = \"{}\"\nfactor = 0.001\nevery = 1\n",
        sensor.display(),
        heat.display()
    );
    let (hub, running) = lamp(place.path(), &reports).await;
    hub.shadow("the first values", |shadow| is("moisture", json!(41.5))(shadow) && is("warmth", json!(21.5))(shadow)).await;
    std::fs::write(&level, "{\"moisture\": 40}").unwrap();
    hub.shadow("the next value", is("moisture", json!(40))).await;
    std::fs::write(&level, "140").unwrap();
    running.says("is not measured: `moisture` cannot be \"140\": it is a number from 0 to 100 percent");
    std::fs::write(&level, "39").unwrap();
    running.says("is measured again");
    let shadow = hub.shadow("a good value again", is("moisture", json!(39))).await;
    assert_eq!(shadow.pointer("/state/desired/moisture"), None);
    hub.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_of_a_stream_is_a_report_and_a_stream_that_ends_is_started_again() {
    let place = tempfile::tempdir().unwrap();
    let sensor = place.path().join("sensor");
    let text = format!(
        "#!/bin/sh\ncount=$(($(cat {0}/count 2>/dev/null || echo 0) + 1)); echo $count > {0}/count\n\
         if [ $count = 1 ]; then echo 41.5; echo; echo '{{\"warmth\": -3}}'; echo no water >&2; exit 3; fi\necho $count\nexec sleep 1000\n",
        place.path().display()
    );
    install(&sensor, &text);
    let (hub, running) = lamp(place.path(), &format!("[report.moisture]\nstream = [\"{}\"]\n", sensor.display())).await;
    hub.shadow("the second run", |shadow| is("moisture", json!(2))(shadow) && is("warmth", json!(-3))(shadow)).await;
    assert!(running.stop().success());
    hub.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn report_sends_measured_values_to_the_running_agent() {
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state");
    let report = |arguments: &[&str]| run(&mut agent(&state, &[&["report"], arguments].concat()));
    report(&["moisture=41.5"]).check(1, "no agent that takes reports runs with the state folder");
    let (hub, running) = lamp(place.path(), "[report.moisture]\n").await;
    assert_eq!(state.join("report.sock").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(report(&["moisture=41.5", "warmth=20"]).done(), "The agent reports moisture=41.5 warmth=20.\n");
    hub.shadow("what was told", |shadow| is("moisture", json!(41.5))(shadow) && is("warmth", json!(20))(shadow)).await;
    let said: Value = serde_json::from_str(&report(&["--json", "{\"moisture\": 40, \"warmth\": 21.0}"]).done()).unwrap();
    assert_eq!(said, json!({"reported": {"moisture": 40, "warmth": 21}, "connected": true}));
    hub.shadow("what was told as JSON", is("moisture", json!(40))).await;
    // A value of a settable property also becomes the desired value.
    report(&["power=on"]).done();
    hub.shadow("a change", |shadow| is("power", json!("ON"))(shadow) && shadow.pointer("/state/desired/power") == Some(&json!("ON"))).await;
    report(&["moisture=140"]).check(2, "`moisture` cannot be \"140\": it is a number from 0 to 100 percent");
    report(&["moisture=1", "colour=red"]).check(2, "there is no property `colour`");
    report(&["{\"moisture\": \"wet\"}"]).check(2, "`moisture` cannot be \"wet\"");
    report(&["moisture"]).check(2, "is not NAME=VALUE");
    hub.shadow("nothing of what does not fit", is("moisture", json!(40))).await;
    hub.end().await;
    running.says("no connection");
    let out = report(&["moisture=39"]).done();
    assert_eq!(out, "The agent has moisture=39; it is not connected, and reports it if it is again within a minute.\n");
    assert!(running.stop().success());
    assert!(!state.join("report.sock").exists());
}
