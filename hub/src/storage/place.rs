//! The place of a data folder: another one for a copy of it.
//!
//! A simulated device that is started twice, once by the folder and once by its copy, throws the other out again and again. So it starts
//! by itself only where it was started by somebody: on the same machine, at the same path, over the same file. A copy, an unpacked
//! backup, a cloned disk that is mounted elsewhere and a moved folder are other places. A clone of the whole machine that was not given an
//! id of its own (`machine-id(5)`) is not told apart.

use std::fs;
use std::path::Path;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// Where systemd and D-Bus keep the id of a machine.
const MACHINE_IDS: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// The place of the database at this path, in hex. What the machine does not tell is left out.
pub fn of(database: &Path) -> String {
    let machine = MACHINE_IDS.iter().find_map(|file| fs::read_to_string(file).ok()).unwrap_or_default();
    let path = database.canonicalize().unwrap_or_else(|_| database.to_owned());
    let mut place = Sha256::new();
    for part in [machine.trim(), &path.to_string_lossy(), &file_number(database)] {
        place.update(part.as_bytes());
        place.update([0]);
    }
    HEXLOWER.encode(&place.finalize())
}

#[cfg(unix)]
fn file_number(file: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    file.metadata().map(|metadata| metadata.ino().to_string()).unwrap_or_default()
}

#[cfg(not(unix))]
fn file_number(_: &Path) -> String {
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_or_moved_folder_is_another_place_and_the_same_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (original, copy, moved) = (folder.path().join("a"), folder.path().join("b"), folder.path().join("c"));
        fs::write(&original, "x").unwrap();
        let place = of(&original);
        assert_eq!(of(&original), place);
        fs::write(&original, "y").unwrap();
        assert_eq!(of(&original), place, "what is in it may change");
        fs::copy(&original, &copy).unwrap();
        assert_ne!(of(&copy), place);
        fs::rename(&original, &moved).unwrap();
        assert_ne!(of(&moved), place);
        fs::copy(&moved, &original).unwrap();
        assert_ne!(of(&original), place, "a copy at the same path");
    }
}
