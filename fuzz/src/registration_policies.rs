//! `register.toml`: the registration policy.

use onething::registration::RegistrationPolicy;

/// Parses the policy twice.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match (RegistrationPolicy::parse(&text), RegistrationPolicy::parse(&text)) {
        (Ok(policy), Ok(again)) => {
            assert_eq!(format!("{policy:?}"), format!("{again:?}"));
            assert!((1..=10_000).contains(&policy.per_source) && (1..=10).contains(&policy.hook_within.as_secs()));
            for (name, of_type) in &policy.types {
                assert!(*name == of_type.kind.thing_type && !of_type.kind.policies.is_empty(), "{name}");
            }
        }
        (Err(faults), Err(again)) => {
            assert_eq!(faults, again);
            let said = faults.to_string();
            assert!(!faults.0.is_empty() && said.len() <= 1_000 + 100 * text.len(), "{} bytes of {}", said.len(), text.len());
        }
        other => panic!("{other:?}"),
    }
}
