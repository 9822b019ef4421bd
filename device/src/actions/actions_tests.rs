//! Tests of the actions of a device model, as the agent calls them.

use std::path::Path;

use tempfile::TempDir;

use super::*;

fn model(folder: &TempDir) -> Model {
    let place = folder.path().display();
    let text = format!(
        "[device]\nname = \"lamp\"\ninvocation = \"my lamp\"\nthing_type = \"lamp\"\nthing_prefix = \"Lamp-\"\n\
         [property.power]\ntype = \"switch\"\n\
         [property.night]\ntype = \"switch\"\n\
         [property.line]\ntype = \"switch\"\n\
         [property.name]\ntype = \"text\"\nmax_length = 64\n\
         [property.brightness]\ntype = \"integer\"\nmin = 0\nmax = 255\n\
         [property.hours]\ntype = \"integer\"\nmin = 0\nmax = 99999\nwritten_by = \"device\"\n\
         [command.blink.times]\ntype = \"integer\"\nmin = 1\nmax = 9\n\
         [command.blink.colour]\ntype = \"choice\"\nvalues = [\"red\", \"blue\"]\ndefault = \"red\"\n\
         [command.dim]\n\
         [action.property.power]\nfile = \"{place}/power\"\nmap = {{ ON = \"255\", OFF = \"0\" }}\n\
         [action.property.brightness]\nfile = \"{place}/brightness\"\n\
         [action.property.name]\nrun = [\"{place}/action\"]\n\
         [action.property.line]\ngpio = {{ chip = \"{place}/gpiochip0\", line = 17 }}\n\
         [action.command.blink]\nrun = [\"{place}/action\", \"--slowly\"]\n"
    );
    Model::parse(&text).unwrap()
}

/// Installs a program that stores its input and then runs the given commands.
fn program(folder: &TempDir, then: &str) {
    let text = format!("#!/bin/sh\ncat > \"$(dirname \"$0\")/input\"\n{then}\n");
    super::program::tests::install(&folder.path().join("action"), &text);
}

fn input(folder: &TempDir) -> Value {
    serde_json::from_slice(&std::fs::read(folder.path().join("input")).unwrap()).unwrap()
}

fn failed(why: &str) -> Performed {
    Performed::Failed(why.to_owned())
}

fn done(detail: &str, reported: &Value) -> Performed {
    Performed::Done { detail: detail.to_owned(), properties: reported.as_object().unwrap().clone() }
}

fn command(name: &str, args: Value) -> Command {
    Command { id: "id-1".to_owned(), name: name.to_owned(), args, expires_at: Some(1_763_763_600) }
}

fn thrice() -> Command {
    command("blink", json!({"times": 3}))
}

fn lamp() -> (TempDir, Actions) {
    let folder = tempfile::tempdir().unwrap();
    let actions = Actions::new(&model(&folder), "Lamp-1");
    (folder, actions)
}

#[tokio::test]
async fn a_property_is_written_to_its_file() {
    let (folder, mut actions) = lamp();
    let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    for name in ["power", "brightness"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    assert_eq!(actions.set("power", &json!("ON")).await, done("", &json!({"power": "ON"})));
    assert_eq!(text("power"), "255\n");
    assert_eq!(actions.set("power", &json!("OFF")).await, done("", &json!({"power": "OFF"})));
    assert_eq!(text("power"), "0\n");
    assert_eq!(actions.set("brightness", &json!(128.0)).await, done("", &json!({"brightness": 128})));
    assert_eq!(text("brightness"), "128\n");
}

#[tokio::test]
async fn a_failed_action_reports_nothing() {
    let (folder, mut actions) = lamp();
    let place = folder.path().display();
    assert_eq!(actions.set("power", &json!("ON")).await, Performed::Failed(format!("`{place}/power` is not there")));
    let told = if cfg!(target_os = "linux") { format!("there is no GPIO chip `{place}/gpiochip0`") } else { String::new() };
    assert!(matches!(actions.set("line", &json!("ON")).await, Performed::Failed(detail) if detail.contains(&told)));
}

#[tokio::test]
async fn a_value_reaches_a_program_unchanged() {
    let (folder, mut actions) = lamp();
    program(&folder, "");
    let evil = "$(touch x); rm -rf / `id` \"'|&<>\\";
    assert_eq!(actions.set("name", &json!(evil)).await, done("", &json!({"name": evil})));
    assert_eq!(input(&folder), json!({"property": "name", "value": evil}));
    assert!(!folder.path().join("x").exists() && !Path::new("/x").exists());
}

#[tokio::test]
async fn the_value_that_a_program_reports_takes_precedence() {
    let (folder, mut actions) = lamp();
    program(&folder, r#"echo '{"detail":"shortened","name":"Bo","hours":7}'"#);
    assert_eq!(actions.set("name", &json!("Bob")).await, done("shortened", &json!({"name": "Bo", "hours": 7})));
}

#[tokio::test]
async fn an_invalid_value_is_logged_with_action_property_value_and_range() {
    let (folder, mut actions) = lamp();
    program(&folder, r#"echo '{"detail":"blinked","hours":-1}'"#);
    let log = Log::default();
    let _guard = log.listen();
    let why = "`hours` cannot be -1: it is a whole number from 0 to 99999";
    assert_eq!(actions.perform(&thrice()).await, done(&format!("blinked; {why}"), &json!({})));
    assert!(log.text().contains("WARN") && log.text().contains("action=\"blink\"") && log.text().contains(why), "{}", log.text());
    // An invalid value of the property that was set: its actual value is unknown.
    program(&folder, r#"echo '{"name":7,"hours":3}'"#);
    assert_eq!(actions.set("name", &json!("Bob")).await, failed("`name` cannot be 7: it is a text of at most 64 characters"));
}

#[tokio::test]
async fn a_command_reaches_its_program_and_its_output_is_reported() {
    let (folder, mut actions) = lamp();
    program(&folder, r#"printf '{"detail":"%s","power":"ON","hours":3.0}' "$1 $ONETHING_THING""#);
    let outcome = actions.perform(&thrice()).await;
    assert_eq!(outcome, done("--slowly Lamp-1", &json!({"power": "ON", "hours": 3})));
    assert_eq!(
        input(&folder),
        json!({"command": "blink", "id": "id-1", "args": {"times": 3, "colour": "red"}, "expiresAt": 1_763_763_600})
    );
}

#[tokio::test]
async fn invalid_output_is_a_failure_of_the_action() {
    let (folder, mut actions) = lamp();
    for (printed, why) in [
        (r#"{"hours":3}\nmore"#, "it printed JSON followed by more text: \"more\""),
        (r#"{"hours":"#, "it printed broken JSON: EOF while parsing a value at line 1 column 9"),
        ("caf\\351", "it printed bytes that are no text"),
    ] {
        program(&folder, &format!("printf '{printed}'"));
        assert_eq!(actions.perform(&thrice()).await, failed(why), "{printed}");
        assert_eq!(actions.set("name", &json!("Bob")).await, failed(why), "{printed}");
    }
    program(&folder, "printf 'caf\\351\\n' >&2; exit 1");
    assert_eq!(actions.perform(&thrice()).await, failed("caf\u{fffd}"));
}

#[tokio::test]
async fn a_failure_is_a_warning_with_the_exit_code() {
    let (folder, mut actions) = lamp();
    program(&folder, "echo no water >&2; exit 3");
    let log = Log::default();
    let _guard = log.listen();
    assert_eq!(actions.perform(&thrice()).await, failed("no water"));
    let text = log.text();
    assert!(text.contains("WARN") && text.contains("no water") && text.contains("end=\"exit status: 3\""), "{text}");
}

/// The captured log, as text.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl Log {
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        tracing::subscriber::set_default(tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone()).finish())
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_command_without_an_action_is_refused_and_a_property_is_set() {
    let (_folder, mut actions) = lamp();
    let refused = |detail: &str| Performed::Refused(detail.into());
    assert_eq!(actions.perform(&command("dim", Value::Null)).await, refused("this device has no action for `dim`"));
    assert_eq!(actions.perform(&command("fly\n", Value::Null)).await, refused("this device has no action for `fly`"));
    assert_eq!(actions.set("night", &json!("ON")).await, done("", &json!({"night": "ON"})));
}

#[tokio::test]
async fn a_value_that_the_model_does_not_allow_is_refused() {
    let (_folder, mut actions) = lamp();
    let refused = |detail: &str| Performed::Refused(detail.into());
    assert_eq!(actions.set("power", &json!("MAYBE")).await, refused("`power` cannot have this value"));
    assert_eq!(actions.set("brightness", &json!(256)).await, refused("`brightness` cannot have this value"));
    assert_eq!(actions.set("hours", &json!(1)).await, refused("this device has no property `hours` to set"));
    assert_eq!(actions.set("onboarded", &json!(true)).await, refused("this device has no property `onboarded` to set"));
}

#[tokio::test]
async fn a_program_gets_the_arguments_of_the_model_or_is_not_started() {
    let (folder, mut actions) = lamp();
    program(&folder, "");
    let obey = async |actions: &mut Actions, args: Value| actions.perform(&command("blink", args)).await;
    let refused = |detail: &str| Performed::Refused(detail.into());
    assert_eq!(obey(&mut actions, json!({})).await, refused("argument `times` is missing"));
    assert_eq!(obey(&mut actions, json!({"times": 10})).await, refused("argument `times` cannot have this value"));
    assert_eq!(obey(&mut actions, json!({"times": 1, "colour": "$(id)"})).await, refused("argument `colour` cannot have this value"));
    assert!(!folder.path().join("input").exists(), "the program was started");
    assert_eq!(obey(&mut actions, json!({"times": 2.0, "colour": "blue", "speed": "new"})).await, done("", &json!({})));
    assert_eq!(input(&folder)["args"], json!({"times": 2, "colour": "blue"}));
}

#[test]
fn the_futures_of_actions_are_send() {
    fn require_send(_: impl Send) {}

    let (_folder, mut actions) = lamp();
    require_send(actions.set("power", &json!("ON")));
    let command = command("dim", Value::Null);
    require_send(actions.perform(&command));
}

#[test]
fn the_built_in_printer_has_no_actions() {
    assert!(Actions::new(&Model::parse(Model::SAMPLE).unwrap(), "3D_Printer-1").is_empty());
    assert!(!lamp().1.is_empty());
}

#[test]
fn missing_requirements_are_reported_beforehand() {
    let (folder, actions) = lamp();
    let unmet_requirements: Vec<_> =
        actions.unmet_requirements().into_iter().map(|lack| lack.split('`').nth(1).unwrap().to_owned()).collect();
    assert_eq!(unmet_requirements, ["brightness", "line", "name", "power", "blink"]);
    for name in ["power", "brightness", "gpiochip0", "action"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    let unmet_requirements = actions.unmet_requirements();
    let place = folder.path().display();
    assert_eq!(unmet_requirements.last().unwrap(), &format!("`blink` cannot be done as it is now: `{place}/action` may not be run"));
    assert_eq!(unmet_requirements.len(), 3, "{unmet_requirements:?}");
    program(&folder, "");
    let line = if cfg!(target_os = "linux") {
        format!("`{place}/gpiochip0` is no GPIO chip")
    } else {
        "GPIO lines are switched on Linux only".into()
    };
    assert_eq!(actions.unmet_requirements(), [format!("`line` cannot be done as it is now: {line}")]);
}

#[tokio::test]
async fn actions_are_a_body_that_runs_one_action_at_a_time() {
    use crate::agent::{Body, CommandStatus, Event, InTurn, Order};
    let (folder, actions) = lamp();
    program(&folder, "echo '{\"hours\": 7}'");
    let mut body = InTurn::new(actions, Map::new());
    body.begin(Order::Do(thrice()));
    assert!(!body.is_free());
    let events = body.work().await;
    assert!(matches!(&events[..], [Event::Answered(answer)] if answer.id == "id-1" && answer.status == CommandStatus::Done), "{events:?}");
    assert_eq!(Value::Object(body.properties()), json!({"hours": 7}));
    assert_eq!(input(&folder)["args"], json!({"times": 3, "colour": "red"}));
    body.begin(Order::Set { name: "hours".to_owned(), value: json!(0) });
    let events = body.work().await;
    assert!(
        matches!(&events[..], [Event::Note(note), Event::NotSet { why, .. }] if note.starts_with("hours refused") && note.contains(why.as_str())),
        "{events:?}"
    );
    assert_eq!(Value::Object(body.properties()), json!({"hours": 7}), "a property that was refused is unchanged");
}

fn past(reported: &Value, desired: &Value) -> crate::agent::Past {
    let map = |value: &Value| value.as_object().unwrap().clone();
    crate::agent::Past { reported: map(reported), desired: map(desired), open: Vec::new() }
}

/// Works until the body is free.
async fn is_idle(body: &mut impl crate::agent::Body) {
    while !body.is_free() {
        body.work().await;
    }
}

#[tokio::test]
async fn properties_that_a_restart_undoes_are_set_again() {
    use crate::agent::{Body, InTurn};
    let (folder, actions) = lamp();
    program(&folder, "");
    for name in ["power", "brightness"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    let mut body = InTurn::new(actions, Map::new());
    let state = json!({"power": "ON", "brightness": 128, "name": "Bob", "night": "ON", "hours": 7, "colour": "red"});
    assert_eq!(body.remember(&past(&state, &state)), None);
    assert!(!body.is_free(), "other orders have to wait");
    is_idle(&mut body).await;
    assert_eq!(Value::Object(body.properties()), json!({"power": "ON", "brightness": 128}));
    let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!((text("power").as_str(), text("brightness").as_str()), ("255\n", "128\n"));
    assert!(!folder.path().join("input").exists(), "a program keeps its state itself");
}

#[tokio::test]
async fn a_property_that_cannot_be_set_again_is_reported_as_null() {
    use crate::agent::{Body, InTurn};
    let (_folder, actions) = lamp();
    let mut body = InTurn::new(actions, Map::new());
    let state = json!({"power": "ON"});
    body.remember(&past(&state, &state));
    is_idle(&mut body).await;
    assert_eq!(Value::Object(body.properties()), json!({"power": null}), "the property is a delta again");
}
