//! What is kept in the Parameter Store of AWS Systems Manager: `GetParametersByPath`, decrypted
//! (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParametersByPath.html>).

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;
use serde_json::json;
use thiserror::Error;
use zeroize::Zeroizing;

use super::signed::{Call, Failure, Service};

/// More pages than these are no configuration: ten parameters are on one.
const PAGES: usize = 20;

/// The Parameter Store.
#[derive(Clone)]
pub struct Parameters {
    service: Service,
}

/// Why a text could not be read from the store. It tells the name and nothing of what is kept there.
#[derive(Debug, Error)]
pub enum ParameterError {
    /// Nothing is kept there.
    #[error("there is no parameter below {0}")]
    Missing(String),
    /// Over a quota.
    #[error("throttled")]
    Throttled,
    /// Refused for good.
    #[error("refused with {0}")]
    Refused(String),
    /// No clear answer.
    #[error("no clear answer: {0}")]
    Unclear(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    parameters: Vec<Parameter>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    name: String,
    value: String,
}

fn read(failure: Failure) -> ParameterError {
    match failure {
        Failure::Throttled(_) => ParameterError::Throttled,
        Failure::Refused(refusal) => ParameterError::Refused(refusal.to_string()),
        Failure::Unsent(why) => ParameterError::Refused(why.into()),
        Failure::Unclear(what) => ParameterError::Unclear(what),
    }
}

impl Parameters {
    pub(super) fn new(service: Service) -> Self {
        Self { service }
    }

    /// The values directly below a path, each a paragraph of one text, in order of their names: a parameter holds four
    /// kilobytes at most, and a text may be longer.
    pub async fn text(&self, path: &str) -> Result<Zeroizing<String>, ParameterError> {
        let mut found = BTreeMap::new();
        let mut next = None;
        for _ in 0..PAGES {
            let mut body = json!({"Path": path, "Recursive": false, "WithDecryption": true, "MaxResults": 10});
            if let Some(token) = &next {
                body["NextToken"] = json!(token);
            }
            let call = Call::new(Method::POST, &[]).action("1.1", "AmazonSSM.GetParametersByPath", &body);
            let page: Page = self.service.send(call).await.and_then(|reply| reply.json()).map_err(read)?;
            found.extend(page.parameters.into_iter().map(|parameter| (parameter.name, Zeroizing::new(parameter.value))));
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return joined(found).ok_or_else(|| ParameterError::Missing(path.to_owned()));
            }
        }
        Err(ParameterError::Unclear("the list of parameters has no end".into()))
    }
}

fn joined(found: BTreeMap<String, Zeroizing<String>>) -> Option<Zeroizing<String>> {
    found.into_values().reduce(|mut text, more| {
        text.push('\n');
        text.push_str(&more);
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_text_are_joined_in_order_of_their_names() {
        let part = |name: &str, value: &str| (name.to_owned(), Zeroizing::new(value.to_owned()));
        let parts = [part("/a/02", "three"), part("/a/00", "one"), part("/a/01", "two\n")];
        assert_eq!(joined(parts.into()).as_deref().map(String::as_str), Some("one\ntwo\n\nthree"));
        assert!(joined(BTreeMap::new()).is_none());
    }
}
