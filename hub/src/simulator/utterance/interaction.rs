//! The interaction model: what can be said to a skill, and what Alexa asks back.
//!
//! The file is the one that the ASK CLI deploys
//! (<https://developer.amazon.com/docs/alexa/smapi/interaction-model-schema.html>). It is compiled once; all that
//! is wrong with it is reported at once, each fault with its place.

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Arguments};

use thiserror::Error;

use super::built_in;
use super::interaction_file::{self as raw, Named};
use super::slot_type::BuiltIn;
use super::words::{MAX_WORDS, Utterance};

/// Alexa takes interaction models of up to 1.5 MB.
const MAX_BYTES: usize = 1_500_000;
/// How many faults are told, and how much of each in bytes: a file may have hundreds of thousands, each in a place with a name
/// of a megabyte.
const MAX_FAULTS: usize = 50;
const MAX_FAULT: usize = 500;

/// Why a file is no interaction model.
#[derive(Debug, Error)]
pub enum InteractionError {
    /// More than Alexa takes.
    #[error("the interaction model has more than {MAX_BYTES} bytes")]
    TooLarge,
    /// Not JSON, or of another form; the source names line and column.
    #[error("the interaction model cannot be read")]
    Form(#[from] serde_json::Error),
    /// It contradicts itself; one line for each of the first faults, with its place.
    #[error("the interaction model has {} fault(s):\n{}", .0.len(), .0.join("\n"))]
    Faults(Vec<String>),
}

/// A compiled interaction model.
#[derive(Clone, Debug)]
pub struct InteractionModel {
    /// What the skill is called by, such as `my printer`.
    pub invocation_name: String,
    /// Its words.
    pub(super) invocation: Vec<String>,
    /// In the order of the file.
    pub intents: Vec<Intent>,
    types: HashMap<String, SlotType>,
}

/// An intent, with what its dialog asks for.
#[derive(Clone, Debug)]
pub struct Intent {
    /// The name that the skill sees.
    pub name: String,
    /// In the order of the file.
    pub slots: Vec<Slot>,
    /// Whether and how Alexa may lead a dialog about it; directives about any other intent are errors.
    pub dialog: Option<Dialog>,
    pub(super) samples: Vec<Sample>,
}

/// The dialog about an intent as a whole.
#[derive(Clone, Debug, Default)]
pub struct Dialog {
    /// The question whether to do it; `None` where nothing has to be confirmed.
    pub confirmation: Option<String>,
    /// Whether Alexa leads it to its end before the skill hears of it.
    pub automatic: bool,
}

/// A slot, with what the dialog asks for it.
#[derive(Clone, Debug)]
pub struct Slot {
    /// The name that the skill sees.
    pub name: String,
    /// What can be said for it.
    pub kind: SlotKind,
    /// Whether it takes several values in one breath.
    pub multiple: bool,
    /// What Alexa asks for it; `None` where the dialog model does not name it.
    pub dialog: Option<SlotDialog>,
    pub(super) samples: Vec<Sample>,
}

/// The dialog about one slot.
#[derive(Clone, Debug, Default)]
pub struct SlotDialog {
    /// The question for it; `None` where it may stay unfilled.
    pub elicitation: Option<String>,
    /// The question whether it was understood rightly; `None` where that is not asked.
    pub confirmation: Option<String>,
}

/// What can be said for a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotKind {
    /// A type of Amazon's.
    BuiltIn(BuiltIn),
    /// A type of the model, by its name: its values, and anything else without a match.
    Listed(String),
}

/// A slot type with its values.
#[derive(Clone, Debug, Default)]
pub(super) struct SlotType {
    pub(super) values: Vec<SlotValue>,
    /// From each spelling to the values it stands for.
    pub(super) spellings: HashMap<String, Vec<usize>>,
    /// Words of the longest spelling.
    pub(super) longest: usize,
}

/// A value of a slot type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotValue {
    /// Its id, where the model gives one.
    pub id: Option<String>,
    /// Its canonical name.
    pub name: String,
}

/// A sample utterance.
pub(super) type Sample = Vec<Part>;

/// A piece of a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A word that has to be said.
    Word(String),
    /// A slot, by its place in the intent.
    Slot(usize),
}

impl InteractionModel {
    /// The 3D printer's, which is built in.
    pub const SAMPLE: &str = include_str!("../../../../skill-package/interactionModels/custom/en-US.json");

    /// Compiles a model from its file.
    pub fn parse(json: &str) -> Result<Self, InteractionError> {
        if json.len() > MAX_BYTES {
            return Err(InteractionError::TooLarge);
        }
        let file: raw::File = serde_json::from_str(json)?;
        let mut faults = Faults::default();
        let model = compile(file.model, &mut faults);
        if faults.0.is_empty() { Ok(model) } else { Err(InteractionError::Faults(faults.0)) }
    }

    /// An intent by its name.
    pub fn intent(&self, name: &str) -> Option<&Intent> {
        self.intents.iter().find(|intent| intent.name == name)
    }

    /// What one can say for an intent: its samples, with a value in each slot.
    pub fn examples(&self, intent: &Intent) -> impl Iterator<Item = String> {
        let value = |slot: &Slot| match &slot.kind {
            SlotKind::BuiltIn(kind) => kind.example().to_owned(),
            SlotKind::Listed(kind) => {
                self.types.get(kind).and_then(|kind| kind.values.first()).map_or("it", |value| &value.name).to_owned()
            }
        };
        let part = move |part: &Part| match part {
            Part::Word(word) => word.clone(),
            Part::Slot(place) => intent.slots.get(*place).map(value).unwrap_or_default(),
        };
        intent.samples.iter().map(move |sample| sample.iter().map(&part).collect::<Vec<_>>().join(" "))
    }

    pub(super) fn slot_type(&self, name: &str) -> Option<&SlotType> {
        self.types.get(name)
    }
}

/// What is wrong with a file, as far as it is told.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, fault: Arguments<'_>) {
        if self.0.len() < MAX_FAULTS {
            let mut fault = fault.to_string();
            if fault.len() > MAX_FAULT {
                fault.truncate(fault.floor_char_boundary(MAX_FAULT));
                fault.push('…');
            }
            self.0.push(fault);
        } else if self.0.len() == MAX_FAULTS {
            self.0.push("and more".into());
        }
    }
}

impl Intent {
    /// A slot by its name.
    pub fn slot(&self, name: &str) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.name == name)
    }
}

fn compile(model: raw::Model, faults: &mut Faults) -> InteractionModel {
    let language = model.language;
    let invocation: Vec<String> = Utterance::read(&language.invocation_name).all().words().map(str::to_owned).collect();
    if invocation.is_empty() {
        faults.add(format_args!("languageModel.invocationName: there is no word in it"));
    }
    unique(&"languageModel.types", &language.types, faults);
    unique(&"languageModel.intents", &language.intents, faults);
    let types = language.types.into_iter().map(slot_type).collect();
    let mut intents: Vec<Intent> = language.intents.into_iter().map(|intent| compile_intent(intent, &types, faults)).collect();
    let prompts: HashMap<String, raw::Prompt> = model.prompts.into_iter().map(|prompt| (prompt.id.clone(), prompt)).collect();
    compile_dialog(model.dialog, &prompts, &mut intents, faults);
    InteractionModel { invocation_name: language.invocation_name, invocation, intents, types }
}

fn unique(place: &dyn fmt::Display, named: &[impl Named], faults: &mut Faults) {
    let mut names = HashSet::new();
    for one in named {
        if !names.insert(one.name()) {
            faults.add(format_args!("{place}: {} is there twice", one.name()));
        }
    }
}

fn slot_type(raw: raw::SlotType) -> (String, SlotType) {
    let mut compiled = SlotType::default();
    for raw::Value { id, name } in raw.values {
        let at = compiled.values.len();
        for spelling in std::iter::once(&name.value).chain(&name.synonyms) {
            let spelling = Utterance::read(spelling);
            compiled.longest = compiled.longest.max(spelling.all().len());
            let meanings = compiled.spellings.entry(spelling.text().to_owned()).or_default();
            if meanings.last() != Some(&at) {
                meanings.push(at);
            }
        }
        compiled.values.push(SlotValue { id: id.filter(|id| !id.is_empty()), name: name.value });
    }
    (raw.name, compiled)
}

fn compile_intent(raw: raw::Intent, types: &HashMap<String, SlotType>, faults: &mut Faults) -> Intent {
    let place = format_args!("languageModel.intents.{}", raw.name);
    unique(&format_args!("{place}.slots"), &raw.slots, faults);
    let names: Vec<String> = raw.slots.iter().map(|slot| slot.name.clone()).collect();
    let compile_samples = |place: Arguments<'_>, samples: &[String], faults: &mut Faults| -> Vec<Sample> {
        let read = samples.iter().filter_map(|text| match sample(text, &names) {
            Ok(sample) => Some(sample),
            Err(fault) => {
                faults.add(format_args!("{place}.samples, \"{text}\": {fault}"));
                None
            }
        });
        read.collect()
    };
    let mut samples = compile_samples(place, &raw.samples, faults);
    samples.extend(built_in::samples(&raw.name).iter().filter_map(|text| sample(text, &[]).ok()));
    let mut slots = Vec::new();
    for slot in &raw.slots {
        let place = format_args!("{place}.slots.{}", slot.name);
        let kind = match BuiltIn::of(&slot.kind) {
            Some(kind @ BuiltIn::Value(_)) => SlotKind::BuiltIn(kind),
            // A list of Amazon's may be extended by values of the model's own.
            _ if types.contains_key(&slot.kind) => SlotKind::Listed(slot.kind.clone()),
            Some(kind) => SlotKind::BuiltIn(kind),
            None => {
                if !slot.kind.starts_with("AMAZON.") {
                    faults.add(format_args!("{place}: there is no type {}", slot.kind));
                }
                SlotKind::BuiltIn(BuiltIn::Phrase)
            }
        };
        let samples = compile_samples(place, &slot.samples, faults);
        slots.push(Slot { name: slot.name.clone(), kind, multiple: slot.multiple.enabled, dialog: None, samples });
    }
    Intent { name: raw.name, slots, dialog: None, samples }
}

/// Reads a sample: words, and names of slots in braces.
fn sample(text: &str, slots: &[String]) -> Result<Sample, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let (words, after) = rest.split_once('{').map_or((rest, None), |(words, after)| (words, Some(after)));
        parts.extend(Utterance::read(words).all().words().map(|word| Part::Word(word.to_owned())));
        let Some(after) = after else { break };
        let (name, after) = after.split_once('}').ok_or("a brace is not closed")?;
        let slot = slots.iter().position(|slot| slot == name.trim()).ok_or_else(|| format!("the intent has no slot {name}"))?;
        parts.push(Part::Slot(slot));
        rest = after;
    }
    // A "please" at either end is no part of what is asked.
    let please = |part: Option<&Part>| part.is_some_and(|part| *part == Part::Word("please".into()));
    while parts.len() > 1 && please(parts.last()) {
        parts.pop();
    }
    while parts.len() > 1 && please(parts.first()) {
        parts.remove(0);
    }
    match parts.len() {
        0 => Err("there is no word in it".into()),
        1..=MAX_WORDS => Ok(parts),
        _ => Err(format!("it has more than {MAX_WORDS} words")),
    }
}

fn compile_dialog(dialog: raw::Dialog, prompts: &HashMap<String, raw::Prompt>, intents: &mut [Intent], faults: &mut Faults) {
    let ask = |place: Arguments<'_>, wanted: bool, prompt: &Option<String>, faults: &mut Faults| -> Option<String> {
        if !wanted {
            return None;
        }
        let text = prompt.as_ref().and_then(|id| prompts.get(id)).and_then(|prompt| prompt.variations.first());
        if text.is_none() {
            let id = prompt.as_deref().unwrap_or("(none)");
            faults.add(format_args!("{place}: there is no prompt {id} with a variation"));
        }
        text.map(|variation| variation.value.clone())
    };
    for raw in dialog.intents {
        let place = format_args!("dialog.intents.{}", raw.name);
        let Some(intent) = intents.iter_mut().find(|intent| intent.name == raw.name) else {
            faults.add(format_args!("{place}: the language model has no such intent"));
            continue;
        };
        let strategy = raw.delegation.as_ref().or(dialog.delegation.as_ref());
        let confirmation = ask(place, raw.confirmation_required, &raw.prompts.confirmation, faults);
        intent.dialog = Some(Dialog { confirmation, automatic: strategy.is_some_and(|strategy| strategy == "ALWAYS") });
        for raw in raw.slots {
            let place = format_args!("{place}.slots.{}", raw.name);
            let Some(slot) = intent.slots.iter_mut().find(|slot| slot.name == raw.name) else {
                faults.add(format_args!("{place}: the intent has no such slot"));
                continue;
            };
            let elicitation = ask(place, raw.elicitation_required, &raw.prompts.elicitation, faults);
            let confirmation = ask(place, raw.confirmation_required, &raw.prompts.confirmation, faults);
            slot.dialog = Some(SlotDialog { elicitation, confirmation });
        }
    }
}

#[cfg(test)]
#[path = "interaction_tests.rs"]
mod tests;
