//! An identifier of the location of a data folder, which differs for a copy of the folder.
//!
//! Simulated devices of a data folder and of its copy would have the same client id, so they would take over the connection from
//! each other without end. Therefore a simulated device starts automatically only in the location where it was started by a user:
//! on the same machine, at the same path, with the same file. A copy, a restored backup, a cloned disk that is mounted elsewhere
//! and a moved folder are other locations. A clone of the whole machine with the same machine id (`machine-id(5)`) is not
//! detected.

use std::fs;
use std::path::Path;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// The files in which systemd and D-Bus store the machine id.
const MACHINE_IDS: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// The identifier of the location of this database, in hex. It consists of the machine id, the path and the inode, as far as they
/// are available.
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
    fn a_copied_or_moved_file_is_in_another_place() {
        let folder = tempfile::tempdir().unwrap();
        let (original, copy, moved) = (folder.path().join("a"), folder.path().join("b"), folder.path().join("c"));
        fs::write(&original, "x").unwrap();
        let place = of(&original);
        assert_eq!(of(&original), place);
        fs::write(&original, "y").unwrap();
        assert_eq!(of(&original), place, "the content makes no difference");
        fs::copy(&original, &copy).unwrap();
        assert_ne!(of(&copy), place);
        fs::rename(&original, &moved).unwrap();
        assert_ne!(of(&moved), place);
        fs::copy(&moved, &original).unwrap();
        assert_ne!(of(&original), place, "a copy at the same path");
    }
}
