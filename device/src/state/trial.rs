//! Renewed credentials on trial: they are in use, and the former ones are kept until the server has accepted the new ones.
//!
//! `former` names the folder of the former credentials. It is written before `current` changes. After a power failure in between,
//! both name the same folder, which does not count as a trial.

use std::io;

use super::{CURRENT, Held, State, StateError, number};
use crate::bundle::files::Files;

pub(super) const FORMER: &str = "former";

impl State {
    /// The former credentials, while others are on trial.
    pub(crate) fn former(&self) -> Result<Option<Files>, StateError> {
        let Some(name) = self.former_name()? else { return Ok(None) };
        let folder = self.path.join(name);
        Files::from_folder(&folder).map(Some).map_err(|error| StateError::Credentials(folder, error))
    }

    fn former_name(&self) -> Result<Option<String>, StateError> {
        let former = self.pointer(FORMER)?;
        Ok(if former == self.pointer(CURRENT)? { None } else { former })
    }
}

impl Held {
    /// Replaces the stored credentials by renewed ones, on trial. Credentials that are on trial already are deleted.
    pub(crate) fn renew(&self, files: &Files) -> Result<(), StateError> {
        let former = match self.former_name()? {
            Some(former) => Some(former),
            None => self.pointer(CURRENT)?,
        };
        let put = || {
            let name = self.write_credentials(files)?;
            if let Some(former) = &former {
                self.point(FORMER, former)?;
            }
            self.point(CURRENT, &name)?;
            self.sweep(&[number(&name), former.as_deref().and_then(number)])
        };
        put().map_err(self.failed())
    }

    /// Ends a trial with success: deletes the former credentials.
    pub(crate) fn confirm(&self) -> Result<(), StateError> {
        if self.pointer(FORMER)?.is_none() {
            return Ok(());
        }
        let current = self.pointer(CURRENT)?;
        let confirm = || {
            self.remove(FORMER)?;
            self.sweep(&[current.as_deref().and_then(number)])
        };
        confirm().map_err(self.failed())
    }

    /// Ends a trial with failure: returns to the former credentials. Returns `None` and changes nothing if no credentials are on
    /// trial.
    pub(crate) fn fall_back(&self) -> Result<Option<Files>, StateError> {
        // Former credentials that cannot be read are an error, and the pointer is not changed.
        let (Some(name), Some(files)) = (self.former_name()?, self.former()?) else { return Ok(None) };
        self.point(CURRENT, &name).map_err(self.failed())?;
        self.confirm()?;
        Ok(Some(files))
    }

    pub(super) fn point(&self, pointer: &str, name: &str) -> io::Result<()> {
        self.disk.replace(&self.path, pointer, format!("{name}\n").as_bytes())
    }
}

#[cfg(test)]
#[path = "trial_tests.rs"]
mod tests;
