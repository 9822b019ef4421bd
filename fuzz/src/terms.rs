//! `register.toml`: on what terms devices may register.

use onething::registration::Terms;

/// Reads it.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match (Terms::parse(&text), Terms::parse(&text)) {
        (Ok(terms), Ok(again)) => {
            assert_eq!(format!("{terms:?}"), format!("{again:?}"));
            assert!((1..=10_000).contains(&terms.per_source) && (1..=10).contains(&terms.hook_within.as_secs()));
            for (name, of_type) in &terms.types {
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
