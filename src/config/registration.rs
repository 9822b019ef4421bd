//! The environment variables of the registration endpoint.

use std::sync::Arc;

use super::{Source, is_base_url};
use crate::registration::RegistrationPolicy;

/// The source of the registration policy.
#[derive(Debug)]
pub enum PolicySource {
    /// `REGISTER_TERMS`, the file `REGISTER_TERMS_FILE`, or neither. Without a policy, only claim codes and access tokens of
    /// owners are accepted.
    Given(Arc<RegistrationPolicy>),
    /// `REGISTER_TERMS_PARAMETER`: the path of the parameters in the Parameter Store.
    Parameters(String),
}

/// The values of the variables.
#[derive(Debug, Default)]
pub(super) struct RegistrationVariables {
    /// `REGISTER=on`: this function is the registration endpoint, with this policy.
    pub policy: Option<PolicySource>,
    /// `REGISTER_TABLE`: the DynamoDB table of claim codes.
    pub claims: Option<String>,
    /// `REGISTER_URL`: the URL of the endpoint, for responses to owners.
    pub url: Option<String>,
}

pub(super) fn read(source: &impl Source, faults: &mut Vec<String>) -> RegistrationVariables {
    let claims = source.variable("REGISTER_TABLE");
    let table_char = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if claims.as_ref().is_some_and(|name| !(3..=255).contains(&name.len()) || !name.chars().all(table_char)) {
        faults.push("REGISTER_TABLE must be 3 to 255 letters, digits and `_.-`".into());
    }
    let url = source.variable("REGISTER_URL");
    if url.as_ref().is_some_and(|url| !url.starts_with("https://") || !is_base_url(url)) {
        faults.push("REGISTER_URL must be an https URL without a query".into());
    }
    let is_on = match source.variable("REGISTER").as_deref() {
        Some("on") => true,
        Some("off") | None => false,
        Some(_) => {
            faults.push("REGISTER must be `on` or `off`".into());
            false
        }
    };
    if is_on && claims.is_none() {
        faults.push("REGISTER_TABLE is missing: without it nobody counts who tries what".into());
    }
    let policy = if is_on { policy(source, faults) } else { None };
    RegistrationVariables { policy, claims, url }
}

fn policy(source: &impl Source, faults: &mut Vec<String>) -> Option<PolicySource> {
    let names = ["REGISTER_TERMS", "REGISTER_TERMS_FILE", "REGISTER_TERMS_PARAMETER"];
    let [given, file, path] = names.map(|name| source.variable(name));
    match (given, file, path) {
        (None, None, None) => Some(PolicySource::Given(Arc::default())),
        (Some(toml), None, None) => parsed("REGISTER_TERMS", &toml, faults),
        (None, Some(file), None) => match source.file(&file) {
            Ok(toml) => parsed("REGISTER_TERMS_FILE", &toml, faults),
            Err(error) => {
                faults.push(format!("REGISTER_TERMS_FILE {file} cannot be read: {error}"));
                None
            }
        },
        (None, None, Some(path)) => {
            let legal = |c: char| c.is_ascii_alphanumeric() || "_.-/".contains(c);
            if path.starts_with('/') && !path.ends_with('/') && path.chars().all(legal) {
                return Some(PolicySource::Parameters(path));
            }
            faults.push("REGISTER_TERMS_PARAMETER must be a path, such as /onething/prod/register".into());
            None
        }
        _ => {
            faults.push(format!("{} say the same: set one of them at most", names.join(", ")));
            None
        }
    }
}

fn parsed(name: &str, toml: &str, faults: &mut Vec<String>) -> Option<PolicySource> {
    let parsed = RegistrationPolicy::parse(toml);
    parsed
        .map_err(|error| faults.extend(error.0.into_iter().map(|fault| format!("{name} {fault}"))))
        .ok()
        .map(|policy| PolicySource::Given(Arc::new(policy)))
}
