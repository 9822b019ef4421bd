//! Checks the invocation name by Alexa's rules
//! (<https://developer.amazon.com/docs/alexa/custom-skills/choose-the-invocation-name-for-a-custom-skill.html>).

use super::{Findings, Models};

const LAUNCHING: &[&str] = &["launch", "ask", "tell", "load", "begin", "enable", "open", "start", "play", "run", "use"];
const CONNECTING: &[&str] = &["to", "from", "in", "using", "with", "about", "for", "that", "by", "if", "and", "whether"];
const TAKEN: &[&str] = &["alexa", "amazon", "echo", "computer", "skill", "app"];
const SHORT: &[&str] = &["a", "an", "the", "at", "of", "on", "by", "for", "in", "to", "with"];

pub(super) fn check(models: &Models<'_>, findings: &mut Findings) {
    let (name, of_device) = (&models.interaction.language.invocation_name, &models.device.invocation);
    let place = "languageModel.invocationName";
    if name.to_lowercase() != of_device.to_lowercase() {
        let fault = format!(
            "the device model is called `{of_device}`, and the interaction model `{name}`: the words that the skill tells the owner to say do not reach it"
        );
        findings.device("device.invocation", fault, "write the invocation name of the interaction model");
    }
    if !(2..=50).contains(&name.chars().count()) {
        findings.interaction(place, "Alexa takes names of 2 to 50 characters", "choose another name");
    }
    if name.chars().any(|c| !(c.is_lowercase() || c.is_alphabetic() && !c.is_uppercase() || " '.".contains(c))) {
        let fault = format!("`{name}` has characters that Alexa refuses in a name");
        findings.interaction(place, fault, "write lower-case letters, spaces, apostrophes and full stops, and numbers as words");
    }
    let lower = name.to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    if let Some(word) = words.iter().find(|word| [LAUNCHING, CONNECTING, TAKEN].iter().any(|list| list.contains(word))) {
        findings.interaction(place, format!("Alexa takes no name with `{word}` in it"), "choose a name without it");
    } else if words.len() < 2 {
        findings.interaction(place, "Alexa takes a name of one word only for a brand", "choose a name of two or three words");
    } else if words.len() == 2 && words.iter().any(|word| SHORT.contains(word)) {
        findings.interaction(place, "Alexa takes no name of two words that has an article or a preposition in it", "choose another name");
    }
}
