//! Tests of the command line, with valid and invalid arguments.

use std::path::Path;
use std::process::Command;

use onething::device_model::Model;
use onething_hub::simulator::utterance::interaction::InteractionModel;

use crate::harness::{Running, Starting, hub, run, serve};

fn with(arguments: &[&str]) -> (Option<i32>, String, String) {
    run(hub().args(arguments))
}

/// Checks that a command fails with one sentence that contains these words.
fn check_sentence((code, out, complaint): &(Option<i32>, String, String), expected: i32, words: &str) {
    assert_eq!((*code, out.as_str()), (Some(expected), ""), "{complaint}");
    assert!(complaint.contains(words), "{complaint}");
    assert!(!complaint.contains("panicked") && !complaint.contains("Error {"), "{complaint}");
    if expected == 1 {
        assert_eq!(complaint.trim_end().lines().count(), 1, "{complaint}");
        assert!(complaint.starts_with("onething-hub: "), "{complaint}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn say_things_and_mail_show_the_state_of_a_running_hub() {
    let place = tempfile::tempdir().unwrap();
    let running = Running::start(place.path());
    let ask = |arguments: &[&str]| run(hub().args(arguments).args(["--hub", &running.http]));

    assert!(ask(&["things"]).1.contains("no things yet") && ask(&["mail"]).1.contains("no mail yet"));
    let folder = place.path().join("bundles");
    std::fs::create_dir(&folder).unwrap();
    let save = ["mail", "--save", folder.to_str().unwrap()];
    check_sentence(&ask(&save), 1, "there is no mail with a bundle");
    assert!(ask(&["events"]).1.contains("There are no such events."));
    let (code, out, _) = ask(&["say", "open my printer"]);
    assert!(code == Some(0) && out.contains("link your Amazon account") && out.contains("[ Link account ]"), "{out}");
    let (code, out, _) = ask(&["link"]);
    assert!(code == Some(0) && out.contains("The account of ana is linked"), "{out}");
    let (code, out, _) = ask(&["say", "Alexa, ask my printer to print two vases"]);
    assert!(code == Some(0) && out.contains("Printing 2 copies of vase"), "{out}");
    let (code, out, _) = ask(&["say", "--json", "open my printer", "--as", "ana"]);
    let turn: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(code == Some(0) && turn["heard"]["listening"] == true && turn["response"]["version"] == "1.0", "{turn}");
    assert!(!out.contains("Atza"), "the token is shown");

    let (code, out, _) = ask(&["things"]);
    assert!(code == Some(0) && ["3D_Printer-", "ana", "ACTIVE", "desired", "vase"].iter().all(|part| out.contains(part)), "{out}");
    let things: serde_json::Value = serde_json::from_str(&ask(&["things", "--json"]).1).unwrap();
    assert_eq!(things["things"].as_array().unwrap().len(), 1);
    let (code, out, _) = ask(&["mail"]);
    assert!(code == Some(0) && [".eml", ".zip", "ana@example.com"].iter().all(|part| out.contains(part)), "{out}");
    let mail: serde_json::Value = serde_json::from_str(&ask(&["mail", "--json"]).1).unwrap();
    assert_eq!(mail["mail"].as_array().unwrap().len(), 1);
    let (code, out, _) = ask(&save);
    let bundle = folder.join(mail["mail"][0]["attachment"]["name"].as_str().unwrap());
    assert!(code == Some(0) && out.starts_with(bundle.to_str().unwrap()), "{out}");
    assert!(std::fs::read(&bundle).unwrap().starts_with(b"PK"), "no zip");
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&bundle.metadata().unwrap().permissions()) & 0o777, 0o600);
    check_sentence(&ask(&["mail", "--save", "/nowhere"]), 1, ".zip cannot be written");
    check_sentence(&ask(&["mail", "--as", "ben", "--save", "."]), 1, "there is no mail with a bundle");
    assert_eq!(ask(&["link", "--as", "ben"]).0, Some(0));
    let bens: serde_json::Value = serde_json::from_str(&ask(&["mail", "--as", "ben", "--json"]).1).unwrap();
    let ours: serde_json::Value = serde_json::from_str(&ask(&["mail", "--as", "ana", "--json"]).1).unwrap();
    assert_eq!((bens["mail"].as_array().unwrap().len(), ours["mail"].as_array().unwrap().len()), (1, 1));
    assert_ne!(bens["mail"][0]["attachment"]["name"], ours["mail"][0]["attachment"]["name"]);
    check_sentence(&ask(&["link", "--as", "no name"]), 1, "a user is named by");

    let refused = ask(&["say", "open my printer", "--as", "no name"]);
    check_sentence(&refused, 1, "the hub refused: a user is named by");
    running.stop().await;
}

#[test]
fn without_a_hub_the_error_is_one_sentence_with_an_instruction() {
    let closed_port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", closed_port.local_addr().unwrap());
    drop(closed_port);
    for command in [&["say", "open my printer"][..], &["things"], &["mail"], &["events"]] {
        let refused = run(hub().args(command).env("ONETHING_HUB", &address));
        check_sentence(&refused, 1, "start one with `onething-hub`");
    }
    for odd in ["nowhere", "http://", "not an address", "127.0.0.1:8080"] {
        check_sentence(&with(&["things", "--hub", odd]), 1, "is no address of a hub");
    }
}

#[test]
fn policy_check_reports_the_decision_by_exit_code() {
    let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/device-policy.json");
    let check = |file: &str, action: &str, on: &str, more: &[&str]| {
        run(hub().args(["policy", "check", file, "--action", action, "--on", on, "--thing", "T"]).args(more))
    };
    let (code, out, _) = check(policy, "connect", "T", &[]);
    assert_eq!(code, Some(0), "{out}");
    let (code, out, _) = check(policy, "publish", "$aws/things/T/shadow/update", &["--json"]);
    let verdict: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &verdict["allowed"]), (Some(0), &serde_json::json!(true)), "{out}");
    for (action, on) in [("connect", "U"), ("subscribe", "#"), ("publish", "$aws/things/U/shadow/update"), ("receive", "T/x")] {
        assert_eq!(check(policy, action, on, &[]).0, Some(1), "{action} {on}");
    }
    check_sentence(&check("/nowhere.json", "connect", "T", &[]), 1, "/nowhere.json cannot be read");
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("policy.json");
    std::fs::write(&file, "{\"Version\":").unwrap();
    check_sentence(&check(file.to_str().unwrap(), "connect", "T", &[]), 2, "is no policy");
    check_sentence(&check(policy, "delete", "T", &[]), 2, "delete");
}

#[test]
fn completions_exist_for_every_shell_and_help_has_examples() {
    for (shell, words) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef onething-hub"),
        ("fish", "complete -c onething-hub"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let (code, out, _) = with(&["completions", shell]);
        assert!(code == Some(0) && out.contains(words) && out.contains("policy"), "{shell}");
    }
    check_sentence(&with(&["completions", "dos"]), 2, "dos");
    let (code, out, _) = with(&["--help"]);
    assert!(code == Some(0) && out.contains("Examples:") && out.contains("ONETHING_DATA"), "{out}");
    let commands = [
        "serve",
        "demo",
        "say",
        "things",
        "link",
        "mail",
        "events",
        "check",
        "backup",
        "restore",
        "service",
        "policy",
        "authority",
        "completions",
    ];
    for command in commands {
        assert!(out.contains(&format!("  {command} ")), "{command} is not in the help");
        assert_eq!(with(&[command, "--help"]).0, Some(0), "{command}");
    }
    assert!(with(&["--version"]).1.starts_with("onething-hub "));
}

#[test]
fn invalid_arguments_have_exit_code_2_and_a_reason() {
    for (arguments, words) in [
        (&["--nonsense"][..], "--nonsense"),
        (&["serv"], "serv"),
        (&["--http", "here"], "--http"),
        (&["serve", "--mqtt", "127.0.0.1"], "--mqtt"),
        (&["--tls-certificate", "a.pem"], "--tls-key"),
        (&["--certificate-days", "0"], "--certificate-days"),
        (&["say"], "<UTTERANCE>"),
        (&["policy", "check"], "--action"),
    ] {
        check_sentence(&with(arguments), 2, words);
    }
}

#[test]
fn all_faults_of_the_arguments_are_reported_at_once() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let faulty = place.path().join("faulty");
    std::fs::write(&faulty, "{").unwrap();
    let mut command = hub();
    command.args(["--lwa-client-id", "amzn1.application-oa2-client.x", "--host", "a b", "--device-model", "/nowhere.toml"]);
    command.arg("--data").arg(&data).arg("--interaction-model").arg(&faulty);
    command.env("MAIL_FROM", "nobody").env("SMTP_URL", "post://office");
    let refused = run(&mut command);
    for words in [
        "--lwa-client-id: without it any skill could call",
        "--host must be",
        "--device-model /nowhere.toml cannot be read",
        &format!("--interaction-model {}: the interaction model cannot be read: EOF while parsing", faulty.display()),
        "MAIL_FROM must be",
        "SMTP_URL ",
    ] {
        check_sentence(&refused, 2, words);
    }
    assert_eq!(refused.2.trim_end().lines().count(), 6, "one line for each: {}", refused.2);
    let mut command = hub();
    command.args(["--skill-id", "mine"]).arg("--device-model").arg(&faulty).arg("--data").arg(&data);
    let refused = run(&mut command);
    check_sentence(&refused, 2, &format!("--device-model {}: the device model has 1 fault(s):\nline 1: ", faulty.display()));
    check_sentence(&refused, 2, "--skill-id must be skill ids");
    for (option, value, words) in [
        ("--host", "hub.example.com:8883", "without a port"),
        ("--http", "localhost:8080", "such as 127.0.0.1:8080"),
        ("--mqtt", "8883", "such as 127.0.0.1:8080"),
    ] {
        check_sentence(&run(hub().args([option, value]).arg("--data").arg(&data)), 2, words);
    }
    assert!(!data.exists(), "nothing was begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_in_the_models_are_logged_at_the_start_with_file_place_and_fix() {
    let lamp = log_with(Model::SAMPLE.replace("my printer", "my lamp"), InteractionModel::SAMPLE.to_owned()).await;
    assert!(lamp.contains("the device model is called `my lamp`, and the interaction model `my printer`"), "{lamp}");
    let fewer = log_with(Model::SAMPLE.replace("intent.PauseIntent", "intent.RestIntent"), InteractionModel::SAMPLE.to_owned()).await;
    for words in [
        "device-model: intent.RestIntent: the interaction model has no such intent, so the intent cannot be said; add it to languageModel.intents",
        "interaction-model: languageModel.intents.PauseIntent: the device model has no such intent",
    ] {
        let line = fewer.lines().find(|line| line.contains(words));
        assert!(line.is_some_and(|line| line.contains("WARN") && line.contains("models")), "{words} in {fewer}");
    }
    let printer = log_with(Model::SAMPLE.to_owned(), InteractionModel::SAMPLE.to_owned()).await;
    assert!(!printer.contains("WARN"), "{printer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_interaction_model_is_logged_in_one_line() {
    let place = tempfile::tempdir().unwrap();
    let lamp = place.path().join("lamp.toml");
    std::fs::write(&lamp, Model::SAMPLE.replace("my printer", "my lamp")).unwrap();
    let log = log_of(place.path(), &[("--device-model", &lamp)]).await;
    let told: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert!(told.len() == 1 && told[0].contains("for --interaction-model?"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_built_in_intent_in_both_models_is_consistent() {
    let device = Model::SAMPLE.replace("intent.PauseIntent", "intent.\"AMAZON.PauseIntent\"");
    let speech = InteractionModel::SAMPLE.replace("\"PauseIntent\"", "\"AMAZON.PauseIntent\"");
    assert!(speech != InteractionModel::SAMPLE && device != Model::SAMPLE, "the samples have the intent");
    let log = log_with(device, speech).await;
    assert!(!log.contains("WARN"), "{log}");
}

/// The log of a hub with these models, from its start to its end.
async fn log_with(device: String, speech: String) -> String {
    let place = tempfile::tempdir().unwrap();
    let files = [("--device-model", device), ("--interaction-model", speech)].map(|(option, text)| {
        let file = place.path().join(option.trim_start_matches('-'));
        std::fs::write(&file, text).unwrap();
        (option, file)
    });
    log_of(place.path(), &files.each_ref().map(|(option, file)| (*option, file.as_path()))).await
}

/// The log of a hub with these options, from its start to its end.
async fn log_of(place: &Path, options: &[(&str, &Path)]) -> String {
    let mut command = serve(&place.join("data"));
    for (option, file) in options {
        command.arg(option).arg(file);
    }
    let running = Starting::start(command).ready();
    running.signal("TERM");
    running.ended().await.1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_can_be_replaced_while_the_hub_is_stopped_and_old_bundles_stay_valid() {
    let place = tempfile::tempdir().unwrap();
    let running = Running::start(place.path());
    running.client().link("ana").await.unwrap();
    let old = running.client().bundles("ana").await.unwrap().remove(0);
    running.stop().await;
    let (code, out, complaint) = run(hub().args(["authority", "replace", "--data"]).arg(place.path()));
    assert!(code == Some(0) && out.contains("There is a new root"), "{complaint}");
    let running = Running::start(place.path());
    crate::bundle::Bundle::open(&old).reads_its_shadow(running.mqtt_port()).await;
    running.stop().await;
    let nothing = place.path().join("file");
    std::fs::write(&nothing, "").unwrap();
    let nowhere = place.path().join("nowhere");
    for data in [&nothing, &nowhere] {
        check_sentence(&run(hub().args(["authority", "replace", "--data"]).arg(data)), 1, "there is no authority at");
    }
    assert!(!nowhere.exists(), "nothing was begun");
}

#[cfg(target_os = "linux")]
#[test]
fn a_systemd_unit_is_printed_written_and_removed() {
    let place = tempfile::tempdir().unwrap();
    // A service cannot access a home folder, in which this binary may be.
    let program = place.path().join("onething-hub");
    std::fs::copy(env!("CARGO_BIN_EXE_onething-hub"), &program).unwrap();
    let unit = place.path().join("onething-hub.service");
    let environment = place.path().join("hub.env");
    let service =
        |arguments: &[&str]| run(Command::new(&program).env_clear().arg("service").args(arguments).arg("--environment").arg(&environment));
    let (code, out, _) = service(&["--host", "hub.example.com", "--mqtt", "0.0.0.0:8883"]);
    let start = format!("ExecStart={} serve --data /var/lib/onething --mqtt 0.0.0.0:8883 --host hub.example.com", program.display());
    assert!(code == Some(0) && out.lines().any(|line| line == start) && out.contains("DynamicUser=yes"), "{out}");
    let (code, told, complaint) = service(&["--write", unit.to_str().unwrap(), "--host", "hub.example.com", "--mqtt", "0.0.0.0:8883"]);
    assert_eq!((code, std::fs::read_to_string(&unit).unwrap()), (Some(0), out), "{complaint}");
    for words in ["is written", "SMTP_URL", "systemctl enable --now onething-hub.service"] {
        assert!(told.contains(words), "{words} in {told}");
    }
    let (code, told, _) = service(&["--remove", unit.to_str().unwrap()]);
    assert!(code == Some(0) && told.contains("The data are left") && !unit.exists(), "{told}");
    std::fs::write(&unit, "[Unit]\nDescription=something else\n").unwrap();
    check_sentence(&service(&["--remove", unit.to_str().unwrap()]), 1, "is no unit of a hub");
    check_sentence(&service(&["--remove", "/nowhere/x.service"]), 1, "cannot be used");
    check_sentence(&service(&["--data", "/nowhere/data"]), 2, "name a --user");
    check_sentence(&service(&["--mail", "/srv/mail"]), 2, "leave --mail out");
    assert!(unit.exists());
}
