//! The device model in the form that the page needs to display the device.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use onething::device_model::{Model, Property, Simulation, ValueKind};
use serde_json::{Value, json};

use crate::hub::Hub;

pub(super) async fn model(State(hub): State<Arc<Hub>>) -> Json<Value> {
    Json(shown(&hub.skill.model))
}

fn shown(model: &Model) -> Value {
    let properties: Vec<Value> = model.properties.iter().map(|(name, property)| shown_property(name, property)).collect();
    let picture = (model.simulates == Some(Simulation::Printer)).then_some("printer");
    json!({"version": env!("CARGO_PKG_VERSION"), "name": model.name, "picture": picture, "properties": properties, "commands": model.commands.keys().collect::<Vec<_>>(),
        "intents": model.intents.keys().collect::<Vec<_>>()})
}

fn shown_property(name: &str, property: &Property) -> Value {
    let (kind, about) = match &property.kind {
        ValueKind::Switch => ("switch", json!({})),
        ValueKind::Choice { values } => ("choice", json!({"values": values})),
        ValueKind::Text { .. } => ("text", json!({})),
        ValueKind::Number { min, max, unit, .. } => ("number", json!({"min": min, "max": max, "unit": unit})),
    };
    let mut shown = json!({"name": name, "type": kind, "writtenBy": if property.reported_only { "device" } else { "owner" }});
    if let (Some(shown), Value::Object(about)) = (shown.as_object_mut(), about) {
        shown.extend(about);
    }
    shown
}
