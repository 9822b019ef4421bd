//! Tests of the parsed actions, and of the error messages for the maker.

use super::super::{Model, ModelError};
use super::*;

const LAMP: &str = "[device]\nname = \"lamp\"\ninvocation = \"my lamp\"\nthing_type = \"lamp\"\nthing_prefix = \"Lamp-\"\n\
    [property.power]\ntype = \"switch\"\n\
    [property.night]\ntype = \"switch\"\n\
    [property.colour]\ntype = \"choice\"\nvalues = [\"red\", \"blue\"]\n\
    [property.brightness]\ntype = \"integer\"\nmin = 0\nmax = 255\n\
    [property.hours]\ntype = \"integer\"\nmin = 0\nmax = 99999\nwritten_by = \"device\"\n\
    [command.blink]\n";

fn faults(actions: &str) -> Vec<String> {
    match Model::parse(&format!("{LAMP}{actions}")) {
        Ok(_) => Vec::new(),
        Err(ModelError(faults)) => faults,
    }
}

#[test]
fn an_action_of_every_kind_is_read() {
    let actions = "[action.command.blink]\nrun = [\"/usr/bin/blink\", \"--now\", \"$(date)\"]\ntimeout = 600\n\
        [action.property.power]\ngpio = { chip = \"/dev/gpiochip0\", line = 17, active_low = true }\n\
        [action.property.night]\nhttp = \"http://localhost:5000/night?now=1\"\n\
        [action.property.colour]\nfile = \"/run/lamp/colour\"\nmap = { red = \"1\", blue = \"2\" }\n\
        [action.property.brightness]\nfile = \"/sys/class/leds/led0/brightness\"\n";
    let model = Model::parse(&format!("{LAMP}{actions}")).unwrap();
    let blink = &model.actions.commands["blink"];
    let program = Means::Program { path: "/usr/bin/blink".into(), args: vec!["--now".into(), "$(date)".into()] };
    assert_eq!((&blink.means, blink.limit), (&program, Duration::from_secs(600)));
    let properties = &model.actions.properties;
    let line = GpioLine { chip: "/dev/gpiochip0".into(), line: 17, active_low: true };
    assert_eq!(properties["power"], DeviceAction { means: Means::Gpio(line), limit: Duration::from_secs(30) });
    let map = BTreeMap::from([("red".to_owned(), "1".to_owned()), ("blue".to_owned(), "2".to_owned())]);
    assert_eq!(properties["colour"].means, Means::File { path: "/run/lamp/colour".into(), map });
    let Means::Http(url) = &properties["night"].means else { panic!("{properties:?}") };
    assert_eq!(url.authority(), "localhost:5000");
    let tried: Vec<_> = url.by_address().collect();
    assert_eq!(tried, ["http://127.0.0.1:5000/night?now=1", "http://[::1]:5000/night?now=1"]);
}

#[test]
fn every_fault_of_an_action_is_reported_with_its_place() {
    let actions = "[action.property.speed]\nfile = \"/a\"\n\
        [action.property.hours]\nfile = \"/a\"\n\
        [action.property.power]\nrun = [\"lamp\"]\ntimeout = 0\n\
        [action.property.night]\nhttp = \"http://127.0.0.1/\"\nfile = \"/a\"\nmap = { ON = \"1\" }\n\
        [action.property.brightness]\ngpio = { chip = \"gpiochip0\", line = 1 }\n\
        [action.property.colour]\nfile = \"colour\"\nmap = { red = \"1\", green = \"3\" }\n\
        [action.command.blink]\nmap = {}\ntimeout = 86401\n\
        [action.command.fly]\nfile = \"/a\"\n";
    let expected = [
        "action.property.brightness: `gpio` is for a switch",
        "action.property.brightness: `gpio.chip` must be an absolute path",
        "action.property.colour: `file` must be an absolute path",
        "action.property.colour: `map` has nothing for `blue`",
        "action.property.colour: `map.green` is for a value it cannot have",
        "action.property.hours: property `hours` is written by the device only",
        "action.property.night: needs exactly one of `run`, `http`, `gpio` and `file`",
        "action.property.power: `timeout` must be from 1 to 86400 seconds",
        "action.property.power: `run` must begin with the absolute path of a program",
        "action.property.speed: there is no property `speed`",
        "action.command.blink: `timeout` must be from 1 to 86400 seconds",
        "action.command.blink: `map` goes with `file`",
        "action.command.blink: needs exactly one of `run`, `http`, `gpio` and `file`",
        "action.command.fly: there is no command `fly`",
        "action.command.fly: `file` is for properties: a command has no value",
    ];
    assert_eq!(faults(actions), expected);
}

#[test]
fn single_faults_of_an_action_are_reported_with_their_place() {
    let check = |action: &str, expected: &[&str]| assert_eq!(faults(action), expected, "{action}");
    check("[action.property.power]\n", &["action.property.power: needs exactly one of `run`, `http`, `gpio` and `file`"]);
    check("[action.property.power]\nrun = []\n", &["action.property.power: `run` must begin with the absolute path of a program"]);
    check("[action.property.power]\nrun = [\"/a\", \"\\u0000\"]\n", &["action.property.power: `run` must not hold a zero byte"]);
    check("[action.property.power]\nfile = \"/a\"\ntimeout = -1\n", &["action.property.power: `timeout` must be from 1 to 86400 seconds"]);
    check(
        "[action.property.brightness]\nfile = \"/a\"\nmap = { 1 = \"a\" }\n",
        &["action.property.brightness: `map` is for a switch or a choice"],
    );
    check(
        "[action.command.blink]\ngpio = { chip = \"/dev/gpiochip0\", line = 1 }\n",
        &["action.command.blink: `gpio` is for properties: a command has no value"],
    );
    check(
        "[action.property.night]\ngpio = { chip = \"/dev/gpiochip0\", line = 1 }\n\
         [action.property.power]\ngpio = { chip = \"/dev/gpiochip0\", line = 1 }\n",
        &["action.property.power: line 1 of /dev/gpiochip0 is another property's"],
    );
}

#[test]
fn an_unknown_option_is_reported_with_its_line() {
    let faults = faults("[action.property.power]\nshell = \"rm\"\n");
    assert!(faults[0].contains("shell") && faults[0].contains("line 2"), "{faults:?}");
}

#[test]
fn only_http_urls_with_a_loopback_address_are_accepted() {
    for good in ["http://127.0.0.1:5000/a", "http://127.9.9.9", "http://[::1]:1/", "http://LOCALHOST/?q", "http://localhost"] {
        assert!(LoopbackUrl::parse(good).is_some(), "{good}");
    }
    for bad in [
        "https://127.0.0.1/",
        "http://192.168.0.1/",
        "http://0.0.0.0/",
        "http://[::]/",
        "http://[::ffff:127.0.0.1]/",
        "http://localhost.example.com/",
        "http://127.0.0.1.example.com/",
        "http://127.1/",
        "http://2130706433/",
        "http://me@127.0.0.1/",
        "http://127.0.0.1@example.com/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:/",
        "ftp://127.0.0.1/",
        "127.0.0.1:5000",
        "/nozzle",
        "http://",
        "",
    ] {
        assert!(LoopbackUrl::parse(bad).is_none(), "{bad}");
    }
}

#[test]
fn the_commented_examples_in_the_device_model_are_valid() {
    let lines = include_str!("../../device.toml").lines();
    let example =
        |line: &str| line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c == '[' || c.is_alphabetic())).map(str::to_owned);
    let text: Vec<_> = lines.map(|line| example(line).unwrap_or_else(|| line.to_owned())).collect();
    let actions = Model::parse(&text.join("\n")).unwrap().actions;
    assert_eq!((actions.properties.len(), actions.commands.len()), (3, 1));
}
