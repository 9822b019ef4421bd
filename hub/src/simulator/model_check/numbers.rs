//! Checks the values of built-in slot types against the arguments and properties that they fill, mainly numbers and ranges.

use onething::alexa::request::SlotValue;
use onething::device_model::ValueKind;

use super::uses::Use;
use super::{Findings, READER};
use crate::simulator::utterance::interaction_file as raw;
use crate::simulator::utterance::slot_type::ValueType;

/// Checks whether a built-in type can produce the required values, and reports the values that it cannot. Returns whether a value
/// may be said that is not known here.
pub(super) fn check(used: &Use, slot: &raw::Slot, kind: ValueType, findings: &mut Findings) -> bool {
    let mut cannot = |fault: String, fix: &str| {
        findings.device(&used.place, format!("the slot `{}` is {}, {fault}", slot.name, slot.kind), fix);
        true
    };
    match &used.kind {
        ValueKind::Text { .. } => true,
        ValueKind::Switch => cannot(format!("which sends {}, never on or off", makes(kind)), "define a slot type with on and off"),
        ValueKind::Choice { values } => {
            let fits = |value: &&String| !can_be(kind, value);
            match values.iter().find(fits) {
                None => true,
                Some(value) => cannot(
                    format!("which sends {}, never `{value}`", makes(kind)),
                    "define a slot type with the values of the device model",
                ),
            }
        }
        ValueKind::Number { min, max, unit, whole } => {
            let time = unit.as_ref().is_some_and(|unit| READER.locale.seconds_of(unit).is_some());
            match kind {
                ValueType::Duration if time => true,
                ValueType::Duration => {
                    let fault = format!("and {} has no unit of time", used.declared);
                    cannot(fault, "set its `unit` to seconds, minutes, hours or days, or make it a text")
                }
                ValueType::Number | ValueType::FourDigitNumber | ValueType::Ordinal => match unsayable(kind, *min, *max, *whole) {
                    None => true,
                    Some(range) => cannot(
                        format!("which cannot say {range}, and {} goes from {min} to {max}", used.declared),
                        "change the range, or take AMAZON.NUMBER",
                    ),
                },
                ValueType::AlphaNumeric | ValueType::PhoneNumber | ValueType::Date | ValueType::Time => {
                    cannot(format!("which sends {}, and {} takes numbers", makes(kind), used.declared), "take AMAZON.NUMBER")
                }
            }
        }
    }
}

/// The part of a range that a built-in type cannot produce.
fn unsayable(kind: ValueType, min: f64, max: f64, whole: bool) -> Option<String> {
    let no_whole_number = min.ceil() > max;
    match kind {
        _ if no_whole_number && whole => Some("any whole number in it".into()),
        ValueType::Ordinal if min < 1.0 => Some("numbers below 1".into()),
        ValueType::FourDigitNumber if min < 0.0 => Some("numbers below 0".into()),
        ValueType::FourDigitNumber if max > 9_999.0 => Some("numbers above 9999".into()),
        _ if no_whole_number => Some("a fraction alone".into()),
        _ => None,
    }
}

/// Whether a built-in type can produce a value of a choice.
fn can_be(kind: ValueType, value: &str) -> bool {
    let number = || value.parse::<f64>().is_ok();
    let as_text = |value: &str| {
        let said = SlotValue { input: value.to_owned(), matches: Vec::new() };
        let text = ValueKind::Text { max_length: 1_000 };
        // A value whose spoken form differs from its text is a date, a time or a duration.
        READER.read(&text, &[said]).and_then(Result::ok).is_some_and(|read| read.words.text != value)
    };
    match kind {
        ValueType::Number | ValueType::Ordinal => number(),
        ValueType::FourDigitNumber => value.len() == 4 && number(),
        ValueType::PhoneNumber => value.bytes().all(|byte| byte.is_ascii_digit()),
        ValueType::AlphaNumeric => value.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase()),
        ValueType::Date => as_text(value) || value.len() == 4 && number(),
        ValueType::Duration | ValueType::Time => as_text(value),
    }
}

/// A description of the values that a built-in type produces, for the text of a finding.
pub(super) fn makes(kind: ValueType) -> &'static str {
    match kind {
        ValueType::AlphaNumeric => "letters and digits",
        ValueType::Date => "dates",
        ValueType::Duration => "durations",
        ValueType::FourDigitNumber => "four digits",
        ValueType::Number => "numbers",
        ValueType::Ordinal => "the numbers of ordinals",
        ValueType::PhoneNumber => "the digits of phone numbers",
        ValueType::Time => "times of the day",
    }
}
