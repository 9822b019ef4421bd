//! Checks a device model against its interaction model, for mistakes that otherwise show only when an owner speaks: values and
//! intents that cannot be said, utterances that the skill does not handle, and files that Alexa rejects. Each finding has its
//! place and a fix.
//!
//! The check is a pure function of both files. A file that cannot be parsed is not a finding but an error of [`Model::parse`] or
//! [`InteractionModel::parse`](crate::simulator::utterance::interaction::InteractionModel::parse).

mod dialog;
mod intents;
mod invocation;
mod keys;
mod numbers;
mod samples;
mod sentences;
mod slots;
mod types;
mod units;
mod uses;

use std::fmt::{self, Display};

use onething::device_model::Model;
use onething::speech::locales::Locale;
use onething::speech::slot_value::SlotReader;

use self::uses::{Use, uses};
use crate::simulator::utterance::interaction_file as raw;

/// Reads the values of slots in the checks. No relative date is read, so the time does not matter.
const READER: SlotReader = SlotReader { locale: Locale::English, now: 0 };
/// The largest number of reported findings: the file of another device may have hundreds.
const MAX_FINDINGS: usize = 100;

/// The file that a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// `device.toml`.
    DeviceModel,
    /// The interaction model.
    InteractionModel,
}

/// A mistake in one of the two files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file with the mistake.
    pub file: File,
    /// The table of the TOML file, or the path in the JSON file, with elements of lists given by their names.
    pub place: String,
    /// The mistake and its consequence for the owner.
    pub fault: String,
    /// The change that corrects the mistake.
    pub fix: String,
}

impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.fault, self.fix)
    }
}

/// Collects up to [`MAX_FINDINGS`] findings.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn device(&mut self, place: impl Display, fault: impl Display, fix: impl Display) {
        self.add(File::DeviceModel, &place, &fault, &fix);
    }

    fn interaction(&mut self, place: impl Display, fault: impl Display, fix: impl Display) {
        self.add(File::InteractionModel, &place, &fault, &fix);
    }

    fn add(&mut self, file: File, place: &dyn Display, fault: &dyn Display, fix: &dyn Display) {
        if self.0.len() < MAX_FINDINGS {
            self.0.push(Finding { file, place: place.to_string(), fault: fault.to_string(), fix: fix.to_string() });
        }
    }
}

/// Both models, and the uses of slots in the device model.
struct Models<'m> {
    device: &'m Model,
    interaction: &'m raw::Model,
    uses: Vec<Use>,
}

impl Models<'_> {
    /// An intent of the interaction model.
    fn intent(&self, name: &str) -> Option<&raw::Intent> {
        self.interaction.language.intents.iter().find(|intent| intent.name == name)
    }

    /// The dialog model of an intent.
    fn dialog(&self, intent: &str) -> Option<&raw::DialogIntent> {
        self.interaction.dialog.intents.iter().find(|dialog| dialog.name == intent)
    }

    /// A slot type of the interaction model.
    fn slot_type(&self, name: &str) -> Option<&raw::SlotType> {
        self.interaction.language.types.iter().find(|kind| kind.name == name)
    }

    /// The slots that an intent of the device model uses.
    fn uses_of<'u>(&'u self, intent: &'u str) -> impl Iterator<Item = &'u Use> {
        self.uses.iter().filter(move |used| used.intent == intent)
    }
}

/// Returns the mistakes in a device model and in the JSON file of its interaction model.
pub fn check(device: &Model, interaction: &str) -> Vec<Finding> {
    let mut findings = Findings::default();
    let (Ok(json), Ok(file)) = (serde_json::from_str(interaction), serde_json::from_str::<raw::File>(interaction)) else {
        return Vec::new();
    };
    let models = Models { device, interaction: &file.model, uses: uses(device) };
    invocation::check(&models, &mut findings);
    intents::check(&models, &mut findings);
    slots::check(&models, &mut findings);
    types::check(&models, &mut findings);
    units::check(&models, &mut findings);
    samples::check(&models, &mut findings);
    dialog::check(&models, &mut findings);
    sentences::check(&models, &mut findings);
    keys::check(&json, &mut findings);
    findings.0
}

#[cfg(test)]
mod tests;
