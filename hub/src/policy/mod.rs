//! Policies of AWS IoT. A document is parsed once and evaluated for each connect, publish, subscribe and delivery.
//!
//! - [`document`] parses a policy, [`context`] describes a connection, [`decide()`] evaluates a request, and [`check`] explains
//!   the decision.
//! - `json`, `pattern`, `key` and `condition` are the parts of a document.
//!
//! The module does no I/O. Two rules hold for every document. The value of a variable is text, never a wildcard or another
//! variable. An unknown value, such as a variable without a value or a condition key of another service, never makes an Allow
//! statement apply.
//!
//! Sources: <https://docs.aws.amazon.com/iot/latest/developerguide/iot-policies.html> and the pages below it,
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>,
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>.

pub mod check;
pub mod context;
pub mod decide;
pub mod document;

mod condition;
mod effect;
mod json;
mod key;
mod pattern;
mod request;
mod text;

pub use context::{Attachment, Context, ThingContext, association};
pub use decide::{DecidingStatement, Decision, decide, requires_thing};
pub use document::{Permission, Policy, PolicyError, Statement};
pub use effect::Effect;
pub use request::Request;

use onething::identifiers::ThingName;

/// The name of the device policy, as in the AWS stack.
pub const DEVICE_POLICY: &str = "OneUserOneThing";

/// The document of the device policy: the file that the AWS stack deploys.
pub const DEVICE_DOCUMENT: &str = include_str!("../../../infra/device-policy.json");

/// Returns the permissions of the certificate of a thing, statement by statement. `None` if the device policy is not valid.
pub fn permissions(thing: &ThingName) -> Option<Vec<Permission>> {
    let thing = ThingContext { name: thing.to_string(), ..ThingContext::default() };
    let context = Context { client_id: thing.name.clone(), thing: Some(thing), ..Context::default() };
    Some(Policy::parse(DEVICE_DOCUMENT).ok()?.permissions(&context))
}

#[cfg(test)]
mod adversary_tests;
#[cfg(test)]
mod aws_tests;
#[cfg(test)]
mod model_tests;

#[cfg(test)]
mod tests {
    use onething::identifiers::{OwnerId, ThingPrefix};

    use super::*;

    #[test]
    fn the_device_policy_allows_a_certificate_only_what_its_thing_needs() {
        let thing = ThingName::of(&ThingPrefix::parse("T-").unwrap(), &OwnerId::parse("amzn1.account.A").unwrap());
        let permissions = permissions(&thing).unwrap();
        let actions: Vec<&str> = permissions.iter().map(|permission| permission.action.as_str()).collect();
        assert_eq!(actions, ["iot:Connect", "iot:Publish", "iot:Subscribe", "iot:Receive"]);
        assert_eq!(permissions[0].resources, [format!("client/{thing}")]);
        let own = format!("$aws/things/{thing}/shadow/");
        for permission in &permissions[1..] {
            for resource in &permission.resources {
                let (_, topic) = resource.split_once('/').unwrap();
                assert!(topic.starts_with(&own) && !topic.contains("${"), "{resource}");
            }
        }
    }
}
