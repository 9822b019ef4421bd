//! Claim codes in a table of Amazon DynamoDB, one item for each, and one for each window of time in which something is counted
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Operations_Amazon_DynamoDB.html>).
//!
//! Every change is one conditional write to one item, so tries are counted exactly and one device wins. DynamoDB deletes what is
//! over by itself, within days: what `expires` says counts, not whether the item is still there.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::signed::{Call, Failure, Patience, Service};
use crate::register::claims::{Claim, Claims, ClaimsError};
use crate::thing::{Fingerprint, OwnerId};

const CONDITION_FAILED: &str = "ConditionalCheckFailedException";

/// A table whose partition key is the string `claim`, with `expires` as its time to live.
#[derive(Clone)]
pub struct DynamoClaims {
    service: Service,
    table: String,
}

/// What the calls answer, as far as it is of use.
mod wire {
    use super::Deserialize;

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    pub(super) struct Updated {
        pub attributes: Attributes,
    }

    /// Of a claim, or of a count.
    #[derive(Default, Deserialize)]
    #[serde(default)]
    pub(super) struct Attributes {
        pub fingerprint: Attribute,
        pub whose: Attribute,
        pub expires: Attribute,
        pub tries: Attribute,
        pub device: Attribute,
        pub events: Attribute,
    }

    /// Numbers are text on the wire.
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    pub(super) struct Attribute {
        pub s: Option<String>,
        pub n: Option<String>,
    }
}

impl wire::Attribute {
    fn text(&self) -> Option<&str> {
        self.s.as_deref()
    }

    fn number(&self) -> Option<u64> {
        self.n.as_deref()?.parse().ok()
    }
}

impl wire::Attributes {
    fn claim(&self) -> Option<Claim> {
        Some(Claim {
            fingerprint: Fingerprint::parse(self.fingerprint.text()?)?,
            owner: OwnerId::parse(self.whose.text()?)?,
            until: self.expires.number()?,
            tries: self.tries.number()?.try_into().ok()?,
            used_by: match self.device.text() {
                Some(device) => Some(Fingerprint::parse(device)?),
                None => None,
            },
        })
    }
}

fn text(value: &str) -> Value {
    json!({"S": value})
}

fn number(value: u64) -> Value {
    json!({"N": value.to_string()})
}

fn of_code(name: &str) -> Value {
    text(&format!("code/{name}"))
}

fn read(failure: Failure) -> ClaimsError {
    match failure {
        Failure::Throttled(_) => ClaimsError::Throttled,
        Failure::Refused(refusal) => ClaimsError::Refused(refusal.to_string()),
        Failure::Unsent(why) => ClaimsError::Refused(why.into()),
        Failure::Unclear(what) => ClaimsError::Unclear(what),
    }
}

/// `None` where the item was not as the condition wants it.
fn unless_it_failed<T>(outcome: Result<T, Failure>) -> Result<Option<T>, ClaimsError> {
    match outcome {
        Ok(done) => Ok(Some(done)),
        Err(failure) if failure.is(CONDITION_FAILED) => Ok(None),
        Err(failure) => Err(read(failure)),
    }
}

fn broken() -> ClaimsError {
    ClaimsError::Unclear("an item that cannot be read".into())
}

impl DynamoClaims {
    pub(super) fn new(service: Service, table: &str) -> Self {
        Self { service, table: table.to_owned() }
    }

    fn call(&self, operation: &str, mut body: Value) -> Call {
        body["TableName"] = json!(self.table);
        Call::new(Method::POST, &[]).action("1.0", &format!("DynamoDB_20120810.{operation}"), &body)
    }

    /// Changes an item and tells how it is then.
    async fn update(&self, patience: Patience, body: Value) -> Result<wire::Attributes, Failure> {
        let updated = self.service.send(self.call("UpdateItem", body).patience(patience)).await?;
        updated.json::<wire::Updated>().map(|updated| updated.attributes)
    }
}

impl Claims for DynamoClaims {
    async fn keep(&self, name: &str, claim: &Claim, now: u64) -> Result<bool, ClaimsError> {
        let mut item = json!({
            "claim": of_code(name),
            "fingerprint": text(&claim.fingerprint.hex()),
            "whose": text(claim.owner.as_str()),
            "expires": number(claim.until),
            "tries": number(claim.tries.into()),
        });
        if let Some(device) = &claim.used_by {
            item["device"] = text(&device.hex());
        }
        let call = self.call(
            "PutItem",
            json!({
                "Item": item,
                "ConditionExpression": "attribute_not_exists(claim) OR expires <= :now",
                "ExpressionAttributeValues": {":now": number(now)},
            }),
        );
        // Again after a lost answer: it then meets its own item, and its caller takes another name.
        Ok(unless_it_failed(self.service.send(call).await)?.is_some())
    }

    async fn attempt(&self, name: &str, now: u64) -> Result<Option<Claim>, ClaimsError> {
        let body = json!({
            "Key": {"claim": of_code(name)},
            "UpdateExpression": "ADD tries :one",
            "ConditionExpression": "expires > :now",
            "ExpressionAttributeValues": {":one": number(1), ":now": number(now)},
            "ReturnValues": "ALL_NEW",
        });
        // Never again by itself: what was one try would be counted as two.
        match unless_it_failed(self.update(Patience::ONCE, body).await)? {
            Some(found) => found.claim().map(Some).ok_or_else(broken),
            None => Ok(None),
        }
    }

    async fn forgive(&self, name: &str, now: u64) -> Result<(), ClaimsError> {
        let body = json!({
            "Key": {"claim": of_code(name)},
            "UpdateExpression": "SET tries = :none",
            "ConditionExpression": "expires > :now",
            "ExpressionAttributeValues": {":none": number(0), ":now": number(now)},
            "ReturnValues": "ALL_NEW",
        });
        // One that is over is not brought back.
        unless_it_failed(self.update(Patience::USUAL, body).await).map(drop)
    }

    async fn redeem(&self, name: &str, device: &Fingerprint, now: u64) -> Result<bool, ClaimsError> {
        let body = json!({
            "Key": {"claim": of_code(name)},
            "UpdateExpression": "SET device = :device, tries = :none",
            "ConditionExpression": "expires > :now AND (attribute_not_exists(device) OR device = :device)",
            "ExpressionAttributeValues": {":device": text(&device.hex()), ":none": number(0), ":now": number(now)},
            "ReturnValues": "ALL_NEW",
        });
        Ok(unless_it_failed(self.update(Patience::USUAL, body).await)?.is_some())
    }

    async fn count(&self, kind: &str, seconds: u64, now: u64) -> Result<u64, ClaimsError> {
        let seconds = seconds.max(1);
        let window = now / seconds;
        let body = json!({
            "Key": {"claim": text(&format!("count/{seconds}/{window}/{kind}"))},
            "UpdateExpression": "ADD events :one SET expires = :over",
            "ExpressionAttributeValues": {":one": number(1), ":over": number((window + 1).saturating_mul(seconds))},
            "ReturnValues": "ALL_NEW",
        });
        let counted = self.update(Patience::ONCE, body).await.map_err(read)?;
        counted.events.number().ok_or_else(broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_a_claim_only_when_it_is_whole() {
        let read = |item: Value| serde_json::from_value::<wire::Attributes>(item).unwrap().claim();
        let (code, device) = (Fingerprint::of("a code"), Fingerprint::of("a device"));
        let mut item = json!({
            "claim": {"S": "code/K7QF"}, "fingerprint": {"S": code.hex()}, "whose": {"S": "amzn1.account.A"},
            "expires": {"N": "600"}, "tries": {"N": "3"},
        });
        let owner = OwnerId::parse("amzn1.account.A").unwrap();
        let claim = Claim { fingerprint: code, owner, until: 600, tries: 3, used_by: None };
        assert_eq!(read(item.clone()), Some(claim.clone()));
        item["device"] = json!({"S": device.hex()});
        assert_eq!(read(item.clone()), Some(Claim { used_by: Some(device), ..claim }));
        item["device"] = json!({"S": "somebody"});
        assert_eq!(read(item.clone()), None);
        item.as_object_mut().unwrap().remove("device");
        item["tries"] = json!({"S": "3"});
        assert_eq!(read(item), None);
    }
}
