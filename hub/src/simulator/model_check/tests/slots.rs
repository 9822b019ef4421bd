//! Tests of mistakes in slots, slot types and values.

use super::*;

#[test]
fn a_slot_in_one_file_only_is_found() {
    let renamed =
        Toml("args = { to = \"words\" }\nsays = \"I call it {words} now.\"", "args = { to = \"name\" }\nsays = \"I call it {name} now.\"");
    let findings = changed(vec![renamed]);
    let found: Vec<_> = findings.iter().map(|finding| (finding.file, finding.place.as_str())).collect();
    let expected =
        [(File::DeviceModel, "intent.RenameIntent.args.to"), (File::InteractionModel, "languageModel.intents.RenameIntent.slots.words")];
    assert_eq!(found, expected, "{findings:#?}");
    language(
        Push("/languageModel/intents/5/slots", json!({"name": "room", "type": "FLOOR"})),
        "languageModel.intents.StateIntent.slots.room",
        "is lost",
    );
}

#[test]
fn a_slot_that_is_never_filled_or_has_too_many_values_is_found() {
    let place = "languageModel.intents.BoostIntent.slots.level";
    language(Put("/languageModel/intents/3/samples", json!(["boost for {duration}"])), place, "never filled");
    let place = "languageModel.intents.PowerIntent.slots.state.multipleValues";
    language(Member("/languageModel/intents/0/slots/0", "multipleValues", json!({"enabled": true})), place, "asked which");
    assert_eq!(changed(vec![Member("/languageModel/intents/4/slots/0", "multipleValues", json!({"enabled": true}))]), []);
}

#[test]
fn a_value_that_one_file_does_not_know_is_found() {
    let turbo = Toml("values = [\"eco\", \"full power\"]", "values = [\"eco\", \"full power\", \"turbo\"]");
    device(turbo, "property.mode", "`turbo` can never be said");
    device(Put("/languageModel/types/0/values", json!([{"name": {"value": "on"}}])), "property.power", "`OFF` can never be said");
    device(Put("/languageModel/types/3/values", json!([{"name": {"value": "low"}}])), "command.boost.level", "`high` can never be said");
    let place = "intent.TargetIntent.set_one.properties";
    device(Put("/languageModel/types/2/values", json!([{"name": {"value": "upstairs"}}])), place, "`downstairs` can never be said");
    let value = |name: &str| json!({"name": {"value": name}});
    language(Push("/languageModel/types/0/values", value("dim")), "languageModel.types.STATE.values.dim", "no value of property.power");
    language(
        Push("/languageModel/types/2/values", value("cellar")),
        "languageModel.types.FLOOR.values.cellar",
        "no value of intent.TargetIntent",
    );
    language(
        Push("/languageModel/types/3/values", value("higher")),
        "languageModel.types.LEVEL.values.higher",
        "no value of command.boost.level",
    );
}

#[test]
fn a_value_that_is_too_long_or_out_of_range_is_found() {
    let typed = |name: &'static str| {
        vec![
            Push(TYPES, json!({"name": "NAME", "values": [{"name": {"value": name}}, {"name": {"value": "seven"}, "id": "7"}]})),
            Put("/languageModel/intents/4/slots/0/type", json!("NAME")),
            Put("/dialog/intents/4/slots/0/type", json!("NAME")),
        ]
    };
    let long = "a name of many words indeed";
    found(
        typed(long),
        File::InteractionModel,
        &format!("languageModel.types.NAME.values.{long}"),
        "longer than the 20 characters of command.name.to",
    );
    let mut numbers = typed("99");
    numbers.push(Toml("[command.name.to]\ntype = \"text\"\nmax_length = 20", "[command.name.to]\ntype = \"integer\"\nmin = 1\nmax = 9"));
    found(numbers, File::InteractionModel, "languageModel.types.NAME.values.99", "not from 1 to 9");
}

#[test]
fn a_type_that_alexa_does_not_know_is_found() {
    let changes = ["/languageModel/intents/4/slots/0/type", "/dialog/intents/4/slots/0/type"].map(|at| Put(at, json!("AMAZON.Sentence")));
    found(changes.into(), File::InteractionModel, "languageModel.intents.RenameIntent.slots.words", "Alexa knows no type AMAZON.Sentence");
}

#[test]
fn an_unused_or_empty_type_is_found() {
    let unused = Push(TYPES, json!({"name": "COLOUR", "values": [{"name": {"value": "red"}}]}));
    language(unused, "languageModel.types.COLOUR", "no slot has this type");
    let empty = ["/languageModel/intents/4/slots/0/type", "/dialog/intents/4/slots/0/type"].map(|at| Put(at, json!("NAME")));
    let changes = empty.into_iter().chain([Push(TYPES, json!({"name": "NAME", "values": []}))]).collect();
    found(changes, File::InteractionModel, "languageModel.types.NAME.values", "has no values");
}

#[test]
fn spellings_and_ids_that_two_values_share_are_found() {
    let green = json!({"id": "eco", "name": {"value": "green", "synonyms": ["full power"]}});
    language(Put("/languageModel/types/1/values/0", green), "languageModel.types.MODE.values.full power", "said for `green` too");
    let slow = json!({"id": "eco", "name": {"value": "slow"}});
    language(Push("/languageModel/types/1/values", slow), "languageModel.types.MODE.values.slow.id", "`green` has the id `eco` too");
    let mute = json!({"id": "eco", "name": {"value": "green", "synonyms": ["!"]}});
    language(Put("/languageModel/types/1/values/0", mute), "languageModel.types.MODE.values.green", "no word in it");
}

/// Changes the slot type and the range of the argument of `BoostIntent`.
fn boost(kind: &'static str, range: &'static str) -> Vec<Change> {
    let types = ["/languageModel/intents/3/slots/0/type", "/dialog/intents/3/slots/0/type"].map(|at| Put(at, json!(kind)));
    types.into_iter().chain([Toml("type = \"integer\"\nmin = 1\nmax = 240\nunit = \"minutes\"", range)]).collect()
}

#[test]
fn a_range_that_a_type_cannot_say_is_found() {
    let place = "intent.BoostIntent.args.for";
    for (kind, range, fault) in [
        ("AMAZON.DURATION", "type = \"integer\"\nmin = 1\nmax = 240\nunit = \"percent\"", "has no unit of time"),
        ("AMAZON.DURATION", "type = \"integer\"\nmin = 1\nmax = 240", "has no unit of time"),
        ("AMAZON.Ordinal", "type = \"integer\"\nmin = 0\nmax = 20", "cannot say numbers below 1"),
        ("AMAZON.FOUR_DIGIT_NUMBER", "type = \"integer\"\nmin = -5\nmax = 20", "cannot say numbers below 0"),
        ("AMAZON.FOUR_DIGIT_NUMBER", "type = \"integer\"\nmin = 1\nmax = 20000", "cannot say numbers above 9999"),
        ("AMAZON.NUMBER", "type = \"integer\"\nmin = 0.2\nmax = 0.8", "cannot say any whole number in it"),
        ("AMAZON.DATE", "type = \"integer\"\nmin = 1\nmax = 20", "takes numbers"),
        ("AMAZON.TIME", "type = \"integer\"\nmin = 1\nmax = 20", "takes numbers"),
        ("AMAZON.NUMBER", "type = \"switch\"", "never on or off"),
        ("AMAZON.NUMBER", "type = \"choice\"\nvalues = [\"1\", \"two\"]", "never `two`"),
        ("AMAZON.TIME", "type = \"choice\"\nvalues = [\"MO\", \"noon\"]", "never `noon`"),
    ] {
        found(boost(kind, range), File::DeviceModel, place, fault);
    }
    for (kind, range) in [
        ("AMAZON.DURATION", "type = \"number\"\nmin = 1\nmax = 24\nunit = \"hours\""),
        ("AMAZON.DURATION", "type = \"text\"\nmax_length = 20"),
        ("AMAZON.NUMBER", "type = \"integer\"\nmin = -5\nmax = 240"),
        ("AMAZON.Ordinal", "type = \"integer\"\nmin = 1\nmax = 20"),
        ("AMAZON.FOUR_DIGIT_NUMBER", "type = \"text\"\nmax_length = 4"),
        ("AMAZON.NUMBER", "type = \"choice\"\nvalues = [\"1\", \"2\"]"),
        ("AMAZON.TIME", "type = \"choice\"\nvalues = [\"MO\", \"EV\"]"),
    ] {
        assert_eq!(changed(boost(kind, range)), [], "{kind} {range}");
    }
}

#[test]
fn a_misspelled_unit_or_a_symbol_is_found() {
    for (unit, fault) in
        [("degress", "nearly `degrees`"), ("degree", "nearly `degrees`"), ("°", "no word"), ("precent", "nearly `percent`")]
    {
        let unit: &'static str = format!("unit = \"{unit}\"\nwritten_by").leak();
        device(Toml("unit = \"degrees\"\nwritten_by", unit), "property.warmth.unit", fault);
    }
    for good in ["metres", "turns", "degrees Celsius", "Percent"] {
        let unit: &'static str = format!("unit = \"{good}\"\nwritten_by").leak();
        assert_eq!(changed(vec![Toml("unit = \"degrees\"\nwritten_by", unit)]), [], "{good}");
    }
}
