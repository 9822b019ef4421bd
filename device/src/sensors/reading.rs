//! Parses the output of a sensor: a JSON object of properties, or the bare value of its own property.

use std::collections::BTreeMap;

use onething::device_model::{Property, ValueKind};
use serde_json::{Map, Number, Value};

use crate::actions::{InvalidReport, invalid_report, read_answer};

/// The parsed output of a sensor.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Reading {
    /// The values that the device model allows, by property.
    pub(crate) properties: Map<String, Value>,
    /// The values that the device model does not allow.
    pub(crate) invalid_reports: Vec<InvalidReport>,
}

/// Parses the output of a sensor. The error says why the output cannot be used.
pub(super) fn read(said: &[u8], property: &str, properties: &BTreeMap<String, Property>) -> Result<Reading, String> {
    let text = str::from_utf8(said).ok().filter(|text| !text.contains('\0')).ok_or("it printed bytes that are no text")?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
    if text.is_empty() {
        return Err("it printed nothing".to_owned());
    }
    if text.starts_with('{') {
        let answer = read_answer(text.as_bytes(), properties)?;
        return Ok(Reading { properties: answer.reported, invalid_reports: answer.invalid_reports });
    }
    Ok(bare(text, property, properties))
}

/// Parses a bare value of a property.
pub(super) fn bare(text: &str, property: &str, properties: &BTreeMap<String, Property>) -> Reading {
    of(&Value::String(text.to_owned()), property, properties, |kind| value(text, kind))
}

/// Checks a JSON value of a property.
pub(super) fn fitting(value: &Value, property: &str, properties: &BTreeMap<String, Property>) -> Reading {
    of(value, property, properties, |kind| kind.fit(value))
}

fn of(said: &Value, property: &str, properties: &BTreeMap<String, Property>, fit: impl FnOnce(&ValueKind) -> Option<Value>) -> Reading {
    let mut reading = Reading::default();
    match properties.get(property).map(|known| (fit(&known.kind), &known.kind)) {
        Some((Some(value), _)) => drop(reading.properties.insert(property.to_owned(), value)),
        Some((None, kind)) => reading.invalid_reports.push(invalid_report(property, said, &kind.range())),
        None => {
            reading.invalid_reports.push(InvalidReport { property: property.to_owned(), why: format!("there is no property `{property}`") })
        }
    }
    reading
}

fn value(text: &str, kind: &ValueKind) -> Option<Value> {
    let number = || Number::from_f64(text.parse().ok()?).map(Value::Number);
    let string = || serde_json::from_str::<String>(text).unwrap_or_else(|_| text.to_owned());
    kind.fit(&match kind {
        ValueKind::Number { .. } => number()?,
        _ => Value::String(string()),
    })
}

#[cfg(test)]
mod tests {
    use onething::device_model::Model;
    use serde_json::json;

    use super::*;

    fn check(said: &str, expected: Result<Value, &str>) {
        let properties = Model::parse(Model::SAMPLE).unwrap().properties;
        let reading = read(said.as_bytes(), "nozzle", &properties);
        let told = reading.and_then(|reading| match reading.invalid_reports.first() {
            Some(invalid_report) => Err(invalid_report.why.clone()),
            None => Ok(Value::Object(reading.properties)),
        });
        assert_eq!(told, expected.map_err(str::to_owned), "{said}");
    }

    #[test]
    fn a_bare_value_belongs_to_the_sensors_own_property() {
        check("41.5\n", Ok(json!({"nozzle": 41.5})));
        check("\u{feff} 20.0\r\n", Ok(json!({"nozzle": 20})));
        check("1e2", Ok(json!({"nozzle": 100})));
        check("hot", Err("`nozzle` cannot be \"hot\": it is a number from 0 to 400 degrees"));
        check("-1", Err("`nozzle` cannot be \"-1\": it is a number from 0 to 400 degrees"));
        check("NaN", Err("`nozzle` cannot be \"NaN\": it is a number from 0 to 400 degrees"));
        check("20 21", Err("`nozzle` cannot be \"20 21\": it is a number from 0 to 400 degrees"));
        check("\n", Err("it printed nothing"));
        let properties = Model::parse(Model::SAMPLE).unwrap().properties;
        let read = |said: &str, property: &str| Value::Object(bare(said, property, &properties).properties);
        assert_eq!(read("on", "power"), json!({"power": "ON"}));
        assert_eq!(read("\"a vase\"", "model"), json!({"model": "a vase"}));
        assert_eq!(read("12", "model"), json!({"model": "12"}));
    }

    #[test]
    fn an_object_may_contain_any_properties() {
        check(r#"{"nozzle": 20, "bed": 30.5}"#, Ok(json!({"nozzle": 20, "bed": 30.5})));
        check(r#"{"nozzle": 20, "humidity": 30}"#, Err("there is no property `humidity` for the value 30"));
        check(r#"{"nozzle": 20"#, Err("it printed broken JSON: EOF while parsing an object at line 1 column 13"));
        check("{\"nozzle\": 20}\n{\"nozzle\": 21}", Err("it printed JSON followed by more text: \"{\\\"nozzle\\\": 21}\""));
    }
}
