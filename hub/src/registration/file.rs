//! The file `register.toml` and the policies beside it, which are validated at the start with the other settings.

use std::collections::BTreeSet;
use std::path::Path;

use onething::config::Source;
use onething::registration::{HookAddress, RegistrationPolicy};

use crate::policy::DEVICE_POLICY;
use crate::policy::Policy;

/// The content of `register.toml` and of the policies that it names.
#[derive(Default)]
pub struct Registration {
    /// The registration policy.
    pub policy: RegistrationPolicy,
    /// The name and the document of each policy that the registration policy names, except the device policy of the skill.
    pub policies: Vec<(String, String)>,
}

impl Registration {
    /// Reads the file and the policies, `policies/NAME.json` beside it. Each fault names its file.
    pub fn read(file: &Path, source: &impl Source) -> Result<Self, Vec<String>> {
        let toml = text(file, source).map_err(|fault| vec![format!("--register {fault}")])?;
        let rules = RegistrationPolicy::parse(&toml)
            .map_err(|faults| faults.0.iter().map(|fault| format!("--register: {fault}")).collect::<Vec<_>>())?;
        let mut faults = Vec::new();
        if matches!(rules.hook, Some(HookAddress::Lambda(_))) {
            faults.push("--register: registration.hook: there are no Lambda functions here; name a URL".to_owned());
        }
        if rules.roots.is_some() {
            faults.push("--register: [roots]: devices know this hub by its own root; leave the table out".to_owned());
        }
        let named: BTreeSet<&String> =
            rules.types.values().flat_map(|of_type| &of_type.kind.policies).filter(|name| *name != DEVICE_POLICY).collect();
        let mut policies = Vec::new();
        for name in named {
            match policy(&file.with_file_name("policies").join(format!("{name}.json")), source) {
                Ok(document) => policies.push((name.clone(), document)),
                Err(fault) => faults.push(format!("--register: policy {name}: {fault}")),
            }
        }
        if faults.is_empty() { Ok(Self { policy: rules, policies }) } else { Err(faults) }
    }
}

fn policy(file: &Path, source: &impl Source) -> Result<String, String> {
    let document = text(file, source)?;
    Policy::parse(&document).map_err(|error| format!("{} is no policy: {error}", file.display()))?;
    Ok(document)
}

fn text(file: &Path, source: &impl Source) -> Result<String, String> {
    source.file(&file.to_string_lossy()).map_err(|error| format!("{} cannot be read: {error}", file.display()))
}
