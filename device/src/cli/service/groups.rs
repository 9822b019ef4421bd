//! The groups that allow a user without files of its own to write what the actions write: `/dev/gpiochip0`, for example, belongs
//! to root and the group `gpio` on most machines.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::{Needs, UnitError};

/// The groups, and the paths whose group is unknown.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Groups {
    /// The groups by name, or by number if they have no name.
    pub(crate) groups: BTreeSet<String>,
    /// The paths that do not exist now.
    pub(crate) missing: Vec<PathBuf>,
}

impl Groups {
    /// The groups that the needs require on this machine. `names` is the content of `/etc/group`.
    pub(crate) fn of(needs: &Needs, names: &str) -> Result<Self, UnitError> {
        let mut found = Self::default();
        for path in needs.chips.iter().chain(&needs.files) {
            match path.metadata().map(|metadata| by_whom(metadata.mode(), metadata.gid())) {
                Err(_) => found.missing.push(path.clone()),
                Ok(Writers::Everybody) => {}
                Ok(Writers::Group(id)) => drop(found.groups.insert(name(names, id))),
                Ok(Writers::Owner) => return Err(UnitError::OwnersOnly(path.clone())),
            }
        }
        Ok(found)
    }
}

#[derive(Debug, PartialEq)]
enum Writers {
    Everybody,
    Group(u32),
    Owner,
}

/// Who may write a file with this mode and group. The group of root is never granted.
fn by_whom(mode: u32, group: u32) -> Writers {
    match (mode & 0o002, mode & 0o020, group) {
        (0, 0, _) | (0, _, 0) => Writers::Owner,
        (0, _, group) => Writers::Group(group),
        _ => Writers::Everybody,
    }
}

/// The name of a group in the format of `group(5)`, or its number.
fn name(names: &str, id: u32) -> String {
    let named = names.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_of_a_file_determines_its_writers() {
        assert_eq!(by_whom(0o020_660, 997), Writers::Group(997));
        assert_eq!(by_whom(0o020_660, 0), Writers::Owner);
        assert_eq!(by_whom(0o100_644, 0), Writers::Owner);
        assert_eq!(by_whom(0o100_640, 997), Writers::Owner);
        assert_eq!(by_whom(0o100_666, 0), Writers::Everybody);
    }

    #[test]
    fn a_group_has_a_name_or_a_number() {
        let names = "root:x:0:\n# a note\n:x:997:\ngpio:x:997:pi,ana\nbroken\n";
        assert_eq!((name(names, 997), name(names, 996)), ("gpio".to_owned(), "996".to_owned()));
    }

    #[test]
    fn a_missing_file_is_reported_as_missing() {
        let needs = Needs { chips: vec!["/dev/gpiochip-of-nobody".into()], files: vec!["/dev/null".into()], ..Needs::default() };
        let found = Groups::of(&needs, "").unwrap();
        assert_eq!(found, Groups { missing: vec!["/dev/gpiochip-of-nobody".into()], ..Groups::default() });
    }
}
