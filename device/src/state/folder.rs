//! Creates the state folder, and restricts its permissions to its owner.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use super::disk::sync_folder;
use super::{LOCK, StateError};

/// Creates the folder, or restricts its permissions if it is known to be a state folder. Returns a sentence for the user if it
/// did the latter.
pub(super) fn make(path: &Path) -> Result<Option<String>, StateError> {
    let failed = |error| StateError::Folder(path.to_owned(), error);
    if !path.is_dir() {
        let new = path.ancestors().take_while(|folder| !folder.exists()).count();
        DirBuilder::new().mode(0o700).recursive(true).create(path).map_err(failed)?;
        // Each new name is stored in the folder above it.
        for folder in path.ancestors().skip(1).take(new).filter(|folder| !folder.as_os_str().is_empty()) {
            sync_folder(folder).map_err(failed)?;
        }
        return Ok(None);
    }
    close(path).map_err(failed)?.ok_or_else(|| StateError::Open(path.to_owned()))
}

/// Returns `None` if others have access to a folder that may not be a state folder.
fn close(path: &Path) -> std::io::Result<Option<Option<String>>> {
    if path.metadata()?.permissions().mode() & 0o077 == 0 {
        return Ok(Some(None));
    }
    let is_used = path.join(LOCK).exists();
    if !is_used && path.read_dir()?.next().is_some() {
        return Ok(None);
    }
    std::fs::set_permissions(path, Permissions::from_mode(0o700))?;
    // An empty folder contained nothing that others could have read, so there is nothing to tell the user.
    Ok(Some(is_used.then(|| format!("others could look into {} until now; it is closed to them again", path.display()))))
}
