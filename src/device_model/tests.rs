//! Tests of the sample model, and of the error messages for the maker.

use super::*;

const DEVICE: &str = "[device]\nname = \"lamp\"\ninvocation = \"my lamp\"\nthing_type = \"lamp\"\nthing_prefix = \"Lamp-\"\n";

fn check(rest: &str, expected: &[&str]) {
    let faults = match Model::parse(&format!("{DEVICE}{rest}")) {
        Ok(_) => Vec::new(),
        Err(ModelError(faults)) => faults,
    };
    assert_eq!(faults, expected, "{rest}");
}

#[test]
fn the_sample_is_the_printer() {
    let model = Model::parse(Model::SAMPLE).unwrap();
    assert_eq!((model.thing_type.as_str(), model.invocation.as_str()), ("3d-printer", "my printer"));
    assert_eq!(model.thing_prefix, ThingPrefix::parse("3D_Printer-").unwrap());
    assert_eq!(
        model.properties["nozzleTarget"].kind,
        ValueKind::Number { min: 0.0, max: 300.0, unit: Some("degrees".into()), whole: false }
    );
}

#[test]
fn the_part_for_the_device_is_a_model_without_intents() {
    let model = Model::parse(Model::SAMPLE).unwrap();
    let part = Model::parse(&model.device_part).unwrap();
    assert!(!model.intents.is_empty() && part.intents.is_empty());
    assert_eq!((part.name, part.thing_type, part.simulates), (model.name, model.thing_type, Some(Simulation::Printer)));
    assert_eq!(part.properties.keys().collect::<Vec<_>>(), model.properties.keys().collect::<Vec<_>>());
    assert_eq!(part.commands["print"].arguments["copies"].default, Some(serde_json::json!(1)));
    assert_eq!(part.device_part, model.device_part);
    let lamp = Model::parse(&format!(
        "{DEVICE}[property.power]\ntype = \"switch\"\n[action.property.power]\nrun = [\"/bin/lamp\", \"a \\\"b\\\"\"]\ntimeout = 5\n"
    ));
    let lamp = lamp.unwrap();
    assert_eq!(Model::parse(&lamp.device_part).unwrap().actions.properties, lamp.actions.properties);
    assert_eq!(lamp.simulates, None, "only a printer simulates a printer");
}

#[test]
fn a_model_that_is_too_large_for_a_bundle_is_a_fault() {
    let many: String = (0..2_000).map(|n| format!("[property.p{n}]\ntype = \"switch\"\n")).collect();
    let ModelError(faults) = Model::parse(&format!("{DEVICE}{many}")).unwrap_err();
    assert!(
        faults[0].starts_with("device: without its intents the model has ") && faults[0].ends_with("a bundle holds 49152"),
        "{faults:?}"
    );
}

#[test]
fn a_small_model_of_a_lamp_is_valid() {
    check("[property.power]\ntype = \"switch\"\n[intent.On]\nset = { power = \"state\" }\nsays = \"Switching {state}.\"", &[]);
}

#[test]
fn every_fault_is_reported_with_its_place() {
    check(
        "[property.command]\ntype = \"switch\"\n\
         [property.level]\ntype = \"integer\"\nmin = 9\nvalues = [\"a\"]\nwritten_by = \"device\"\n\
         [command.go.speed]\ntype = \"integer\"\nmin = 1\nmax = 5\ndefault = 9\n\
         [intent.A]\ncommand = \"stop\"\nsays = \"Stop {it}.\"\n\
         [intent.G]\ncommand = \"go\"\nargs = { speed = \"s\" }\nconfirm = \"Go by {car}?\"\nsays = \"Going at {speed}.\"\n\
         [intent.B]\nset = { level = \"n\" }\nask = { m = \"How?\" }\nsays = \"x\"\n\
         [intent.C]\nsays = \"x\"\n",
        &[
            "property.command: is not a name a property can have",
            "property.level: `values` does not belong to this type",
            "property.level: `max` is missing",
            "property.level: `min` must not be above `max`",
            "command.go.speed: the default 9 is not a value it can have",
            "intent.A: there is no command `stop`",
            "intent.A: `says` names `it`, which nothing fills",
            "intent.B: property `level` is written by the device only",
            "intent.B: `ask.m` is for a slot that fills nothing",
            "intent.C: needs exactly one of `command`, `set`, `set_one` and `answer`",
            "intent.G: `confirm` names `car`, which nothing fills",
        ],
    );
}

#[test]
fn words_belong_to_values_of_a_property() {
    check(
        "[property.power]\ntype = \"switch\"\nwords = { on = \"running\", OFF = \" \", HALF = \"half\" }\n\
         [property.level]\ntype = \"integer\"\nmin = 0\nmax = 9\nwords = { 1 = \"one\" }\n\
         [command.go.speed]\ntype = \"choice\"\nvalues = [\"a\"]\nwords = { a = \"b\" }\n",
        &[
            "property.level: `words` does not belong to this type",
            "property.power: `words.HALF` is for a value that it cannot have",
            "property.power: `words.OFF` must not be empty",
            "command.go.speed: `words` is for properties",
        ],
    );
    let model = Model::parse(&format!("{DEVICE}[property.power]\ntype = \"switch\"\nwords = {{ on = \"running\" }}")).unwrap();
    assert_eq!(model.properties["power"].words["ON"], "running");
}

#[test]
fn only_the_last_sentence_of_says_has_no_condition() {
    let intent = |says: &str| format!("[property.power]\ntype = \"switch\"\n[intent.On]\nset = {{ power = \"state\" }}\nsays = {says}\n");
    check(&intent("[{ say = \"On.\", when = { power = \"ON\" } }, { say = \"It is {state}.\" }]"), &[]);
    let last = "intent.On: the last sentence of `says`, and no other, must be without `when`";
    check(&intent("[{ say = \"On.\", when = { state = \"ON\" } }]"), &[last]);
    check(&intent("[{ say = \"On.\" }, { say = \"Off.\" }]"), &[last]);
    check(&intent("[]"), &["intent.On: `says` is missing"]);
    check(
        &intent("[{ say = \"On.\", when = { colour = \"red\" } }, { say = \"Off.\" }]"),
        &["intent.On: `says` names `colour`, which nothing fills"],
    );
    let ModelError(faults) = Model::parse(&format!("{DEVICE}{}", intent("5"))).unwrap_err();
    assert!(faults[0].contains("a sentence, or a list of sentences"), "{faults:?}");
}

#[test]
fn a_syntax_error_is_reported_with_its_line() {
    let ModelError(faults) = Model::parse("[device]\nname = lamp\n").unwrap_err();
    assert!(faults[0].starts_with("line 2: ") && !faults[0].contains('\n'), "{faults:?}");
    let ModelError(faults) = Model::parse(&format!("{DEVICE}[property.a]\ntype = \"colour\"\n")).unwrap_err();
    assert!(faults[0].contains("line 7") && faults[0].contains("colour"), "{faults:?}");
}
