//! Tests of the command line: its commands, and its error messages.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::credentials::root;
use crate::harness::{Ended, agent, made, made_for, run};

fn with(arguments: &[&str]) -> Ended {
    let place = tempfile::tempdir().unwrap();
    run(&mut agent(&place.path().join("state"), arguments))
}

#[test]
fn a_usage_error_has_exit_code_2_and_a_reason() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    std::fs::write(&file, "nothing").unwrap();
    let file = file.to_str().unwrap();
    let bundle = made(1, &root());
    let bundle = bundle.path().join("bundle.zip");
    let bundle = bundle.to_str().unwrap();
    for (arguments, words) in [
        (&["--nonsense"][..], "--nonsense"),
        (&["setp"], "setp"),
        (&["setup"], "<BUNDLE>"),
        (&["claim"], "<CODE>"),
        (&["run", "--wait", "soon"], "--wait"),
        (&["completions", "dos"], "dos"),
        (&["setup", "/nowhere.zip"], "/nowhere.zip cannot be read"),
        (&["setup", bundle, "--offline", "--name", "my printer"], "the one of --name has ' '"),
        (&["setup", bundle, "--offline", "--ca", "/nowhere.pem"], "--ca /nowhere.pem cannot be read"),
        (&["setup", bundle, "--offline", "--ca", file], "own-ca.pem holds no certificate"),
        (&["run", "--device-model", "/nowhere.toml"], "--device-model /nowhere.toml: "),
        (&["run", "--device-model", file], "--device-model "),
        (&["run", "--code", "M4RS-7XQ2"], "a claim code needs a registration endpoint"),
        (&["claim", "M4RS-7XQ2"], "which registration endpoint?"),
        (&["register"], "which registration endpoint?"),
        (&["service", "--user", "a b"], "cannot stand in a unit"),
    ] {
        with(arguments).check(2, words);
    }
    let mut nowhere = std::process::Command::new(env!("CARGO_BIN_EXE_onething-device"));
    run(nowhere.env_clear().arg("status")).check(2, "name one by --state DIR");
    let mut named = agent(&place.path().join("state"), &["setup", bundle, "--offline"]);
    run(named.env("ONETHING_DEVICE_NAME", "a/b")).check(2, "the one of ONETHING_DEVICE_NAME has '/'");
}

#[test]
fn the_state_folder_may_be_set_by_a_variable() {
    let (place, bundle) = (tempfile::tempdir().unwrap(), made(1, &root()));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_onething-device"));
    command.env_clear().env("ONETHING_DEVICE_STATE", place.path()).args(["setup", "--offline"]).arg(bundle.path().join("bundle.zip"));
    run(&mut command).done();
    run(&mut agent(place.path(), &["status"])).done();
}

#[test]
fn a_folder_that_others_can_read_is_restricted_or_refused() {
    let (place, bundle) = (tempfile::tempdir().unwrap(), made(1, &root()));
    let zip = bundle.path().join("bundle.zip");
    let setup = |state: &Path| run(&mut agent(state, &["setup", "--offline", zip.to_str().unwrap()]));
    let open = |path: &Path| std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    let state = place.path().join("state");
    setup(&state).done();
    open(&state);
    let ended = setup(&state);
    assert!(ended.code == Some(0) && ended.complaint.contains("it is closed to them again"), "{ended:?}");
    assert_eq!(state.metadata().unwrap().mode() & 0o777, 0o700);
    open(place.path());
    let ended = setup(place.path());
    ended.check(1, "name a folder that is new or empty");
    assert!(!ended.complaint.contains("chmod"), "the folder may have another purpose: {ended:?}");
    let file = place.path().join("file");
    std::fs::write(&file, "").unwrap();
    setup(&file).check(1, "it is a file, and no folder");
}

#[test]
fn a_change_to_another_thing_is_reported() {
    let (place, bundles) = (tempfile::tempdir().unwrap(), [made(1, &root()), made_for("amzn1.account.BEN", 1, &root())]);
    let setup = |number: usize| {
        let zip = bundles[number].path().join("bundle.zip");
        run(&mut agent(place.path(), &["setup", "--offline", zip.to_str().unwrap()])).done()
    };
    let said = [setup(0), setup(0), setup(1)].map(|said| said.contains("Until now this device was "));
    assert_eq!(said, [false, false, true]);
}

#[test]
fn forget_without_credentials_needs_no_confirmation() {
    let place = tempfile::tempdir().unwrap();
    assert_eq!(run(&mut agent(place.path(), &["forget"])).done(), "There is nothing to forget.\n");
    let zip = made(1, &root());
    run(&mut agent(place.path(), &["setup", "--offline", zip.path().join("bundle.zip").to_str().unwrap()])).done();
    run(&mut agent(place.path(), &["forget"])).check(2, "say --yes");
    run(&mut agent(place.path(), &["forget", "--yes"])).done();
}

#[test]
fn the_service_is_a_unit_for_this_program_and_this_folder() {
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state");
    run(&mut agent(&state, &["service"])).check(2, "run `onething-device setup` first");
    std::fs::create_dir(&state).unwrap();
    let unit = run(&mut agent(&state, &["service"])).done();
    let start = format!("ExecStart={} run --state {}\n", env!("CARGO_BIN_EXE_onething-device"), state.display());
    let user = format!("User={}\n", state.metadata().unwrap().uid());
    for line in [start.as_str(), &user, "Restart=always\n", "ProtectSystem=strict\n", "WantedBy=multi-user.target\n"] {
        assert!(unit.contains(line), "{line} is not in {unit}");
    }
    let file = place.path().join("agent.service");
    let out = run(&mut agent(&state, &["service", "--user", "ana", "--write", file.to_str().unwrap()])).done();
    assert!(out.contains("systemctl enable --now agent.service"), "{out}");
    assert!(std::fs::read_to_string(&file).unwrap().contains("User=ana\n"));
    run(&mut agent(&state, &["service", "--write", "/nowhere/agent.service"])).check(1, "/nowhere/agent.service cannot be written");
}

#[test]
fn only_a_unit_of_the_agent_is_removed() {
    let place = tempfile::tempdir().unwrap();
    let (state, file) = (place.path().join("state"), place.path().join("agent.service"));
    let path = file.to_str().unwrap();
    run(&mut agent(&state, &["service", "--user", "ana", "--write", path])).done();
    run(&mut agent(&state, &["service", "--remove", path, "--user", "ana"])).check(2, "cannot be used with");
    assert!(run(&mut agent(&state, &["service", "--remove", path])).done().contains("is removed. The credentials stay"));
    run(&mut agent(&state, &["service", "--remove", path])).check(1, "is not there: nothing was removed");
    std::fs::write(&file, "[Unit]\nDescription=somebody else's\n").unwrap();
    run(&mut agent(&state, &["service", "--remove", path])).check(1, "is no unit of this agent");
    assert!(file.exists());
}

#[test]
fn the_service_has_a_dynamic_user_if_that_user_may_perform_the_actions() {
    let place = tempfile::tempdir().unwrap();
    // The folder in which these tests were built may be a home folder.
    let program = place.path().join("onething-device");
    // A separate process copies the file, because a file that this process has open for writing could not be executed.
    assert!(std::process::Command::new("cp").arg(env!("CARGO_BIN_EXE_onething-device")).arg(&program).status().unwrap().success());
    let model = place.path().join("lamp.toml");
    let service = |action: &str, more: &[&str]| {
        std::fs::write(&model, format!("{}{action}", onething::device_model::Model::SAMPLE)).unwrap();
        let mut command = std::process::Command::new(&program);
        run(command.env_clear().args(["--state", "/var/lib/onething-device", "service", "--device-model"]).arg(&model).args(more))
    };
    assert!(service("", &[]).done().contains("DynamicUser=yes\nStateDirectory=onething-device\n"));
    // On every machine, a kernel parameter belongs to root.
    let roots = "[action.property.power]\nfile = \"/proc/sys/vm/swappiness\"\n";
    service(roots, &[]).check(2, "or run the agent by `--user root`");
    assert!(service(roots, &["--user", "root"]).done().contains("User=root\n"));
    let later = service("[action.property.power]\ngpio = { chip = \"/dev/gpiochip-of-nobody\", line = 1 }\n", &[]);
    assert!(later.code == Some(0) && later.complaint.contains("write the unit again when it is"), "{later:?}");
}

#[test]
fn a_device_model_is_checked_without_credentials_one_sentence_per_mistake() {
    let place = tempfile::tempdir().unwrap();
    let (state, file) = (place.path().join("state"), place.path().join("lamp.toml"));
    let lamp = include_str!("../../../tests/fixtures/models/lamp/device.toml");
    let check = |actions: &str| {
        std::fs::write(&file, format!("{lamp}{actions}")).unwrap();
        run(&mut agent(&state, &["check", "--device-model", file.to_str().unwrap()]))
    };
    let name = file.display();
    assert_eq!(check("").done(), format!("{name}: the device model of a lamp is good, and it has no actions and no sensors.\n"));
    let good = "\n[action.property.power]\nrun = [\"/bin/sh\", \"-c\", \"cat\"]\n";
    assert_eq!(check(good).done(), format!("{name}: the device model of a lamp is good, and what its action or sensor needs is there.\n"));
    let ended = check(
        "\n[action.property.power]\nrun = [\"/nowhere/lamp\"]\n[action.property.brightness]\nfile = \"/nowhere/brightness\"\n\
         [action.command.fade]\nhttp = \"http://127.0.0.1:1/fade\"\n",
    );
    assert_eq!(
        ended.out,
        format!(
            "{name}: `brightness` cannot be done as it is now: `/nowhere/brightness` is not there\n\
             {name}: `power` cannot be done as it is now: `/nowhere/lamp` is not there, or what interprets it is not\n\
             {name}: `fade` cannot be done as it is now: nobody listens at http://127.0.0.1:1/fade\n"
        )
    );
    assert_eq!((ended.code, ended.complaint.as_str()), (Some(1), "onething-device: this machine lacks 3 of what the device model names\n"));
    let ended = check("\n[action.property.power]\nrun = [\"lamp\"]\n[action.property.colour]\nfile = \"/x\"\n");
    assert_eq!(
        ended.out,
        format!(
            "{name}: action.property.colour: there is no property `colour`\n\
             {name}: action.property.power: `run` must begin with the absolute path of a program\n"
        )
    );
    assert_eq!((ended.code, ended.complaint.as_str()), (Some(2), "onething-device: the device model has 2 mistakes\n"));
    assert!(!state.exists(), "no state folder is created");
    run(&mut agent(&state, &["check"])).check(2, "which device model?");
    run(&mut agent(&state, &["check", "--device-model", "/nowhere.toml"])).check(2, "--device-model /nowhere.toml: ");
}

#[test]
fn there_are_completions_for_every_shell_and_help_with_examples() {
    for (shell, words) in [("bash", "complete -F"), ("zsh", "#compdef onething-device"), ("fish", "complete -c onething-device")] {
        let out = with(&["completions", shell]).done();
        assert!(out.contains(words) && out.contains("setup"), "{shell}");
    }
    let out = with(&["--help"]).done();
    assert!(out.contains("Examples:") && out.contains("ONETHING_DEVICE_STATE") && out.contains("Exit codes:"), "{out}");
    for command in ["setup", "check", "run", "status", "report", "claim", "register", "renew", "forget", "service", "completions"] {
        assert!(out.contains(&format!("  {command} ")), "{command} is not in the help");
        assert_eq!(with(&[command, "--help"]).code, Some(0), "{command}");
    }
    assert!(with(&["--version"]).done().starts_with("onething-device "));
}
