//! The faults of a device model, each with its place.

/// Collects faults, each with its place in the file.
#[derive(Default)]
pub(super) struct Faults(pub(super) Vec<String>);

impl Faults {
    pub(super) fn add(&mut self, place: &str, fault: impl std::fmt::Display) {
        self.0.push(format!("{place}: {fault}"));
    }

    pub(super) fn check(&mut self, good: bool, place: &str, fault: impl std::fmt::Display) {
        if !good {
            self.add(place, fault);
        }
    }
}

/// The message of a TOML error, preceded by its line number.
pub(crate) fn in_its_line(toml: &str, error: &toml::de::Error, message: &str) -> String {
    let line = error.span().map_or(1, |span| toml.bytes().take(span.start).filter(|c| *c == b'\n').count() + 1);
    format!("line {line}: {}", message.split_whitespace().collect::<Vec<_>>().join(" "))
}
