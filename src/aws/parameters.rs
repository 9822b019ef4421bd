//! Configuration in the Parameter Store of AWS Systems Manager: `GetParametersByPath` with decryption
//! (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParametersByPath.html>).

use std::collections::BTreeMap;

use aws_sdk_ssm::Client;
use thiserror::Error;
use zeroize::Zeroizing;

use super::failure::Failure;

/// The maximum number of pages that are read. A page has ten parameters, and no configuration needs more pages.
const PAGES: usize = 20;

/// A client of the Parameter Store.
#[derive(Clone)]
pub struct Parameters {
    client: Client,
}

/// Why a text could not be read from the store. The error contains the name of a parameter, but never a value.
#[derive(Debug, Error)]
pub enum ParameterError {
    /// There is no parameter below this path.
    #[error("there is no parameter below {0}")]
    Missing(String),
    /// A quota is exceeded.
    #[error("throttled")]
    Throttled,
    /// The call was refused permanently.
    #[error("refused with {0}")]
    Refused(String),
    /// There is no response, or no intelligible one.
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

    /// The values of the parameters directly below a path, joined by line breaks in the order of their names. One parameter holds
    /// at most four kilobytes, so a longer text needs several.
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
