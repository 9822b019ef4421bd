//! Smart home directives, which carry no skill id. This skill offers no smart home, and says so in the form
//! that Alexa reads: `Alexa.ErrorResponse`.

use serde_json::{Value, json};

/// The answer to any directive.
pub fn refuse(directive: &Value, message_id: &str) -> Value {
    let mut event = json!({
        "header": {"namespace": "Alexa", "name": "ErrorResponse", "payloadVersion": "3", "messageId": message_id},
        "payload": {"type": "INVALID_DIRECTIVE", "message": "this skill offers no smart home devices"},
    });
    if let Some(correlation) = directive.pointer("/header/correlationToken").filter(|token| token.is_string()) {
        event["header"]["correlationToken"] = correlation.clone();
    }
    if let Some(endpoint) = directive.pointer("/endpoint/endpointId").filter(|id| id.is_string()) {
        event["endpoint"] = json!({"endpointId": endpoint});
    }
    json!({"event": event})
}
