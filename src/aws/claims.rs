//! Claim codes in a table of Amazon DynamoDB, with one item for each code and one item for each time window in which events are
//! counted (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Operations_Amazon_DynamoDB.html>).
//!
//! Every change is one conditional write to one item, so attempts are counted exactly and only one device can use a code.
//! DynamoDB deletes expired items within days, so an item can exist after its expiry. Only the value of `expires` counts.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use aws_sdk_dynamodb::{Client, Config};
use aws_smithy_types::retry::RetryConfig;

use super::failure::Failure;
use crate::identifiers::OwnerId;
use crate::registration::claims::{Claim, Claims, ClaimsError};
use crate::secrets::Fingerprint;

type Item = HashMap<String, AttributeValue>;

/// A table whose partition key is the string `claim`, with `expires` as its time to live.
#[derive(Clone)]
pub struct DynamoClaims {
    client: Client,
    table: String,
}

/// Parses an item. `None` if it is not a complete claim.
fn claim(item: &Item) -> Option<Claim> {
    let text = |name| item.get(name)?.as_s().ok();
    Some(Claim {
        fingerprint: Fingerprint::parse(text("fingerprint")?)?,
        owner: OwnerId::parse(text("whose")?)?,
        until: count(item, "expires")?,
        tries: count(item, "tries")?.try_into().ok()?,
        used_by: match text("device") {
            Some(device) => Some(Fingerprint::parse(device)?),
            None => None,
        },
    })
}

/// A number of an item. DynamoDB transfers numbers as text.
fn count(item: &Item, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn of_code(name: &str) -> AttributeValue {
    text(format!("code/{name}"))
}

impl<E> From<Failure<E>> for ClaimsError {
    fn from(failure: Failure<E>) -> Self {
        failure.fold(ClaimsError::Throttled, ClaimsError::Refused, ClaimsError::Unclear)
    }
}

fn broken() -> ClaimsError {
    ClaimsError::Unclear("an item that cannot be read".into())
}

/// The number of attempts for one change.
#[derive(PartialEq, Eq)]
enum Attempts {
    /// The default of the client.
    Usual,
    /// A single attempt. A retry could count one event twice.
    Once,
}

impl DynamoClaims {
    pub(super) fn new(client: Client, table: &str) -> Self {
        Self { client, table: table.to_owned() }
    }

    fn change<const N: usize>(
        &self,
        key: AttributeValue,
        expression: &str,
        values: [(&str, AttributeValue); N],
    ) -> UpdateItemFluentBuilder {
        let values = values.map(|(name, value)| (name.to_owned(), value)).into();
        let call = self.client.update_item().table_name(&self.table).key("claim", key).update_expression(expression);
        call.set_expression_attribute_values(Some(values)).return_values(ReturnValue::AllNew)
    }

    /// Performs a change and returns the changed item. `None` if the condition of the change was false.
    async fn update(&self, attempts: Attempts, call: UpdateItemFluentBuilder) -> Result<Option<Item>, Failure<UpdateItemError>> {
        let mut call = call.customize();
        if attempts == Attempts::Once {
            call = call.config_override(Config::builder().retry_config(RetryConfig::disabled()));
        }
        match call.send().await.map_err(Failure::from) {
            Ok(updated) => Ok(Some(updated.attributes.unwrap_or_default())),
            Err(Failure::Refused(no)) if no.error.is_conditional_check_failed_exception() => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

impl Claims for DynamoClaims {
    async fn keep(&self, name: &str, claim: &Claim, now: u64) -> Result<bool, ClaimsError> {
        let call = self.client.put_item().table_name(&self.table);
        let call = call
            .item("claim", of_code(name))
            .item("fingerprint", text(claim.fingerprint.hex()))
            .item("whose", text(claim.owner.as_str()))
            .item("expires", number(claim.until))
            .item("tries", number(claim.tries.into()));
        let call = match &claim.used_by {
            Some(device) => call.item("device", text(device.hex())),
            None => call,
        };
        let call = call.condition_expression("attribute_not_exists(claim) OR expires <= :now");
        // A retry after a lost response finds its own item, which counts as taken. The caller then tries another name.
        match call.expression_attribute_values(":now", number(now)).send().await.map_err(Failure::from) {
            Ok(_) => Ok(true),
            Err(Failure::Refused(no)) if no.error.is_conditional_check_failed_exception() => Ok(false),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn attempt(&self, name: &str, now: u64) -> Result<Option<Claim>, ClaimsError> {
        let call = self.change(of_code(name), "ADD tries :one", [(":one", number(1)), (":now", number(now))]);
        match self.update(Attempts::Once, call.condition_expression("expires > :now")).await? {
            Some(found) => claim(&found).map(Some).ok_or_else(broken),
            None => Ok(None),
        }
    }

    async fn reset_attempts(&self, name: &str, now: u64) -> Result<(), ClaimsError> {
        let call = self.change(of_code(name), "SET tries = :none", [(":none", number(0)), (":now", number(now))]);
        // An expired claim is not renewed.
        self.update(Attempts::Usual, call.condition_expression("expires > :now")).await?;
        Ok(())
    }

    async fn redeem(&self, name: &str, device: &Fingerprint, now: u64) -> Result<bool, ClaimsError> {
        let values = [(":device", text(device.hex())), (":none", number(0)), (":now", number(now))];
        let call = self.change(of_code(name), "SET device = :device, tries = :none", values);
        let call = call.condition_expression("expires > :now AND (attribute_not_exists(device) OR device = :device)");
        Ok(self.update(Attempts::Usual, call).await?.is_some())
    }

    async fn count(&self, kind: &str, seconds: u64, now: u64) -> Result<u64, ClaimsError> {
        let seconds = seconds.max(1);
        let window = now / seconds;
        let over = (window + 1).saturating_mul(seconds);
        let key = text(format!("count/{seconds}/{window}/{kind}"));
        let call = self.change(key, "ADD events :one SET expires = :over", [(":one", number(1)), (":over", number(over))]);
        let counted = self.update(Attempts::Once, call).await?.unwrap_or_default();
        count(&counted, "events").ok_or_else(broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_a_claim_only_if_it_is_complete() {
        let (code, device) = (Fingerprint::of("a code"), Fingerprint::of("a device"));
        let mut item: Item = [
            ("claim", of_code("K7QF")),
            ("fingerprint", text(code.hex())),
            ("whose", text("amzn1.account.A")),
            ("expires", number(600)),
            ("tries", number(3)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let owner = OwnerId::parse("amzn1.account.A").unwrap();
        let whole = Claim { fingerprint: code, owner, until: 600, tries: 3, used_by: None };
        assert_eq!(claim(&item), Some(whole.clone()));
        item.insert("device".into(), text(device.hex()));
        assert_eq!(claim(&item), Some(Claim { used_by: Some(device), ..whole }));
        item.insert("device".into(), text("somebody"));
        assert_eq!(claim(&item), None);
        item.remove("device");
        item.insert("tries".into(), text("3"));
        assert_eq!(claim(&item), None);
    }
}
