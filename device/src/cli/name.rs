//! The name of the device: from the option or the variable, else the host name, else a generated name.
//!
//! A name is valid for an IoT thing and fits into the subject of a certificate: 1 to 64 of `a-z A-Z 0-9 : _ -`
//! (<https://docs.aws.amazon.com/iot/latest/apireference/API_CreateThing.html>, RFC 5280 appendix A.1).

use std::fmt;

use thiserror::Error;

const LONGEST: usize = 64;

/// A valid name of a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(String);

/// Why a requested name is invalid.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum NameError {
    /// The source of the name, and its length, which is out of range.
    #[error("a name has 1 to {LONGEST} characters, and the one of {0} has {1}")]
    Length(&'static str, usize),
    /// The source of the name, and a character that a thing name cannot contain.
    #[error("a name is of letters, digits and `:`, `_`, `-`; the one of {0} has {1:?}")]
    Character(&'static str, char),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Name {
    /// Accepts 1 to 64 of `a-z A-Z 0-9 : _ -`; `from` is the source of the name for the error message.
    pub(crate) fn parse(name: &str, from: &'static str) -> Result<Self, NameError> {
        if let Some(bad) = name.chars().find(|c| !is_legal(*c)) {
            return Err(NameError::Character(from, bad));
        }
        match name.len() {
            1..=LONGEST => Ok(Self(name.to_owned())),
            length => Err(NameError::Length(from, length)),
        }
    }

    /// The host name with invalid characters replaced, cut to the limit. `None` for a default host name.
    fn of_host(host: &str) -> Option<Self> {
        let host = host.trim();
        let name: String = host.chars().map(|c| if is_legal(c) { c } else { '-' }).take(LONGEST).collect();
        let chosen = !matches!(host, "" | "(none)" | "localhost" | "localhost.localdomain");
        (chosen && name.contains(|c: char| c.is_ascii_alphanumeric())).then_some(Self(name))
    }

    /// `thing-` and seven digits of the random number.
    fn of_chance(random: u32) -> Self {
        Self(format!("thing-{:07}", random % 10_000_000))
    }

    /// The name as a string.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_legal(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-')
}

/// The possible sources of a name; the first one that is set applies.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked<'a> {
    /// The option `--name`.
    pub(crate) option: Option<&'a str>,
    /// The variable `ONETHING_DEVICE_NAME`.
    pub(crate) variable: Option<&'a str>,
    /// The host name of the machine.
    pub(crate) host: Option<&'a str>,
    /// The name that was generated earlier and stored.
    pub(crate) kept: Option<&'a str>,
}

/// Chooses the name. Also returns whether the name was generated just now, so that it has to be stored.
pub(crate) fn choose(asked: Asked<'_>, random: u32) -> Result<(Name, bool), NameError> {
    if let Some(name) = asked.option {
        return Ok((Name::parse(name, "--name")?, false));
    }
    if let Some(name) = asked.variable {
        return Ok((Name::parse(name, "ONETHING_DEVICE_NAME")?, false));
    }
    if let Some(name) = asked.host.and_then(Name::of_host) {
        return Ok((name, false));
    }
    match asked.kept.and_then(|name| Name::parse(name, "the state folder").ok()) {
        Some(name) => Ok((name, false)),
        None => Ok((Name::of_chance(random), true)),
    }
}

/// The host name of the machine: on Linux (`proc_sys_kernel(5)`), or from a file.
pub(crate) fn host() -> Option<String> {
    ["/proc/sys/kernel/hostname", "/etc/hostname"].iter().find_map(|file| std::fs::read_to_string(file).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(asked: Asked<'_>, expected: &str, is_new: bool) {
        let (name, new) = choose(asked, 12_345_678).unwrap();
        assert_eq!((name.as_str(), new), (expected, is_new), "{asked:?}");
    }

    #[test]
    fn the_first_source_with_a_name_applies() {
        let all = Asked { option: Some("a"), variable: Some("b"), host: Some("c"), kept: Some("thing-0000001") };
        check(all, "a", false);
        check(Asked { option: None, ..all }, "b", false);
        check(Asked { option: None, variable: None, ..all }, "c", false);
        check(Asked { kept: all.kept, ..Asked::default() }, "thing-0000001", false);
        check(Asked::default(), "thing-2345678", true);
    }

    #[test]
    fn a_host_name_is_made_to_fit() {
        let host = |host| Asked { host: Some(host), ..Asked::default() };
        check(host("pi.workshop.example\n"), "pi-workshop-example", false);
        check(host("Wörkshop pi"), "W-rkshop-pi", false);
        let long = "a".repeat(70);
        check(host(&long), &long[..64], false);
        for nobody in ["", "localhost", "(none)", "\n", "..."] {
            check(host(nobody), "thing-2345678", true);
        }
    }

    #[test]
    fn a_requested_name_is_unchanged_or_refused() {
        let refused = |name| choose(Asked { option: Some(name), ..Asked::default() }, 0).unwrap_err().to_string();
        assert!(refused("my printer").ends_with("the one of --name has ' '"));
        assert!(refused("Drücker").ends_with("has 'ü'"));
        assert!(refused("").contains("1 to 64 characters"));
        assert!(refused(&"a".repeat(65)).contains("has 65"));
        let variable = Asked { variable: Some("a/b"), ..Asked::default() };
        assert!(choose(variable, 0).unwrap_err().to_string().contains("ONETHING_DEVICE_NAME has '/'"));
        check(Asked { option: Some("Office:3_b-x"), ..Asked::default() }, "Office:3_b-x", false);
    }

    #[test]
    fn an_invalid_stored_name_is_replaced() {
        check(Asked { kept: Some(""), ..Asked::default() }, "thing-2345678", true);
    }
}
