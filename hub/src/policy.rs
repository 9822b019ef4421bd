//! What a device certificate may do: the policy document of the stack, read for one thing.
//!
//! It is the very file that the AWS stack deploys. Its resources are templates of CloudFormation: `${AWS::…}`
//! stands for the account, `${!iot:…}` for a variable of AWS IoT.

use onething::thing::ThingName;
use serde_json::Value;

/// The device policy.
const DOCUMENT: &str = include_str!("../../infra/device-policy.json");

/// One permission: an action of AWS IoT, and the client ids, topics or filters it is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Such as `iot:Publish`.
    pub action: String,
    /// Such as `topic/$aws/things/…/shadow/update`.
    pub resources: Vec<String>,
}

/// What the certificate of a thing may do, statement by statement. `None` when the document is not one.
pub fn permissions(thing: &ThingName) -> Option<Vec<Permission>> {
    let document: Value = serde_json::from_str(DOCUMENT).ok()?;
    document.get("Statement")?.as_array()?.iter().map(|statement| permission(statement, thing)).collect()
}

fn permission(statement: &Value, thing: &ThingName) -> Option<Permission> {
    let resources = match statement.get("Resource")? {
        Value::Array(several) => several.iter().map(|resource| resolved(resource, thing)).collect(),
        one => resolved(one, thing).map(|resource| vec![resource]),
    };
    Some(Permission { action: statement.get("Action")?.as_str()?.to_owned(), resources: resources? })
}

/// The resource without its ARN's prefix, whose account the hub does not have.
fn resolved(resource: &Value, thing: &ThingName) -> Option<String> {
    let template = resource.get("Fn::Sub")?.as_str()?;
    let (_, resource) = template.split_once("${AWS::AccountId}:")?;
    Some(resource.replace("${!iot:Connection.Thing.ThingName}", thing.as_str()))
}

#[cfg(test)]
mod tests {
    use onething::thing::{OwnerId, ThingPrefix};

    use super::*;

    #[test]
    fn a_certificate_may_do_what_its_thing_needs_and_nothing_else() {
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
