//! Parses the output of an action: a JSON object with `detail` and properties, or a line of text.

use std::collections::BTreeMap;

use onething::device_model::Property;
use serde_json::{Map, Value};

/// The largest length of a detail that is reported to the owner, in characters.
const DETAIL_LIMIT: usize = 200;
/// The largest length of an unexpected name, value or text in an error message, in characters.
const SHOWN: usize = 64;

/// The parsed output of an action that succeeded.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) detail: String,
    pub(crate) reported: Map<String, Value>,
    pub(crate) invalid_reports: Vec<InvalidReport>,
}

/// A value in the output of an action that the device model does not allow.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InvalidReport {
    /// The name of the property, as the action wrote it.
    pub(crate) property: String,
    /// One sentence that names the property, the value and the allowed range.
    pub(crate) why: String,
}

/// Parses the output of an action: nothing, text, or exactly one JSON object. A member that is no property of the model, or whose
/// value does not fit its property, is left out and listed in `invalid_reports`. The error is a reason for the owner: output that
/// resembles JSON but cannot be parsed counts as a failure, because properties may have been lost.
pub(crate) fn read(said: &[u8], properties: &BTreeMap<String, Property>) -> Result<Answer, String> {
    let Some(text) = str::from_utf8(said).ok().filter(|text| !text.contains('\0')) else {
        return Err("it printed bytes that are no text".to_owned());
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
    if !text.starts_with('{') {
        return match json_below(text) {
            true => Err("it printed text before its JSON".to_owned()),
            false => Ok(Answer { detail: first_line(text.as_bytes()), ..Answer::default() }),
        };
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Map<String, Value>>();
    match values.next() {
        Some(Ok(object)) if text.len() == values.byte_offset() => Ok(of(object, properties)),
        Some(Ok(_)) => Err(format!("it printed JSON followed by more text: {:?}", plain_within(&text[values.byte_offset()..], SHOWN))),
        Some(Err(error)) => Err(format!("it printed broken JSON: {}", plain(&error.to_string()))),
        None => Ok(Answer::default()),
    }
}

fn of(mut object: Map<String, Value>, properties: &BTreeMap<String, Property>) -> Answer {
    let mut answer = Answer::default();
    match object.remove("detail") {
        Some(Value::String(detail)) => answer.detail = plain(&detail),
        None | Some(Value::Null) => {}
        Some(other) => answer.invalid_reports.push(invalid_report("detail", &other, "a text")),
    }
    for (name, value) in object {
        match properties.get(&name).map(|property| (property.kind.fit(&value), &property.kind)) {
            Some((Some(value), _)) => drop(answer.reported.insert(name, value)),
            Some((None, kind)) => answer.invalid_reports.push(invalid_report(&name, &value, &kind.range())),
            None => {
                let why = format!("there is no property `{}` for the value {}", plain_within(&name, SHOWN), shown(&value));
                answer.invalid_reports.push(InvalidReport { property: name, why });
            }
        }
    }
    answer
}

/// The report of a property with a value outside its range.
pub(crate) fn invalid_report(property: &str, value: &Value, range: &str) -> InvalidReport {
    InvalidReport { property: property.to_owned(), why: format!("`{property}` cannot be {}: it is {range}", shown(value)) }
}

fn shown(value: &Value) -> String {
    plain_within(&value.to_string(), SHOWN)
}

/// Whether a JSON object follows text and begins on a line of its own.
fn json_below(text: &str) -> bool {
    let begins = text.match_indices('\n').map(|(at, _)| text[at..].trim_start()).filter(|rest| rest.starts_with('{'));
    begins
        .map(|rest| serde_json::Deserializer::from_str(rest).into_iter::<Map<String, Value>>().next())
        .any(|first| matches!(first, Some(Ok(_))))
}

/// The `detail` of a JSON object in the output of an action that failed.
pub(super) fn detail(said: &[u8]) -> Option<String> {
    object(said)?.get("detail")?.as_str().map(plain).filter(|detail| !detail.is_empty())
}

fn object(said: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(said).ok()
}

fn first_line(said: &[u8]) -> String {
    lines(said).next().unwrap_or_default()
}

/// The last line that is not empty.
pub(super) fn last_line(said: &[u8]) -> String {
    lines(said).last().unwrap_or_default()
}

fn lines(said: &[u8]) -> impl Iterator<Item = String> {
    said.split(|byte| *byte == b'\n').map(|line| plain(&String::from_utf8_lossy(line))).filter(|line| !line.is_empty())
}

/// The text with a space for each control character, trimmed, and cut to 200 characters.
pub(crate) fn plain(text: &str) -> String {
    plain_within(text, DETAIL_LIMIT)
}

fn plain_within(text: &str, limit: usize) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.trim().chars().take(limit).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use onething::device_model::Model;
    use serde_json::json;

    use super::*;

    fn answer(said: &[u8]) -> Result<Answer, String> {
        read(said, &Model::parse(Model::SAMPLE).unwrap().properties)
    }

    fn check(said: &str, detail: &str, reported: &Value) {
        let answer = answer(said.as_bytes()).unwrap();
        assert_eq!((answer.detail.as_str(), Value::Object(answer.reported)), (detail, reported.clone()), "{said}");
    }

    #[test]
    fn an_object_is_a_detail_and_properties() {
        check(r#"{"detail":"warm","nozzle":20.0,"status":"idle"}"#, "warm", &json!({"nozzle": 20, "status": "idle"}));
        check(" {\"status\":\"paused\"}\n", "", &json!({"status": "paused"}));
        check("\u{feff}{\"status\":\"paused\"}\r\n", "", &json!({"status": "paused"}));
        check("{}", "", &json!({}));
    }

    #[test]
    fn an_invalid_report_names_property_value_and_range() {
        let said = json!({"detail": 7, "nozzle": "hot", "bed": 4000, "status": "on fire", "model": {"a": 1}, "colour": "red",
            "command": {"id": "1", "status": "done"}, "power": null, "progress": 12});
        let answer = answer(said.to_string().as_bytes()).unwrap();
        assert_eq!(Value::Object(answer.reported), json!({"progress": 12}));
        let mut told: Vec<_> = answer.invalid_reports.into_iter().map(|invalid_report| invalid_report.why).collect();
        told.sort();
        assert_eq!(
            told,
            [
                "`bed` cannot be 4000: it is a number from 0 to 200 degrees",
                "`detail` cannot be 7: it is a text",
                "`model` cannot be {\"a\":1}: it is a text of at most 64 characters",
                "`nozzle` cannot be \"hot\": it is a number from 0 to 400 degrees",
                "`power` cannot be null: it is ON or OFF",
                "`status` cannot be \"on fire\": it is one of idle, printing, paused, error",
                "there is no property `colour` for the value \"red\"",
                "there is no property `command` for the value {\"id\":\"1\",\"status\":\"done\"}",
            ]
        );
    }

    #[test]
    fn anything_else_is_text_and_its_first_line_is_the_detail() {
        check("", "", &json!({}));
        check("\n\r\n  printing\tnow\r\nlayer 1\n", "printing now", &json!({}));
        check("[1,2]", "[1,2]", &json!({}));
        check("done\n{layer} of 7", "done", &json!({}));
        check("\u{1b}[31mhot\u{7}", "[31mhot", &json!({}));
    }

    #[test]
    fn broken_json_and_binary_output_are_failures() {
        for (said, why) in [
            (&b"{\"detail\":"[..], "it printed broken JSON: EOF while parsing a value at line 1 column 10"),
            (b"{nozzle: 20}", "it printed broken JSON: key must be a string at line 1 column 2"),
            (b"{\"nozzle\":20}\ndone", "it printed JSON followed by more text: \"done\""),
            (b"{\"nozzle\":20} {\"bed\":20}", "it printed JSON followed by more text: \"{\\\"bed\\\":20}\""),
            (b"warming up\n{\"nozzle\":20}\n", "it printed text before its JSON"),
            (b"caf\xe9 \xff\n", "it printed bytes that are no text"),
            (b"{\"detail\":\"caf\xe9\"}", "it printed bytes that are no text"),
            (b"\x7fELF\x01\x00\x00", "it printed bytes that are no text"),
        ] {
            assert_eq!(answer(said).unwrap_err(), why, "{}", String::from_utf8_lossy(said));
        }
    }

    #[test]
    fn a_detail_is_short_and_counts_characters() {
        check(&"ü".repeat(500), &"ü".repeat(200), &json!({}));
        check(&json!({"detail": "a\nb".repeat(100)}).to_string(), "a b".repeat(67).get(..199).unwrap_or_default(), &json!({}));
    }

    #[test]
    fn the_last_line_may_contain_invalid_utf8() {
        assert_eq!(last_line(b"one\ntwo \xff\n\n"), "two \u{fffd}");
    }
}
