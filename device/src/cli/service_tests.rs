use std::collections::BTreeMap;

use super::*;

/// Parses a unit as systemd does: sections of settings, each of which may occur more than once.
fn read(unit: &str) -> BTreeMap<String, Vec<String>> {
    let mut settings: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut section = None;
    for line in unit.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(name) => section = Some(name.to_owned()),
            None => {
                let (name, value) = line.split_once('=').unwrap_or_else(|| panic!("{line:?} is no setting"));
                assert!(!name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric()), "{line:?}");
                let section = section.as_ref().expect("a section before its settings");
                settings.entry(format!("{section}.{name}")).or_default().push(value.to_owned());
            }
        }
    }
    settings
}

/// Splits a command line as described in `systemd.service(5)`.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut chars) = (Vec::new(), String::new(), false, line.chars());
    while let Some(c) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' => word.extend(chars.next()),
            '%' => assert_eq!(chars.next().inspect(|_| word.push('%')), Some('%'), "a specifier"),
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            _ => word.push(c),
        }
    }
    assert!(!quoted, "{line}");
    words.push(word);
    words
}

fn unit<'a>(program: &'a str, runner: Runner) -> Unit<'a> {
    Unit { program: Path::new(program), runner, name: None, device_model: None, ca: None, needs: Needs::default(), groups: BTreeSet::new() }
}

fn dynamic() -> Runner {
    Runner::DynamicUser { folder: "onething-device".into() }
}

#[test]
fn a_folder_below_var_lib_has_a_dynamic_user() {
    let unit = read(&unit("/usr/local/bin/onething-device", dynamic()).text().unwrap());
    let is = |name: &str, value: &str| assert_eq!(unit[name], [value], "{name}");
    is("Service.ExecStart", "/usr/local/bin/onething-device run --state /var/lib/onething-device");
    is("Service.DynamicUser", "yes");
    is("Service.StateDirectory", "onething-device");
    is("Service.StateDirectoryMode", "0700");
    is("Service.Restart", "always");
    is("Service.NoNewPrivileges", "yes");
    is("Service.ProtectSystem", "strict");
    is("Service.ProtectHome", "yes");
    is("Service.CapabilityBoundingSet", "");
    is("Service.RestartPreventExitStatus", "2");
    is("Unit.StartLimitIntervalSec", "0");
    is("Unit.Wants", "network-online.target");
    is("Install.WantedBy", "multi-user.target");
    assert!(unit["Unit.After"][0].contains("network-online.target"));
    assert!(!unit.contains_key("Service.User"));
    assert!(unit.values().all(|values| values.len() == 1), "set twice: {unit:?}");
}

#[test]
fn a_user_of_the_machine_has_a_folder_of_their_own() {
    let folder = "/home/ana/my data/100% \"onething\"";
    let runner = Runner::User { user: "ana".into(), folder: folder.into() };
    let text = Unit {
        name: Some("office:3"),
        device_model: Some(Path::new("/etc/lamp.toml")),
        ca: Some(Path::new("/etc/ca.pem")),
        ..unit("/opt/a b/device", runner)
    };
    let unit = read(&text.text().unwrap());
    let expected =
        ["/opt/a b/device", "run", "--state", folder, "--device-model", "/etc/lamp.toml", "--ca", "/etc/ca.pem", "--name", "office:3"];
    assert_eq!(words(&unit["Service.ExecStart"][0]), expected);
    assert_eq!(words(&unit["Service.ReadWritePaths"][0]), [folder]);
    assert_eq!((&unit["Service.User"][0], &unit["Service.ProtectHome"][0]), (&"ana".to_owned(), &"read-only".to_owned()));
    assert!(!unit.contains_key("Service.DynamicUser"));
    let elsewhere = Runner::User { user: "1000".into(), folder: "/srv/onething".into() };
    assert_eq!(read(&super::tests::unit("/x", elsewhere).text().unwrap())["Service.ProtectHome"], ["yes"]);
}

#[test]
fn the_sandbox_permits_what_the_actions_need_and_no_more() {
    let nothing = read(&unit("/x", dynamic()).text().unwrap());
    assert_eq!(
        (&nothing["Service.DevicePolicy"], &nothing["Service.ProtectKernelTunables"]),
        (&vec!["closed".into()], &vec!["yes".into()])
    );
    assert!(!nothing.contains_key("Service.DeviceAllow") && !nothing.contains_key("Service.ReadWritePaths"));

    let actions = "[action.property.power]\ngpio = { chip = \"/dev/gpiochip0\", line = 17 }\n\
                   [action.property.bedTarget]\nfile = \"/sys/class/leds/bed/brightness\"\n";
    let model = |actions: &str| Needs::of(&Model::parse(&format!("{}{actions}", Model::SAMPLE)).unwrap());
    let some = read(&Unit { needs: model(actions), ..unit("/x", dynamic()) }.text().unwrap());
    assert_eq!((&some["Service.DevicePolicy"][0][..], &some["Service.DeviceAllow"][0][..]), ("closed", "char-gpiochip rw"));
    assert_eq!(some["Service.ReadWritePaths"], ["-/sys/class/leds/bed/brightness"]);
    assert!(!some.contains_key("Service.SupplementaryGroups"));
    assert_eq!(some["Service.ProtectKernelTunables"], ["no"]);

    let programs = read(&Unit { needs: model("[action.command.print]\nrun = [\"/bin/true\"]\n"), ..unit("/x", dynamic()) }.text().unwrap());
    assert!(!programs.contains_key("Service.DevicePolicy"), "a program may need any device");
}

#[test]
fn a_dynamic_user_gets_the_groups_of_the_files_of_the_actions() {
    let groups = || BTreeSet::from(["gpio".to_owned(), "leds".to_owned()]);
    let made = Unit { groups: groups(), ..unit("/x", dynamic()) };
    assert_eq!(read(&made.text().unwrap())["Service.SupplementaryGroups"], ["gpio leds"]);
    let ana = Runner::User { user: "ana".into(), folder: "/srv/onething".into() };
    let of_ana = Unit { groups: groups(), ..unit("/x", ana) };
    assert!(!read(&of_ana.text().unwrap()).contains_key("Service.SupplementaryGroups"), "a user of the machine has groups already");
}

#[test]
fn a_home_folder_is_readable_for_its_own_user_only() {
    let in_home = |program, model: &'static str, runner| {
        let needs = Needs { programs: vec!["/usr/bin/true".into()], ..Needs::default() };
        Unit { device_model: Some(Path::new(model)), needs, ..unit(program, runner) }
    };
    let user = |name: &str| Runner::User { user: name.into(), folder: "/srv/onething".into() };
    let home = |unit: Unit<'_>| read(&unit.text().unwrap())["Service.ProtectHome"][0].clone();
    assert_eq!(home(in_home("/home/ana/onething-device", "/etc/lamp.toml", user("ana"))), "read-only");
    assert_eq!(home(in_home("/usr/bin/x", "/home/ana/lamp.toml", user("ana"))), "read-only");
    assert_eq!(home(in_home("/root/x", "/etc/lamp.toml", user("root"))), "read-only");
    assert_eq!(home(in_home("/usr/bin/x", "/etc/lamp.toml", user("ana"))), "yes");

    let refusal = |unit: Unit<'_>| unit.text().unwrap_err().to_string();
    let program = refusal(in_home("/home/ana/onething-device", "/etc/lamp.toml", dynamic()));
    assert!(program.contains("`sudo install /home/ana/onething-device /usr/local/bin/`"), "{program}");
    let model = refusal(in_home("/usr/bin/x", "/run/user/1000/lamp.toml", dynamic()));
    assert!(model.contains("cannot see /run/user/1000/lamp.toml"), "{model}");
    assert!(refusal(in_home("/root/x", "/etc/lamp.toml", user("ana"))).contains("cannot see this program in /root"));
    let needs = Needs { programs: vec!["/home/ana/print".into()], ..Needs::default() };
    assert!(refusal(Unit { needs, ..unit("/x", dynamic()) }).contains("cannot see /home/ana/print"));
}

#[test]
fn a_value_that_systemd_would_misread_is_refused() {
    for program in ["/opt/a\nExecStartPre=/bin/sh", "/opt/$HOME/device", ""] {
        assert!(unit(program, dynamic()).text().is_err(), "{program:?}");
    }
    for user in ["a b", "", "ana\nUser=root", "-", "%i"] {
        let runner = Runner::User { user: user.into(), folder: "/srv/onething".into() };
        assert!(unit("/x", runner).text().is_err(), "{user:?}");
    }
}
