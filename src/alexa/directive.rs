//! Smart home directives. They carry no skill id. This skill offers no smart home devices, so the response to each directive is
//! an `Alexa.ErrorResponse`.

use serde_json::{Value, json};

/// The `INVALID_DIRECTIVE` error for a directive, with its correlation token and endpoint id if it has them. `message_id` is the
/// id of the response and must be unique.
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
