//! Checks for keys that the schema of interaction models does not have: most often a misspelled key, which Alexa ignores
//! (<https://developer.amazon.com/docs/alexa/smapi/interaction-model-schema.html>).

use serde_json::Value;

use super::Findings;

/// The allowed keys of an object and of the objects in it.
enum Schema {
    /// Any value.
    Any,
    /// An object with these keys.
    Object(&'static [(&'static str, Schema)]),
    /// A list of such values.
    List(&'static Schema),
}

use Schema::{Any, List, Object};

const FILE: Schema = Object(&[("interactionModel", MODEL), ("version", Any), ("description", Any)]);
const MODEL: Schema = Object(&[
    ("languageModel", LANGUAGE),
    ("dialog", DIALOG),
    ("prompts", List(&PROMPT)),
    ("conversations", Any),
    ("_nameFreeInteraction", Any),
]);
const LANGUAGE: Schema = Object(&[
    ("invocationName", Any),
    ("intents", List(&INTENT)),
    ("types", List(&TYPE)),
    ("modelConfiguration", Object(&[("fallbackIntentSensitivity", Object(&[("level", Any)]))])),
]);
const INTENT: Schema = Object(&[("name", Any), ("slots", List(&SLOT)), ("samples", Any)]);
const SLOT: Schema =
    Object(&[("name", Any), ("type", Any), ("samples", Any), ("multipleValues", Object(&[("enabled", Any)])), ("valueTransformers", Any)]);
const TYPE: Schema = Object(&[("name", Any), ("values", List(&VALUE)), ("valueSupplier", Any)]);
const VALUE: Schema = Object(&[("id", Any), ("name", Object(&[("value", Any), ("synonyms", Any)]))]);
const DIALOG: Schema = Object(&[("delegationStrategy", Any), ("intents", List(&DIALOG_INTENT))]);
const DIALOG_INTENT: Schema = Object(&[
    ("name", Any),
    ("delegationStrategy", Any),
    ("confirmationRequired", Any),
    ("prompts", PROMPTS),
    ("slots", List(&DIALOG_SLOT)),
]);
const DIALOG_SLOT: Schema = Object(&[
    ("name", Any),
    ("type", Any),
    ("confirmationRequired", Any),
    ("elicitationRequired", Any),
    ("prompts", PROMPTS),
    ("validations", List(&VALIDATION)),
]);
const PROMPTS: Schema = Object(&[("elicitation", Any), ("confirmation", Any)]);
const VALIDATION: Schema = Object(&[("type", Any), ("prompt", Any), ("value", Any), ("values", Any), ("start", Any), ("end", Any)]);
const PROMPT: Schema = Object(&[("id", Any), ("variations", List(&Object(&[("type", Any), ("value", Any)]))), ("definitionVersion", Any)]);

pub(super) fn check(file: &Value, findings: &mut Findings) {
    walk("", file, &FILE, findings);
}

fn walk(place: &str, value: &Value, schema: &Schema, findings: &mut Findings) {
    match (schema, value) {
        (Object(known), Value::Object(members)) => {
            for (key, value) in members {
                let inner = match place {
                    // All other paths begin inside of this object.
                    "" | "interactionModel" => key.clone(),
                    _ => format!("{place}.{key}"),
                };
                match known.iter().find(|(name, _)| name == key) {
                    Some((_, schema)) => walk(&inner, value, schema, findings),
                    None => {
                        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                        findings.interaction(inner, "Alexa knows no such key", format!("it can be {}", names.join(", ")));
                    }
                }
            }
        }
        (List(schema), Value::Array(items)) => {
            for (at, item) in items.iter().enumerate() {
                let name = ["name", "id", "prompt"].iter().find_map(|key| item.get(*key)?.as_str().or(item[*key]["value"].as_str()));
                let inner = name.map_or_else(|| format!("{place}[{at}]"), |name| format!("{place}.{name}"));
                walk(&inner, item, schema, findings);
            }
        }
        _ => {}
    }
}
