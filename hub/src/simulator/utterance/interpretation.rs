//! The interpretation of an utterance: whether it is for the skill, by the phrases that contain the invocation name.

use jiff::civil::DateTime;

use super::interaction::InteractionModel;
use super::resolve::Match;
use super::words::{Phrase, Utterance};

/// The words before the invocation name.
const BEFORE_NAME: &[&str] = &[
    "ask",
    "tell",
    "open",
    "launch",
    "start",
    "begin",
    "run",
    "use",
    "using",
    "load",
    "play",
    "resume",
    "enter",
    "with",
    "talk to",
    "speak to",
    "talk with",
    "speak with",
    "go to",
    "talk to the",
    "open the",
    "launch the",
    "start the",
    "open up",
];
/// The optional words between the invocation name and the request.
const AFTER_NAME: &[&str] = &["to", "for", "about", "that", "whether", "if", "and", "and ask", "and say", "and tell it to"];
/// The words before an invocation name at the end of the utterance.
const BEFORE_LAST_NAME: &[&str] = &["with", "using", "on", "from", "in", "by", "via", "through", "at"];

/// The meaning of an utterance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interpretation {
    /// The skill is opened without a request.
    Launch,
    /// The invocation name comes first, then a request; `None` if the request matches no sample.
    Asked(Option<Match>),
    /// The invocation name comes last, after the request.
    AskedLast(Match),
    /// The utterance has no invocation name; `None` if it matches no sample.
    Unnamed(Option<Match>),
}

impl Interpretation {
    /// Whether the utterance opens the skill or matches a sample.
    pub fn is_understood(&self) -> bool {
        !matches!(self, Interpretation::Asked(None) | Interpretation::Unnamed(None))
    }
}

/// Interprets an utterance. Within a session, an utterance needs no invocation name. `now` is the local time, for relative dates
/// and times.
pub fn read(model: &InteractionModel, utterance: &Utterance, now: DateTime) -> Interpretation {
    let said = without_wake_word(utterance.all());
    if let Some(asked) = BEFORE_NAME.iter().find_map(|before| after(said, before)?.strip(&model.invocation)) {
        let asked = after(asked, "skill").unwrap_or(asked);
        return match without_please(asked) {
            asked if asked.is_empty() => Interpretation::Launch,
            asked => {
                // "Ask my printer please to print": "please" may come before or after "to".
                let beginnings = [Some(asked), after(asked, "please")].into_iter().flatten();
                let readings =
                    beginnings.flat_map(|said| std::iter::once(said).chain(AFTER_NAME.iter().filter_map(move |word| after(said, word))));
                Interpretation::Asked(best(model, readings, now))
            }
        };
    }
    if said.strip(&model.invocation).is_some_and(Phrase::is_empty) {
        return Interpretation::Launch;
    }
    let before_name = without_please(said).strip_end(&model.invocation);
    let wanted = before_name.and_then(|said| {
        let last = said.len().checked_sub(1)?;
        BEFORE_LAST_NAME.contains(&said.word(last)?).then(|| said.part(0, last)).filter(|said| !said.is_empty())
    });
    let whole = best(model, [said], now);
    match wanted.and_then(|wanted| best(model, [wanted], now)).filter(|found| found.certain) {
        // The invocation name may also be part of a sample: a literal match of the whole utterance has precedence.
        Some(found) if whole.as_ref().is_none_or(|whole| whole.rank() < found.rank()) => Interpretation::AskedLast(found),
        _ => Interpretation::Unnamed(whole),
    }
}

/// The best match of several readings, each with and without "please".
fn best<'u>(model: &InteractionModel, readings: impl IntoIterator<Item = Phrase<'u>>, now: DateTime) -> Option<Match> {
    let readings = readings.into_iter().flat_map(|reading| {
        let polite = without_please(reading);
        [Some(reading), (polite.len() < reading.len()).then_some(polite)].into_iter().flatten()
    });
    let mut best: Option<Match> = None;
    for found in readings.filter_map(|reading| model.resolve(reading, now)) {
        if best.as_ref().is_none_or(|best| best.rank() < found.rank()) {
            best = Some(found);
        }
    }
    best
}

/// The phrase without the wake word and a "please" after it.
pub fn without_wake_word(said: Phrase<'_>) -> Phrase<'_> {
    let said = after(said, "hey").filter(|rest| rest.word(0) == Some("alexa")).unwrap_or(said);
    let said = after(said, "alexa").unwrap_or(said);
    after(said, "please").unwrap_or(said)
}

/// The phrase without a "please" at either end.
pub fn without_please(said: Phrase<'_>) -> Phrase<'_> {
    let said = after(said, "please").unwrap_or(said);
    match said.len().checked_sub(1) {
        Some(last) if said.word(last) == Some("please") => said.part(0, last),
        _ => said,
    }
}

fn after<'u>(said: Phrase<'u>, words: &str) -> Option<Phrase<'u>> {
    let count = words.split(' ').count();
    (said.len() >= count && said.part(0, count).text() == words).then(|| said.after(count))
}

/// An utterance that sends a request to the skill with this invocation name.
pub fn invocation_utterance(name: &str, words: &str) -> String {
    match words.split(' ').next() {
        Some("the" | "a" | "an" | "my" | "its") => format!("ask {name} for {words}"),
        Some("what" | "how" | "is" | "are" | "when" | "why" | "which" | "who" | "whether" | "if" | "for") => format!("ask {name} {words}"),
        _ => format!("ask {name} to {words}"),
    }
}

#[cfg(test)]
#[path = "interpretation_tests.rs"]
mod tests;
