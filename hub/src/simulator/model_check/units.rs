//! Checks the units of numbers, which Alexa speaks literally: "from 1 to 240 minutes".

use onething::device_model::ValueKind;
use strsim::damerau_levenshtein;

use super::{Findings, Models};

/// Known units in their spoken form. Any other word may be a unit too, so only a word that is similar to one of these is
/// reported.
const KNOWN: &[&str] = &[
    "amperes",
    "celsius",
    "centimeters",
    "centimetres",
    "days",
    "degrees",
    "fahrenheit",
    "gallons",
    "grams",
    "hours",
    "inches",
    "kelvin",
    "kilograms",
    "kilometers",
    "kilometres",
    "kilowatts",
    "liters",
    "litres",
    "lumens",
    "meters",
    "metres",
    "milliliters",
    "millilitres",
    "millimeters",
    "millimetres",
    "minutes",
    "months",
    "ounces",
    "percent",
    "pounds",
    "seconds",
    "volts",
    "watts",
    "weeks",
    "years",
];

pub(super) fn check(models: &Models<'_>, findings: &mut Findings) {
    let properties = models.device.properties.iter().map(|(name, property)| (format!("property.{name}"), &property.kind));
    let arguments = models.device.commands.iter().flat_map(|(command, rule)| {
        rule.arguments.iter().map(move |(name, argument)| (format!("command.{command}.{name}"), &argument.kind))
    });
    for (place, kind) in properties.chain(arguments) {
        let ValueKind::Number { unit: Some(unit), .. } = kind else { continue };
        let (place, word) = (format!("{place}.unit"), unit.trim().to_lowercase());
        if !word.contains(char::is_alphabetic) {
            findings.device(place, format!("`{unit}` is no word, and is spoken"), "write the unit as it is spoken, such as percent");
        } else if let Some(known) =
            KNOWN.iter().find(|known| damerau_levenshtein(known, &word) == 1).filter(|_| !KNOWN.contains(&word.as_str()))
        {
            findings.device(place, format!("`{unit}` is nearly `{known}`, and is spoken as it stands"), format!("write {known}"));
        }
    }
}
