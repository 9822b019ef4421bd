//! A dialog about one intent: its slots as they fill, and the question that is open.
//!
//! The intent is kept as Alexa and skills write it, because each hands it to the other as a whole
//! (<https://developer.amazon.com/docs/alexa/custom-skills/dialog-interface-reference.html>).

use data_encoding::HEXLOWER;
use md5::{Digest, Md5};
use onething::speech::locales::Locale;
use serde_json::{Map, Value, json};

use crate::clock;
use crate::simulator::utterance::interaction::{Intent, InteractionModel};
use crate::simulator::utterance::resolve::{Authority, Filled, Match, Resolution};

/// What the speaker is being asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// What a slot holds.
    Slot(String),
    /// Whether a slot was understood rightly.
    ConfirmSlot(String),
    /// Whether to do it.
    ConfirmIntent,
}

/// An intent and what is open about it.
#[derive(Clone, Debug)]
pub(super) struct Dialog {
    /// As it goes over the wire.
    pub(super) intent: Value,
    /// The open question.
    pub(super) question: Option<Question>,
    /// Whether Alexa leads it without the skill.
    pub(super) automatic: bool,
}

/// A dialog directive of a skill.
pub(super) enum Directive {
    /// The skill's speech asks this.
    Ask(Question),
    /// Alexa asks by the prompts of the dialog model.
    Delegate,
}

impl Directive {
    /// The directive that leads the dialog, with the intent it brings along.
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
    /// A dialog that begins with what was understood.
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

    /// The intent's name.
    pub(super) fn name(&self) -> &str {
        self.intent["name"].as_str().unwrap_or_default()
    }

    /// Takes the slots that were understood; the others stay as they are.
    pub(super) fn fill(&mut self, skill_id: &str, found: &Match) {
        for (name, values) in &found.slots {
            self.put(name, slot(skill_id, name, values));
        }
    }

    /// Takes yes or no to a question of confirmation.
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
        // Nothing more to ask about what will not be done.
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

    /// The dialog model of the intent, where it allows the directive; of any other Alexa says that the answer is
    /// not valid.
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

    /// A prompt with the values of slots where it has their names. A value is text: braces in it name nothing.
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

/// The words for what a slot holds.
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

/// A slot as Alexa writes it: several values stand in its `slotValue` alone
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

/// Without a match `values` is absent. A value without an id in the model has the MD5 of its name for one
/// (<https://developer.amazon.com/docs/alexa/custom-skills/entity-resolution-for-custom-slot-types.html>), and one that Amazon knows an address
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
