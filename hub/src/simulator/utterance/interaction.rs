//! The interaction model: the utterances of a skill, and the prompts of its dialogs.
//!
//! The file is the one that the ASK CLI deploys (<https://developer.amazon.com/docs/alexa/smapi/interaction-model-schema.html>).
//! It is compiled once. All faults of the file are reported together, each with its path in the file.

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Arguments};

use thiserror::Error;

use super::built_in;
use super::interaction_file::{self as raw, Named};
use super::slot_type::BuiltIn;
use super::words::{MAX_WORDS, Utterance};

/// The largest interaction model that Alexa accepts, in bytes (1.5 MB).
const MAX_BYTES: usize = 1_500_000;
/// The largest number of reported faults. A file may have hundreds of thousands.
const MAX_FAULTS: usize = 50;
/// The longest reported fault, in bytes. A name in the path of a fault may have a megabyte.
const MAX_FAULT: usize = 500;

/// Why a file is not a valid interaction model.
#[derive(Debug, Error)]
pub enum InteractionError {
    /// The file is larger than Alexa accepts.
    #[error("the interaction model has more than {MAX_BYTES} bytes")]
    TooLarge,
    /// The file is not JSON, or does not follow the schema; the source error has line and column.
    #[error("the interaction model cannot be read")]
    Form(#[from] serde_json::Error),
    /// The file is inconsistent; one line for each of the first faults, with its path.
    #[error("the interaction model has {} fault(s):\n{}", .0.len(), .0.join("\n"))]
    Faults(Vec<String>),
}

/// A compiled interaction model.
#[derive(Clone, Debug)]
pub struct InteractionModel {
    /// The invocation name, such as `my printer`.
    pub invocation_name: String,
    /// The normalised words of the invocation name.
    pub(super) invocation: Vec<String>,
    /// The intents in the order of the file.
    pub intents: Vec<Intent>,
    types: HashMap<String, SlotType>,
}

/// An intent with its slots, its samples and its dialog model.
#[derive(Clone, Debug)]
pub struct Intent {
    /// The name of the intent in requests.
    pub name: String,
    /// The slots in the order of the file.
    pub slots: Vec<Slot>,
    /// The dialog model; `None` if the file has none. Dialog directives about such an intent are errors.
    pub dialog: Option<Dialog>,
    pub(super) samples: Vec<Sample>,
}

/// The dialog model of an intent.
#[derive(Clone, Debug, Default)]
pub struct Dialog {
    /// The prompt that asks for the confirmation of the intent; `None` if the intent needs no confirmation.
    pub confirmation: Option<String>,
    /// Whether Alexa manages the dialog without the skill until it is complete (delegation strategy `ALWAYS`).
    pub automatic: bool,
}

/// A slot with its type, its samples and its dialog model.
#[derive(Clone, Debug)]
pub struct Slot {
    /// The name of the slot in requests.
    pub name: String,
    /// The type of the slot.
    pub kind: SlotKind,
    /// Whether the slot accepts several values in one utterance.
    pub multiple: bool,
    /// The dialog model of the slot; `None` if the file has none.
    pub dialog: Option<SlotDialog>,
    pub(super) samples: Vec<Sample>,
}

/// The dialog model of a slot.
#[derive(Clone, Debug, Default)]
pub struct SlotDialog {
    /// The prompt that asks for the value; `None` if the slot may stay unfilled.
    pub elicitation: Option<String>,
    /// The prompt that asks for the confirmation of the value; `None` if the value needs no confirmation.
    pub confirmation: Option<String>,
}

/// The type of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotKind {
    /// A built-in type of Amazon.
    BuiltIn(BuiltIn),
    /// The name of a slot type that the model defines. Words that are none of its values are accepted without a match.
    Listed(String),
}

/// A slot type of the model with its values.
#[derive(Clone, Debug, Default)]
pub(super) struct SlotType {
    pub(super) values: Vec<SlotValue>,
    /// From each normalised spelling to the indices of its values.
    pub(super) spellings: HashMap<String, Vec<usize>>,
    /// The number of words of the longest spelling.
    pub(super) longest: usize,
}

/// A value of a slot type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotValue {
    /// The id, if the model has one for the value.
    pub id: Option<String>,
    /// The canonical name.
    pub name: String,
}

/// A sample utterance.
pub(super) type Sample = Vec<Part>;

/// One element of a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A literal word.
    Word(String),
    /// The index of a slot in the intent.
    Slot(usize),
}

impl InteractionModel {
    /// The interaction model of the 3D printer, which is built in.
    pub const SAMPLE: &str = include_str!("../../../../skill-package/interactionModels/custom/en-US.json");

    /// Compiles an interaction model from the JSON of its file.
    pub fn parse(json: &str) -> Result<Self, InteractionError> {
        if json.len() > MAX_BYTES {
            return Err(InteractionError::TooLarge);
        }
        let file: raw::File = serde_json::from_str(json)?;
        let mut faults = Faults::default();
        let model = compile(file.model, &mut faults);
        if faults.0.is_empty() { Ok(model) } else { Err(InteractionError::Faults(faults.0)) }
    }

    /// The intent with this name.
    pub fn intent(&self, name: &str) -> Option<&Intent> {
        self.intents.iter().find(|intent| intent.name == name)
    }

    /// Example utterances for an intent: its samples with an example value in each slot.
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

/// The faults of a file, up to [`MAX_FAULTS`].
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
    /// The slot with this name.
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
            // The model may extend a list type of Amazon with values.
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

/// Parses a sample: words, and names of slots in braces.
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
    // "Please" at either end is not significant.
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
