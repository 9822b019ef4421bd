//! What an owner can ask of a device, out of its model.

use std::collections::BTreeSet;

use super::{Action, Model, ValueKind};

/// Something that an owner can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ability {
    /// Commands, in words.
    Do(Vec<String>),
    /// To switch something on and off; `None` for the device as a whole.
    Switch(Option<String>),
    /// Properties that can be set, in words.
    Set(Vec<String>),
    /// How the device is.
    Tell,
}

impl Model {
    /// What the intents of the device are for: commands, switches, settings, questions.
    pub fn abilities(&self) -> Vec<Ability> {
        let (mut commands, mut switches, mut settings, mut tells) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), false);
        for rule in self.intents.values() {
            match &rule.action {
                Action::Command { name, .. } => drop(commands.insert(in_words(name))),
                Action::Set(properties) => {
                    for name in properties.keys() {
                        match self.properties.get(name).map(|property| &property.kind) {
                            Some(ValueKind::Switch) => switches.insert(name),
                            _ => settings.insert(in_words(name)),
                        };
                    }
                }
                Action::SetOne { properties, .. } => settings.extend(properties.keys().map(|name| in_words(name))),
                Action::Answer(_) => tells = true,
            }
        }
        let of_all = |name: &str| ["power", "on"].contains(&name);
        let mut abilities: Vec<Ability> =
            switches.into_iter().map(|name| Ability::Switch((!of_all(name)).then(|| in_words(name)))).collect();
        abilities.sort_by_key(|ability| *ability != Ability::Switch(None));
        if !settings.is_empty() {
            abilities.push(Ability::Set(settings.into_iter().collect()));
        }
        if !commands.is_empty() {
            abilities.push(Ability::Do(commands.into_iter().collect()));
        }
        if tells {
            abilities.push(Ability::Tell);
        }
        abilities
    }
}

/// `nozzleTarget` and `nozzle_target` as one says it.
fn in_words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        match letter {
            '_' | '-' => words.push(' '),
            upper if upper.is_uppercase() && !words.is_empty() => {
                words.push(' ');
                words.extend(upper.to_lowercase());
            }
            other => words.extend(other.to_lowercase()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn the_printer_can_what_its_intents_ask_for() {
        let abilities = Model::parse(Model::SAMPLE).unwrap().abilities();
        let expected = [
            Ability::Switch(None),
            Ability::Set(words(&["bed", "nozzle"])),
            Ability::Do(words(&["cancel", "pause", "print", "resume"])),
            Ability::Tell,
        ];
        assert_eq!(abilities, expected);
    }

    #[test]
    fn names_are_said_in_words() {
        for (name, said) in [("nozzleTarget", "nozzle target"), ("grow_light", "grow light"), ("power", "power"), ("Power", "power")] {
            assert_eq!(in_words(name), said);
        }
    }
}
