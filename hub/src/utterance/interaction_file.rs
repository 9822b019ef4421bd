//! The file of an interaction model as it is written: fields that nothing here needs are left out.

use serde::Deserialize;

/// The file.
#[derive(Deserialize)]
pub(super) struct File {
    #[serde(rename = "interactionModel")]
    pub(super) model: Model,
}

/// `interactionModel`.
#[derive(Deserialize)]
pub(super) struct Model {
    #[serde(rename = "languageModel")]
    pub(super) language: Language,
    #[serde(default)]
    pub(super) dialog: Dialog,
    #[serde(default)]
    pub(super) prompts: Vec<Prompt>,
}

/// `languageModel`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Language {
    pub(super) invocation_name: String,
    #[serde(default)]
    pub(super) intents: Vec<Intent>,
    #[serde(default)]
    pub(super) types: Vec<SlotType>,
}

/// `languageModel.intents[]`.
#[derive(Deserialize)]
pub(super) struct Intent {
    pub(super) name: String,
    #[serde(default)]
    pub(super) slots: Vec<Slot>,
    #[serde(default)]
    pub(super) samples: Vec<String>,
}

/// `languageModel.intents[].slots[]`.
#[derive(Deserialize)]
pub(super) struct Slot {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) samples: Vec<String>,
    #[serde(rename = "multipleValues", default)]
    pub(super) multiple: MultipleValues,
}

/// `languageModel.intents[].slots[].multipleValues`.
#[derive(Default, Deserialize)]
pub(super) struct MultipleValues {
    #[serde(default)]
    pub(super) enabled: bool,
}

/// `languageModel.types[]`.
#[derive(Deserialize)]
pub(super) struct SlotType {
    pub(super) name: String,
    #[serde(default)]
    pub(super) values: Vec<Value>,
}

/// `languageModel.types[].values[]`.
#[derive(Deserialize)]
pub(super) struct Value {
    pub(super) id: Option<String>,
    pub(super) name: Spellings,
}

/// `languageModel.types[].values[].name`.
#[derive(Deserialize)]
pub(super) struct Spellings {
    pub(super) value: String,
    #[serde(default)]
    pub(super) synonyms: Vec<String>,
}

/// `dialog`.
#[derive(Default, Deserialize)]
pub(super) struct Dialog {
    #[serde(rename = "delegationStrategy")]
    pub(super) delegation: Option<String>,
    #[serde(default)]
    pub(super) intents: Vec<DialogIntent>,
}

/// `dialog.intents[]`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DialogIntent {
    pub(super) name: String,
    #[serde(rename = "delegationStrategy")]
    pub(super) delegation: Option<String>,
    #[serde(default)]
    pub(super) confirmation_required: bool,
    #[serde(default)]
    pub(super) prompts: Prompts,
    #[serde(default)]
    pub(super) slots: Vec<DialogSlot>,
}

/// `dialog.intents[].slots[]`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DialogSlot {
    pub(super) name: String,
    #[serde(default)]
    pub(super) elicitation_required: bool,
    #[serde(default)]
    pub(super) confirmation_required: bool,
    #[serde(default)]
    pub(super) prompts: Prompts,
}

/// The ids of prompts.
#[derive(Default, Deserialize)]
pub(super) struct Prompts {
    pub(super) elicitation: Option<String>,
    pub(super) confirmation: Option<String>,
}

/// `prompts[]`.
#[derive(Deserialize)]
pub(super) struct Prompt {
    pub(super) id: String,
    #[serde(default)]
    pub(super) variations: Vec<Variation>,
}

/// `prompts[].variations[]`.
#[derive(Deserialize)]
pub(super) struct Variation {
    pub(super) value: String,
}

/// What has a name that no other one beside it may have.
pub(super) trait Named {
    /// The name.
    fn name(&self) -> &str;
}

impl Named for Intent {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for Slot {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for SlotType {
    fn name(&self) -> &str {
        &self.name
    }
}
