//! Tests of commands that interrupt others, and of the error messages for the maker.

use super::super::{Model, ModelError};

const PUMP: &str = "[device]\nname = \"pump\"\ninvocation = \"my pump\"\nthing_type = \"pump\"\nthing_prefix = \"Pump-\"\n\
    [command.water.minutes]\ntype = \"integer\"\nmin = 1\nmax = 60\n";

fn faults(commands: &str) -> Vec<String> {
    match Model::parse(&format!("{PUMP}{commands}")) {
        Ok(_) => Vec::new(),
        Err(ModelError(faults)) => faults,
    }
}

#[test]
fn a_command_names_those_that_it_interrupts() {
    let model = Model::parse(&format!("{PUMP}[command.stop]\ninterrupts = [\"water\"]\n")).unwrap();
    assert_eq!(model.commands["stop"].interrupts, ["water"]);
    assert!(model.commands["stop"].arguments.is_empty());
    assert!(model.commands["water"].interrupts.is_empty());
    assert!(model.commands["water"].arguments.contains_key("minutes"));
}

#[test]
fn an_argument_may_be_called_interrupts() {
    let model = Model::parse(&format!("{PUMP}[command.count.interrupts]\ntype = \"integer\"\nmin = 0\nmax = 9\n")).unwrap();
    assert!(model.commands["count"].arguments.contains_key("interrupts"));
    assert!(model.commands["count"].interrupts.is_empty());
}

#[test]
fn a_fault_of_interrupts_is_reported_with_its_place() {
    let check = |commands: &str, expected: &[&str]| assert_eq!(faults(commands), expected, "{commands}");
    check("[command.stop]\ninterrupts = [\"rain\"]\n", &["command.stop.interrupts: there is no command `rain`"]);
    check("[command.stop]\ninterrupts = [\"water\", \"water\"]\n", &["command.stop.interrupts: `water` is named twice"]);
    check(
        "[command.stop]\ninterrupts = []\n",
        &["command.stop.interrupts: names no command: leave it out, or name those that this command ends"],
    );
    check("[command.stop]\nends = [\"water\"]\n", &["command.stop.ends: an argument is a table; only `interrupts` is an array"]);
    let line = |commands: &str, words: &str| {
        let faults = faults(commands);
        assert!(faults.len() == 1 && faults[0].starts_with("line ") && faults[0].contains(words), "{faults:?}");
    };
    line("[command.stop]\ninterrupts = \"water\"\n", "array of commands");
    line("[command.stop]\ninterrupts = [1]\n", "expected a string");
    line("[command.stop.now]\ntype = \"switch\"\nfast = true\n", "unknown field `fast`");
}

#[test]
fn cancel_and_pause_interrupt_the_print_of_the_printer() {
    let model = Model::parse(Model::SAMPLE).unwrap();
    assert_eq!(model.commands["cancel"].interrupts, ["print"]);
    assert_eq!(model.commands["pause"].interrupts, ["print"]);
    assert!(model.commands["resume"].interrupts.is_empty());
}

#[test]
fn a_property_cannot_have_a_reserved_name() {
    for name in ["certificateId", "command", "commands", "commandQueue", "failures", "onboarded"] {
        let expected = format!("property.{name}: is not a name a property can have");
        assert_eq!(faults(&format!("[property.{name}]\ntype = \"switch\"\n")), [expected]);
    }
}
