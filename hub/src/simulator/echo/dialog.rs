//! A dialog about one intent: the slots that are filled so far, and the open question.
//!
//! The intent is kept in the JSON form of requests and responses, because Alexa and the skill each send the whole intent
//! (<https://developer.amazon.com/docs/alexa/custom-skills/dialog-interface-reference.html>).

use data_encoding::HEXLOWER;
use md5::{Digest, Md5};
use onething::speech::locales::Locale;
use serde_json::{Map, Value, json};

use crate::clock;
use crate::simulator::utterance::interaction::{Intent, InteractionModel};
use crate::simulator::utterance::resolve::{Authority, Filled, Match, Resolution};

/// The question that the user is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// The value of the slot with this name.
    Slot(String),
    /// The confirmation of the slot with this name.
    ConfirmSlot(String),
    /// The confirmation of the intent.
    ConfirmIntent,
}

/// An intent with the state of its dialog.
#[derive(Clone, Debug)]
pub(super) struct Dialog {
    /// The `intent` object of a request.
    pub(super) intent: Value,
    /// The open question, if there is one.
    pub(super) question: Option<Question>,
    /// Whether Alexa manages the dialog without the skill (delegation strategy `ALWAYS`).
    pub(super) automatic: bool,
}

/// A dialog directive of a skill.
pub(super) enum Directive {
    /// The speech of the response asks this question.
    Ask(Question),
    /// Alexa asks with the prompts of the dialog model.
    Delegate,
}

impl Directive {
    /// The first dialog directive, with its `updatedIntent` if it has one.
    pub(super) fn read(directives: &[Value]) -> Option<(Self, Option<&Value>)> {
        directives.iter().find_map(|directive| {
            let text = |field: &str| directive[field].as_str().unwrap_or_default().to_owned();
            let read = match directive["type"].as_str()? {
                "Dialog.ElicitSlot" => Directive::Ask(Question::Slot(text("slotToElicit"))),
                "Dialog.ConfirmSlot" => Directive::Ask(Question::ConfirmSlot(text("slotToConfirm"))),
                "Dialog.ConfirmIntent" => Directive::Ask(Question::ConfirmIntent),
                "Dialog.Delegate" => Directive::Delegate,
                _ => return None,
            };
            Some((read, directive.get("updatedIntent").filter(|intent| intent.is_object())))
        })
    }
}

impl Dialog {
    /// Starts a dialog with the intent and the slots of a match.
    pub(super) fn begin(model: &InteractionModel, skill_id: &str, found: &Match) -> Self {
        let known = model.intent(&found.intent);
        let slots = known.map(|known| known.slots.iter().map(|slot| (slot.name.clone(), unfilled(&slot.name))).collect::<Map<_, _>>());
        let mut intent = json!({"name": found.intent, "confirmationStatus": "NONE"});
        if let Some(slots) = slots.filter(|slots| !slots.is_empty()) {
            intent["slots"] = Value::Object(slots);
        }
        let automatic = known.and_then(|known| known.dialog.as_ref()).is_some_and(|dialog| dialog.automatic);
        let mut dialog = Self { intent, question: None, automatic };
        dialog.fill(skill_id, found);
        dialog
    }

    /// The name of the intent.
    pub(super) fn name(&self) -> &str {
        self.intent["name"].as_str().unwrap_or_default()
    }

    /// Sets the slots of a match; the other slots keep their values.
    pub(super) fn fill(&mut self, skill_id: &str, found: &Match) {
        for (name, values) in &found.slots {
            self.put(name, slot(skill_id, name, values));
        }
    }

    /// Records the answer to a question of confirmation.
    pub(super) fn confirm(&mut self, yes: bool) {
        let status = json!(if yes { "CONFIRMED" } else { "DENIED" });
        match &self.question {
            Some(Question::ConfirmSlot(name)) => {
                if let Some(Value::Object(slot)) = self.intent.get_mut("slots").and_then(|slots| slots.get_mut(name)) {
                    slot.insert("confirmationStatus".into(), status);
                }
            }
            Some(Question::ConfirmIntent) => {
                if let Value::Object(intent) = &mut self.intent {
                    intent.insert("confirmationStatus".into(), status);
                }
            }
            Some(Question::Slot(_)) | None => {}
        }
    }

    /// The next question by the dialog model, with its prompt; `None` when the dialog is complete.
    pub(super) fn next(&mut self, known: &Intent) -> Option<(Question, String)> {
        let status = |value: &Value| value["confirmationStatus"].as_str().unwrap_or("NONE").to_owned();
        // A denied intent needs no further question.
        if status(&self.intent) == "DENIED" {
            return None;
        }
        for slot in &known.slots {
            let Some(rules) = &slot.dialog else { continue };
            let now = self.intent["slots"][&slot.name].clone();
            let denied = rules.confirmation.is_some() && status(&now) == "DENIED";
            if denied {
                self.put(&slot.name, unfilled(&slot.name));
            }
            let empty = now["value"].is_null() && now["slotValue"].is_null();
            let question = match (&rules.elicitation, &rules.confirmation) {
                (Some(prompt), _) if denied || empty => (Question::Slot(slot.name.clone()), prompt),
                (_, Some(prompt)) if !denied && !empty && status(&now) == "NONE" => (Question::ConfirmSlot(slot.name.clone()), prompt),
                _ => continue,
            };
            return Some((question.0, self.prompt(question.1)));
        }
        let confirmation = known.dialog.as_ref()?.confirmation.as_ref()?;
        (status(&self.intent) == "NONE").then(|| (Question::ConfirmIntent, self.prompt(confirmation)))
    }

    /// The dialog model of the intent, if it allows the directive. Otherwise the error message, with which Alexa rejects the
    /// response as not valid.
    pub(super) fn rules<'m>(&self, model: &'m InteractionModel, directive: &Directive) -> Result<&'m Intent, String> {
        let name = self.name();
        let known = model.intent(name).filter(|known| known.dialog.is_some());
        let known = known.ok_or_else(|| format!("a dialog directive about {name}, which is not in the dialog model"))?;
        match directive {
            Directive::Ask(Question::Slot(slot) | Question::ConfirmSlot(slot))
                if known.slot(slot).is_none_or(|slot| slot.dialog.is_none()) =>
            {
                Err(format!("a dialog directive about the slot {slot}, which the dialog model of {name} does not have"))
            }
            _ => Ok(known),
        }
    }

    /// A prompt with each `{slot}` replaced by the value of the slot. Braces within a value are plain text.
    fn prompt(&self, text: &str) -> String {
        let (mut prompt, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once('{') {
            prompt.push_str(before);
            let named = after.split_once('}').and_then(|(name, after)| Some((self.intent["slots"].get(name)?, after)));
            rest = match named {
                Some((slot, after)) => {
                    prompt.push_str(&said(slot));
                    after
                }
                None => {
                    prompt.push('{');
                    after
                }
            };
        }
        prompt + rest
    }

    fn put(&mut self, name: &str, slot: Value) {
        let Value::Object(intent) = &mut self.intent else { return };
        let slots = intent.entry("slots").or_insert_with(|| json!({}));
        if let Value::Object(slots) = slots {
            slots.insert(name.to_owned(), slot);
        }
    }
}

/// The spoken form of the value or values of a slot.
fn said(slot: &Value) -> String {
    let text = |value: &Value| Locale::default().words(value["value"].as_str().unwrap_or_default(), clock::now()).text;
    match slot["slotValue"]["values"].as_array() {
        Some(values) => Locale::default().list(&values.iter().map(text).collect::<Vec<_>>()),
        None => text(slot),
    }
}

fn unfilled(name: &str) -> Value {
    json!({"name": name, "confirmationStatus": "NONE"})
}

/// The JSON of a filled slot. Several values are written only into `slotValue`
/// (<https://developer.amazon.com/docs/alexa/custom-skills/collect-multiple-values-in-a-slot.html>).
fn slot(skill_id: &str, name: &str, values: &[Filled]) -> Value {
    let mut slot = json!({"name": name, "confirmationStatus": "NONE", "source": "USER"});
    let mut simple: Vec<Value> = values.iter().map(|filled| simple(skill_id, filled)).collect();
    if simple.len() > 1 {
        slot["slotValue"] = json!({"type": "List", "values": simple});
    } else if let Some(one) = simple.pop() {
        slot["value"] = one["value"].clone();
        if let Some(resolutions) = one.get("resolutions") {
            slot["resolutions"] = resolutions.clone();
        }
        slot["slotValue"] = one;
    }
    slot
}

fn simple(skill_id: &str, filled: &Filled) -> Value {
    let mut simple = json!({"type": "Simple", "value": filled.value});
    if let Some(resolution) = &filled.resolution {
        simple["resolutions"] = json!({"resolutionsPerAuthority": [authority(skill_id, resolution)]});
    }
    simple
}

/// The JSON of an entity resolution. Without a match, `values` is absent. A value without an id in the interaction model has the
/// MD5 of its name as id (<https://developer.amazon.com/docs/alexa/custom-skills/entity-resolution-for-custom-slot-types.html>).
/// A value that Amazon knows has a URL as id
/// (<https://developer.amazon.com/docs/alexa/custom-skills/entity-resolution-for-built-in-slot-types.html>).
fn authority(skill_id: &str, resolution: &Resolution) -> Value {
    let name = match &resolution.authority {
        Authority::SlotType(slot_type) => format!("amzn1.er-authority.echo-sdk.{skill_id}.{slot_type}"),
        Authority::AlexaEntities => "AlexaEntities".to_owned(),
    };
    if resolution.values.is_empty() {
        return json!({"authority": name, "status": {"code": "ER_SUCCESS_NO_MATCH"}});
    }
    let values = resolution.values.iter().map(|value| {
        let digest = HEXLOWER.encode(&Md5::digest(&value.name));
        let id = match (&value.id, &resolution.authority) {
            (Some(id), _) => id.clone(),
            (None, Authority::SlotType(_)) => digest,
            (None, Authority::AlexaEntities) => format!("https://ld.amazonalexa.com/entities/v1/{}", &digest[..22]),
        };
        json!({"value": {"name": value.name, "id": id}})
    });
    json!({"authority": name, "status": {"code": "ER_SUCCESS_MATCH"}, "values": values.collect::<Vec<_>>()})
}
