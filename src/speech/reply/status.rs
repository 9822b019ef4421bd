//! Answers from the reported state and the failures of the device.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Responder, spoken_form};
use crate::alexa::response::{Answer, Speech};
use crate::device_model::{Property, Sentence, is_named, placeholders};
use crate::shadow::{Failed, Failure, Presence, Shadow};
use crate::speech::intent::fill;
use crate::speech::locales::{Phrase, Report, Words};

impl Responder<'_> {
    /// The answer if the device reports nothing, although it may be connected.
    pub fn reports_nothing(&self, presence: Presence, now: u64) -> Answer {
        self.tell(&match presence {
            Presence::Present => Phrase::ReportsNothing,
            Presence::Away { since } => Phrase::Disconnected { seconds: Some(now.saturating_sub(since)) },
            Presence::NeverSeen => Phrase::NeverReported,
            Presence::Unsure => Phrase::MaybeConnectedReportsNothing,
        })
    }

    /// The answer from the reported state. The age of the report is mentioned if it is old.
    pub fn status(&self, sentences: &[Sentence], shadow: &Shadow, now: u64, failures: &[Failure]) -> Answer {
        let reports =
            |(name, property): (&String, &Property)| Some((name.clone(), self.locale.report(property, shadow.reported.get(name)?, now)));
        let mut report = Reported::default();
        for (name, reported) in self.model.properties.iter().filter_map(reports) {
            report.take(name, reported);
        }
        let mut said: Vec<String> = Vec::new();
        let mut wrong = Vec::new();
        let mut spoken_of = BTreeSet::new();
        for sentence in sentences.iter().filter(|sentence| report.may_hold(sentence)) {
            let unfit =
                sentence.when.keys().map(String::as_str).chain(placeholders(&sentence.say)).filter(|name| report.wrong.contains(*name));
            let unfit: Vec<String> = unfit.map(|name| self.locale.name(name)).collect();
            if unfit.is_empty() && placeholders(&sentence.say).all(|name| report.words.contains_key(name)) {
                said.push(fill(&sentence.say, &report.words, self.locale));
                spoken_of.extend(placeholders(&sentence.say).chain(sentence.when.keys().map(String::as_str)));
            }
            wrong.extend(unfit.into_iter().filter(|name| !wrong.contains(name)).collect::<Vec<_>>());
        }
        if !wrong.is_empty() {
            said.push(self.words(&Phrase::CannotBeRight { what: &wrong }));
        }
        if said.is_empty() && failures.is_empty() {
            return self.tell(&Phrase::NothingToSay);
        }
        let age = shadow.reported_at.map(|at| now.saturating_sub(at));
        if let Some(seconds) = age.filter(|seconds| *seconds > self.model.report_is_old_after && !said.is_empty()) {
            said.push(self.words(&Phrase::ReportAge { seconds }));
        }
        said.extend(self.measured(&spoken_of, shadow, age.unwrap_or_default(), now));
        said.extend(failures.iter().map(|failure| self.failure(failure, now)));
        Answer::say(Speech::sentences(said))
    }

    /// Mentions the properties in `names` that are no longer measured. A measured value is reported repeatedly, so its own time
    /// counts. `age` is the age of the newest report.
    fn measured(&self, names: &BTreeSet<&str>, shadow: &Shadow, age: u64, now: u64) -> Vec<String> {
        let old = names.iter().filter_map(|name| {
            let expected = self.model.reports.get(*name)?.every.map_or(0, |every| 2 * every.as_secs());
            let own = now.saturating_sub(*shadow.reported_times.get(*name)?);
            let limit = self.model.report_is_old_after.max(expected);
            (own > limit && own.saturating_sub(age) > limit).then(|| (self.locale.name(name), own))
        });
        old.map(|(what, seconds)| self.words(&Phrase::MeasuredAge { what: &what, seconds })).collect()
    }

    /// Appends the failures of the device.
    pub fn with_failures(&self, mut answer: Answer, failures: &[Failure], now: u64) -> Answer {
        let news = |speech, failure| Speech::and(speech, self.failure(failure, now));
        answer.speech = answer.speech.map(|speech| failures.iter().fold(speech, news));
        answer
    }

    /// What failed on the device, why, and when.
    fn failure(&self, failure: &Failure, now: u64) -> String {
        let (seconds, why) = (now.saturating_sub(failure.at), failure.detail.as_ref().and_then(spoken_form));
        let why = why.as_deref();
        match &failure.what {
            Failed::Command { name, refused } => {
                let name = name.as_ref().map(|name| self.locale.name(name));
                self.words(&Phrase::CommandFailed { name: name.as_deref(), refused: *refused, why, seconds })
            }
            Failed::Setting { property, value } => {
                let value = self.model.properties.get(property).and_then(|known| {
                    let words = self.locale.value(&known.kind, &known.kind.reported(value)?, now);
                    Some(self.locale.with_unit(&known.kind, words))
                });
                self.words(&Phrase::SettingFailed { what: &self.locale.name(property), value: value.as_deref(), why, seconds })
            }
        }
    }
}

/// The reported values, by property.
#[derive(Default)]
struct Reported {
    words: BTreeMap<String, Words>,
    values: BTreeMap<String, Value>,
    /// The properties whose reported value is invalid.
    wrong: BTreeSet<String>,
}

impl Reported {
    fn take(&mut self, name: String, report: Report) {
        match report {
            Report::Nothing => {}
            Report::CannotBeRight => drop(self.wrong.insert(name)),
            Report::Fits(words, value) => {
                self.words.insert(name.clone(), words);
                self.values.insert(name, value);
            }
        }
    }

    /// Whether the conditions of a sentence hold. A condition on a property with an invalid value is treated as true.
    fn may_hold(&self, sentence: &Sentence) -> bool {
        let holds = |(name, value): (&String, &String)| self.values.get(name).is_some_and(|reported| is_named(reported, value));
        sentence.when.iter().all(|condition| self.wrong.contains(condition.0) || holds(condition))
    }
}
