//! Requests as Amazon's documentation prints them: with placeholders, intents of other skills, and `"string"` in every field.
//! Only a placeholder for the skill id is replaced.

use serde_json::Value;

use crate::SHADOW;
use crate::harness::alexa::Echo;
use crate::harness::aws::Aws;
use crate::harness::function::Function;

/// The expected response to a sample: an empty one, a LinkAccount card, speech without that card, or "cannot fulfil".
#[derive(Debug, PartialEq)]
enum Outcome {
    Empty,
    LinkAccount,
    Spoken,
    CannotFulfill,
}

async fn check(function: &Function, sample: &str, expected: Outcome) {
    let mut request: Value = serde_json::from_str(sample).expect("JSON");
    let skill_id = Echo::unlinked().skill_id;
    for pointer in ["/context/System/application/applicationId", "/session/application/applicationId"] {
        if let Some(id) = request.pointer_mut(pointer) {
            *id = Value::from(skill_id.as_str());
        }
    }
    let answer = function.lambda.answer_to(&request).await;
    let response = answer.response();
    let outcome = match response {
        response if response["canFulfillIntent"]["canFulfill"] == "NO" => Outcome::CannotFulfill,
        response if response["card"]["type"] == "LinkAccount" => Outcome::LinkAccount,
        response if response.get("outputSpeech").is_some() => Outcome::Spoken,
        _ => Outcome::Empty,
    };
    assert_eq!(outcome, expected, "{:#}", request["request"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documentations_samples_are_answered() {
    let function = Function::with(Aws::with_shadow(SHADOW).await).await;
    let samples = [
        (include_str!("../fixtures/alexa/request_format.json"), Outcome::Empty),
        (include_str!("../fixtures/alexa/field_types.json"), Outcome::Spoken),
        (include_str!("../fixtures/alexa/launch_request.json"), Outcome::LinkAccount),
        (include_str!("../fixtures/alexa/intent_request.json"), Outcome::LinkAccount),
        (include_str!("../fixtures/alexa/session_ended_request.json"), Outcome::Empty),
        (include_str!("../fixtures/alexa/can_fulfill_intent_request.json"), Outcome::CannotFulfill),
        (include_str!("../fixtures/alexa/skill_account_linked.json"), Outcome::Empty),
    ];
    for (sample, expected) in samples {
        check(&function, sample, expected).await;
    }
    assert!(function.aws.calls().is_empty());
}
