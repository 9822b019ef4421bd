//! The JSON schema of an interaction model file (<https://developer.amazon.com/docs/alexa/smapi/interaction-model-schema.html>).
//! Fields that the hub does not use are left out.

use serde::Deserialize;

/// The root object of the file.
#[derive(Deserialize)]
pub(crate) struct File {
    #[serde(rename = "interactionModel")]
    pub(crate) model: Model,
}

/// `interactionModel`.
#[derive(Deserialize)]
pub(crate) struct Model {
    #[serde(rename = "languageModel")]
    pub(crate) language: Language,
    #[serde(default)]
    pub(crate) dialog: Dialog,
    #[serde(default)]
    pub(crate) prompts: Vec<Prompt>,
}

/// `languageModel`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Language {
    pub(crate) invocation_name: String,
    #[serde(default)]
    pub(crate) intents: Vec<Intent>,
    #[serde(default)]
    pub(crate) types: Vec<SlotType>,
}

/// `languageModel.intents[]`.
#[derive(Deserialize)]
pub(crate) struct Intent {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) slots: Vec<Slot>,
    #[serde(default)]
    pub(crate) samples: Vec<String>,
}

/// `languageModel.intents[].slots[]`.
#[derive(Deserialize)]
pub(crate) struct Slot {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) samples: Vec<String>,
    #[serde(rename = "multipleValues", default)]
    pub(crate) multiple: MultipleValues,
}

/// `languageModel.intents[].slots[].multipleValues`.
#[derive(Default, Deserialize)]
pub(crate) struct MultipleValues {
    #[serde(default)]
    pub(crate) enabled: bool,
}

/// `languageModel.types[]`.
#[derive(Deserialize)]
pub(crate) struct SlotType {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) values: Vec<Value>,
    /// The source of the values, if they are not in the file.
    #[serde(rename = "valueSupplier")]
    pub(crate) supplier: Option<serde_json::Value>,
}

/// `languageModel.types[].values[]`.
#[derive(Deserialize)]
pub(crate) struct Value {
    pub(crate) id: Option<String>,
    pub(crate) name: Spellings,
}

/// `languageModel.types[].values[].name`.
#[derive(Deserialize)]
pub(crate) struct Spellings {
    pub(crate) value: String,
    #[serde(default)]
    pub(crate) synonyms: Vec<String>,
}

/// `dialog`.
#[derive(Default, Deserialize)]
pub(crate) struct Dialog {
    #[serde(rename = "delegationStrategy")]
    pub(crate) delegation: Option<String>,
    #[serde(default)]
    pub(crate) intents: Vec<DialogIntent>,
}

/// `dialog.intents[]`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DialogIntent {
    pub(crate) name: String,
    #[serde(rename = "delegationStrategy")]
    pub(crate) delegation: Option<String>,
    #[serde(default)]
    pub(crate) confirmation_required: bool,
    #[serde(default)]
    pub(crate) prompts: Prompts,
    #[serde(default)]
    pub(crate) slots: Vec<DialogSlot>,
}

/// `dialog.intents[].slots[]`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DialogSlot {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    #[serde(default)]
    pub(crate) elicitation_required: bool,
    #[serde(default)]
    pub(crate) confirmation_required: bool,
    #[serde(default)]
    pub(crate) prompts: Prompts,
    #[serde(default)]
    pub(crate) validations: Vec<Validation>,
}

/// `dialog.intents[].slots[].validations[]`.
#[derive(Deserialize)]
pub(crate) struct Validation {
    pub(crate) prompt: Option<String>,
}

/// `prompts` of a dialog intent or slot: the ids of its prompts.
#[derive(Default, Deserialize)]
pub(crate) struct Prompts {
    pub(crate) elicitation: Option<String>,
    pub(crate) confirmation: Option<String>,
}

/// `prompts[]`.
#[derive(Deserialize)]
pub(crate) struct Prompt {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) variations: Vec<Variation>,
}

/// `prompts[].variations[]`.
#[derive(Deserialize)]
pub(crate) struct Variation {
    pub(crate) value: String,
}

/// An element of a list in which names are unique.
pub(crate) trait Named {
    /// The name, which no other element of the list may have.
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
