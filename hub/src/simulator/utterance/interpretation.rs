//! Whether what was said is for the skill: the phrases that name it.
//!
//! The phrases are those of Alexa's *Understand How Users Invoke Custom Skills*
//! (<https://developer.amazon.com/docs/alexa/custom-skills/understanding-how-users-invoke-custom-skills.html>):
//! "open my printer", "ask my printer to …", "… with my printer".

use jiff::civil::DateTime;

use super::interaction::InteractionModel;
use super::resolve::Match;
use super::words::{Phrase, Utterance};

/// What stands before the name.
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
/// What may stand between the name and what is wanted.
const AFTER_NAME: &[&str] = &["to", "for", "about", "that", "whether", "if", "and", "and ask", "and say", "and tell it to"];
/// What stands before the name at the end.
const BEFORE_LAST_NAME: &[&str] = &["with", "using", "on", "from", "in", "by", "via", "through", "at"];

/// What an utterance comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interpretation {
    /// The skill is opened, and nothing asked.
    Launch,
    /// The skill is named, and asked for something; nothing where it matches no sample.
    Asked(Option<Match>),
    /// The skill is named at the end, after what it is asked for.
    AskedLast(Match),
    /// The skill is not named.
    Unnamed(Option<Match>),
}

impl Interpretation {
    /// Whether it comes to anything.
    pub fn is_understood(&self) -> bool {
        !matches!(self, Interpretation::Asked(None) | Interpretation::Unnamed(None))
    }
}

/// Reads an utterance by the phrases that name the skill. Where a session is open, no name is needed.
/// `now`, in local time, is for dates.
pub fn read(model: &InteractionModel, utterance: &Utterance, now: DateTime) -> Interpretation {
    let said = addressed(utterance.all());
    if let Some(asked) = BEFORE_NAME.iter().find_map(|before| after(said, before)?.strip(&model.invocation)) {
        let asked = after(asked, "skill").unwrap_or(asked);
        return match polite(asked) {
            asked if asked.is_empty() => Interpretation::Launch,
            asked => {
                // "Ask my printer please to print": "please" may stand on either side of the "to".
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
    let before_name = polite(said).strip_end(&model.invocation);
    let wanted = before_name.and_then(|said| {
        let last = said.len().checked_sub(1)?;
        BEFORE_LAST_NAME.contains(&said.word(last)?).then(|| said.part(0, last)).filter(|said| !said.is_empty())
    });
    let whole = best(model, [said], now);
    match wanted.and_then(|wanted| best(model, [wanted], now)).filter(|found| found.certain) {
        // The name may also be part of what is asked: a sample that is said as it stands goes first.
        Some(found) if whole.as_ref().is_none_or(|whole| whole.rank() < found.rank()) => Interpretation::AskedLast(found),
        _ => Interpretation::Unnamed(whole),
    }
}

/// The best meaning of several readings, each also without a "please".
fn best<'u>(model: &InteractionModel, readings: impl IntoIterator<Item = Phrase<'u>>, now: DateTime) -> Option<Match> {
    let readings = readings.into_iter().flat_map(|reading| {
        let polite = polite(reading);
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

/// Without the word that wakes the Echo, and a "please" behind it.
pub fn addressed(said: Phrase<'_>) -> Phrase<'_> {
    let said = after(said, "hey").filter(|rest| rest.word(0) == Some("alexa")).unwrap_or(said);
    let said = after(said, "alexa").unwrap_or(said);
    after(said, "please").unwrap_or(said)
}

/// Without a "please" at either end.
pub fn polite(said: Phrase<'_>) -> Phrase<'_> {
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

/// How something is said so that the skill of this name hears it.
pub fn asked_of(name: &str, words: &str) -> String {
    match words.split(' ').next() {
        Some("the" | "a" | "an" | "my" | "its") => format!("ask {name} for {words}"),
        Some("what" | "how" | "is" | "are" | "when" | "why" | "which" | "who" | "whether" | "if" | "for") => format!("ask {name} {words}"),
        _ => format!("ask {name} to {words}"),
    }
}

#[cfg(test)]
#[path = "interpretation_tests.rs"]
mod tests;
