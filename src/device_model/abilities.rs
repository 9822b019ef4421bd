//! The abilities of a device, derived from its model, for the help of the skill.

use std::collections::BTreeSet;

use super::{Action, Model, ValueKind};

/// A kind of request that the intents of a device support.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ability {
    /// Commands, with spoken names.
    Do(Vec<String>),
    /// Switches a property on and off. Contains its spoken name. `None` for the whole device.
    Switch(Option<String>),
    /// Properties that can be set, with spoken names.
    Set(Vec<String>),
    /// Questions about the state of the device.
    Tell,
}

impl Model {
    /// The abilities that the intents of the device have: switches, settings, commands and questions, in this order.
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

/// The spoken form of a name: "nozzle target" for `nozzleTarget` and `nozzle_target`.
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
    fn the_abilities_of_the_printer_are_those_of_its_intents() {
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
    fn names_are_converted_to_words() {
        for (name, said) in [("nozzleTarget", "nozzle target"), ("grow_light", "grow light"), ("power", "power"), ("Power", "power")] {
            assert_eq!(in_words(name), said);
        }
    }
}
