use serde_json::json;

use super::*;

fn request() -> Value {
    json!({
        "version": "1.0",
        "session": {"new": true, "user": {"accessToken": "Atza|secret"}},
        "context": {"System": {"application": {"applicationId": "amzn1.ask.skill.x"}}},
        "request": {"type": "LaunchRequest", "requestId": "amzn1.echo-api.request.1"},
    })
}

fn check(event: &Value, place: &str) {
    let found = NotAnAlexaRequest::find(event).unwrap_or_else(|| panic!("nothing is found in {event}"));
    assert_eq!(found, NotAnAlexaRequest::Wrapped(Place(place.to_owned())));
    let said = found.to_string();
    assert!(said.contains(&format!("inside `{place}`")) && said.contains("expected") && !said.contains("Atza"), "{said}");
}

#[test]
fn a_wrapped_alexa_request_is_found_at_its_location() {
    let text = request().to_string();
    for (event, place) in [
        (json!({"version": "2.0", "requestContext": {"http": {"method": "POST"}}, "body": text}), "body"),
        (json!({"httpMethod": "POST", "requestContext": {"stage": "prod"}, "body": text}), "body"),
        (json!({"httpMethod": "POST", "requestContext": {"elb": {}}, "body": text}), "body"),
        (json!({"body": BASE64_STANDARD.encode(text.as_bytes()), "isBase64Encoded": true}), "body"),
        (json!({"body": request()}), "body"),
        (json!({"body-json": request(), "params": {}}), "body-json"),
        (json!({"event": request()}), "event"),
        (json!({"user": "ana", "request": request()}), "request"),
        (json!({"request": request(), "response": {"version": "1.0"}, "heard": {}}), "request"),
        (json!({"Records": [{"eventSource": "aws:sqs", "body": text}]}), "Records[0].body"),
        (json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": text}}]}), "Records[0].Sns.Message"),
        (json!({"detail-type": "x", "detail": {"payload": request()}}), "detail.payload"),
        (json!([request()]), "[0]"),
        (json!({"Atza|secret": request()}), "…"),
    ] {
        check(&event, place);
    }
    assert_eq!(NotAnAlexaRequest::find(&json!(text)), Some(NotAnAlexaRequest::Wrapped(Place::default())));
}

#[test]
fn a_request_without_its_envelope_is_detected() {
    let found = NotAnAlexaRequest::find(&request()["request"]).unwrap();
    assert_eq!(found, NotAnAlexaRequest::WithoutEnvelope);
    assert!(found.to_string().contains("expected"), "{found}");
}

#[test]
fn other_events_are_not_taken_for_wrapped_requests() {
    assert_eq!(NotAnAlexaRequest::find(&request()), None);
    let mut holds_another = request();
    holds_another["session"]["attributes"] = json!({"last": request()});
    assert_eq!(NotAnAlexaRequest::find(&holds_another), None);
    for event in [json!({}), json!(null), json!([]), json!("request"), json!({"request": {}}), json!({"request": {"type": "x"}})] {
        assert_eq!(NotAnAlexaRequest::find(&event), None, "{event}");
    }
    let http = json!({"version": "2.0", "requestContext": {"http": {"method": "POST"}}, "body": "{}"});
    assert_eq!(NotAnAlexaRequest::find(&http), Some(NotAnAlexaRequest::HttpEvent));
}
