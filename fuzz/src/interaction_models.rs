//! An interaction model, and the resolution of utterances with it.

use jiff::civil::DateTime;
use onething_hub::simulator::utterance::interaction::InteractionModel;
use onething_hub::simulator::utterance::interpretation;
use onething_hub::simulator::utterance::words::Utterance;

const NOW: DateTime = jiff::civil::datetime(2026, 12, 1, 8, 0, 0, 0);
/// The limit of examples per intent; more examples reach no new code.
const EXAMPLES: usize = 64;

/// Parses the model and resolves its own sample utterances.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let model = match InteractionModel::parse(&text) {
        Ok(model) => model,
        Err(error) => {
            let said = error.to_string();
            assert!(said.len() <= 64 * 1024, "{} bytes of {}", said.len(), text.len());
            return;
        }
    };
    let _ = model.fallback();
    for intent in &model.intents {
        assert!(model.intent(&intent.name).is_some());
        for example in model.examples(intent).take(EXAMPLES) {
            let utterance = Utterance::read(&example);
            if let Some(found) = model.resolve(utterance.all(), NOW) {
                assert!(model.intent(&found.intent).is_some_and(|known| found.slots.iter().all(|(name, _)| known.slot(name).is_some())));
            }
            for slot in &intent.slots {
                let _ = model.resolve_slot(&intent.name, &slot.name, utterance.all(), NOW);
            }
            let _ = interpretation::read(&model, &Utterance::read(&format!("ask {} to {example}", model.invocation_name)), NOW);
        }
    }
}
