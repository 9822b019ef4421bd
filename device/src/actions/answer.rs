//! What an action says: a JSON object with `detail` and properties, or a line of text.

use std::collections::BTreeMap;

use onething::model::Property;
use serde_json::{Map, Value};

/// In characters: what the owner may hear of it.
const DETAIL_LIMIT: usize = 200;

/// What an action says when it is done.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) detail: String,
    pub(super) reported: Map<String, Value>,
}

/// Reads an answer. What is no property of the model, or does not fit it, is left out: the log says so.
pub(super) fn read(said: &[u8], properties: &BTreeMap<String, Property>) -> Answer {
    let Some(mut object) = object(said) else {
        return Answer { detail: first_line(said), reported: Map::new() };
    };
    let detail = object.remove("detail").as_ref().and_then(Value::as_str).map(plain).unwrap_or_default();
    let mut reported = Map::new();
    for (name, value) in object {
        match properties.get(&name).and_then(|property| property.kind.fit(&value)) {
            Some(value) => {
                reported.insert(name, value);
            }
            None => tracing::warn!(property = plain(&name), "an action reported what the device model does not know"),
        }
    }
    Answer { detail, reported }
}

/// The `detail` of a JSON object, for when something has failed.
pub(super) fn detail(said: &[u8]) -> Option<String> {
    object(said)?.get("detail")?.as_str().map(plain).filter(|detail| !detail.is_empty())
}

fn object(said: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(said).ok()
}

fn first_line(said: &[u8]) -> String {
    lines(said).next().unwrap_or_default()
}

/// The last line that says something.
pub(super) fn last_line(said: &[u8]) -> String {
    lines(said).last().unwrap_or_default()
}

fn lines(said: &[u8]) -> impl Iterator<Item = String> {
    said.split(|byte| *byte == b'\n').map(|line| plain(&String::from_utf8_lossy(line))).filter(|line| !line.is_empty())
}

/// Without control characters, and short.
pub(super) fn plain(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.trim().chars().take(DETAIL_LIMIT).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use onething::model::Model;
    use serde_json::json;

    use super::*;

    fn check(said: &str, detail: &str, reported: &Value) {
        let printer = Model::parse(Model::SAMPLE).unwrap();
        let answer = read(said.as_bytes(), &printer.properties);
        assert_eq!((answer.detail.as_str(), Value::Object(answer.reported)), (detail, reported.clone()), "{said}");
    }

    #[test]
    fn an_object_is_a_detail_and_properties() {
        check(r#"{"detail":"warm","nozzle":20.0,"status":"idle"}"#, "warm", &json!({"nozzle": 20, "status": "idle"}));
        check(" {\"status\":\"paused\"}\n", "", &json!({"status": "paused"}));
        check("{}", "", &json!({}));
    }

    #[test]
    fn what_the_model_does_not_know_is_not_reported() {
        let said = json!({"detail": 7, "nozzle": "hot", "bed": 4000, "status": "on fire", "model": {"a": 1}, "colour": "red",
            "command": {"id": "1", "status": "done"}, "power": null});
        check(&said.to_string(), "", &json!({}));
    }

    #[test]
    fn anything_else_is_text_and_its_first_line_is_the_detail() {
        check("", "", &json!({}));
        check("\n\r\n  printing\tnow\r\nlayer 1\n", "printing now", &json!({}));
        check("[1,2]", "[1,2]", &json!({}));
        check(r#"{"detail":"#, r#"{"detail":"#, &json!({}));
        check("\u{1b}[31mhot\u{7}", "[31mhot", &json!({}));
    }

    #[test]
    fn a_detail_is_short_and_counts_characters() {
        check(&"ü".repeat(500), &"ü".repeat(200), &json!({}));
        check(&json!({"detail": "a\nb".repeat(100)}).to_string(), "a b".repeat(67).get(..199).unwrap_or_default(), &json!({}));
    }

    #[test]
    fn bytes_that_are_no_text_are_marked_as_such() {
        let printer = Model::parse(Model::SAMPLE).unwrap();
        assert_eq!(read(b"caf\xe9 \xff\n", &printer.properties).detail, "caf\u{fffd} \u{fffd}");
        assert_eq!(last_line(b"one\ntwo \xff\n\n"), "two \u{fffd}");
    }
}
