//! Checks the intents: those of both models, those that the skill handles itself, and the built-in intents.

use onething::skill::OWN_INTENTS;

use super::{Findings, Models};

/// The intents that every skill needs: for certification, and for the confirmation of "forget me".
const NEEDED: &[(&str, &str)] = &[
    ("AMAZON.HelpIntent", "certification wants it"),
    ("AMAZON.StopIntent", "certification wants it"),
    ("AMAZON.CancelIntent", "certification wants it"),
    ("AMAZON.NavigateHomeIntent", "certification wants it"),
    ("AMAZON.FallbackIntent", "without it, words that mean nothing become one of the other intents"),
    ("AMAZON.YesIntent", "the last question of \"forget me\" is answered with yes"),
    ("AMAZON.NoIntent", "the last question of \"forget me\" is answered with no"),
];
/// The other standard built-in intents (<https://developer.amazon.com/docs/alexa/custom-skills/standard-built-in-intents.html>).
const STANDARD: &[&str] = &[
    "AMAZON.LoopOffIntent",
    "AMAZON.LoopOnIntent",
    "AMAZON.MoreIntent",
    "AMAZON.NavigateSettingsIntent",
    "AMAZON.NextIntent",
    "AMAZON.PageDownIntent",
    "AMAZON.PageUpIntent",
    "AMAZON.PauseIntent",
    "AMAZON.PreviousIntent",
    "AMAZON.RepeatIntent",
    "AMAZON.ResumeIntent",
    "AMAZON.ScrollDownIntent",
    "AMAZON.ScrollLeftIntent",
    "AMAZON.ScrollRightIntent",
    "AMAZON.ScrollUpIntent",
    "AMAZON.SelectIntent",
    "AMAZON.ShuffleOffIntent",
    "AMAZON.ShuffleOnIntent",
    "AMAZON.StartOverIntent",
];

pub(super) fn check(models: &Models<'_>, findings: &mut Findings) {
    for name in models.device.intents.keys().filter(|name| models.intent(name).is_none()) {
        let fault = "the interaction model has no such intent, so the intent cannot be said";
        findings.device(format!("intent.{name}"), fault, "add it to languageModel.intents, or remove it here");
    }
    for (name, why) in NEEDED.iter().filter(|(name, _)| models.intent(name).is_none()) {
        findings.interaction("languageModel.intents", format!("{name} is missing: {why}"), "add it, without samples");
    }
    for name in OWN_INTENTS.iter().filter(|name| models.intent(name).is_none()) {
        let fault = format!("{name} is missing, which the skill answers for every device");
        findings.interaction("languageModel.intents", fault, "take it over from the printer's interaction model");
    }
    for intent in &models.interaction.language.intents {
        let (name, place) = (intent.name.as_str(), format!("languageModel.intents.{}", intent.name));
        let of_device = models.device.intents.contains_key(name);
        if let Some(built_in) = name.strip_prefix("AMAZON.") {
            let needed = NEEDED.iter().any(|(needed, _)| *needed == name);
            // Names of actions such as `AMAZON.SearchAction<object@WeatherForecast>` have two parts.
            if !needed && !STANDARD.contains(&name) && !built_in.contains('<') {
                findings.interaction(place, "Alexa knows no such intent", "correct the name, or leave out `AMAZON.`");
            } else if !needed && !of_device {
                let fault = "the skill does not answer this intent: the owner hears that the words were not understood";
                findings.interaction(place, fault, format!("remove it, or add [intent.\"{name}\"] to the device model"));
            }
            continue;
        }
        if !is_name(name) {
            findings.interaction(&place, "Alexa takes names of letters and `_`", "correct the name in both files");
        }
        if !of_device && !OWN_INTENTS.contains(&name) {
            let fault = "the device model has no such intent: the owner hears that the words were not understood";
            findings.interaction(&place, fault, format!("add [intent.{name}] to the device model, or remove it here"));
        }
        if intent.samples.is_empty() {
            findings.interaction(&place, "the intent has no samples, so it cannot be said", "add some");
        }
    }
}

/// Whether a name has only letters and underscores, and starts with a letter.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic()) && name.chars().all(|c| c.is_alphabetic() || c == '_')
}
