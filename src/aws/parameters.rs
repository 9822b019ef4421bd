//! What is kept in the Parameter Store of AWS Systems Manager: `GetParametersByPath`, decrypted
//! (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParametersByPath.html>).

use std::collections::BTreeMap;

use aws_sdk_ssm::Client;
use thiserror::Error;
use zeroize::Zeroizing;

use super::failure::Failure;

/// More pages than these are no configuration: ten parameters are on one.
const PAGES: usize = 20;

/// The Parameter Store.
#[derive(Clone)]
pub struct Parameters {
    client: Client,
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

impl<E> From<Failure<E>> for ParameterError {
    fn from(failure: Failure<E>) -> Self {
        failure.fold(ParameterError::Throttled, ParameterError::Refused, ParameterError::Unclear)
    }
}

impl Parameters {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// The values directly below a path, each a paragraph of one text, in order of their names: a parameter holds four
    /// kilobytes at most, and a text may be longer.
    pub async fn text(&self, path: &str) -> Result<Zeroizing<String>, ParameterError> {
        let mut found = BTreeMap::new();
        let mut next = None;
        for _ in 0..PAGES {
            let call = self.client.get_parameters_by_path().path(path).recursive(false).with_decryption(true).max_results(10);
            let page = call.set_next_token(next).send().await.map_err(Failure::from)?;
            for parameter in page.parameters.into_iter().flatten() {
                found.extend(parameter.name.zip(parameter.value.map(Zeroizing::new)));
            }
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
